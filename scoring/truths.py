"""Opened truths with the indexes made of them. The only module of scoring that opens a truth.

A sealed truth is opened once a machine and kept by the vault; what the kind's ``prepare`` makes of it and the
challenge is written beside it, in canonical form, and mapped by every worker. Both are made in a folder of their own
that takes its name by a rename, so nobody waits for anybody and nobody sees half of one. A process keeps the few
truths it used last mapped, and looks at every use whether their files are still those it mapped.
"""

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from datasets.canonical import Array, Canonical, release
from datasets.digest import digest_bytes, is_digest
from datasets.errors import EngineFault, IntegrityError, SpecError
from datasets.scratch import GONE, discard, own_folder, sweep
from datasets.spec import Spec, parse_spec
from datasets.store import LocalStore
from datasets.truth.package import decrypt, package_digest
from datasets.truth.vault import OPENED, OPENING, Vault
from scoring.contracts import TruthRef
from scoring.kinds import KINDS
from scoring.kinds.pairing import TruthSet
from scoring.settings import EngineSettings

__all__ = ["Opened", "index_of", "let_go", "mapped", "open_for", "open_sealed", "package_digest"]

INDEX = "index-"
INDEXES = 2  # kept of one truth: a change of code or challenge leaves the one before in use for a while
MAPPED = 8  # truths a process keeps mapped
LARGE = 1 << 24  # bytes of an array whose pages are given back after an entry
MAKING = "making-"
RECENT_S = 10.0  # a truth used this lately is not removed: somebody may be about to map it
TRIES = 3  # to open a truth that is removed meanwhile
HOUSE = Path(__file__).resolve().parent.parent
CODE = ("scoring/kinds", "scoring/metrics", "datasets/canonical.py", "datasets/blocks.py", "datasets/hashing.py")


@dataclass(frozen=True)
class Opened:
    """A truth ready for scoring. ``folder`` holds it; ``index``: what was prepared of it, or None."""

    spec: Spec
    truth: TruthSet
    commitment: str
    folder: Path
    index: Path | None


@dataclass(frozen=True)
class _Mapped:
    opened: Opened
    files: frozenset[tuple[str, int, int, int]]


_KEPT: OrderedDict[tuple[EngineSettings, TruthRef, str], _Mapped] = OrderedDict()
_LOCK = threading.Lock()


def open_for(settings: EngineSettings, ref: TruthRef, toml: str) -> Opened:
    """The truth of a challenge as ``toml`` publishes it, mapped and indexed.

    Raises:
        BlobNotFound, VaultError: it cannot be opened.
        EngineFault: the challenge file has faults.
    """
    key = (settings, ref, toml)
    with _LOCK:
        kept = _KEPT.get(key)
        if kept is not None:
            _KEPT.move_to_end(key)
    if kept is not None and kept.files and kept.files == _files(kept.opened):
        _touch(kept.opened.folder)
        return kept.opened
    opened = _open(settings, ref, toml)
    with _LOCK:
        _KEPT[key] = _Mapped(opened, _files(opened))
        while len(_KEPT) > MAPPED:
            _KEPT.popitem(last=False)
    return opened


def open_sealed(settings: EngineSettings, digest: str, target: Path) -> Path:
    """Open the sealed blob ``digest`` into the file ``target``.

    Raises:
        BlobNotFound, IntegrityError: the blob is missing or damaged.
        VaultError: it was sealed for another key.
    """
    store = LocalStore(settings.store)
    store.verify(digest)
    with store.open(digest) as sealed, target.open("wb") as plain:
        decrypt(sealed, plain, settings.truth_key)
    return target


def index_of(folder: Path, spec: Spec, truth: TruthSet) -> Path | None:
    """The folder of what the challenge's kind prepares of a truth, made when it is missing or damaged.

    None: the kind prepares nothing.
    """
    place = folder / f"{INDEX}{digest_bytes((code_version() + spec.toml).encode())[:32]}"
    if _index(place) is not None:
        return place
    made = KINDS[spec.challenge.kind].prepare(truth, spec)
    if not made:
        return None
    if place.exists() and _index(place) is None:  # a damaged one
        discard(place)
    with own_folder(folder.parent, MAKING) as work:
        Canonical("index", made).write(work)
        with suppress(OSError):  # another worker was faster, its folder holds the same; or the truth was removed
            work.rename(place)
    for old in sorted(folder.glob(f"{INDEX}*"), key=_used)[:-INDEXES]:
        discard(old)
    return place


