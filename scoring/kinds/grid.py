"""Grids: n-d arrays aligned by dimension name and coordinate label; members make an ensemble."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.blocks import SIDES, Placed, placed_by_labels, placed_whole
from datasets.canonical import Array, Canonical
from datasets.errors import EngineFault, Finding, Rejected
from datasets.spec import COS_LAT, Spec
from scoring.kinds.columns import column, id_codes, text_of
from scoring.kinds.pairing import FEW, Block, Pairing, TruthSet, spread
from scoring.rules import option, sample_type
from scoring.samples import Ensemble, Numbers

Ints = npt.NDArray[np.int64]
PART_BYTES = 16 << 20
LATITUDES = ("lat", "latitude")


def dims_of(canonical: Canonical) -> tuple[str, ...]:
    return tuple(canonical.attrs["dims"])


def labels_of(canonical: Canonical, dim: str) -> list[str]:
    """The coordinate labels along a dimension as text; times in ISO 8601, UTC, without a clock time at midnight."""
    values = column(canonical, f"coord.{dim}")
    if dict(canonical.attrs.get("axis_types") or {}).get(dim) != "time":
        return [str(label) for label in text_of(values).to_pylist()]
    stamps = np.asarray(values).astype("datetime64[ns]")
    midnight = bool((stamps == stamps.astype("datetime64[D]")).all())
    return [str(label) for label in stamps.astype("datetime64[D]" if midnight else "datetime64[s]")]


def member_of(prediction: Canonical, spec: Spec) -> str | None:
    """The name of the prediction's ensemble dimension."""
    name = prediction.attrs.get("member") or spec.submission.member or spec.truth.member
    return name if name in dims_of(prediction) else None


def check(prediction: Canonical, template: Canonical, spec: Spec) -> list[Finding]:
    """Dimensions and labels against the template's (the truth or the sample); its own members do not count."""
    member = member_of(prediction, spec)
    own = [dim for dim in dims_of(template) if dim not in {template.attrs.get("member"), member}]
    given = [dim for dim in dims_of(prediction) if dim != member]
    if set(own) != set(given):
        message = f"The dimensions are {', '.join(given) or 'none'}; {', '.join(own)} are asked for."
        return [Finding("missing-variable", message, {"dimensions": given}, "Name the dimensions as in the template.")]
    findings = [finding for dim in own for finding in _label_findings(prediction, template, dim)]
    return findings or _gap_findings(prediction, template, own, member)


def _label_findings(prediction: Canonical, template: Canonical, dim: str) -> Iterator[Finding]:
    wanted, given = column(template, f"coord.{dim}"), column(prediction, f"coord.{dim}")
    left, right = id_codes([wanted], [given])
    sides = (
        (template, ~np.isin(left, right), "missing"),
        (prediction, ~np.isin(right, left), "not asked for"),
    )
    for canonical, lost, word in sides:
        if lost.any():
            names = labels_of(canonical, dim)
            labels = [names[int(i)] for i in np.flatnonzero(lost)[:FEW]]
            count = int(lost.sum())
            message = f"Along {dim} {count} labels are {word}, first {labels[0]!r}."
            yield Finding(
                "wrong-labels",
                message,
                {"dimension": dim, "labels": labels, "count": count},
                "Take the labels from the template.",
            )
    if len(np.unique(right)) < len(right):
        yield Finding(
            "duplicate-label", f"A label stands twice along {dim}.", {"dimension": dim}, "Keep each label once."
        )


def _gap_findings(prediction: Canonical, template: Canonical, dims: list[str], member: str | None) -> list[Finding]:
    """Values that are not finite where the template has a value."""
    aligned = Aligned.of(prediction, template, tuple(dims), member)
    count, first = 0, None
    for part in aligned.parts:
        y, x = aligned.cut(part)
        bad = ~np.isfinite(x).all(axis=-1) & np.isfinite(y)
        here = int(bad.sum())
        if here and first is None:
            place = np.unravel_index(int(np.argmax(bad)), bad.shape)
            first = {dim: aligned.label(dim, int(i) + cut.start) for dim, i, cut in zip(dims, place, part, strict=True)}
        count += here
    if first is None:
        return []
    message = f"{count} cells that are scored hold no finite value."
    return [
        Finding(
            "missing-cells", message, {"cell": first, "count": count}, "Give every cell, and every member, a value."
        )
    ]


@dataclass(frozen=True)
class Aligned:
    """Truth with dims in its own order, and the prediction as a view with the same dims and members last.

    ``picks``: for each dim the prediction's positions in the truth's label order, None where they are the same.
    """

    dims: tuple[str, ...]
    template: Canonical
    truth: Array
    prediction: Array
    picks: tuple[Ints | None, ...]
    parts: tuple[tuple[slice, ...], ...]

    @classmethod
    def of(cls, prediction: Canonical, template: Canonical, dims: tuple[str, ...], member: str | None) -> "Aligned":
        own = dims_of(template)
        truth = np.transpose(
            template.arrays["data"], [own.index(d) for d in dims] + [i for i, d in enumerate(own) if d not in dims]
        )
        if truth.ndim > len(dims):  # a sample with members as template: any member shows which cells are asked for
            truth = truth[..., 0]
        names = dims_of(prediction)
        order = [names.index(dim) for dim in dims] + ([names.index(member)] if member else [])
        view = np.transpose(prediction.arrays["data"], order)
        view = view if member else view[..., None]
        picks = tuple(_pick(prediction, template, dim) for dim in dims)
        return cls(dims, template, truth, view, picks, tuple(_parts(truth.shape, view.shape[-1] * view.dtype.itemsize)))

    def cut(self, part: tuple[slice, ...]) -> tuple[Array, Array]:
        """Truth and prediction (members last) of one part."""
        x: Any = self.prediction
        for axis, (pick, rows) in enumerate(zip(self.picks, part, strict=True)):
            x = x[(slice(None),) * axis + (rows if pick is None else pick[rows],)]
        return np.asarray(self.truth[part]), np.asarray(x)

    def label(self, dim: str, place: int) -> str:
        return labels_of(self.template, dim)[place]


