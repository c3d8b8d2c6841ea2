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
           1970-01-01 UTC), ``member``: name of the ensemble dimension or null. Truth may hold NaN: not scored
=========  =========================================================================================
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from datasets.errors import IntegrityError

Array = npt.NDArray[Any]
ALLOWED_KINDS = frozenset("fiub")  # float, int, unsigned, bool: never objects
META = "meta.json"


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
        """Open array ``name`` for writing its bytes in C order; the length is checked at the end."""
        kind = np.dtype(dtype).newbyteorder("<") if np.dtype(dtype).itemsize > 1 else np.dtype(dtype)
        if kind.kind not in ALLOWED_KINDS:
            raise TypeError(f"array {name!r} has dtype {kind}; only numbers and booleans are canonical")
        sizes = tuple(int(size) for size in shape)
        path = self._folder / f"{self._count}.npy"
        entry = {"file": path.name, "dtype": kind.str, "shape": list(sizes)}
        self._arrays[name] = entry
        self._count += 1
        with path.open("wb") as target:
            header = {"descr": kind.str, "fortran_order": False, "shape": sizes}
            np.lib.format.write_array_header_1_0(target, header)
            start = target.tell()
            yield target
            written = target.tell() - start
        wanted = math.prod(sizes) * kind.itemsize
        if written != wanted:
            raise ValueError(f"array {name!r} got {written} bytes, not {wanted}")

    @contextmanager
    def mapped(self, name: str, dtype: npt.DTypeLike, shape: Sequence[int]) -> Iterator[Array]:
        """Open array ``name`` for writing in any order, through a memory map."""
        sizes = tuple(int(size) for size in shape)
        file = f"{self._count}.npy"
        self._arrays[name] = {"file": file, "dtype": np.dtype(dtype).newbyteorder("<").str, "shape": list(sizes)}
        self._count += 1
        array = np.lib.format.open_memmap(
            self._folder / file, mode="w+", dtype=np.dtype(dtype).newbyteorder("<"), shape=sizes
        )
        yield array
        array.flush()

    def drop(self, name: str) -> None:
        """Leave array ``name`` out after all; its file stays behind unnamed."""
        del self._arrays[name]

    def finish(self, attrs: Mapping[str, Any]) -> None:
        """Write ``meta.json``: from now on the folder is complete."""
        meta = {"kind": self._kind, "attrs": dict(attrs), "arrays": self._arrays}
        (self._folder / META).write_text(json.dumps(meta, sort_keys=True, allow_nan=False), encoding="utf-8")


def _plain(path: Path) -> Path:
    if path.is_symlink() or not path.is_file():
        raise ValueError(f"{path.name} is not a plain file")
    return path


def _load(folder: Path, want: Mapping[str, Any], mmap: bool) -> Array:
    name = str(want["file"])
    if not name.removesuffix(".npy").isdecimal():
        raise ValueError(f"array file {name!r} has an unexpected name")
    empty = 0 in want["shape"]
    array: Array = np.load(_plain(folder / name), mmap_mode="r" if mmap and not empty else None, allow_pickle=False)
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
