"""The canonical form: what intake writes and scoring reads.

A directory of plain ``.npy`` arrays and one ``meta.json``. Nothing in it can refer to another file,
hold code or expand: scoring maps the arrays into memory and trusts only shape and dtype.

Layouts (``n`` rows, features or members; all coordinates in the challenge's CRS):

=========  =========================================================================================
table      ``id.0``, ``id.1`` … and ``value.NAME`` columns (NAME: the column's name in the file it came from),
           ``weight`` float64, ``block`` text; ids and values are float64, int64 or text, a text column being
           the pair ``NAME.offsets`` (int64, n+1), ``NAME.bytes`` (uint8). A class target is int64 codes into
           attrs ``classes``: the challenge's classes in order, then classes only this file names.
           attrs ``rows``, ``ids`` (names), ``classes`` (list or null)
points     ``x`` ``y`` float64 (n), sorted best first; ``order`` int64 (n) = 0 … n-1; ``feature`` int64 (n):
           index in the file; ``confidence`` float64 (n) or absent; truth: ``value``, ``weight`` float64 (n) or absent.
           attrs ``crs`` (WKT2 or null: local coordinates)
polygons   ``coords`` float64 (v, 2), ``rings`` int64 (r+1) vertex offsets, ``parts`` int64 (p+1) ring
           offsets, ``features`` int64 (n+1) part offsets, in file order; ``confidence`` float64 (n) or absent;
           ``label`` text or absent. Rings are closed, the first ring of a part is its shell. attrs ``crs``
raster     ``band`` (height, width) in the file's number type, ``valid`` bool (height, width) or absent when
           every cell is valid; attrs ``crs`` (WKT2 or null), ``transform`` (6 numbers, affine a b c d e f:
           x = a·col + b·row + c), ``nodata``, ``classes``
grid       ``data`` float32 or float64 (dims as in attrs ``dims``, in the file's order), ``coord.DIM`` per dimension
           (float64, int64 or text); attrs ``dims``, ``axis_types`` {DIM: number | text | time} (time: int64 ns since
           1970-01-01 UTC), ``member``: name of the ensemble dimension or null, ``finite``: whether every value
           was found finite. Truth may hold NaN: not scored. Truth of a challenge with categories by cell: ``edges``
           float32 or float64 (K − 1, the sizes of some of ``dims``), rising; attrs ``edges_dims``: their names
=========  =========================================================================================
"""

import errno
import json
import math
import mmap
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from datasets import scratch
from datasets.errors import IntegrityError

Array = npt.NDArray[Any]
ALLOWED_KINDS = frozenset("fiub")  # float, int, unsigned, bool: never objects
META = "meta.json"
MOST = 10**15  # entries of an array
SHORT = 512  # bytes of a stretch below which a write each would cost more than a map


