"""NetCDF-4 through h5py: fixed names, hard links only, values inside the file, chunks bounded, three filters."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from datasets.canonical import Array
from datasets.findings import reject
from datasets.formats.columns import TEXT_LIMIT
from datasets.formats.cube import MAX_CHUNK, MAX_LABELS, Selection, Unusual, Variable, pieces
from datasets.formats.hdf5_chunks import DirectChunks

MAGIC = b"\x89HDF\r\n\x1a\n"
FILTERS = frozenset((h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32))
ATTRIBUTES = ("units", "calendar", "scale_factor", "add_offset", "_FillValue", "missing_value", "_Unsigned")
MAX_ATTRIBUTE = 64 << 10
_HINT = "Write it with xarray (to_netcdf, engine h5netcdf or netcdf4)."
_NO_VARIABLE = b"This is a netCDF dimension but not a netCDF variable"


@contextmanager
def open_netcdf(path: Path) -> Iterator["Hdf5Store"]:
    """Open a NetCDF-4 file.

    Raises:
        Rejected: the file is not HDF5, or the library refuses it.
    """
    with path.open("rb") as source:
        head = source.read(8)
    if head != MAGIC:
        classic = " (classic NetCDF-3 is not taken)" if head[:3] == b"CDF" else ""
        raise reject("wrong-format", f"The file is not NetCDF-4{classic}.", hint=_HINT)
    try:
        with path.open("rb") as plain, h5py.File(path, "r", rdcc_nbytes=MAX_CHUNK, locking=False) as file:
            yield Hdf5Store(file, plain.fileno())
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise reject("unreadable", "The NetCDF file is damaged or not as its header says.", hint=_HINT) from error


class Hdf5Store:
    """An opened file; see ``cube.Store``."""

    def __init__(self, file: h5py.File, plain: int) -> None:
        self._file, self._plain = file, plain

    def names(self) -> Sequence[str]:
        return list(islice(self._file, 20))

    def variable(self, name: str) -> Variable | None:
        dataset = self._walk(name)
        if dataset is None:
            return None
        text = h5py.check_string_dtype(dataset.dtype) is not None
        _check(dataset, name, text=text)
        load = _Loader(dataset, self._plain)
        attrs = {key: value for key in ATTRIBUTES if (value := _attribute(dataset, key)) is not None}
        return Variable(
            name=name,
            shape=tuple(int(size) for size in dataset.shape),
            dtype=None if text else dataset.dtype,
            dims=_dims(dataset, name),
            blocks=lambda: _blocks(dataset, load),
            labels=lambda: _texts(dataset, name) if text else np.asarray(dataset[()]),
            pieces=lambda: _pieces(dataset),
            load=load,
            attrs=attrs,
        )

    def _walk(self, name: str) -> h5py.Dataset | None:
        node: Any = self._file
        for part in name.strip("/").split("/"):
            link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
            if link is None:
                return None
            if type(link) is not h5py.HardLink:
                raise reject(
                    "suspicious-structure",
                    f"The name {name!r} is a link to somewhere else.",
                    {"variable": name},
                    hint="Write the variable itself.",
                )
            node = node[part]
        if not isinstance(node, h5py.Dataset):
            return None
        about = _attribute(node, "NAME")
        return None if isinstance(about, str) and about.encode().startswith(_NO_VARIABLE) else node


def _check(dataset: h5py.Dataset, name: str, *, text: bool) -> None:
    plan = dataset.id.get_create_plist()
    where = {"variable": name}
    if (
        dataset.is_virtual
        or plan.get_external_count()
        or plan.get_layout() not in (h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED)
    ):
        raise reject(
            "suspicious-structure",
            f"The values of {name!r} lie in another file.",
            where,
            hint="Write them into this one.",
        )
    if dataset.shape is None or (not text and dataset.dtype.kind not in "fiu"):
        raise reject("wrong-type", f"{name!r} does not hold numbers or texts.", where, hint="Use float32 or float64.")
    filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    if len(set(filters)) != len(filters) or not FILTERS.issuperset(filters):
        raise reject(
            "unsupported",
            f"{name!r} is compressed in a way that is not taken.",
            where,
            hint="Use zlib (gzip), with or without shuffle.",
        )
    wanted, written = _storage(dataset, name)
    if written < wanted:
        raise reject("missing-chunks", f"Part of {name!r} was never written.", where, hint="Write every value.")


def _storage(dataset: h5py.Dataset, name: str) -> tuple[int, int]:
    """What should be stored and what is: in chunks, or in bytes where the values lie in one piece."""
    if dataset.chunks is None:
        wanted = int(np.prod(dataset.shape, dtype=object)) * dataset.dtype.itemsize
        return wanted, int(dataset.id.get_storage_size())
    if int(np.prod(dataset.chunks, dtype=object)) * dataset.dtype.itemsize > MAX_CHUNK:
        raise reject(
            "suspicious-structure",
            f"One chunk of {name!r} is larger than 16 MiB.",
            {"variable": name},
            hint="Choose smaller chunks.",
        )
    along = [-(-size // chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True)]
    return int(np.prod(along, dtype=object)), int(dataset.id.get_num_chunks())


def _attribute(dataset: h5py.Dataset, key: str) -> Any:
    """A text or number attribute, or None; larger ones are not read."""
    if key not in dataset.attrs:
        return None
    handle = dataset.attrs.get_id(key)
    if handle.get_storage_size() > MAX_ATTRIBUTE or int(np.prod(handle.shape, dtype=object)) > 1:
        return None
    value = dataset.attrs[key]
    if isinstance(value, np.ndarray):
        value = value.reshape(-1)[0] if value.size == 1 else None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return (
        value.item()
        if isinstance(value, np.generic) and value.dtype.kind in "fiu"
        else value
        if isinstance(value, str)
        else None
    )


def _dims(dataset: h5py.Dataset, name: str) -> tuple[str, ...]:
    """Names of the dimensions, from the dimension scales attached to the variable."""
    if "CLASS" in dataset.attrs and _attribute(dataset, "CLASS") == "DIMENSION_SCALE" and len(dataset.shape) == 1:
        return (name,)
    if "DIMENSION_LIST" not in dataset.attrs or dataset.attrs.get_id("DIMENSION_LIST").shape != (len(dataset.shape),):
        return ()
    names = []
    for references in dataset.attrs["DIMENSION_LIST"]:
        scale = dataset.file[references[0]] if len(references) else None
        if not isinstance(scale, h5py.Dataset) or not scale.name:
            return ()
        names.append(scale.name.rsplit("/", 1)[-1])
    return tuple(names)


def _pieces(dataset: h5py.Dataset) -> Iterator[Selection]:
    return pieces(dataset.shape, dataset.chunks or (1,) * len(dataset.shape), dataset.dtype.itemsize)


def _blocks(dataset: h5py.Dataset, load: "_Loader") -> Iterator[tuple[Selection, Array]]:
    for selection in _pieces(dataset):
        values = np.empty([part.stop - part.start for part in selection], dtype=dataset.dtype)
        try:
            load(selection, values)
        except Unusual as error:
            raise reject("unreadable", "A chunk cannot be decompressed.", hint="Write the file again.") from error
        yield selection, values


class _Loader:
    """Reads pieces past HDF5 where the chunks allow it, else through it, one thread at a time."""

    def __init__(self, dataset: h5py.Dataset, plain: int) -> None:
        self._dataset, self._plain = dataset, plain
        self._lock = threading.Lock()
        self._direct: DirectChunks | None = None
        self._looked = False

    def __call__(self, selection: Selection, out: Array) -> None:
        with self._lock:
            if not self._looked:
                self._direct, self._looked = DirectChunks.of(self._dataset, self._plain), True
        if self._direct is not None:
            self._direct.load(selection, out)
        else:
            self._dataset.read_direct(out, selection)


def _texts(dataset: h5py.Dataset, name: str) -> list[str]:
    if dataset.size > MAX_LABELS // 4:
        raise reject("too-large", f"{name!r} holds {dataset.size} texts.", {"variable": name})
    values = [value if isinstance(value, bytes) else bytes(value) for value in dataset[()].reshape(-1)]
    if any(len(value) > TEXT_LIMIT for value in values):
        raise reject("text-too-long", f"A label of {name!r} is longer than {TEXT_LIMIT} bytes.", {"variable": name})
    return [value.rstrip(b"\x00").decode("utf-8", "replace") for value in values]
