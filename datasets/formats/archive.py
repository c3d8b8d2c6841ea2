"""A zip archive read in memory, never unpacked to disk; names, sizes and framing are checked first."""

import os
import stat
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import deflate

from datasets.errors import Rejected
from datasets.findings import reject

MAX_ENTRIES = 10_000
FREE_SIZE = 64 << 20
MAX_RATIO = 50
MAX_COPIES = 4
REWRITTEN = frozenset((".zgroup", ".zattrs", ".zarray", ".zmetadata", "zarr.json"))
_LOCAL = struct.Struct("<4s5H3I2H")  # local file header: APPNOTE.TXT of PKWARE, 4.3.7
_HINT = "Write it with zarr's ZipStore, or zip the folder's content with deflate or without compression."


@contextmanager
def open_archive(path: Path) -> Iterator["Archive"]:
    """Open and check a zip file.

    Raises:
        Rejected: it is no zip file, or built in a way no ordinary writer builds it.
    """
    with path.open("rb") as source:
        if source.read(4) != b"PK\x03\x04":
            raise reject("wrong-format", "The file is not a zip archive.", hint=_HINT)
    try:
        with path.open("rb") as plain, zipfile.ZipFile(path) as file:
            yield Archive(file, path.stat().st_size, plain.fileno())
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        zlib.error,
        EOFError,
        OSError,
        NotImplementedError,
        ValueError,
    ) as error:
        raise reject("unreadable", "The zip archive is damaged.", hint=_HINT) from error


class Archive:
    """Entries by name, read up to a limit."""

    def __init__(self, file: zipfile.ZipFile, size: int, plain: int) -> None:
        self._file, self._plain = file, plain
        self._lock = threading.Lock()
        entries = file.infolist()
        if len(entries) > MAX_ENTRIES:
            raise reject(
                "suspicious-structure",
                f"The archive has {len(entries)} entries; {MAX_ENTRIES} are allowed.",
                hint="Use larger chunks.",
            )
        self._entries: dict[str, list[zipfile.ZipInfo]] = {}
        for entry in entries:
            _check_entry(entry)
            copies = self._entries.setdefault(entry.filename, [])
            copies.append(entry)
            if len(copies) > 1 and (entry.filename.rpartition("/")[2] not in REWRITTEN or len(copies) > MAX_COPIES):
                raise reject(
                    "suspicious-structure",
                    f"The archive holds {entry.filename[:80]!r} twice.",
                    {"entry": entry.filename[:200]},
                    hint=_HINT,
                )
        _check_framing(entries, size)
        total = sum(entry.file_size for entry in entries)
        if total > FREE_SIZE and total > MAX_RATIO * sum(entry.compress_size for entry in entries):
            raise reject(
                "suspicious-structure",
                "The archive unpacks to more than 50 times its size.",
                hint="Compress the chunks, not the archive.",
            )

    def names(self) -> list[str]:
        return [name for name in self._entries if not name.endswith("/")]

    def read(self, name: str, limit: int) -> bytes | None:
        """The bytes of an entry, None when there is none; of several copies the last.

        Raises:
            Rejected: it is longer than ``limit``.
        """
        copies = self.copies(name, limit)
        return copies[-1] if copies else None

    def copies(self, name: str, limit: int) -> list[bytes]:
        """The bytes of every copy of an entry, first to last: ZipStore writes metadata again when it changes.

        Raises:
            Rejected: one is longer than ``limit``.
        """
        return [self._bytes(name, entry, limit) for entry in self._entries.get(name, [])]

    def stored(self, name: str, limit: int) -> bytes:
        """The bytes of an entry, from any thread: without a lock where they lie in the archive as they are.

        Raises:
            Rejected: it is longer than ``limit``.
        """
        entries = self._entries.get(name, [])
        data = self._plainly(entries[0], limit) if len(entries) == 1 else None
        if data is not None:
            return data
        with self._lock:
            return self.read(name, limit) or b""

    def _plainly(self, entry: zipfile.ZipInfo, limit: int) -> bytes | None:
        """An uncompressed entry with an ordinary header and the right checksum; None leaves it to ``read``."""
        if entry.compress_type != zipfile.ZIP_STORED or not entry.compress_size == entry.file_size <= limit:
            return None
        name = entry.orig_filename.encode("utf-8" if entry.flag_bits & 0x800 else "cp437", "replace")
        head = os.pread(self._plain, _LOCAL.size + len(name), entry.header_offset)
        if len(head) != _LOCAL.size + len(name) or head[_LOCAL.size :] != name:
            return None
        mark, _, flags, method, *_, long, extra = _LOCAL.unpack_from(head)
        odd = (flags | entry.flag_bits) & ~0x808 or (flags ^ entry.flag_bits) & 0x800
        if mark != b"PK\x03\x04" or odd or method != zipfile.ZIP_STORED or long != len(name):
            return None
        data = os.pread(self._plain, entry.file_size, entry.header_offset + len(head) + extra)
        return data if len(data) == entry.file_size and deflate.crc32(data) == entry.CRC else None

    def _bytes(self, name: str, entry: zipfile.ZipInfo, limit: int) -> bytes:
        if entry.file_size > limit:
            raise _too_long(name, limit)
        with self._file.open(entry) as source:
            data = source.read(limit + 1)
        if len(data) > limit:
            raise _too_long(name, limit)
        return data


def _too_long(name: str, limit: int) -> Rejected:
    return reject(
        "suspicious-structure",
        f"The entry {name[:80]!r} is longer than {limit} bytes.",
        {"entry": name[:200]},
        hint="Choose smaller chunks.",
    )


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name, mode = entry.filename, entry.external_attr >> 16
    odd_name = (
        name.startswith("/") or "\\" in name or "\x00" in name or ".." in name.split("/") or ":" in name.split("/")[0]
    )
    odd_kind = mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_IFMT(mode) == 0)
    if odd_name or odd_kind or entry.flag_bits & 0x1:
        raise reject(
            "suspicious-structure",
            f"The entry {name[:80]!r} is encrypted, a link, or leads outside.",
            {"entry": name[:200]},
            hint=_HINT,
        )
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise reject(
            "unsupported",
            f"The entry {name[:80]!r} is compressed in a way that is not taken.",
            {"entry": name[:200]},
            hint=_HINT,
        )


def _check_framing(entries: list[zipfile.ZipInfo], size: int) -> None:
    """Entries lie one after the other and none shares bytes with another."""
    end = 0
    for entry in sorted(entries, key=lambda item: item.header_offset):
        if entry.header_offset < end:
            raise reject("suspicious-structure", "Entries of the archive overlap.", hint=_HINT)
        end = (
            entry.header_offset + 30 + len(entry.orig_filename.encode("utf-8", "surrogateescape")) + entry.compress_size
        )
    if end > size:
        raise reject("unreadable", "The archive is cut short.", hint="Send the file again.")