def _pick(prediction: Canonical, template: Canonical, dim: str) -> Ints | None:
    left, right = id_codes([column(template, f"coord.{dim}")], [column(prediction, f"coord.{dim}")])
    if np.array_equal(left, right):
        return None
    place = np.zeros(int(right.max(initial=0)) + 1, dtype=np.int64)
    place[right] = np.arange(len(right))
    return place[left]


def _parts(shape: tuple[int, ...], width: int) -> Iterator[tuple[slice, ...]]:
    """Slabs of about 16 MiB: whole trailing dimensions, ranges of the next, single steps of the leading ones."""
    inner, axis = width, len(shape)
    while axis and inner * shape[axis - 1] <= PART_BYTES:
        axis -= 1
        inner *= shape[axis]
    if not axis:
        yield tuple(slice(0, length) for length in shape)
        return
    ranges = spread(shape[axis - 1], PART_BYTES // max(1, inner))
    tail = tuple(slice(0, length) for length in shape[axis:])
    for lead in product(*(range(length) for length in shape[: axis - 1])):
        for start, stop in ranges:
            yield (*(slice(i, i + 1) for i in lead), slice(start, stop), *tail)


def pair(prediction: Canonical, truth: TruthSet, spec: Spec) -> Pairing:
    """Align by dimension name and label. Cells whose truth is NaN are outside the challenge.

    Raises:
        Rejected: dimensions or labels differ, or a scored cell holds no value.
    """
    findings = check(prediction, truth.truth, spec)
    if findings:
        raise Rejected(findings)
    dims = dims_of(truth.truth)
    aligned = Aligned.of(prediction, truth.truth, dims, member_of(prediction, spec))
    cutter = Cutter(
        aligned, place(truth.truth, spec), _axis(dims, spec), _weights(truth.truth, spec), _groups(truth.truth, spec)
    )
    wanted = sample_type(spec)

    def samples(part: int) -> Iterator[Block]:
        return cutter.samples(aligned.parts[part], ensemble=wanted == "ensemble")

    return Pairing(len(aligned.parts), samples, len(cutter.placed.keys))


def place(truth: Canonical, spec: Spec) -> Placed:
    """The block of each label along the dimension [blocks] names; one block for everything without it."""
    if spec.blocks is None or spec.blocks.by is None:
        return placed_whole(1)
    if spec.blocks.by not in dims_of(truth):
        raise EngineFault(f"the truth has no dimension {spec.blocks.by!r} to cut blocks by")
    labels = labels_of(truth, spec.blocks.by)
    return placed_by_labels(np.arange(len(labels)), labels, spec.blocks)


def _axis(dims: tuple[str, ...], spec: Spec) -> int | None:
    return dims.index(spec.blocks.by) if spec.blocks and spec.blocks.by in dims else None


def _weights(truth: Canonical, spec: Spec) -> Array | None:
    """Weights that broadcast over the truth: its weight array, or the cosine of its latitude."""
    if "weight" in truth.arrays:
        return np.asarray(truth.arrays["weight"], dtype=np.float64)
    if spec.truth.weight != COS_LAT:
        return None
    dims = dims_of(truth)
    axis = next((dims.index(name) for name in LATITUDES if name in dims), None)
    if axis is None:
        raise EngineFault(f"weight = {COS_LAT!r} needs a dimension named {' or '.join(LATITUDES)}")
    cosine = np.cos(np.deg2rad(np.asarray(column(truth, f"coord.{dims[axis]}"), dtype=np.float64)))
    return np.broadcast_to(
        cosine.reshape([-1 if i == axis else 1 for i in range(len(dims))]), truth.arrays["data"].shape
    )


def _groups(truth: Canonical, spec: Spec) -> Array | None:
    """A number per truth cell that is the same along the dimensions which make up a vector of the energy score."""
    if "energy_score" not in spec.scoring.metrics:
        return None
    over = option(spec.scoring.options, "energy_score", "over")
    over = {over} if isinstance(over, str) else set(over or ())
    dims, shape = dims_of(truth), truth.arrays["data"].shape
    if not over & set(dims):
        return None
    kept = [1 if dim in over else length for dim, length in zip(dims, shape, strict=True)]
    return np.broadcast_to(np.arange(int(np.prod(kept))).reshape(kept), shape)


@dataclass(frozen=True)
class Cutter:
    """Cuts a slab into blocks along one axis and drops cells without truth."""

    aligned: Aligned
    placed: Placed
    axis: int | None
    weight: Array | None
    group: Array | None

    def samples(self, part: tuple[slice, ...], *, ensemble: bool) -> Iterator[Block]:
        y, x = self.aligned.cut(part)
        labels = range(1) if self.axis is None else range(part[self.axis].start, part[self.axis].stop)
        for number, label in enumerate(labels):
            here: tuple[Any, ...] = (
                (slice(None),) * y.ndim if self.axis is None else (*(slice(None),) * self.axis, number)
            )
            truth, members = y[here], x[here]
            keep = np.isfinite(truth)
            if not keep.any():
                continue
            w, group = (None if a is None else a[part][here][keep] for a in (self.weight, self.group))
            key, side = self.placed.keys[self.placed.codes[label]], SIDES[self.placed.sides[label]]
            values = members[keep]
            yield (
                key,
                side,
                Ensemble(truth[keep], values, w, group) if ensemble else Numbers(truth[keep], values[:, 0], w),
            )
