"""What a reader's canonical form must look like before scoring believes it; asked outside the child."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from datasets.canonical import Array, Canonical
from datasets.expect import Expectation
from datasets.threads import each

WINDOW = 1 << 16  # numbers looked at together
SPAN = 1 << 20  # and by one thread


def recheck(canonical: Canonical, expect: Expectation) -> None:
    """Raises:
    ValueError, KeyError, TypeError: kind, names, types, shapes or attributes are not what ``expect`` asks for.
    """
    _demand(canonical.kind == expect.kind, f"kind is {canonical.kind!r}, not {expect.kind!r}")
    _CHECKS[expect.kind](canonical.arrays, canonical.attrs, expect)


def recheck_remains(canonical: Canonical, expect: Expectation) -> None:
    """The same for what is left of a file that was refused: a raster, or the ids of a table and the ``row`` of each.

    Raises:
        ValueError, KeyError, TypeError: it is not what it has to be.
    """
    if expect.kind != "table":
        return recheck(canonical, expect)
    rows, arrays = canonical.arrays["row"], {name: a for name, a in canonical.arrays.items() if name != "row"}
    _demand(rows.dtype == np.int64 and rows.shape == (canonical.attrs["rows"],), "row is no numbering")
    ids = tuple(column for column in expect.columns if column.key.startswith("id."))
    return recheck(Canonical("table", arrays, canonical.attrs), replace(expect, columns=ids))


def _demand(condition: object, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _names(arrays: Mapping[str, Array], wanted: set[str], optional: set[str] | None = None) -> None:
    _demand(
        wanted <= arrays.keys() <= wanted | (optional or set()), f"arrays are {sorted(arrays)}, not {sorted(wanted)}"
    )


def _array(arrays: Mapping[str, Array], name: str, kind: str, shape: tuple[int, ...]) -> Array:
    array = arrays[name]
    _demand(
        array.dtype == np.dtype(kind) and array.shape == shape,
        f"{name} is {array.dtype} {array.shape}, not {kind} {shape}",
    )
    if kind == "f8":
        flat = array.reshape(-1)
        spans = range(0, len(flat), SPAN)
        good = each(lambda at: np.isfinite(flat[at : at + SPAN]).all(), spans, threads=1 if len(spans) < 2 else None)
        _demand(all(good), f"{name} holds a value that is not finite")
    return array


def _text(arrays: Mapping[str, Array], name: str, count: int) -> None:
    offsets, data = _array(arrays, f"{name}.offsets", "i8", (count + 1,)), arrays[f"{name}.bytes"]
    _demand(data.dtype == np.uint8 and data.ndim == 1, f"{name}.bytes is {data.dtype} {data.shape}")
    _offsets(offsets, len(data), name)
    if count < 1_000_000:
        data.tobytes().decode("utf-8")


def _offsets(offsets: Array, total: int, name: str) -> None:
    good = offsets.dtype == np.int64 and offsets.ndim == 1 and len(offsets) and offsets[0] == 0 and offsets[-1] == total
    _demand(good and (offsets[1:] >= offsets[:-1]).all(), f"{name} holds offsets that do not fit")


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _table(arrays: Mapping[str, Array], attrs: Mapping[str, Any], expect: Expectation) -> None:
    rows = attrs["rows"]
    _demand(_is_count(rows), "rows is not a count")
    wanted: set[str] = set()
    for column in expect.columns:
        text = column.type == "text" or (column.type == "auto" and f"{column.key}.offsets" in arrays)
        wanted |= {f"{column.key}.offsets", f"{column.key}.bytes"} if text else {column.key}
        if text:
            _text(arrays, column.key, rows)
        elif column.type == "auto":
            _array(arrays, column.key, "i8" if arrays[column.key].dtype.kind == "i" else "f8", (rows,))
        else:
            values = _array(arrays, column.key, "i8" if column.type in {"class", "int"} else "f8", (rows,))
            if column.type == "class":
                _classes(values, attrs["classes"], expect)
    _names(arrays, wanted)
    _demand(
        attrs["ids"] == [column.name for column in expect.columns if column.key.startswith("id.")],
        "ids are not those asked for",
    )


def _classes(codes: Array, classes: Any, expect: Expectation) -> None:
    _demand(
        isinstance(classes, list) and all(isinstance(item, str) for item in classes), "classes is not a list of texts"
    )
    _demand(tuple(classes[: len(expect.classes)]) == expect.classes, "classes do not begin with the challenge's")
    _demand(expect.classes_open or len(classes) == len(expect.classes), "classes hold more than the challenge's")
    _demand(not len(codes) or (codes.min() >= 0 and codes.max() < len(classes)), "a code names no class")


def _crs(attrs: Mapping[str, Any], expect: Expectation) -> None:
    crs = attrs["crs"]
    _demand(crs is None or (isinstance(crs, str) and len(crs) < 1 << 17), "crs is not a text")
    _demand(not expect.crs_fixed or (crs is None) == (expect.crs is None), "crs is not the challenge's")


def _points(arrays: Mapping[str, Array], attrs: Mapping[str, Any], expect: Expectation) -> None:
    count = len(arrays["x"])
    _demand(0 < count <= expect.max_features, "the number of points is out of bounds")
    given = {key for key in ("confidence", "value", "weight") if getattr(expect, key)}
    for name in ("x", "y", *given):
        _array(arrays, name, "f8", (count,))
    order, feature = _array(arrays, "order", "i8", (count,)), _array(arrays, "feature", "i8", (count,))
    _numbering(order, feature)
    _names(arrays, {"x", "y", "order", "feature"} | given)
    _crs(attrs, expect)


def _numbering(order: Array, feature: Array) -> None:
    """``order`` counts 0 … n − 1, and in ``feature`` each of these numbers stands once; in windows, to stay small."""
    count = len(order)
    seen, good = np.zeros(count, dtype=np.bool_), True
    for start in range(0, count, WINDOW):
        stop = min(start + WINDOW, count)
        own = feature[start:stop]
        good = (
            good and own.min() >= 0 and own.max() < count and np.array_equal(order[start:stop], np.arange(start, stop))
        )
        if good:
            seen[own] = True
    _demand(good and seen.all(), "order or feature is no numbering")


def _polygons(arrays: Mapping[str, Array], attrs: Mapping[str, Any], expect: Expectation) -> None:
    coords, features = arrays["coords"], arrays["features"]
    count = len(features) - 1
    _demand(0 < count <= expect.max_features, "the number of polygons is out of bounds")
    _array(arrays, "coords", "f8", (len(coords), 2))
    _offsets(arrays["rings"], len(coords), "rings")
    _offsets(arrays["parts"], len(arrays["rings"]) - 1, "parts")
    _offsets(features, len(arrays["parts"]) - 1, "features")
    starts, ends = arrays["rings"][:-1], arrays["rings"][1:] - 1
    filled = np.all(ends - starts >= 3) and np.all(np.diff(arrays["parts"]) > 0) and np.all(np.diff(features) > 0)
    closed = filled and np.array_equal(coords.take(starts, axis=0), coords.take(ends, axis=0))
    _demand(closed, "a ring is not closed, or something is empty")
    wanted = {"coords", "rings", "parts", "features"}
    if expect.confidence:
        _array(arrays, "confidence", "f8", (count,))
        wanted |= {"confidence"}
    if expect.label:
        _text(arrays, "label", count)
        wanted |= {"label.offsets", "label.bytes"}
    _names(arrays, wanted)
    _crs(attrs, expect)


def _raster(arrays: Mapping[str, Array], attrs: Mapping[str, Any], expect: Expectation) -> None:
    band = arrays["band"]
    _demand(
        band.ndim == 2 and band.dtype.kind in "fiu" and (expect.shape is None or band.shape == expect.shape),
        f"band is {band.dtype} {band.shape}",
    )
    _names(arrays, {"band"}, {"valid"})
    if "valid" in arrays:
        _array(arrays, "valid", "?", band.shape)
    transform = attrs["transform"]
    _demand(
        isinstance(transform, list)
        and len(transform) == 6
        and np.isfinite(np.array(transform, dtype=np.float64)).all(),
        "transform is not six numbers",
    )
    _crs(attrs, expect)


def _grid(arrays: Mapping[str, Array], attrs: Mapping[str, Any], expect: Expectation) -> None:
    data, dims, types, member = arrays["data"], attrs["dims"], attrs["axis_types"], attrs["member"]
    _demand(isinstance(dims, list) and len(set(dims)) == len(dims) == data.ndim and dims, "dims do not fit the data")
    _demand(data.dtype.str in {"<f4", "<f8"}, f"data is {data.dtype}")
    wanted = {"data"}
    for dim, size in zip(dims, data.shape, strict=True):
        if types[dim] == "text":
            _text(arrays, f"coord.{dim}", size)
            wanted |= {f"coord.{dim}.offsets", f"coord.{dim}.bytes"}
        else:
            _array(arrays, f"coord.{dim}", "i8" if types[dim] == "time" else "f8", (size,))
            wanted |= {f"coord.{dim}"}
    if expect.edges:
        _edges(arrays["edges"], attrs["edges_dims"], dict(zip(dims, data.shape, strict=True)))
        wanted |= {"edges"}
    _names(arrays, wanted)
    _demand(member is None or (member == expect.member and member in dims), "member is not the ensemble dimension")
    if expect.axes:
        sizes = {axis.name: len(axis.labels) for axis in expect.axes}
        _demand(
            {dim: size for dim, size in zip(dims, data.shape, strict=True) if dim != member} == sizes,
            "dimensions are not the challenge's",
        )


def _edges(edges: Array, dims: Any, sizes: Mapping[str, int]) -> None:
    _demand(edges.dtype.str in {"<f4", "<f8"} and edges.size, f"edges are {edges.dtype} {edges.shape}")
    own = list(dims)[1:]
    good = len(dims) == edges.ndim and len(set(own)) == len(own) and all(dim in sizes for dim in own)
    _demand(good and edges.shape[1:] == tuple(sizes[dim] for dim in own), "the dimensions of edges do not fit")
    _demand(np.isfinite(edges).all() and (np.diff(edges, axis=0) >= 0).all(), "edges are not finite and rising")


_CHECKS: Mapping[str, Callable[[Mapping[str, Array], Mapping[str, Any], Expectation], None]] = {
    "table": _table,
    "points": _points,
    "polygons": _polygons,
    "raster": _raster,
    "grid": _grid,
}
