"""The truth of a challenge as one file: packed, committed to, sealed, opened.

The package is an uncompressed tar of the canonical folders ``truth/`` and, for a raster read at points, ``grid/``;
names sorted, times and owners zero, so the same truth is the same bytes. With d = sha256(package) and 32 random
bytes of salt, the public commitment is sha256(b"motherlode truth v1\\n" + salt + d). Without the salt it tells nothing
about the truth; with it anybody can check that the truth opened later is the one committed to at publication.
Sealed are the words above, the salt and the package, in this order.
"""

import hashlib
import hmac
import json
import re
import secrets
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyrage

from datasets.canonical import META, Canonical
from datasets.digest import CHUNK, Readable, chunks, digest_stream
from datasets.errors import IntegrityError, VaultError
from datasets.sealing import seal

MAGIC = b"motherlode truth v1\n"
SALT_BYTES = 32
PARTS = ("truth", "grid")
_MEMBER = re.compile(r"(truth|grid)/[^/\\\x00-\x1f.][^/\\\x00-\x1f]{0,120}\.(npy|json)")


@dataclass(frozen=True)
class TruthSet:
    """Truth as scoring reads it: mapped arrays. ``digest`` is secret until the truth is opened to all."""

    truth: Canonical
    grid: Canonical | None
    digest: str
    commitment: str


@dataclass(frozen=True)
class Opening:
    """What proves a commitment: the digest of the package and the salt, both in hex. Secret until the truth is."""

    digest: str
    salt: str

    @property
    def commitment(self) -> str:
        return commit(bytes.fromhex(self.salt), self.digest)


def commit(salt: bytes, digest: str) -> str:
    """The public commitment, in hex, to the truth package of that digest (hex)."""
    return hashlib.sha256(MAGIC + salt + bytes.fromhex(digest)).hexdigest()


def verify_commitment(commitment: str, opening: Opening) -> bool:
    """Whether the opened truth is the one that was committed to."""
    return hmac.compare_digest(commitment, opening.commitment)


def read_truth(folder: Path, *, digest: str = "", commitment: str = "") -> TruthSet:
    """Map ``folder/truth`` and ``folder/grid``. Raises IntegrityError when a part is unfinished."""
    grid = Canonical.read(folder / "grid") if (folder / "grid").is_dir() else None
    return TruthSet(Canonical.read(folder / "truth"), grid, digest, commitment)


def pack(folder: Path, target: BinaryIO) -> None:
    """Write the package of ``folder`` (with ``truth/`` and perhaps ``grid/``) to ``target``."""
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for path in _files(folder):
            member = tarfile.TarInfo(path.relative_to(folder).as_posix())
            member.size, member.mode = path.stat().st_size, 0o400
            with path.open("rb") as stream:
                archive.addfile(member, stream)


def package_digest(folder: Path) -> str:
    """sha256 of the package of ``folder``, without keeping it."""
    running = hashlib.sha256()
    with tempfile.TemporaryFile(dir=folder) as plain:
        pack(folder, plain)
        plain.seek(0)
        for block in chunks(plain):
            running.update(block)
    return running.hexdigest()


def seal_truth(folder: Path, target: BinaryIO, recipient: str, *, salt: bytes | None = None) -> Opening:
    """Seal the truth of ``folder`` for ``recipient`` into ``target``.

    Raises:
        VaultError: ``recipient`` is no key, or ``folder`` holds no truth.
    """
    if not (folder / "truth" / META).is_file():
        raise VaultError(f"{folder} holds no finished truth to seal")
    salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt
    with tempfile.TemporaryFile(dir=folder) as plain:
        plain.write(MAGIC + salt)
        pack(folder, plain)
        plain.seek(len(MAGIC) + SALT_BYTES)
        digest = digest_stream(plain)
        plain.seek(0)
        seal(plain, target, recipient)
    return Opening(digest, salt.hex())


def open_truth(sealed: Readable, identity: str, out: Path, *, commitment: str | None = None) -> TruthSet:
    """Open a seal into the folder ``out`` (made, mode 0700) and map what was in it.

    Raises:
        VaultError: wrong key, damaged or foreign seal, or not the truth committed to. ``out`` is then not to be used.
    """
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=out) as plain:
        decrypt(sealed, plain, identity)
        plain.seek(0)
        if plain.read(len(MAGIC)) != MAGIC:
            raise VaultError("the seal holds no truth package of a known version")
        salt = plain.read(SALT_BYTES)
        opening = Opening(digest_stream(plain), salt.hex())
        if commitment is not None and not verify_commitment(commitment, opening):
            raise VaultError("the sealed truth is not the one committed to at publication")
        plain.seek(len(MAGIC) + SALT_BYTES)
        _unpack(plain, out)
    try:
        return read_truth(out, digest=opening.digest, commitment=opening.commitment)
    except IntegrityError:
        raise VaultError("the seal holds an incomplete truth package") from None


def _files(folder: Path) -> Iterator[Path]:
    """The files that the canonical forms consist of; whatever else lies in their folders is left behind."""
    for part in PARTS:
        meta = folder / part / META
        if meta.is_file():
            arrays = json.loads(meta.read_text(encoding="utf-8"))["arrays"]
            yield from sorted([meta, *(folder / part / str(entry["file"]) for entry in arrays.values())])


def decrypt(sealed: Readable, plain: BinaryIO, identity: str) -> None:
    """Open any seal made for ``identity`` into ``plain``.

    Raises:
        VaultError: wrong key, or a damaged or foreign seal.
    """
    try:
        key = pyrage.x25519.Identity.from_str(identity.strip())
    except pyrage.IdentityError:
        raise VaultError("the truth key is no age identity; it starts with AGE-SECRET-KEY-1") from None
    try:
        pyrage.decrypt_io(sealed, plain, [key])
    except pyrage.DecryptError:
        raise VaultError("the seal does not open: another key, or no seal at all") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise VaultError("the seal is damaged") from None


def _unpack(plain: BinaryIO, out: Path) -> None:
    try:
        with tarfile.open(fileobj=plain, mode="r|") as archive:
            for member in archive:
                _extract(archive, member, out)
    except tarfile.TarError:
        raise VaultError("the seal holds no readable truth package") from None


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, out: Path) -> None:
    source = archive.extractfile(member) if member.isreg() else None
    if source is None or not _MEMBER.fullmatch(member.name):
        raise VaultError("the seal holds something that is no truth package")
    place = out / member.name
    place.parent.mkdir(mode=0o700, exist_ok=True)
    with source, place.open("xb") as target:
        while block := source.read(CHUNK):
            target.write(block)