def mapped(spec: Spec, truth: TruthSet, index: Path | None) -> TruthSet:
    """``truth`` with what was prepared of it; made anew when the folder went away meanwhile."""
    arrays = None if index is None else _index(index)
    if arrays is None:
        arrays = {} if index is None else KINDS[spec.challenge.kind].prepare(truth, spec)
    return TruthSet(truth.truth, truth.grid, arrays)


def let_go(truth: TruthSet) -> None:
    """Give the pages of large mapped arrays back; they are read again when they are needed."""
    own = [truth.truth.arrays, truth.prepared, {} if truth.grid is None else truth.grid.arrays]
    for array in (array for arrays in own for array in arrays.values()):
        if array.nbytes > LARGE:
            release(array)


@cache
def code_version() -> str:
    """Changes when the code that makes or reads an index may have changed."""
    found = [HOUSE / name for name in CODE]
    files = sorted(file for path in found for file in (path.rglob("*.py") if path.is_dir() else [path]))
    return digest_bytes(b"".join(file.read_bytes() for file in files if file.is_file()))


def _open(settings: EngineSettings, ref: TruthRef, toml: str) -> Opened:
    try:
        spec = parse_spec(toml)
    except SpecError as error:
        raise EngineFault("the ticket's challenge file has faults; publish the challenge again") from error
    for left in reversed(range(TRIES)):
        try:
            return _opened(settings, ref, spec)
        except FileNotFoundError:
            if not left:
                raise
    raise AssertionError


def _opened(settings: EngineSettings, ref: TruthRef, spec: Spec) -> Opened:
    """Raises FileNotFoundError when another worker has removed the truth in the middle."""
    opened = Vault(settings.truths, LocalStore(settings.store), settings.truth_key).unseal(ref.digest, ref.commitment)
    folder, bare = settings.truths / ref.digest, TruthSet(opened.truth, opened.grid)
    _touch(folder)
    index = index_of(folder, spec, bare)
    _touch(folder)
    _trim(settings, keep=folder)
    return Opened(spec, mapped(spec, bare, index), opened.commitment, folder, index)


def _touch(folder: Path) -> None:
    with suppress(FileNotFoundError):  # removed meanwhile; what is mapped stays readable
        os.utime(folder)


def _used(folder: Path) -> float:
    """When it was used last; long ago for one that has gone."""
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _index(place: Path) -> Mapping[str, Array] | None:
    """The arrays of a finished index; None when there is none or it is damaged."""
    try:
        return Canonical.read(place).arrays
    except IntegrityError:
        return None


def _files(opened: Opened) -> frozenset[tuple[str, int, int, int]]:
    """What the files of a truth are now: name, inode, size and time of change."""
    return frozenset(_seen(opened.folder, opened.index))


def _seen(folder: Path, index: Path | None) -> Iterator[tuple[str, int, int, int]]:
    for place in (folder / "truth", folder / "grid", index):
        with suppress(FileNotFoundError, NotADirectoryError):
            for entry in os.scandir(place) if place is not None else ():
                about = entry.stat()
                yield entry.path, about.st_ino, about.st_size, about.st_mtime_ns
    with suppress(FileNotFoundError):
        about = (folder / OPENED).stat()
        yield OPENED, about.st_ino, about.st_size, about.st_mtime_ns


def _trim(settings: EngineSettings, *, keep: Path) -> None:
    """Forget the truths that were used longest ago, with their indexes, while all are larger than the cap."""
    sweep(settings.truths, OPENING, MAKING, GONE)
    sizes = []
    for path in settings.truths.iterdir():
        with suppress(FileNotFoundError):  # another worker trims too
            if is_digest(path.name):
                sizes.append((path.stat().st_mtime, _size(path), path))
    total = sum(size for _, size, _ in sizes)
    for used, size, path in sorted(sizes):
        if total <= settings.cache_bytes:
            return
        if path != keep and used < time.time() - RECENT_S:
            discard(path)
            total -= size


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
