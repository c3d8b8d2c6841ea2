"""Open a cluster at a Dask Gateway and keep it: `python start.py https://gateway.example.org --workers 6 --tls DIR`.

Needs dask-gateway. Writes the cluster's certificate and key to DIR and prints the options for `motherlode scorer`.
The scoring loop talks to the scheduler itself, over TLS with that certificate; both have to be in one network.
"""

import argparse
import os
import signal
from pathlib import Path

from dask_gateway import Gateway


def keep(folder: Path, name: str, text: str) -> Path:
    """Write what only we may read."""
    path = folder / name
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gateway")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--tls", type=Path, default=Path())
    chosen = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    with Gateway(chosen.gateway) as gateway, gateway.new_cluster(shutdown_on_close=True) as cluster:
        cluster.scale(chosen.workers)
        address = cluster.get_client().scheduler_info()["address"]
        certificate = keep(chosen.tls, "cluster.crt", cluster.security.tls_cert)
        key = keep(chosen.tls, "cluster.key", cluster.security.tls_key)
        print(f"--scheduler {address} --tls-ca {certificate} --tls-cert {certificate} --tls-key {key}", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
