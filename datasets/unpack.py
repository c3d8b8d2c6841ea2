"""A sponsor's zipped challenge directory → a directory. The zip is as hostile as any upload.

Refused are: more than 10 000 entries, a name twice (also when only its case differs), absolute or climbing paths,
backslashes, control characters, links and devices, encryption, methods other than stored and deflate, more than
``max_bytes`` unpacked, and a ratio above 50 once more than 64 MiB come out. All faults are reported at once and
nothing is written before the whole directory of the zip has passed.
"""

import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from datasets.digest import CHUNK, Readable
from datasets.errors import Fault, SpecError
from datasets.manifest import is_release_path

MAX_ENTRIES = 10_000
MAX_BYTES = 8 << 30
MAX_RATIO = 50
RATIO_FREE_BYTES = 64 << 20
DIRECTORY_BYTES = 4 << 20  # central directory; 10 000 entries with long names need half of it
ARCHIVE = "archive.zip"
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_JUNK = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})


def unpack(archive: Path, out: Path, *, max_bytes: int = MAX_BYTES) -> Path:
    """Unpack ``archive`` into ``out`` (which must be absent or empty); a single top folder is stripped.

    Returns:
        ``out``, now a challenge directory as far as the zip held one.

    Raises:
        SpecError: with every fault of the zip.
    """
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise FileExistsError(f"{out} is not empty")
    try:
        with archive.open("rb") as raw, zipfile.ZipFile(_Guarded(raw)) as opened:
            entries = opened.infolist()
            faults = list(_faults(entries, max_bytes))
            if faults:
                raise SpecError(faults)
            _write(opened, [entry for entry in entries if not _is_junk(entry.filename)], out)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        raise SpecError([Fault(ARCHIVE, "", f"is no readable zip: {error}.", "Zip the directory again.")]) from error
    return out


class _Guarded:
    """Refuses what forged numbers make zipfile do: read a huge list of entries, or go to a place outside the file."""

    def __init__(self, raw: BinaryIO) -> None:
        self.tell, self.seekable, self._seek, self._read = raw.tell, raw.seekable, raw.seek, raw.read

    def read(self, size: int = -1, /) -> bytes:
        if size > DIRECTORY_BYTES:
            raise zipfile.BadZipFile("its list of entries is larger than 4 MiB")
        return self._read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        try:
            return self._seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            raise zipfile.BadZipFile("it points to a place outside itself") from None


def _faults(entries: Sequence[zipfile.ZipInfo], max_bytes: int) -> Iterator[Fault]:
    if len(entries) > MAX_ENTRIES:
        yield Fault(ARCHIVE, "", f"has {len(entries):,} entries.", f"At most {MAX_ENTRIES:,} are taken.")
        return
    seen: set[str] = set()
    for entry in entries:
        name = entry.filename.rstrip("/")
        yield from _entry_faults(entry, name)
        if name.casefold() in seen:
            yield Fault(_shown(name), "", "is there twice, or differs only in case from another.", "Keep one of them.")
        seen.add(name.casefold())
    files = {entry.filename for entry in entries if not entry.is_dir()}
    for entry in entries:
        if any(str(parent) in files for parent in Path(entry.filename).parents):
            yield Fault(_shown(entry.filename), "", "lies inside something that is a file.", "Rename one of them.")
    yield from _size_faults(entries, max_bytes)


def _entry_faults(entry: zipfile.ZipInfo, name: str) -> Iterator[Fault]:
    if entry.orig_filename != entry.filename or not is_release_path(name):
        yield Fault(_shown(entry.orig_filename), "", "is no plain relative path.", "Zip the directory itself.")
    if stat.S_IFMT(entry.external_attr >> 16) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        yield Fault(_shown(name), "", "is a link or a device.", "Replace it by the file itself.")
    if entry.flag_bits & _ENCRYPTED:
        yield Fault(_shown(name), "", "is encrypted.", "Zip it without a password.")
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        yield Fault(_shown(name), "", "uses a rare compression method.", "Use deflate, the usual one.")


def _size_faults(entries: Sequence[zipfile.ZipInfo], max_bytes: int) -> Iterator[Fault]:
    total = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if total > max_bytes:
        yield Fault(ARCHIVE, "", f"unpacks to {total:,} bytes.", f"At most {max_bytes:,} bytes are taken.")
    if total > RATIO_FREE_BYTES and total > MAX_RATIO * packed:
        yield Fault(
            ARCHIVE, "", f"unpacks to more than {MAX_RATIO} times its size.", "Compress files in their own format."
        )


def _write(opened: zipfile.ZipFile, entries: Sequence[zipfile.ZipInfo], out: Path) -> None:
    strip = _top_folder(entries)
    for entry in entries:
        relative = entry.filename[strip:]
        if entry.is_dir() or not relative:
            continue
        place = out / relative
        place.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(entry) as source, place.open("xb") as target:
            _copy(source, target, entry)


def _copy(source: Readable, target: BinaryIO, entry: zipfile.ZipInfo) -> None:
    left = entry.file_size
    while block := source.read(min(CHUNK, left + 1)):
        left -= len(block)
        if left < 0:
            raise zipfile.BadZipFile(f"{_shown(entry.filename)} unpacks to more than it says")
        target.write(block)
    if left:
        raise zipfile.BadZipFile(f"{_shown(entry.filename)} unpacks to less than it says")


def _top_folder(entries: Sequence[zipfile.ZipInfo]) -> int:
    """Length of the prefix ``folder/`` that all entries share; 0 when there is none."""
    tops = {entry.filename.split("/", 1)[0] for entry in entries}
    nested = all("/" in entry.filename for entry in entries)
    return len(tops.pop()) + 1 if len(tops) == 1 and nested else 0


def _is_junk(name: str) -> bool:
    parts = name.rstrip("/").split("/")
    return parts[0] == "__MACOSX" or parts[-1] in _JUNK


def _shown(name: str) -> str:
    plain = "".join(letter if letter.isprintable() else "�" for letter in name)
    return plain if len(plain) <= 80 else plain[:79] + "…"
