"""The checks of a raster's cells: a slow look that names every fault, and a quick one that passes what is right."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, floor
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from datasets.canonical import Array
from datasets.expect import Expectation
from datasets.findings import SHOWN, Findings
from datasets.formats import raster_loops as loops
from datasets.formats.columns import MAX_CLASSES

QUICK = frozenset(("float32", "float64", "uint8", "int16", "uint16", "int32"))
MARKED = 1 << 16  # class values 0 … that are marked in a table


@dataclass
class Cells:
    """Checks and copies strips of one band."""

    expect: Expectation
    nodata: Any
    found: Findings
    legal: npt.NDArray[Any] | None = field(init=False)
    any_valid: bool = False
    seen: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.legal = _legal(self.expect)

    def take(self, strip: Array, row: int) -> tuple[Array, Array]:
        """The values and valid cells of ``strip``, whose first row is ``row``; what is wrong in them is noted.

        A cell that is not finite gets a placeholder.
        """
        valid = np.ones(strip.shape, dtype=bool) if self.nodata is None else ~_equal(strip, self.nodata)
        bad: Array | None = None
        if strip.dtype.kind == "f":
            bad = ~np.isfinite(strip) & valid
            if self.expect.role != "entry":
                valid &= ~np.isnan(strip)
                bad &= valid
            self._note(
                "not-finite",
                bad,
                row,
                "the value is not a finite number",
                hint="Declare nodata for cells without value.",
            )
            bad = bad if bad.any() else None
        self.any_valid |= bool(valid.any())
        self._check_values(strip, valid, row)
        return (strip if bad is None else np.where(bad, strip.dtype.type(0), strip)), valid

    def _check_values(self, strip: Array, valid: Array, row: int) -> None:
        expect = self.expect
        if expect.meaning == "probability" and expect.role == "entry":
            self._note(
                "probability-out-of-range",
                ((strip < 0) | (strip > 1)) & valid,
                row,
                "the probability is outside 0 … 1",
                hint="Probabilities are 0 to 1, not percent.",
            )
        elif expect.meaning == "categorical":
            self._check_classes(strip, valid, row)
        if expect.low is not None and expect.high is not None:
            outside = ((strip < expect.low) | (strip > expect.high)) & valid
            self._note(
                "out-of-range",
                outside,
                row,
                f"the value is outside {expect.low} … {expect.high}",
                hint="Clip or mend the value.",
            )

    def _check_classes(self, strip: Array, valid: Array, row: int) -> None:
        if strip.dtype.kind == "f":
            with np.errstate(invalid="ignore"):
                self._note(
                    "wrong-type",
                    (strip != np.round(strip)) & np.isfinite(strip) & valid,
                    row,
                    "a class is a whole number",
                    hint="Use an integer type.",
                )
        present = np.unique(strip[valid])
        present = (
            present[np.isfinite(present) & (np.abs(present.astype(np.float64)) < 2**53)]
            if strip.dtype.kind == "f"
            else present
        )
        if self.legal is not None:
            strange = np.setdiff1d(present, self.legal)
            if len(strange):
                self._note(
                    "unknown-class",
                    np.isin(strip, strange) & valid,
                    row,
                    "the class is not one of the challenge's",
                    hint="See the challenge's rules for its classes.",
                )
        self.seen.update(int(value) for value in present[: MAX_CLASSES + 1])
        if len(self.seen) > MAX_CLASSES:
            what = f"The raster has more than {MAX_CLASSES} classes."
            self.found.add("wrong-type", what, hint="Is this the right band?")
            self.found.stop_if_any()

    def _note(self, code: str, cells: Array, row: int, what: str, *, hint: str) -> None:
        count = int(np.count_nonzero(cells))
        if count:
            places = (
                np.argwhere(cells)
                if count < 100_000
                else np.argwhere(cells[: 1 + int(np.argmax(np.count_nonzero(cells, axis=1) > 0))])
            )
            shown = [(int(r) + row, int(c)) for r, c in places[:SHOWN]]
            self.found.add_each(
                code,
                shown,
                lambda p: (f"Row {p[0]}, column {p[1]}: {what}.", {"pixel": [p[0], p[1]]}),
                total=count,
                hint=hint,
            )


def _equal(strip: Array, nodata: float) -> Array:
    if np.isnan(nodata):
        return np.isnan(strip) if strip.dtype.kind == "f" else np.zeros(strip.shape, dtype=bool)
    if strip.dtype.kind in "iu":
        info = np.iinfo(strip.dtype)
        return (
            strip == int(nodata)
            if nodata == int(nodata) and info.min <= nodata <= info.max
            else np.zeros(strip.shape, dtype=bool)
        )
    with np.errstate(over="ignore"):
        return np.asarray(strip == strip.dtype.type(nodata))


def _legal(expect: Expectation) -> npt.NDArray[np.int64] | None:
    """The cell values that stand for classes: the classes themselves when all are whole numbers, else 0 … n-1."""
    if not expect.classes or expect.classes_open:
        return None
    try:
        return np.array([int(label) for label in expect.classes], dtype=np.int64)
    except (ValueError, OverflowError):
        return np.arange(len(expect.classes), dtype=np.int64)


@dataclass(frozen=True)
class Verdict:
    """Of cells in which nothing is wrong: whether any and whether every one holds a value; classes, if collected."""

    some: bool
    every: bool
    classes: frozenset[int]

    @classmethod
    def of(cls, parts: Sequence[Self]) -> Self:
        """The verdict on all of some parts."""
        return cls(
            any(part.some for part in parts),
            all(part.every for part in parts),
            frozenset().union(*{part.classes for part in parts}),
        )


@dataclass(frozen=True)
class Quick:
    """What ``Cells.take`` looks for, in one compiled pass without temporaries. ``marks``: classes are collected."""

    low: Any
    high: Any
    nodata: Any
    skip_nan: bool
    marks: bool
    legal: frozenset[int] | None

    @classmethod
    def of(cls, cells: Cells, dtype: np.dtype[Any]) -> Self | None:
        """The quick look at a band of this type; None for types and nodata values that get only the slow one."""
        nodata, expect = cells.nodata, cells.expect
        if dtype.name not in QUICK or (dtype.kind in "iu" and nodata is not None and np.isinf(nodata)):
            return None
        categorical, legal = expect.meaning == "categorical", cells.legal
        bounds = _bounds(expect, dtype)
        solid = legal is not None and dtype.kind in "iu" and len(legal) == int(legal.max() - legal.min()) + 1
        if categorical and legal is not None and solid:
            bounds.append((int(legal.min()), int(legal.max())))
        low, high = max(low for low, _ in bounds), min(high for _, high in bounds)
        if low > high:  # nothing is right; said without leaving the type's range
            low, high = dtype.type(1), dtype.type(0)
        skip = dtype.kind == "f" and (expect.role != "entry" or (nodata is not None and np.isnan(nodata)))
        known = None if legal is None else frozenset(legal.tolist())
        return cls(dtype.type(low), dtype.type(high), _nodata(nodata, dtype), skip, categorical and not solid, known)

    def look(self, values: Array, valid: Array, left: int, cols: int) -> Verdict | None:
        """Mark the valid cells in columns ``left`` … of ``values``; None when anything at all is wrong in them.

        Where every cell is valid the marks may be left as they are.
        """
        given = self.nodata is not None
        nodata = self.nodata if given else values.dtype.type(0)
        without = np.uint8(given) * loops.NODATA | np.uint8(self.skip_nan) * loops.NAN
        mark = valid.view(np.uint8)
        found = loops.check(values, left, cols, nodata, self.low, self.high, int(without), mark)
        some, gap, bad = (bool(found & bit) for bit in (loops.SOME, loops.GAP, loops.BAD))
        if bad:
            return None
        classes = self._classes(values, mark, left, cols, not gap) if self.marks else frozenset()
        return None if classes is None else Verdict(some, not gap, classes)

    def _classes(self, values: Array, mark: Array, left: int, cols: int, every: bool) -> frozenset[int] | None:
        """The classes of the marked cells; None when one of them is none."""
        few = _few(values, mark, left, cols, every) if values.dtype == np.uint8 else None
        if few is not None:
            classes = few
        else:
            seen = np.zeros(MARKED, dtype=np.bool_)
            if loops.mark_classes(values, mark, left, cols, every, seen):
                return None
            classes = frozenset(np.flatnonzero(seen).tolist())
        wrong = len(classes) > MAX_CLASSES or (self.legal is not None and not classes <= self.legal)
        return None if wrong else classes


def _few(values: Array, mark: Array, left: int, cols: int, every: bool) -> frozenset[int] | None:
    """The classes of the marked cells when all are below 64."""
    found, bits = loops.few_classes(values, mark, left, cols, every)
    if bits > loops.FEW:
        found = loops.some_classes(values, mark, left, cols, every) if bits <= loops.SMALL else 0
    return None if bits > loops.SMALL else frozenset(place for place in range(64) if int(found) >> place & 1)


def _bounds(expect: Expectation, dtype: np.dtype[Any]) -> list[tuple[Any, Any]]:
    """The ranges a valid cell has to lie in, as numbers of its type."""
    wanted = []
    if expect.meaning == "probability" and expect.role == "entry":
        wanted.append((0.0, 1.0))
    if expect.low is not None and expect.high is not None:
        wanted.append((expect.low, expect.high))
    if dtype.kind == "f":
        limit = np.finfo(dtype).max
        with np.errstate(over="ignore"):
            own = [(dtype.type(low), dtype.type(high)) for low, high in wanted]
        return [(-limit, limit), *own]
    info = np.iinfo(dtype)
    own_ints = [(ceil(max(low, info.min)), floor(min(high, info.max))) for low, high in wanted]
    return [(int(info.min), int(info.max)), *own_ints]


def _nodata(nodata: Any, dtype: np.dtype[Any]) -> Any:
    """Nodata as a cell of the type; None where no cell can equal it (NaN is skipped on its own)."""
    if nodata is None or np.isnan(nodata):
        return None
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return dtype.type(nodata)
    info = np.iinfo(dtype)
    return dtype.type(int(nodata)) if nodata == int(nodata) and info.min <= nodata <= info.max else None
