"""N-d arrays, from NetCDF-4 and zipped Zarr, to the canonical grid with labelled dimensions."""

import math
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from datasets.canonical import Array, CanonicalWriter, pack_text
from datasets.expect import Axis, Expectation
from datasets.findings import SHOWN, Findings, reject
from datasets.formats.columns import suggest
from datasets.formats.cube import MAX_LABELS, Store, Variable
from datasets.formats.cube_values import Values
from datasets.formats.netcdf import open_netcdf
from datasets.formats.zarrzip import open_zarr

MAX_CELLS = 1 << 33
MAX_MEMBERS = 10_000
MAX_EDGES = 1_000
LOOK = 1 << 24  # values of a variable of the wrong shape that are still looked at
CALENDARS = frozenset((None, "", "standard", "gregorian", "proleptic_gregorian"))
_SINCE = re.compile(
    r"^(\w+)\s+since\s+(-?\d{4}-\d{1,2}-\d{1,2})"
    r"(?:[T ]\s*(\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?))?\s*(?:Z|UTC|GMT|[+-]00:?00)?$"
)
_UNITS = {
    "nanosecond": 1,
    "ns": 1,
    "microsecond": 10**3,
    "us": 10**3,
    "millisecond": 10**6,
    "ms": 10**6,
    "second": 10**9,
    "sec": 10**9,
    "s": 10**9,
}
_UNITS |= {
    "minute": 60 * 10**9,
    "min": 60 * 10**9,
    "hour": 3600 * 10**9,
    "hr": 3600 * 10**9,
    "h": 3600 * 10**9,
    "day": 86400 * 10**9,
    "d": 86400 * 10**9,
}
_UNITS |= {"week": 7 * 86400 * 10**9}
_OPENERS: Mapping[str, Callable[[Path], AbstractContextManager[Store]]] = {"netcdf": open_netcdf, "zarr-zip": open_zarr}


@dataclass(frozen=True)
class Labels:
    """Labels along one dimension: float64 (number), int64 ns since 1970 UTC (time) or texts."""

    type: str
    values: Array | list[str]


def read_grid(path: Path, form: str, expect: Expectation, out: Path) -> None:
    """Read the expected variable of ``path`` and write the canonical grid.

    Raises:
        Rejected: with every finding.
    """
    with _OPENERS[form](path) as store:
        found = Findings()
        name = expect.variable or ""
        variable = store.variable(name)
        if variable is None:
            raise reject(
                "missing-variable",
                f"The file has no variable {name!r}.",
                {"variable": name},
                hint=suggest(name, list(store.names())),
            )
        _check_variable(variable, expect, found)
        modest = not found or math.prod(variable.shape) <= LOOK
        labels: dict[str, Labels] = {}
        edges: Variable | None = None
        for dim, size in zip(variable.dims, variable.shape, strict=True):
            with found.gather():
                labels[dim] = _checked_labels(dim, read_labels(store, name, dim, size), expect, found)
        with found.gather():
            edges = _checked_edges(store, variable, expect, found)
        if not modest:
            found.stop_if_any()
        _write(variable, labels, expect, out, found, edges)


def _check_variable(variable: Variable, expect: Expectation, found: Findings) -> None:
    where = {"variable": variable.name}
    if variable.dtype is None or variable.dtype.kind not in "fiu" or variable.dtype.itemsize > 8:
        raise reject("wrong-type", f"{variable.name!r} does not hold numbers.", where, hint="Use float32 or float64.")
    if len(variable.dims) != len(variable.shape) or len(set(variable.dims)) != len(variable.dims) or not variable.shape:
        raise reject(
            "missing-variable",
            f"The dimensions of {variable.name!r} have no names.",
            where,
            hint="Write it with xarray, which names them.",
        )
    if math.prod(variable.shape) > MAX_CELLS or min(variable.shape) == 0:
        raise reject(
            "too-large",
            f"{variable.name!r} has the shape {variable.shape}.",
            where,
            hint="Send the challenge's dimensions.",
        )
    if expect.axes:
        _check_dims(variable, expect, found)


