"""Tables: rows of prediction and truth joined on their ids by hashing; order never matters."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from datasets.blocks import ALL, PUBLIC, Placed, placed_by_labels, placed_whole
from datasets.canonical import Array, Canonical, pack_text, unpack_text
from datasets.errors import EngineFault, Finding, Rejected
from datasets.spec import Spec
from datasets.threads import each
from scoring.kinds.columns import (
    Codes,
    Column,
    column,
    factorize,
    has_column,
    label_codes,
    numbers_of,
    row_text,
    rows_text,
    text_of,
)
from scoring.kinds.joining import NOTHING, Rows, index_ids, match_ids
from scoring.kinds.pairing import FEW, Block, Pairing, TruthSet, rows_finding, spread
from scoring.kinds.table_loops import gather, pick, turn
from scoring.rules import sample_type
from scoring.samples import Classes, Numbers, Probabilities

PART_ROWS = 1 << 20
STRIP = 1 << 12  # rows gathered at a time: what several columns write together stays in the cache
_BLOCKS, _LABELS, _TARGET = "blocks.codes", "blocks.labels", "target.codes"
Cut = slice | Codes


@dataclass(frozen=True)
class Join:
    """``rows`` (n,): the prediction's row for each truth row; only meaningful when there are no findings."""

    rows: Rows
    findings: tuple[Finding, ...] = ()


def ids(canonical: Canonical, spec: Spec) -> list[Column]:
    return [column(canonical, f"id.{place}") for place in range(len(spec.truth.id or ()))]


def prepare(truth: TruthSet, spec: Spec) -> Mapping[str, Array]:
    """The index of the truth's ids, the codes of a class target and of the blocks.

    The index of ids that ``truth.prepared`` holds already is taken over: targets of one file share it.
    """
    kept = {name: array for name, array in truth.prepared.items() if name.startswith("ids.")}
    made = {**(kept or index_ids(ids(truth.truth, spec)))}
    if sample_type(spec) != "numbers":
        made[_TARGET] = _small(
            label_codes(truth.truth, f"value.{spec.truth.target}", _truth_classes(truth.truth, spec))
        )
    if spec.blocks is not None and spec.blocks.by is not None:
        codes, labels = factorize(_block_column(truth.truth, spec))
        made |= {_BLOCKS: codes, **pack_text(labels, _LABELS)}
    return made


def _small(codes: Codes) -> Array:
    """Codes in one byte where they fit."""
    return codes.astype(np.int8) if codes.max(initial=0) < 128 else codes


def join(prediction: Canonical, template: Canonical, spec: Spec, kept: Mapping[str, Array] = NOTHING) -> Join:
    """Match rows one to one on the ids; missing, extra and duplicate ids become findings.

    ``kept``: what ``prepare`` made of ``template``.
    """
    wanted, given = ids(template, spec), ids(prediction, spec)
    matched = match_ids(wanted, given, kept)
    if matched.found is None:
        return Join(matched.rows)
    found = matched.found
    counts = np.bincount(found[found >= 0], minlength=len(matched.rows))
    lines = prediction.arrays.get("row", np.arange(len(found)))
    return Join(matched.rows, tuple(_join_findings(wanted, given, found, counts, lines)))


def _join_findings(
    wanted: list[Column], given: list[Column], found: Codes, counts: Codes, lines: Codes
) -> Iterator[Finding]:
    """``lines`` (m,): the 0-based row of the file each row of the prediction stands in."""
    missing = np.flatnonzero(counts == 0)
    if len(missing):
        names = rows_text(wanted, missing[:FEW])
        message = f"{len(missing)} of {len(counts)} ids have no row, first {'; '.join(names)}."
        where = {"id": names[0], "ids": names, "count": len(missing)}
        yield Finding("missing-id", message, where, "Predict every id of the template, each once.")
    extra = np.flatnonzero(found < 0)
    if len(extra):
        name = row_text(given, int(extra[0]))
        message = f"{len(extra)} rows have an id that is not asked for, first {name!r}."
        yield rows_finding(
            "extra-id", message, _numbers(lines[extra]), len(extra), "Remove them; take the ids from the template."
        )
    duplicate = _later_rows(found, counts)
    if len(duplicate):
        name = row_text(given, int(duplicate[0]))
        message = f"{len(duplicate)} rows repeat an id, first {name!r}."
        places = _numbers(lines[duplicate])
        yield rows_finding("duplicate-id", message, places, len(duplicate), "Keep one row for each id.")


def _later_rows(found: Codes, counts: Codes) -> Codes:
    """Rows whose id an earlier row has had already."""
    twice = np.flatnonzero((found >= 0) & (counts[found] > 1)) if (counts > 1).any() else np.empty(0, np.int64)
    _, first = np.unique(found[twice], return_index=True)
    later: Codes = np.delete(twice, first)
    return later


def _numbers(rows: Codes) -> list[int]:
    return [int(row) + 1 for row in rows[:FEW]]


