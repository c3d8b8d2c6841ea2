"""Scratch folders that belong to a living process, and what is remembered of a disk that would not take a write.

A folder of its own is locked by its process. The kernel lets the lock go however the process ends, so whoever finds
such a folder unlocked may remove it: no clock, no list of processes, across containers that share a disk.
"""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

GONE = "gone-"  # what a folder is called while it is removed
# What a machine says for its own sake. EFBIG is missing: that is the limit of what a file may unpack to.
OURS = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.EROFS))
_REFUSED: list[str] = []  # of this process, the last one


@contextmanager
def own_folder(root: Path, prefix: str) -> Iterator[Path]:
    """A new folder in ``root``, readable by its owner alone, that ``sweep`` leaves alone while the block lasts.

    It is removed at the end, unless it was given another name.
    """
    folder, lock = _locked(root, prefix)
    try:
        yield Path(folder.name)
    finally:
        folder.cleanup()
        os.close(lock)


def sweep(root: Path, *prefixes: str) -> None:
    """Remove the folders that ``own_folder`` made in ``root`` for processes that have ended since."""
    for path in [path for path in root.iterdir() if path.name.startswith(prefixes)]:
        with suppress(OSError):  # locked: its process lives; or another one sweeps too
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


def discard(folder: Path) -> None:
    """Remove a folder that others may be about to read: for them it is gone at once, never half there."""
    away = folder.with_name(f"{GONE}{uuid4().hex}")
    try:
        folder.rename(away)
    except FileNotFoundError:
        return
    except OSError:  # so full a disk that it has no room for a name
        away = folder
    shutil.rmtree(away, ignore_errors=True)


@contextmanager
def writing() -> Iterator[None]:
    """A block that does nothing but write scratch; see ``note``."""
    try:
        yield
    except OSError as error:
        note(error)
        raise


def note(error: OSError) -> None:
    """Remember that scratch could not be written, whoever catches the error: a reader takes it for a damaged file."""
    if error.errno != errno.EFBIG:
        _REFUSED[:] = [_told(error)]


def refused() -> str:
    """Why scratch could not be written; empty when all went well."""
    return _REFUSED[-1] if _REFUSED else ""


def forget() -> None:
    """Begin anew: nothing was refused so far."""
    _REFUSED.clear()


def fault_behind(error: BaseException | None) -> str:
    """What the machine, not a file, has to do with an error or the errors it comes from; empty: nothing."""
    for _ in range(20):
        if isinstance(error, OSError) and error.errno in OURS:
            return _told(error)
        error = None if error is None else error.__cause__ or error.__context__
    return ""


def _told(error: OSError) -> str:
    return f"{errno.errorcode.get(error.errno or 0, 'OSError')}: {error.strerror or 'no reason given'}"


def _locked(root: Path, prefix: str) -> tuple["tempfile.TemporaryDirectory[str]", int]:
    while True:
        made = tempfile.TemporaryDirectory(dir=root, prefix=prefix, ignore_cleanup_errors=True)
        with suppress(FileNotFoundError):
            lock = os.open(made.name, os.O_RDONLY | os.O_DIRECTORY)
            with suppress(OSError):  # a file system without locks; nothing is swept there
                fcntl.flock(lock, fcntl.LOCK_SH)
            if Path(made.name).exists():
                return made, lock
            os.close(lock)
        made.cleanup()  # swept in the moment before it was locked
