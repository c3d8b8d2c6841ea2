"""Zarr v2 and v3 in a zip archive: own reader of metadata and chunks, every size known before it is unpacked."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from datasets.canonical import Array
from datasets.errors import Rejected
from datasets.findings import reject
from datasets.formats import codecs
from datasets.formats.archive import Archive, open_archive
from datasets.formats.columns import TEXT_LIMIT
from datasets.formats.cube import MAX_CHUNK, MAX_LABELS, Selection, Unusual, Variable, chunks_of, pieces
from datasets.formats.geojson import strict_json

MAX_META = 4 << 20
MAX_DIMS = 16
_HINT = "Write it with xarray (to_zarr) into a zarr.storage.ZipStore."
_V3_TYPES = frozenset(
    ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
)


@dataclass(frozen=True)
class _Layout:
    """How one array is stored; ``dtype`` None means vlen-utf8 texts."""

    name: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[Any] | None
    order: tuple[int, ...]
    packers: tuple[str, ...]
    trailer: int
    key: Any
    dims: tuple[str, ...]
    attrs: Mapping[str, Any]


@contextmanager
def open_zarr(path: Path) -> Iterator["ZarrStore"]:
    """Open a zipped Zarr group.

    Raises:
        Rejected: it is no zip archive, or holds no Zarr group.
    """
    with open_archive(path) as archive:
        yield ZarrStore(archive)


class ZarrStore:
    """An opened archive; see ``cube.Store``."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        names = archive.names()
        marks = (".zgroup", "zarr.json", ".zmetadata")
        roots = sorted({name.rpartition("/")[0] for name in names if name.rpartition("/")[2] in marks}, key=len)
        if not roots or (roots[0] and roots[0].count("/") > 1):
            raise reject("wrong-format", "The archive holds no Zarr group.", hint=_HINT)
        self._root = f"{roots[0]}/" if roots[0] else ""
        self._present = frozenset(names)

    def names(self) -> Sequence[str]:
        inside = {
            name.removeprefix(self._root).split("/", 1)[0]
            for name in self._present
            if "/" in name.removeprefix(self._root)
        }
        return sorted(inside)[:20]

    def variable(self, name: str) -> Variable | None:
        layout = self._layout(name.strip("/"))
        if layout is None:
            return None
        self._check(layout)
        kind = None if layout.dtype is None or layout.dtype.kind in "US" else layout.dtype
        itemsize = 1 if layout.dtype is None else layout.dtype.itemsize
        return Variable(
            name=name,
            shape=layout.shape,
            dtype=kind,
            dims=layout.dims,
            blocks=partial(self._blocks, layout),
            labels=partial(self._labels, layout),
            pieces=partial(pieces, layout.shape, layout.chunks, itemsize),
            load=partial(self._load, layout),
            attrs={**layout.attrs, "_FillValue": codecs.fill_value(layout.attrs.get("_FillValue"), layout.dtype)},
        )

    def _layout(self, name: str) -> _Layout | None:
        base = f"{self._root}{name}/"
        try:
            if f"{base}zarr.json" in self._present:
                return _third(name, self._json(f"{base}zarr.json"))
            if f"{base}.zarray" in self._present:
                attrs = self._json(f"{base}.zattrs") if f"{base}.zattrs" in self._present else {}
                return _second(name, self._json(f"{base}.zarray"), attrs)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise reject(
                "unreadable", f"The description of {name!r} is not valid Zarr.", {"variable": name}, hint=_HINT
            ) from error
        return None

    def _json(self, entry: str) -> dict[str, Any]:
        """The last copy of a metadata entry; earlier copies may differ from it in attributes only."""
        values = [_lenient_json(data) for data in self._archive.copies(entry, MAX_META)]
        if not all(isinstance(value, dict) for value in values):
            raise TypeError(entry)
        last: dict[str, Any] = values[-1]
        if any(value and _fixed(value) != _fixed(last) for value in values):
            raise reject(
                "suspicious-structure",
                f"The archive holds different copies of {entry[:80]!r}.",
                {"entry": entry[:200]},
                hint=_HINT,
            )
        return last

    def _check(self, layout: _Layout) -> None:
        """Chunks bounded, and every one of them there."""
        where = {"variable": layout.name}
        itemsize = layout.dtype.itemsize if layout.dtype is not None else 8
        if math.prod(layout.chunks) * itemsize > MAX_CHUNK:
            raise reject(
                "suspicious-structure",
                f"One chunk of {layout.name!r} is larger than 16 MiB.",
                where,
                hint="Choose smaller chunks.",
            )
        counts = _counts(layout)
        if math.prod(counts) > len(self._present):
            raise _missing(layout.name)
        for place in np.ndindex(*counts):
            if self._root + layout.key(place) not in self._present:
                raise _missing(layout.name)

    def _chunk(self, layout: _Layout, place: tuple[int, ...]) -> bytes:
        count = math.prod(layout.chunks)
        size = count * layout.dtype.itemsize if layout.dtype is not None else None
        limit = 2 * MAX_CHUNK if size is None else size + size // 8 + 4096
        data = self._archive.read(self._root + layout.key(place), limit) or b""
        data = data[: len(data) - layout.trailer]
        for codec in layout.packers:
            data = codecs.unpack(codec, data, size if size is not None else _text_size(codec, data))
        if size is not None and len(data) != size:
            raise reject(
                "suspicious-structure",
                f"A chunk of {layout.name!r} does not have the size its array says.",
                {"variable": layout.name},
                hint=_HINT,
            )
        return data

    def _load(self, layout: _Layout, selection: Selection, out: Array) -> None:
        """See ``cube.Variable``: one codec at most, and each chunk unpacked in memory that is used again."""
        if layout.dtype is None or len(layout.packers) > 1:
            raise Unusual("texts, or codecs over codecs")
        size = math.prod(layout.chunks) * layout.dtype.itemsize
        scratch = np.empty(size if layout.packers else 0, dtype=np.uint8)
        stored = tuple(layout.chunks[axis] for axis in layout.order)
        back = tuple(int(axis) for axis in np.argsort(layout.order))
        for number, inside, used in chunks_of(selection, layout.chunks):
            data = self._archive.stored(self._root + layout.key(number), size + size // 8 + 4096)
            data = data[: len(data) - layout.trailer] if layout.trailer else data
            if layout.packers:
                codecs.unpack_into(layout.packers[0], data, scratch)
            elif len(data) != size:
                raise Unusual("a chunk of another size")
            values = scratch if layout.packers else np.frombuffer(data, dtype=np.uint8)
            out[inside] = values.view(layout.dtype).reshape(stored).transpose(back)[used]

    def _blocks(self, layout: _Layout) -> Iterator[tuple[Selection, Array]]:
        if layout.dtype is None:
            raise reject("wrong-type", f"{layout.name!r} holds texts, not numbers.", {"variable": layout.name})
        stored = tuple(layout.chunks[axis] for axis in layout.order)
        back = tuple(int(axis) for axis in np.argsort(layout.order))
        for place in np.ndindex(*_counts(layout)):
            values = np.frombuffer(self._chunk(layout, place), dtype=layout.dtype).reshape(stored).transpose(back)
            selection = tuple(
                slice(i * c, min((i + 1) * c, n)) for i, c, n in zip(place, layout.chunks, layout.shape, strict=True)
            )
            yield selection, values[tuple(slice(0, part.stop - part.start) for part in selection)]

    def _labels(self, layout: _Layout) -> Array | list[str]:
        if math.prod(layout.shape) > MAX_LABELS or len(layout.shape) != 1:
            raise reject("too-large", f"{layout.name!r} is not a short list of labels.", {"variable": layout.name})
        if layout.dtype is None:
            parts = [
                codecs.texts(self._chunk(layout, place), layout.chunks[0]) for place in np.ndindex(*_counts(layout))
            ]
            return [text for part in parts for text in part][: layout.shape[0]]
        result = np.empty(layout.shape, dtype=layout.dtype)
        for selection, values in self._blocks(layout):
            result[selection] = values
        if layout.dtype.kind == "S":
            return [bytes(item).decode("utf-8", "replace") for item in result]
        return [str(item) for item in result] if layout.dtype.kind == "U" else result


def _fixed(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key not in {"attributes", "consolidated_metadata"}}


def _missing(name: str) -> Rejected:
    hint = "Zarr leaves chunks out that hold only the fill value: write with write_empty_chunks=True."
    return reject("missing-chunks", f"Some chunks of {name!r} are not in the archive.", {"variable": name}, hint=hint)


def _lenient_json(data: bytes) -> Any:
    """Zarr v2 metadata may hold a bare NaN as fill value, which the reader never uses."""
    try:
        return (
            json.loads(data, parse_constant=lambda name: name)
            if b"NaN" in data or b"Infinity" in data
            else strict_json(data)
        )
    except (ValueError, RecursionError) as error:
        raise reject("unreadable", "The Zarr metadata is not JSON.", hint=_HINT) from error


def _counts(layout: _Layout) -> tuple[int, ...]:
    return tuple(-(-size // chunk) for size, chunk in zip(layout.shape, layout.chunks, strict=True))


def _text_size(codec: str, data: bytes) -> int:
    """What a chunk of texts claims to unpack to; texts have no size of their own."""
    if codec == "blosc":
        return min(int.from_bytes(data[4:8], "little"), MAX_CHUNK)
    if codec == "zstd":
        size = codecs.zstd_size(data)
        if size is None:
            raise reject("unreadable", "A chunk of texts is damaged.", hint=_HINT)
        return min(size, MAX_CHUNK)
    if codec == "lz4":
        return min(int.from_bytes(data[:4], "little"), MAX_CHUNK)
    raise reject("unsupported", f"Texts compressed with {codec!r} are not taken.", hint="Use zstd or Blosc for texts.")


def _sizes(values: Any) -> tuple[int, ...]:
    if (
        not isinstance(values, list)
        or len(values) > MAX_DIMS
        or any(type(value) is not int or not 0 < value < 1 << 40 for value in values)
    ):
        raise ValueError("sizes")
    return tuple(values)


def _named(values: Any, count: int) -> tuple[str, ...]:
    return (
        tuple(values)
        if isinstance(values, list) and len(values) == count and all(isinstance(value, str) for value in values)
        else ()
    )


def _unsupported(name: str, what: str) -> Rejected:
    return reject(
        "unsupported",
        f"{name!r} uses {what[:80]}, which is not taken.",
        {"variable": name},
        hint="Use gzip, zstd, lz4 or Blosc, and no other filter.",
    )


def _second(name: str, meta: dict[str, Any], attrs: dict[str, Any]) -> _Layout:
    shape, chunks = _sizes(meta["shape"]), _sizes(meta["chunks"])
    if len(shape) != len(chunks):
        raise ValueError("chunks")
    dims = _named(attrs.get("_ARRAY_DIMENSIONS"), len(shape))
    filters = [item["id"] for item in meta.get("filters") or []]
    compressor = meta.get("compressor")
    packers = (str(compressor["id"]),) if compressor else ()
    if filters not in ([], ["vlen-utf8"]) or not codecs.CODECS.issuperset(packers):
        raise _unsupported(name, f"the codecs {filters + list(packers)}")
    text = meta["dtype"] == "|O" and filters == ["vlen-utf8"]
    dtype = None if text else _dtype(name, meta["dtype"])
    axes = tuple(range(len(shape)))
    separator = meta.get("dimension_separator", ".")
    if separator not in {".", "/"} or meta.get("order", "C") not in {"C", "F"}:
        raise ValueError("order")
    return _Layout(
        name=name,
        shape=shape,
        chunks=chunks,
        dtype=dtype,
        order=axes if meta.get("order", "C") == "C" else axes[::-1],
        packers=packers,
        trailer=0,
        key=lambda place: f"{name}/{separator.join(map(str, place)) or '0'}",
        dims=dims,
        attrs=attrs,
    )


def _dtype(name: str, text: Any) -> np.dtype[Any]:
    dtype = np.dtype(text) if isinstance(text, str) and len(text) < 12 else np.dtype("O")
    if dtype.kind not in "fiuUS" or (dtype.kind in "US" and dtype.itemsize > 4 * TEXT_LIMIT) or dtype.itemsize == 0:
        raise _unsupported(name, f"the type {text!r}")
    return dtype


def _third(name: str, meta: dict[str, Any]) -> _Layout | None:
    if meta.get("node_type") != "array":
        return None
    shape = _sizes(meta["shape"])
    chunks = _sizes(meta["chunk_grid"]["configuration"]["chunk_shape"])
    if meta["chunk_grid"]["name"] != "regular" or len(shape) != len(chunks) or meta.get("storage_transformers"):
        raise _unsupported(name, "a chunk grid or storage transformer")
    dtype = _third_dtype(name, meta["data_type"])
    dtype, order, packers, trailer = _third_codecs(name, meta["codecs"], dtype, len(shape))
    encoding = meta["chunk_key_encoding"]
    separator = (encoding.get("configuration") or {}).get("separator", "/" if encoding["name"] == "default" else ".")
    if encoding["name"] not in {"default", "v2"} or separator not in {".", "/"}:
        raise _unsupported(name, "a chunk key encoding")
    head = ("c",) if encoding["name"] == "default" else ()
    return _Layout(
        name=name,
        shape=shape,
        chunks=chunks,
        dtype=dtype,
        order=order,
        packers=packers,
        trailer=trailer,
        key=lambda place: f"{name}/{separator.join((*head, *map(str, place)))}",
        dims=_named(meta.get("dimension_names"), len(shape)),
        attrs=meta.get("attributes") or {},
    )


def _third_dtype(name: str, value: Any) -> np.dtype[Any] | None:
    if value == "string":
        return None
    if isinstance(value, str) and value in _V3_TYPES and value != "bool":
        return np.dtype(value)
    if (
        isinstance(value, dict)
        and value.get("name") == "fixed_length_utf32"
        and type(value["configuration"]["length_bytes"]) is int
    ):
        return _dtype(name, f"<U{value['configuration']['length_bytes'] // 4}")
    raise _unsupported(name, f"the type {str(value)[:60]}")


def _third_codecs(
    name: str, chain: Any, dtype: np.dtype[Any] | None, count: int
) -> tuple[np.dtype[Any] | None, tuple[int, ...], tuple[str, ...], int]:
    """Type in its byte order, axis order of stored chunks, decompressors in the order of decoding, checksum bytes."""
    order = tuple(range(count))
    packers: list[str] = []
    trailer = 0
    for codec in chain:
        kind, about = codec["name"], codec.get("configuration") or {}
        if kind == "bytes" and dtype is not None:
            dtype = dtype.newbyteorder("<" if about.get("endian", "little") == "little" else ">")
        elif kind == "transpose" and sorted(about["order"]) == list(range(count)) and not packers:
            order = tuple(about["order"])
        elif kind == "crc32c" and not trailer:
            trailer = 4
        elif kind in codecs.CODECS and not packers and not trailer:
            packers.append(kind)
        elif not (kind == "vlen-utf8" and dtype is None):
            raise _unsupported(name, f"the codec {kind!r}")
    return dtype, order, tuple(packers), trailer
