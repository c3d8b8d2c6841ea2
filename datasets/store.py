"""Blobs: bytes stored under their sha256, once written never changed.

``put`` answers only after the bytes and the name are on disk: a temporary file in the same file system is written,
synced and renamed, then its directory is synced. A crash at any point leaves either the whole blob or none.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import BinaryIO, Protocol
from uuid import uuid4

from datasets.digest import CHUNK, Readable, digest_file, is_digest
from datasets.errors import BlobNotFound, IntegrityError, TooLarge

READ_ONLY = 0o440
TEMPORARY = "incoming"
AT_ONCE = 8  # threads that wait for the disk


@dataclass(frozen=True, slots=True)
class Blob:
    """A stored blob: its sha256 in hex and its size in bytes."""

    digest: str
    size: int


class BlobStore(Protocol):
    """Where bytes are kept. Each method that takes a digest raises BlobNotFound when nothing is stored under it."""

    def put(self, stream: Readable, *, max_bytes: int | None = None) -> Blob:
        """Store what is left in ``stream``; the same bytes twice are one blob.

        Raises:
            TooLarge: ``stream`` holds more than ``max_bytes``; nothing is stored.
        """

    def put_many(self, blobs: Sequence[bytes]) -> list[Blob]:
        """Store several small blobs at once; they are on disk together when this returns."""

    def open(self, digest: str) -> BinaryIO: ...

    def path(self, digest: str) -> Path | None:
        """A local file with the bytes, for a server that sends files itself; None where there is none."""

    def exists(self, digest: str) -> bool: ...

    def size(self, digest: str) -> int: ...

    def verify(self, digest: str) -> None:
        """Read the whole blob. Raises IntegrityError when its bytes are not those of its name."""

    def delete(self, digest: str) -> None:
        """Forget the blob; nothing happens when it is not there."""


class LocalStore:
    """A BlobStore in a directory of the local file system: ``root/ab/cd/abcd…``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / TEMPORARY
        self._incoming.mkdir(parents=True, exist_ok=True)

    def put(self, stream: Readable, *, max_bytes: int | None = None) -> Blob:
        handle, name = tempfile.mkstemp(dir=self._incoming)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as target:
                blob = _copy(stream, target, max_bytes)
                target.flush()
                os.fchmod(target.fileno(), READ_ONLY)
                os.fsync(target.fileno())
            self._publish(temporary, blob.digest)
        finally:
            temporary.unlink(missing_ok=True)
        return blob

    def put_many(self, blobs: Sequence[bytes]) -> list[Blob]:
        made = [self._written(data) for data in blobs]
        try:
            pool = _waiters(os.getpid())  # what is synced together, the file system commits together
            list(pool.map(_sync_file, [temporary for temporary, _ in made]))
            folders = {folder for temporary, blob in made for folder in self._named(temporary, blob.digest)}
            list(pool.map(sync_directory, folders))
        finally:
            for temporary, _ in made:
                temporary.unlink(missing_ok=True)
        return [blob for _, blob in made]

    def open(self, digest: str) -> BinaryIO:
        try:
            return self._place(digest).open("rb")
        except FileNotFoundError:
            raise _missing(digest) from None

    def path(self, digest: str) -> Path | None:
        place = self._place(digest)
        if not place.is_file():
            raise _missing(digest)
        return place

    def exists(self, digest: str) -> bool:
        return is_digest(digest) and self._place(digest).is_file()

    def size(self, digest: str) -> int:
        try:
            return self._place(digest).stat().st_size
        except FileNotFoundError:
            raise _missing(digest) from None

    def verify(self, digest: str) -> None:
        try:
            found = digest_file(self._place(digest))
        except FileNotFoundError:
            raise _missing(digest) from None
        if found != digest:
            raise IntegrityError(f"the blob {digest} now has the digest {found}; restore it from a backup")

    def delete(self, digest: str) -> None:
        self._place(digest).unlink(missing_ok=True)

    def digests(self) -> Iterator[str]:
        """Every stored digest, in no particular order."""
        return (path.name for path in self.root.glob("??/??/*") if is_digest(path.name))

    def sweep(self, *, now: datetime, older_than: timedelta) -> int:
        """Remove what interrupted uploads left behind; how many files that were."""
        limit = (now - older_than).timestamp()
        stale = [path for path in self._incoming.iterdir() if path.stat().st_mtime < limit]
        for path in stale:
            path.unlink(missing_ok=True)
        return len(stale)

    def _place(self, digest: str) -> Path:
        if not is_digest(digest):
            raise _missing(digest)
        return self.root / digest[:2] / digest[2:4] / digest

    def _publish(self, temporary: Path, digest: str) -> None:
        for folder in self._named(temporary, digest):
            sync_directory(folder)

    def _named(self, temporary: Path, digest: str) -> tuple[Path, ...]:
        """Give a written file its name; the folders whose entries have to be made durable then, inmost first."""
        place = self._place(digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(place)
        return place.parent, place.parent.parent, self.root

    def _written(self, data: bytes) -> tuple[Path, Blob]:
        """The bytes in a temporary file that is not durable yet."""
        place = self._incoming / uuid4().hex
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as target:
            target.write(data)
            os.fchmod(target.fileno(), READ_ONLY)
        return place, Blob(hashlib.sha256(data).hexdigest(), len(data))


@cache
def _waiters(_process: int) -> ThreadPoolExecutor:
    """Threads of this process that wait for the disk; a forked child gets its own."""
    return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="disk")


def _sync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_directory(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _copy(stream: Readable, target: BinaryIO, max_bytes: int | None) -> Blob:
    running, size = hashlib.sha256(), 0
    while block := stream.read(CHUNK):
        size += len(block)
        if max_bytes is not None and size > max_bytes:
            raise TooLarge(max_bytes)
        running.update(block)
        target.write(block)
    return Blob(running.hexdigest(), size)


def _missing(digest: str) -> BlobNotFound:
    return BlobNotFound(f"no blob {digest[:80]!r} is stored")