@dataclass(frozen=True)
class Canonical:
    """Arrays by name plus JSON attributes; see the module's table for each kind's layout."""

    kind: str
    arrays: Mapping[str, Array]
    attrs: Mapping[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write into ``folder`` (made if missing). ``meta.json`` comes last: without it the folder is unfinished."""
        writer = CanonicalWriter(folder, self.kind)
        for name, array in self.arrays.items():
            writer.save(name, array)
        writer.finish(self.attrs)

    @classmethod
    def read(cls, folder: Path, *, mmap: bool = True) -> "Canonical":
        """Map the arrays of ``folder`` read-only.

        Raises:
            IntegrityError: the folder is unfinished, or an array is not what ``meta.json`` says.
        """
        try:
            meta = json.loads(_plain(folder / META).read_text(encoding="utf-8"))
            arrays = {name: _load(folder, want, mmap) for name, want in meta["arrays"].items()}
            return cls(meta["kind"], arrays, meta["attrs"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise IntegrityError(f"{folder} holds no complete canonical form: {error}") from error


class CanonicalWriter:
    """Writes a canonical form array by array; an array may also be streamed in C order without holding it."""

    def __init__(self, folder: Path, kind: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._kind = folder, kind
        self._arrays: dict[str, dict[str, Any]] = {}
        self._count = 0

    def save(self, name: str, array: Array) -> None:
        with self.stream(name, array.dtype, array.shape) as target:
            little = array.dtype.newbyteorder("<")
            target.write(np.ascontiguousarray(array, dtype=little).reshape(-1).view(np.uint8).data)

    @contextmanager
    def stream(self, name: str, dtype: npt.DTypeLike, shape: Sequence[int]) -> Iterator[BinaryIO]:
        """Open array ``name`` for writing its bytes in C order, and nothing else; the length is checked at the end."""
        with self._begun(name, dtype, shape) as (target, wanted):
            start = target.tell()
            with scratch.writing():
                yield target
                written = target.tell() - start
        if written != wanted:
            raise ValueError(f"array {name!r} got {written} bytes, not {wanted}")

    @contextmanager
    def placed(self, name: str, dtype: npt.DTypeLike, shape: Sequence[int]) -> Iterator["Placed"]:
        """Open array ``name`` for writing its rows in any order, from any thread; each exactly once."""
        with self._begun(name, dtype, shape) as (target, wanted):
            placed = Placed(target.fileno(), target.tell(), np.dtype(dtype).newbyteorder("<"), tuple(shape))
            yield placed
        if placed.written != wanted and not placed.given_up:
            raise ValueError(f"array {name!r} got {placed.written} bytes, not {wanted}")

    @contextmanager
    def growing(self, name: str, dtype: npt.DTypeLike) -> Iterator["Placed"]:
        """Open array ``name`` of one axis as with ``placed``, without knowing its length: it ends up as all written."""
        with self._begun(name, dtype, (MOST,)) as (target, _):
            placed = Placed(target.fileno(), target.tell(), np.dtype(dtype).newbyteorder("<"), (MOST,))
            yield placed
            count = placed.written // np.dtype(dtype).itemsize
            header = {"descr": self._arrays[name]["dtype"], "fortran_order": False, "shape": (count,)}
            with scratch.writing():
                target.seek(0)  # numpy leaves room for any length in the header
                np.lib.format.write_array_header_1_0(target, header)
                target.flush()
        self._arrays[name]["shape"] = [count]

    def written(self, name: str) -> Array:
        """Array ``name``, written and closed, mapped read-only."""
        array: Array = _load(self._folder, self._arrays[name], mmap=True)
        return array

    @contextmanager
    def _begun(self, name: str, dtype: npt.DTypeLike, shape: Sequence[int]) -> Iterator[tuple[BinaryIO, int]]:
        """The file of array ``name`` after its header, which is written, and how many bytes have to follow."""
        kind = np.dtype(dtype).newbyteorder("<") if np.dtype(dtype).itemsize > 1 else np.dtype(dtype)
        if kind.kind not in ALLOWED_KINDS:
            raise TypeError(f"array {name!r} has dtype {kind}; only numbers and booleans are canonical")
        sizes = tuple(int(size) for size in shape)
        path = self._folder / f"{self._count}.npy"
        self._arrays[name] = {"file": path.name, "dtype": kind.str, "shape": list(sizes)}
        self._count += 1
        with scratch.writing():
            target = path.open("w+b")
            header = {"descr": kind.str, "fortran_order": False, "shape": sizes}
            np.lib.format.write_array_header_1_0(target, header)
            target.flush()
        try:
            yield target, math.prod(sizes) * kind.itemsize
        finally:
            with scratch.writing():
                target.close()

    def drop(self, name: str) -> None:
        """Leave array ``name`` out after all; its file stays behind unnamed."""
        del self._arrays[name]

    def finish(self, attrs: Mapping[str, Any]) -> None:
        """Write ``meta.json``: from now on the folder is complete."""
        meta = {"kind": self._kind, "attrs": dict(attrs), "arrays": self._arrays}
        text = json.dumps(meta, sort_keys=True, allow_nan=False)
        with scratch.writing():
            (self._folder / META).write_text(text, encoding="utf-8")


class Placed:
    """An array being written by position; see ``CanonicalWriter.placed``. Memory does not grow with the array."""

    def __init__(self, file: int, start: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self._file, self._start, self._dtype, self._shape = file, start, dtype, shape
        self._row = math.prod(shape[1:]) * dtype.itemsize
        self._lock = threading.Lock()
        self._room: bool | None = None  # whether the disk keeps room for all of it; None: not asked yet
        self.written = 0
        self.given_up = False

    def void(self) -> None:
        """Give the array up: it will be left out (``CanonicalWriter.drop``), so nothing has to be complete."""
        self.given_up = True

    def put(self, row: int, rows: Array) -> None:
        """Write whole rows (entries of the first axis) from ``row`` on; the dtype is cast when it differs."""
        if rows.shape[1:] != self._shape[1:] or row < 0 or row + len(rows) > self._shape[0]:
            raise IndexError(f"rows of shape {rows.shape} do not fit at {row} of {self._shape}")
        data = _bytes(np.ascontiguousarray(rows, dtype=self._dtype))
        self._write(row * self._row, data)
        with self._lock:
            self.written += len(data)

    def put_tile(self, row: int, col: int, tile: Array) -> None:
        """Write a window of a two-dimensional array, its first cell at (``row``, ``col``)."""
        height, width = self._shape
        if row < 0 or col < 0 or row + tile.shape[0] > height or col + tile.shape[1] > width:
            raise IndexError(f"a window of shape {tile.shape} does not fit at {row}, {col} of {self._shape}")
        if tile.shape[1] == width:
            self.put(row, tile)
            return
        cells = np.ascontiguousarray(tile, dtype=self._dtype)
        data, line, place = _bytes(cells), cells[0].nbytes if len(cells) else 0, col * self._dtype.itemsize
        for number in range(len(cells)):
            self._write((row + number) * self._row + place, data[number * line : (number + 1) * line])
        with self._lock:
            self.written += len(data)

    def put_window(self, starts: Sequence[int], window: Array) -> None:
        """Write a window of the array, its first cell at ``starts``: one write for every stretch that stays whole."""
        ends = [start + size for start, size in zip(starts, window.shape, strict=True)]
        if min(starts, default=0) < 0 or any(a > b for a, b in zip(ends, self._shape, strict=True)):
            raise IndexError(f"a window of shape {window.shape} does not fit at {tuple(starts)} of {self._shape}")
        split = window.ndim  # axes from here on are whole; the one before may be a range
        while split > 1 and window.shape[split - 1] == self._shape[split - 1]:
            split -= 1
        steps = [math.prod(self._shape[axis + 1 :]) * self._dtype.itemsize for axis in range(window.ndim)]
        first = sum(start * step for start, step in zip(starts, steps, strict=True))
        data = np.ascontiguousarray(window, dtype=self._dtype)
        if math.prod(window.shape[split - 1 :]) * self._dtype.itemsize < SHORT and self._put_mapped(starts, data):
            return
        for place in np.ndindex(*window.shape[: split - 1]):
            offset = first + sum(i * step for i, step in zip(place, steps, strict=False))
            self._write(offset, _bytes(data[place]))
        with self._lock:
            self.written += data.nbytes

    def _put_mapped(self, starts: Sequence[int], window: Array) -> bool:
        """Write a window of short stretches through a map that is let go at once; False where there is no room."""
        size = self._start + math.prod(self._shape) * self._dtype.itemsize
        with self._lock:
            if self._room is None:
                self._room = _reserved(self._file, size)
            if not self._room:
                return False
            try:
                mapping = mmap.mmap(self._file, size)
            except OSError:
                return False
            with mapping:
                whole = np.frombuffer(mapping, dtype=self._dtype, offset=self._start).reshape(self._shape)
                whole[tuple(slice(a, a + n) for a, n in zip(starts, window.shape, strict=True))] = window
                del whole
            self.written += window.nbytes
        return True

    def _write(self, offset: int, data: memoryview) -> None:
        try:
            done = os.pwrite(self._file, data, self._start + offset)
            while done < len(data):
                done += os.pwrite(self._file, data[done:], self._start + offset + done)
        except OSError as error:
            scratch.note(error)
            raise


def _reserved(file: int, size: int) -> bool:
    """Give a file its size and the disk space for it; False where the file system keeps none.

    Without, a disk that is full would end the process in the middle of a map.
    """
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        if error.errno in {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.EPERM}:
            return False
        scratch.note(error)
        raise
    return True


def _bytes(values: Array) -> memoryview:
    return values.reshape(-1).view(np.uint8).data


@contextmanager
def rows(array: Array, start: int, stop: int) -> Iterator[Array]:
    """``array[start:stop]``; afterwards the pages of a mapped file leave the process's memory again.

    For going through a large array in windows: resident memory stays that of a window. Nothing is copied, so what is
    yielded must not be used after the end of the block.
    """
    window = array[start:stop]
    try:
        yield window
    finally:
        release(window)


def release(window: Array) -> None:
    """Let go of the mapped pages under a contiguous window of a read-only mapped array; they can be read again."""
    mapping: Any = window
    while isinstance(mapping, np.ndarray):
        mapping = mapping.base
    if not isinstance(mapping, mmap.mmap) or window.flags.writeable or not window.flags.c_contiguous:
        return
    base = np.frombuffer(mapping, dtype=np.uint8)
    first = window.ctypes.data - base.ctypes.data
    start = first // mmap.PAGESIZE * mmap.PAGESIZE
    stop = min(first + window.nbytes, len(base))
    if stop > start:
        mapping.madvise(mmap.MADV_DONTNEED, start, stop - start)


def _plain(path: Path) -> Path:
    if path.is_symlink() or not path.is_file():
        raise ValueError(f"{path.name} is not a plain file")
    return path


def _load(folder: Path, want: Mapping[str, Any], mmap: bool) -> Array:
    name = str(want["file"])
    if not name.removesuffix(".npy").isdecimal():
        raise ValueError(f"array file {name!r} has an unexpected name")
    empty = 0 in want["shape"]
    path = str(_plain(folder / name))  # numpy would look for links in every folder of a Path
    array: Array = np.load(path, mmap_mode="r" if mmap and not empty else None, allow_pickle=False)
    if (
        array.dtype.str != want["dtype"]
        or list(array.shape) != list(want["shape"])
        or array.dtype.kind not in ALLOWED_KINDS
    ):
        raise ValueError(f"{name} is {array.dtype} {array.shape}, not {want}")
    return array


def pack_text(values: Sequence[str], name: str) -> dict[str, Array]:
    """Text column as the pair of arrays ``NAME.offsets`` and ``NAME.bytes`` (UTF-8)."""
    encoded = [value.encode() for value in values]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(item) for item in encoded], out=offsets[1:])
    return {f"{name}.offsets": offsets, f"{name}.bytes": np.frombuffer(b"".join(encoded), dtype=np.uint8)}


def unpack_text(arrays: Mapping[str, Array], name: str) -> list[str]:
    """The strings of a text column, in row order."""
    offsets, data = arrays[f"{name}.offsets"], arrays[f"{name}.bytes"].tobytes()
    return [data[a:b].decode() for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
