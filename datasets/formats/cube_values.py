"""The values of a grid's variable: read in pieces on several threads, checked, written where they belong.

The quick pass takes pieces that are plainly stored and wholly good. As soon as one is not, everything is read again
piece by piece, and every fault is found and named.
"""

import math
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from datasets import threads
from datasets.canonical import Array, CanonicalWriter, Placed
from datasets.errors import Rejected
from datasets.expect import Expectation
from datasets.findings import SHOWN, Findings
from datasets.formats.cube import Selection, Unusual, Variable
from datasets.formats.cube_loops import all_good

NETCDF_FILL = {4: np.float32(9.969209968386869e36), 8: np.float64(9.969209968386869e36)}
_FAULTS = (Unusual, Rejected, OSError, RuntimeError, ValueError, KeyError, TypeError)


@dataclass(frozen=True)
class Values:
    """How stored values become canonical ones: value = stored · scale + offset, ``fills`` mean "missing"."""

    variable: Variable
    expect: Expectation
    dtype: np.dtype[Any]
    scale: float
    offset: float
    fills: list[Any]

    @classmethod
    def of(cls, variable: Variable, expect: Expectation, found: Findings) -> "Values":
        """Raises:
        Rejected: the values are packed in a way that is not taken.
        """
        scale, offset = _packing(variable, found)
        single = variable.dtype == np.float32 and scale == 1.0 and offset == 0.0
        return cls(variable, expect, np.dtype(np.float32 if single else np.float64), scale, offset, _fills(variable))

    def write(self, name: str, writer: CanonicalWriter, found: Findings) -> None:
        """Write the variable as array ``name``; what is wrong with its values goes into ``found``."""
        if not found and self._quickly(name, writer):
            return
        with found.gather(), writer.placed(name, self.dtype, self.variable.shape) as data:
            for selection, raw in self.variable.blocks():
                values = self._converted(raw)
                _check_values(values, selection, self.variable, self.expect, found)
                data.put_window([part.start for part in selection], values)

    def _quickly(self, name: str, writer: CanonicalWriter) -> bool:
        """Whether all was good, and is written."""
        buffers = _Buffers()
        try:
            with writer.placed(name, self.dtype, self.variable.shape) as data:
                if all(threads.each(lambda piece: self._taken(piece, data, buffers), self.variable.pieces())):
                    return True
                data.void()
        except _FAULTS:
            pass
        writer.drop(name)
        return False

    def _taken(self, selection: Selection, data: Placed, buffers: "_Buffers") -> bool:
        stored = self.variable.dtype
        if stored is None:
            return False
        raw = buffers.take(tuple(part.stop - part.start for part in selection), stored)
        self.variable.load(selection, raw)
        values = raw
        if not self._good(raw):
            values = self._converted(raw)
            if not self._passes(values):
                return False
        data.put_window([part.start for part in selection], values)
        return True

    def _good(self, raw: Array) -> bool:
        """Whether values can stay as they are: finite, in range, none that means "missing"."""
        if raw.dtype != self.dtype or self.scale != 1.0 or self.offset != 0.0 or len(self.fills) > 3:
            return False
        limits = np.finfo(raw.dtype)
        low = float(limits.min) if self.expect.low is None else self.expect.low
        high = float(limits.max) if self.expect.high is None else self.expect.high
        fills = [*self.fills, *[np.nan] * (3 - len(self.fills))]
        return bool(all_good(raw.reshape(-1), *(raw.dtype.type(value) for value in (low, high, *fills))))

    def _passes(self, values: Array) -> bool:
        """Whether the careful checks find nothing."""
        found = Findings()
        _check_values(values, (slice(0, 0),) * values.ndim, self.variable, self.expect, found)
        return not found

    def _converted(self, raw: Array) -> Array:
        values = raw.astype(self.dtype)
        if self.scale != 1.0 or self.offset != 0.0:
            values = values * self.scale + self.offset
        for fill in self.fills:
            values[raw == fill] = np.nan
        return values


class _Buffers(threading.local):
    """Memory for one piece a thread, used again for the next."""

    memory: Array = np.empty(0, dtype=np.uint8)

    def take(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        size = math.prod(shape) * dtype.itemsize
        if self.memory.size < size:
            self.memory = np.empty(size, dtype=np.uint8)
        return self.memory[:size].view(dtype).reshape(shape)


def _packing(variable: Variable, found: Findings) -> tuple[float, float]:
    """``scale_factor`` and ``add_offset`` of the CF conventions: value = stored · scale + offset."""
    values = [variable.attrs.get(key, default) for key, default in (("scale_factor", 1.0), ("add_offset", 0.0))]
    good = all(type(value) in (int, float) and math.isfinite(value) for value in values) and values[0] != 0
    if not good or variable.attrs.get("_Unsigned") is not None:
        found.add(
            "unsupported",
            f"{variable.name!r} is packed in a way that is not taken.",
            {"variable": variable.name},
            hint="Write plain float32.",
        )
        found.stop_if_any()
    return float(values[0]), float(values[1])


def _fills(variable: Variable) -> list[Any]:
    """Stored values that mean "missing", NaN aside."""
    given = [variable.attrs.get(key) for key in ("_FillValue", "missing_value")]
    fills = [value for value in given if isinstance(value, int | float) and not math.isnan(value)]
    if variable.dtype is not None and variable.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return [variable.dtype.type(value) for value in fills] + [
                NETCDF_FILL.get(variable.dtype.itemsize, np.float64(np.inf))
            ]
    return fills


def _check_values(
    values: Array, selection: tuple[slice, ...], variable: Variable, expect: Expectation, found: Findings
) -> None:
    missing = np.isnan(values)
    if expect.role == "entry":
        _note(found, "not-finite", ~np.isfinite(values), selection, variable, "is missing or not a finite number")
    else:
        _note(found, "not-finite", np.isinf(values), selection, variable, "is infinite")
    if expect.low is not None and expect.high is not None:
        with np.errstate(invalid="ignore"):
            _note(
                found,
                "out-of-range",
                ((values < expect.low) | (values > expect.high)) & ~missing,
                selection,
                variable,
                f"is outside {expect.low} … {expect.high}",
            )


def _note(
    found: Findings, code: str, cells: Array, selection: tuple[slice, ...], variable: Variable, what: str
) -> None:
    count = int(np.count_nonzero(cells))
    if not count:
        return
    first = np.unravel_index(np.flatnonzero(cells)[:SHOWN], cells.shape)
    starts = [part.start for part in selection]
    shown = [
        tuple(int(axis[i]) + start for axis, start in zip(first, starts, strict=True)) for i in range(min(count, SHOWN))
    ]
    found.add_each(
        code,
        shown,
        lambda place: (
            f"The value at {dict(zip(variable.dims, place, strict=True))} {what}.",
            {"cell": dict(zip(variable.dims, place, strict=True))},
        ),
        total=count,
        hint="Every cell needs a finite number in the challenge's range.",
    )