def _check_dims(variable: Variable, expect: Expectation, found: Findings) -> None:
    sizes = dict(zip(variable.dims, variable.shape, strict=True))
    wanted = {axis.name: len(axis.labels) for axis in expect.axes}
    for dim in sorted(wanted.keys() - sizes.keys()):
        found.add(
            "missing-variable",
            f"{variable.name!r} has no dimension {dim!r}.",
            {"dim": dim},
            hint=f"Its dimensions have to be {', '.join(wanted)}.",
        )
    for dim in sorted(sizes.keys() - wanted.keys() - {expect.member}):
        found.add(
            "wrong-shape",
            f"{variable.name!r} has the dimension {dim!r}, which the challenge has not.",
            {"dim": dim},
            hint="Select one label and drop it (isel, squeeze).",
        )
    for dim in sorted(wanted.keys() & sizes.keys()):
        if wanted[dim] != sizes[dim]:
            found.add(
                "wrong-shape",
                f"The dimension {dim!r} has {sizes[dim]} labels; the challenge has {wanted[dim]}.",
                {"dim": dim},
                hint="Send every label once.",
            )
    if expect.member in sizes and sizes[expect.member] > MAX_MEMBERS:
        found.add(
            "too-large", f"There are {sizes[expect.member]} members; {MAX_MEMBERS} are allowed.", {"dim": expect.member}
        )


def read_labels(store: Store, variable: str, dim: str, size: int) -> Labels:
    """The labels of a dimension; a dimension without a coordinate counts from 0."""
    folder = variable.rpartition("/")[0]
    found = store.variable(f"{folder}/{dim}" if folder else dim)
    if found is None:
        return Labels("number", np.arange(size, dtype=np.float64))
    if found.shape != (size,) or size > MAX_LABELS:
        raise reject(
            "wrong-shape",
            f"The coordinate {dim!r} does not fit its dimension.",
            {"dim": dim},
            hint="Write it with xarray.",
        )
    values = found.labels()
    if isinstance(values, list):
        return Labels("text", values)
    units = found.attrs.get("units")
    if isinstance(units, str) and " since " in units and found.attrs.get("calendar") in CALENDARS:
        return Labels("time", decode_time(values, units, dim))
    return Labels("number", values.astype(np.float64))


def decode_time(values: Array, units: str, dim: str) -> npt.NDArray[np.int64]:
    """CF times ("days since 2020-01-01") as nanoseconds since 1970-01-01 UTC, rounded to the nanosecond.

    Raises:
        Rejected: the units are not understood, or a time lies outside the years 1678 to 2262.
    """
    match = _SINCE.match(units.strip())
    unit = _UNITS.get(match[1].lower(), _UNITS.get(match[1].lower().removesuffix("s"))) if match else None
    if match is None or unit is None:
        raise reject(
            "unsupported",
            f"The time units {units[:60]!r} of {dim!r} are not understood.",
            {"dim": dim},
            hint='Use "days since 2000-01-01".',
        )
    try:
        year, month, day = match[2].split("-")
        clock = match[3] or "00:00"
        start = np.datetime64(f"{year}-{month:0>2}-{day:0>2}T{clock:0>5}", "us").astype(np.int64).item() * 1000
    except ValueError as error:
        raise reject(
            "unsupported",
            f"The time units {units[:60]!r} of {dim!r} are not understood.",
            {"dim": dim},
            hint='Use "days since 2000-01-01".',
        ) from error
    numbers = [
        int(value) if float(value).is_integer() else float(value) for value in values.tolist() if math.isfinite(value)
    ]
    stamps = [start + round(value * unit) for value in numbers]
    if len(stamps) != len(values) or any(abs(stamp) >= 2**63 - 1 for stamp in stamps):
        raise reject(
            "not-finite",
            f"A time of {dim!r} is missing or outside the years 1678 to 2262.",
            {"dim": dim},
            hint="Give every time a value.",
        )
    return np.array(stamps, dtype=np.int64)


def _checked_labels(dim: str, given: Labels, expect: Expectation, found: Findings) -> Labels:
    """The labels, each replaced by the challenge's own where it means the same."""
    axis = next((axis for axis in expect.axes if axis.name == dim), None)
    if isinstance(given.values, np.ndarray) and not np.all(np.isfinite(given.values)):
        found.add(
            "not-finite", f"A label of {dim!r} is not a finite number.", {"dim": dim}, hint="Give every label a value."
        )
    elif len(set(given.values.tolist() if isinstance(given.values, np.ndarray) else given.values)) != len(given.values):
        found.add("duplicate-label", f"A label of {dim!r} stands twice.", {"dim": dim}, hint="Send every label once.")
    elif axis is not None and axis.type != given.type:
        found.add(
            "wrong-labels",
            f"The labels of {dim!r} are {given.type}s; the challenge has {axis.type}s.",
            {"dim": dim},
            hint="Copy the coordinate from the sample.",
        )
    elif axis is not None:
        return _matched(dim, given, axis, found)
    return given


