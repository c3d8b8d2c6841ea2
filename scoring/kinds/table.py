"""Tables: rows of prediction and truth joined on their ids by hashing; order never matters."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from datasets.blocks import Placed, placed_by_labels, placed_whole
from datasets.canonical import Array, Canonical
from datasets.errors import EngineFault, Finding, Rejected
from datasets.spec import Spec
from scoring.kinds.columns import (
    Codes,
    Column,
    column,
    factorize,
    has_column,
    id_codes,
    label_codes,
    numbers_of,
    row_text,
    rows_text,
    text_of,
)
from scoring.kinds.pairing import FEW, Block, Pairing, TruthSet, rows_finding, spread
from scoring.rules import sample_type
from scoring.samples import Classes, Numbers, Probabilities

PART_ROWS = 1 << 20


@dataclass(frozen=True)
class Join:
    """``rows`` (n,): the prediction's row for each truth row; only meaningful when there are no findings."""

    rows: Codes
    findings: tuple[Finding, ...]


def ids(canonical: Canonical, spec: Spec) -> list[Column]:
    return [column(canonical, f"id.{place}") for place in range(len(spec.truth.id or ()))]


def join(prediction: Canonical, template: Canonical, spec: Spec) -> Join:
    """Match rows one to one on the ids; missing, extra and duplicate ids become findings."""
    wanted, given = ids(template, spec), ids(prediction, spec)
    left, right = id_codes(wanted, given)
    size = max(int(left.max(initial=-1)), int(right.max(initial=-1))) + 1
    place = np.full(size + 1, -1, dtype=np.int64)  # the last slot takes code -1
    place[left] = np.arange(len(left))
    place[-1] = -1
    found = place[right]
    counts = np.bincount(found[found >= 0], minlength=len(left))
    rows = np.zeros(len(left), dtype=np.int64)
    rows[found[found >= 0]] = np.flatnonzero(found >= 0)
    lines = prediction.arrays.get("row", np.arange(len(found)))
    return Join(rows, tuple(_join_findings(wanted, given, found, counts, lines)))


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
class Rows:
    """Prediction and truth in the truth's row order. ``rows`` (n,): the prediction's row; ``cut`` makes samples."""

    rows: Codes
    placed: Placed
    cut: "_Aligned"


def align(prediction: Canonical, truth: Canonical, spec: Spec) -> Rows:
    """Join the rows and place them in blocks.

    Raises:
        Rejected: ids do not match one to one, or a value cannot be scored.
    """
    joined = join(prediction, truth, spec)
    if joined.findings:
        raise Rejected(joined.findings)
    return Rows(joined.rows, place(truth, spec), _aligner(prediction, truth, spec, joined.rows))


def pair(prediction: Canonical, truth: TruthSet, spec: Spec) -> Pairing:
    """Align the prediction with the truth, in the truth's row order.

    Raises:
        Rejected: ids do not match one to one, or a value cannot be scored.
    """
    aligned = align(prediction, truth.truth, spec)
    placed, ranges = aligned.placed, spread(len(aligned.rows), PART_ROWS)

    def samples(part: int) -> Iterator[Block]:
        start, stop = ranges[part]
        piece = Placed(placed.codes[start:stop], placed.keys, placed.sides[start:stop])
        for key, side, rows in piece.groups():
            yield key, side, aligned.cut(rows + start)

    return Pairing(len(ranges), samples, len(np.unique(placed.codes)), len(aligned.rows))


def place(truth: Canonical, spec: Spec) -> Placed:
    """The block of every truth row: the text of the column [blocks] names."""
    count = len(column(truth, "id.0"))
    if spec.blocks is None or spec.blocks.by is None:
        return placed_whole(count)
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
class _Aligned:
    """Truth, prediction and weight in truth order; calling it cuts out rows as a sample."""

    y: Array
    f: Array
    w: Array | None
    n_classes: int | None
    probable: bool

    def __call__(self, rows: Codes) -> Numbers | Classes | Probabilities:
        y, f, w = self.y[rows], self.f[rows], None if self.w is None else self.w[rows]
        if self.probable:
            return Probabilities(y, f, w)
        if self.n_classes is not None:
            return Classes(y, f, w, self.n_classes)
        return Numbers(y, f, w)


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


def _aligner(prediction: Canonical, truth: Canonical, spec: Spec, order: Codes) -> _Aligned:
    wanted, weights = sample_type(spec), _weights(truth)
    if wanted == "probabilities":
        return _Aligned(*_probable(prediction, truth, spec, order), weights, None, probable=True)
    target, given = f"value.{spec.truth.target}", f"value.{spec.submission.prediction}"
    if wanted == "numbers":
        y, f = (
            np.asarray(numbers_of(column(side, name)), dtype=np.float64)
            for side, name in ((truth, target), (prediction, given))
        )
        return _Aligned(y, f[order], weights, None, probable=False)
    classes = classes_of(prediction, truth, spec)
    codes = label_codes(prediction, given, classes)
    unknown = np.flatnonzero(codes < 0)
    if len(unknown):
        message = f"{len(unknown)} predictions are none of the classes."
        hint = f"Classes are {', '.join(classes)}."
        raise Rejected([rows_finding("unknown-class", message, _numbers(unknown), len(unknown), hint)])
    return _Aligned(label_codes(truth, target, classes), codes[order], weights, len(classes), probable=False)


def classes_of(prediction: Canonical, truth: Canonical, spec: Spec) -> tuple[str, ...]:
    """The classes both sides use. With an open list, a class that only the entry names is wrong, not unknown."""
    classes, own = class_list(truth, spec), prediction.attrs.get("classes")
    if spec.truth.classes:
        return classes
    given = own if own is not None else factorize(column(prediction, f"value.{spec.submission.prediction}"))[1]
    return tuple(dict.fromkeys((*classes, *given)))


def _probable(prediction: Canonical, truth: Canonical, spec: Spec, order: Codes) -> tuple[Codes, Array]:
    """Truth and probabilities: several columns in class order, or one column for the probability of its class."""
    columns = dict(spec.submission.probabilities or {})
    target = f"value.{spec.truth.target}"
    classes = tuple(columns) if len(columns) == 1 else class_list(truth, spec)
    p = [np.asarray(column(prediction, f"value.{columns[label]}"), dtype=np.float64)[order] for label in classes]
    codes = label_codes(truth, target, classes)
    return ((codes == 0).astype(np.int64), p[0]) if len(columns) == 1 else (codes, np.stack(p, axis=1))