def check(prediction: Canonical, template: Canonical, spec: Spec) -> list[Finding]:
    """What keeps the prediction from being scored; ``template`` is the truth or the published sample."""
    return list(join(prediction, template, spec).findings)


@dataclass(frozen=True)
class Aligned:
    """Prediction and truth in the truth's row order. ``rows`` (n,): the prediction's row; ``cut`` makes samples."""

    rows: Rows
    placed: Placed
    cut: Callable[[Cut], Numbers | Classes | Probabilities]


def align(prediction: Canonical, truth: TruthSet, spec: Spec) -> Aligned:
    """Join the rows and place them in blocks.

    Raises:
        Rejected: ids do not match one to one, or a value cannot be scored.
    """
    joined = join(prediction, truth.truth, spec, truth.prepared)
    if joined.findings:
        raise Rejected(joined.findings)
    cut = _aligner(prediction, truth, spec, joined.rows)
    return Aligned(joined.rows, place(truth.truth, spec, truth.prepared), cut)


def pair(prediction: Canonical, truth: TruthSet, spec: Spec, joined: Join | None = None) -> Pairing:
    """Align the prediction with the truth, in the truth's row order.

    Many rows of several probabilities in a single block are read in the prediction's order instead: bringing one
    column of codes into order is cheaper than many of numbers. ``joined``: the ``join`` of these two, when several
    targets of the same files are scored.

    Raises:
        Rejected: ids do not match one to one, or a value cannot be scored.
    """
    found = join(prediction, truth.truth, spec, truth.prepared) if joined is None else joined
    if found.findings:
        raise Rejected(found.findings)
    cut = _aligner(prediction, truth, spec, found.rows)
    count, ranges = len(found.rows), spread(len(found.rows), PART_ROWS)
    if spec.blocks is None or spec.blocks.by is None:
        if cut.probable and len(cut.f.columns) > 1 and len(ranges) > 1:
            cut = cut.turned(found.rows)
        whole = lambda part: [(ALL, PUBLIC, cut(slice(*ranges[part])))] if count else []  # noqa: E731
        return Pairing(len(ranges), whole, 1, count, cut.classes)
    placed = place(truth.truth, spec, truth.prepared)

    def samples(part: int) -> Iterator[Block]:
        start, stop = ranges[part]
        piece = Placed(placed.codes[start:stop], placed.keys, placed.sides[start:stop])
        for key, side, rows in piece.groups():
            yield key, side, cut(rows + start)

    return Pairing(len(ranges), samples, len(np.unique(placed.codes)), count, cut.classes)


def place(truth: Canonical, spec: Spec, kept: Mapping[str, Array] = NOTHING) -> Placed:
    """The block of every truth row: the text of the column [blocks] names."""
    if spec.blocks is None or spec.blocks.by is None:
        return placed_whole(len(column(truth, "id.0")))
    if _BLOCKS in kept:
        return placed_by_labels(kept[_BLOCKS], unpack_text(kept, _LABELS), spec.blocks)
    codes, labels = factorize(_block_column(truth, spec))
    return placed_by_labels(codes, labels, spec.blocks)


def _block_column(truth: Canonical, spec: Spec) -> Column:
    by = spec.blocks.by if spec.blocks else None
    for name, known in (("block", True), (f"value.{by}", by == spec.truth.target)):
        if known and has_column(truth, name):
            return column(truth, name)
    if by in (spec.truth.id or ()):
        return column(truth, f"id.{(spec.truth.id or ()).index(by)}")
    raise EngineFault(f"the truth has no block column {by!r}")


def _weights(truth: Canonical) -> Array | None:
    return np.asarray(truth.arrays["weight"], dtype=np.float64) if "weight" in truth.arrays else None


@dataclass(frozen=True)
class _Ordered:
    """Prediction columns in the truth's order; a single one is kept, so that a second pass finds it in order."""

    columns: Sequence[Array]
    rows: Rows
    kept: dict[tuple[int, int], Array] = field(default_factory=dict)

    def __call__(self, cut: Cut) -> Array:
        """(n, k) of the rows of the truth in ``cut``; (n,) of a single column."""
        if len(self.columns) > 1 or not isinstance(cut, slice):
            return self._gathered(cut)
        key = (cut.start, cut.stop)
        if key not in self.kept:
            self.kept[key] = self._gathered(cut)
        return self.kept[key]

    def _gathered(self, cut: Cut) -> Array:
        rows = self.rows[cut]
        out = np.empty((len(rows), len(self.columns)))
        for start in range(0, len(rows), STRIP):
            for at, values in enumerate(self.columns):
                gather(values, rows[start : start + STRIP], out[start : start + STRIP], at)
        return out if len(self.columns) > 1 else out[:, 0]


@dataclass(frozen=True)
class _Straight:
    """Prediction columns in their own order."""

    columns: Sequence[Array]

    def __call__(self, cut: Cut) -> Array:
        parts = [values[cut] for values in self.columns]
        out = np.empty((len(parts[0]), len(parts)))
        for start in range(0, len(out), STRIP):
            for at, values in enumerate(parts):
                out[start : start + STRIP, at] = values[start : start + STRIP]
        return out


