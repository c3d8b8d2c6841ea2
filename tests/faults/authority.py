"""A throw-away certificate authority, made with the openssl program."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """Files in PEM: the authority, and one certificate with its key for every node of a cluster."""

    ca: Path
    cert: Path
    key: Path

    def for_dask(self) -> tuple[str, ...]:
        return ("--tls-ca-file", str(self.ca), "--tls-cert", str(self.cert), "--tls-key", str(self.key))

    def for_scorer(self) -> tuple[str, ...]:
        return ("--tls-ca", str(self.ca), "--tls-cert", str(self.cert), "--tls-key", str(self.key))


def issue(folder: Path) -> Certificates:
    """A new authority in ``folder`` and a certificate that it signed, good for a day."""
    folder.mkdir(parents=True)
    name = folder.name
    _openssl(folder, "req", "-x509", *_new_key("ca"), "-out", "ca.pem", "-days", "1", "-subj", f"/CN=authority {name}")
    _openssl(folder, "req", *_new_key("node"), "-out", "node.csr", "-subj", f"/CN=node {name}")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1")
    _openssl(folder, "x509", "-req", "-in", "node.csr", *signed, "-out", "node.pem")
    return Certificates(folder / "ca.pem", folder / "node.pem", folder / "node.key")


def _new_key(name: str) -> tuple[str, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key")


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