def _matched(dim: str, given: Labels, axis: Axis, found: Findings) -> Labels:
    if isinstance(given.values, list):
        strange = [i for i, label in enumerate(given.values) if label not in set(axis.labels)]
        matched: Array | list[str] = given.values
    else:
        matched, strange = _nearest(given.values, np.array(axis.labels, dtype=given.values.dtype))
    found.add_each(
        "wrong-labels",
        strange[:SHOWN],
        lambda i: (f"Label {i} of {dim!r} is not one of the challenge's.", {"dim": dim, "index": i}),
        total=len(strange),
        hint="Copy the coordinate from the sample.",
    )
    return Labels(given.type, matched)


def _nearest(given: Array, wanted: Array) -> tuple[Array, list[int]]:
    """For each label the wanted one within a thousandth of the smallest step, and the places that have none."""
    order = np.sort(wanted)
    step = float(np.diff(order).min()) if len(order) > 1 else max(1.0, abs(float(order[0]))) * 1e-3
    place = (
        np.clip(np.searchsorted(order, given), 1, max(len(order) - 1, 1))
        if len(order) > 1
        else np.zeros(len(given), dtype=np.int64)
    )
    if len(order) > 1:
        place = place - (np.abs(given - order[place - 1]) <= np.abs(given - order[place]))
    best = order[place]
    strange = np.flatnonzero(np.abs((given - best).astype(np.float64)) > 1e-3 * step)
    return best, strange.tolist()


def _write(
    variable: Variable,
    labels: Mapping[str, Labels],
    expect: Expectation,
    out: Path,
    found: Findings,
    edges: Variable | None,
) -> None:
    writer = CanonicalWriter(out, "grid")
    Values.of(variable, expect, found).write("data", writer, found)
    if edges is not None:
        _write_edges(edges, expect, writer, found)
    found.stop_if_any()
    for dim, given in labels.items():
        if isinstance(given.values, list):
            for key, array in pack_text(given.values, f"coord.{dim}").items():
                writer.save(key, array)
        else:
            writer.save(f"coord.{dim}", given.values)
    member = expect.member if expect.member in variable.dims else None
    writer.finish(
        {
            "dims": list(variable.dims),
            "axis_types": {dim: given.type for dim, given in labels.items()},
            "member": member,
            "finite": expect.role == "entry",
            **({} if edges is None else {"edges_dims": list(edges.dims)}),
        }
    )


def _checked_edges(store: Store, variable: Variable, expect: Expectation, found: Findings) -> Variable | None:
    """The variable with the edges between categories, where the challenge names one."""
    if expect.edges is None:
        return None
    edges = store.variable(expect.edges)
    where = {"variable": expect.edges}
    if edges is None:
        hint = suggest(expect.edges, list(store.names()))
        found.add("missing-variable", f"The file has no variable {expect.edges!r}.", where, hint=hint)
        return None
    sizes = dict(zip(variable.dims, variable.shape, strict=True))
    own = edges.dims[1:]
    fits = len(edges.dims) == len(edges.shape) > 0 and len(set(own)) == len(own) and edges.dims[0] not in sizes
    if edges.dtype is None or edges.dtype.kind not in "fiu" or edges.dtype.itemsize > 8:
        found.add("wrong-type", f"{expect.edges!r} does not hold numbers.", where, hint="Use float32 or float64.")
    elif not fits or any(sizes.get(dim) != size for dim, size in zip(own, edges.shape[1:], strict=True)):
        found.add(
            "wrong-shape",
            f"{expect.edges!r} does not have an edge dimension and then only dimensions of {variable.name!r}.",
            where,
            hint=f"After the edge dimension use some of {', '.join(variable.dims)}.",
        )
    elif not 0 < edges.shape[0] <= MAX_EDGES:
        found.add("wrong-shape", f"{expect.edges!r} has {edges.shape[0]} edges.", where, hint=f"Use 1 to {MAX_EDGES}.")
    else:
        return edges
    return None


def _write_edges(edges: Variable, expect: Expectation, writer: CanonicalWriter, found: Findings) -> None:
    """Edges are finite everywhere, and none is below the one before it."""
    strict = replace(expect, role="entry", low=None, high=None)
    Values.of(edges, strict, found).write("edges", writer, found)
    last: dict[tuple[int, ...], Array] = {}
    falling = 0
    for selection, raw in edges.blocks():
        place = tuple(part.start for part in selection[1:])
        low = last.get(place, raw[:1])
        falling += int(np.count_nonzero(raw[:1] < low)) + int(np.count_nonzero(raw[1:] < raw[:-1]))
        last[place] = np.array(raw[-1:])
    if falling:
        found.add(
            "out-of-range",
            f"At {falling} places of {edges.name!r} an edge is below the one before it.",
            {"variable": edges.name, "count": falling},
            hint="Sort the edges along their first dimension.",
        )