@dataclass(frozen=True)
class _Taken:
    """``values[rows]``, cut by cut."""

    values: Array
    rows: Rows

    def __getitem__(self, cut: Cut) -> Array:
        rows = self.rows[cut]
        if self.values.dtype != np.int8:
            return self.values[rows]
        out = np.empty(len(rows), dtype=np.int8)
        pick(self.values, rows, out)
        return out


@dataclass(frozen=True)
class _Aligned:
    """Truth, prediction and weight in truth order; calling it cuts out rows as a sample.

    ``y`` of probabilities of one class: codes, of which 0 is that class.
    """

    y: Any
    f: Any
    w: Any = None
    classes: tuple[str, ...] = ()
    probable: bool = False

    def turned(self, rows: Rows) -> "_Aligned":
        """The same rows in the prediction's order; ``rows`` (n,): the prediction's row for each truth row."""
        back = np.empty(len(rows), dtype=np.int32)
        starts = range(0, len(rows), PART_ROWS)
        for _ in each(lambda start: turn(rows[start : start + PART_ROWS], start, back), starts):
            pass
        weights = None if self.w is None else _Taken(self.w, back)
        return replace(self, y=_Taken(self.y, back), f=_Straight(self.f.columns), w=weights)

    def __call__(self, cut: Cut) -> Numbers | Classes | Probabilities:
        y, w = self.y[cut], None if self.w is None else self.w[cut]
        if self.probable:
            f = self.f(cut)
            return Probabilities((y == 0).view(np.int8) if f.ndim == 1 else y, f, w)
        if self.classes:
            return Classes(y, self.f[cut], w, len(self.classes))
        return Numbers(y, self.f(cut), w)


def class_list(truth: Canonical, spec: Spec) -> tuple[str, ...]:
    """The classes in order: the challenge's, else those of the truth (numbers by size, texts by letters)."""
    if spec.truth.classes:
        return spec.truth.classes
    if truth.attrs.get("classes"):
        return tuple(truth.attrs["classes"])
    target = column(truth, f"value.{spec.truth.target}")
    if isinstance(target, np.ndarray):
        return tuple(text_of(np.unique(target)).to_pylist())
    return tuple(factorize(target)[1])


def _truth_classes(truth: Canonical, spec: Spec) -> tuple[str, ...]:
    """The classes the target's codes count: with one column of probabilities the class it is the probability of."""
    named = tuple(spec.submission.probabilities or ())
    return named if len(named) == 1 else class_list(truth, spec)


def _aligner(prediction: Canonical, truth: TruthSet, spec: Spec, order: Rows) -> _Aligned:
    wanted, weights, target = sample_type(spec), _weights(truth.truth), f"value.{spec.truth.target}"
    if wanted == "numbers":
        y, f = (
            np.ascontiguousarray(numbers_of(column(side, name)), dtype=np.float64)
            for side, name in ((truth.truth, target), (prediction, f"value.{spec.submission.prediction}"))
        )
        return _Aligned(y, _Ordered([f], order), weights)
    classes = _truth_classes(truth.truth, spec)
    y = truth.prepared[_TARGET] if _TARGET in truth.prepared else _small(label_codes(truth.truth, target, classes))
    if wanted == "probabilities":
        names = dict(spec.submission.probabilities or {})
        columns = [column(prediction, f"value.{names[label]}") for label in classes]
        given = [np.ascontiguousarray(values, dtype=np.float64) for values in columns]
        return _Aligned(y, _Ordered(given, order), weights, probable=True)
    classes = classes_of(prediction, truth.truth, spec)
    codes = _given_codes(prediction, spec, classes)
    return _Aligned(y, _Taken(codes, order), weights, classes)


def _given_codes(prediction: Canonical, spec: Spec, classes: Sequence[str]) -> Array:
    """The predicted classes as codes.

    Raises:
        Rejected: one is none of the classes.
    """
    codes = _small(label_codes(prediction, f"value.{spec.submission.prediction}", classes))
    unknown = np.flatnonzero(codes < 0)
    if len(unknown):
        message = f"{len(unknown)} predictions are none of the classes."
        hint = f"Classes are {', '.join(classes)}."
        raise Rejected([rows_finding("unknown-class", message, _numbers(unknown), len(unknown), hint)])
    return codes


def classes_of(prediction: Canonical, truth: Canonical, spec: Spec) -> tuple[str, ...]:
    """The classes both sides use. With an open list, a class that only the entry names is wrong, not unknown."""
    classes, own = class_list(truth, spec), prediction.attrs.get("classes")
    if spec.truth.classes:
        return classes
    given = own if own is not None else factorize(column(prediction, f"value.{spec.submission.prediction}"))[1]
    return tuple(dict.fromkeys((*classes, *given)))
