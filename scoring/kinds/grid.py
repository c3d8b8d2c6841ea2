"""Grids: n-d arrays aligned by dimension name and coordinate label; members make an ensemble."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import isqrt, prod

import numpy as np
import numpy.typing as npt

from datasets.blocks import SIDES, Placed, placed_by_labels, placed_whole
from datasets.canonical import Array, Canonical, release
from datasets.errors import EngineFault, Finding, Rejected
from datasets.spec import COS_LAT, Spec
from scoring.kinds.columns import Column, column, is_text, joint_codes, text_of
from scoring.kinds.pairing import FEW, Block, Pairing, TruthSet, spread
from scoring.kinds.windows import window
from scoring.metrics.ensemble_loops import all_finite
from scoring.rules import option, sample_type
from scoring.samples import Ensemble, Numbers

Ints = npt.NDArray[np.int64]
PART_BYTES = 16 << 20
MOST_PAIRS = 1 << 40  # of members, in all cells together, that the energy score of vectors may compare: 17 min at 1 ns
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
    left, right = _label_codes(wanted, given)
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


def _label_codes(wanted: Column, given: Column) -> tuple[Ints, Ints]:
    """Codes of two lists of labels; equal labels have equal codes."""
    if is_text(wanted) or is_text(given):
        return joint_codes(wanted, given)
    _, codes = np.unique(np.concatenate([np.asarray(wanted), np.asarray(given)]), return_inverse=True)
    return codes[: len(wanted)], codes[len(wanted) :]


def _gap_findings(prediction: Canonical, template: Canonical, dims: list[str], member: str | None) -> list[Finding]:
    """Values that are not finite where the template has a value."""
    if prediction.attrs.get("finite"):  # intake saw every value; whoever reads a window looks again
        return []
    aligned = Aligned.of(prediction, template, tuple(dims), member)
    count, first = 0, None
    for part in aligned.parts:
        y, x = aligned.cut(part)
        bad = ~np.isfinite(x).all(axis=0) & np.isfinite(y)
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
    """Truth and prediction by the same dims; both are read in windows and never held whole.

    ``own``, ``names``: the axis of truth and prediction for each dim, ``member`` the prediction's axis of members.
    ``picks``: for each dim the prediction's positions in the truth's label order, None where they are the same.
    """

    dims: tuple[str, ...]
    template: Canonical
    prediction: Array
    own: tuple[int, ...]
    names: tuple[int, ...]
    member: int | None
    picks: tuple[Ints | None, ...]
    parts: tuple[tuple[slice, ...], ...]

    @classmethod
    def of(
        cls,
        prediction: Canonical,
        template: Canonical,
        dims: tuple[str, ...],
        member: str | None,
        whole: frozenset[str] = frozenset(),
    ) -> "Aligned":
        """``whole``: dims that no part may cut."""
        theirs, names = dims_of(template), dims_of(prediction)
        own = tuple(theirs.index(dim) for dim in dims)
        data, axis = prediction.arrays["data"], None if member is None else names.index(member)
        shape = tuple(template.arrays["data"].shape[axis] for axis in own)
        width = data.itemsize * (1 if axis is None else data.shape[axis])
        picks = tuple(_pick(prediction, template, dim) for dim in dims)
        parts = _parts(shape, width, frozenset(dims.index(dim) for dim in whole if dim in dims))
        return cls(dims, template, data, own, tuple(names.index(dim) for dim in dims), axis, picks, tuple(parts))

    def cut(self, part: tuple[slice, ...], lead: int | None = None) -> tuple[Array, Array]:
        """Truth and prediction of one part, the members in front; dim ``lead`` of both comes before everything."""
        first = [] if lead is None else [lead]
        order = [*first, *(place for place in range(len(self.dims)) if place != lead)]
        return self._truth(part, order), self._members(part, order, len(first))

    def _truth(self, part: tuple[slice, ...], order: list[int]) -> Array:
        data = self.template.arrays["data"]
        cuts = [slice(0, 1)] * data.ndim  # a sample with members as template: any of them shows which cells are asked
        for axis, rows in zip(self.own, part, strict=True):
            cuts[axis] = rows
        rest = [axis for axis in range(data.ndim) if axis not in self.own]
        found = window(data, cuts, [*rest, *(self.own[place] for place in order)])
        return found.reshape(found.shape[len(rest) :])

    def _members(self, part: tuple[slice, ...], order: list[int], leading: int) -> Array:
        cuts: list[slice | Ints] = [slice(0, 0)] * self.prediction.ndim
        for axis, pick, rows in zip(self.names, self.picks, part, strict=True):
            cuts[axis] = rows if pick is None else pick[rows]
        axes = [self.names[place] for place in order]
        if self.member is None:
            return np.expand_dims(window(self.prediction, cuts, axes), leading)
        cuts[self.member] = slice(0, self.prediction.shape[self.member])
        return window(self.prediction, cuts, [*axes[:leading], self.member, *axes[leading:]])

    def label(self, dim: str, place: int) -> str:
        return labels_of(self.template, dim)[place]


def _pick(prediction: Canonical, template: Canonical, dim: str) -> Ints | None:
    left, right = _label_codes(column(template, f"coord.{dim}"), column(prediction, f"coord.{dim}"))
    if np.array_equal(left, right):
        return None
    place = np.zeros(int(right.max(initial=0)) + 1, dtype=np.int64)
    place[right] = np.arange(len(right))
    return place[left]


def _parts(shape: tuple[int, ...], width: int, whole: frozenset[int]) -> Iterator[tuple[slice, ...]]:
    """Slabs of about 16 MiB: whole trailing dimensions, ranges of the next, single steps of the leading ones.

    Dimensions in ``whole`` are never cut, however large that makes a slab.
    """
    steps = [length if axis in whole else 1 for axis, length in enumerate(shape)]
    for axis in reversed(range(len(shape))):
        room = PART_BYTES // max(1, width * prod(steps))
        steps[axis] = max(steps[axis], min(shape[axis], room))
        if steps[axis] < shape[axis]:
            break
    ranges = [spread(length, step) for length, step in zip(shape, steps, strict=True)]
    for place in product(*ranges):
        yield tuple(slice(start, stop) for start, stop in place)


def pair(prediction: Canonical, truth: TruthSet, spec: Spec) -> Pairing:
    """Align by dimension name and label. Cells whose truth is NaN are outside the challenge.

    Raises:
        Rejected: dimensions or labels differ, or a scored cell holds no value.
    """
    findings = check(prediction, truth.truth, spec)
    if findings:
        raise Rejected(findings)
    dims = dims_of(truth.truth)
    vectors = frozenset(_vector_dims(spec))
    if vectors:
        _refuse_too_many(prediction, truth.truth, member_of(prediction, spec))
    aligned = Aligned.of(prediction, truth.truth, dims, member_of(prediction, spec), vectors)
    cutter = Cutter(
        aligned,
        place(truth.truth, spec),
        _axis(dims, spec),
        _weights(truth.truth, spec),
        _groups(truth.truth, spec),
        _edges(truth.truth),
        promised=bool(prediction.attrs.get("finite")),
    )
    wanted = sample_type(spec)

    def samples(part: int) -> Iterator[Block]:
        return cutter.samples(aligned.parts[part], ensemble=wanted == "ensemble")

    return Pairing(len(aligned.parts), samples, len(cutter.placed.keys), truth.truth.arrays["data"].size)


def _refuse_too_many(prediction: Canonical, truth: Canonical, member: str | None) -> None:
    """The energy score of vectors compares every member with every other: so many members must stay payable."""
    if member is None or member not in dims_of(prediction):
        return
    count, cells = prediction.arrays["data"].shape[dims_of(prediction).index(member)], truth.arrays["data"].size
    most = isqrt(2 * MOST_PAIRS // max(1, cells))
    if count > most:
        message = f"There are {count} members; the energy score of vectors over {cells} values takes at most {most}."
        raise Rejected([Finding("too-large", message, {"dim": member}, "Send fewer members.")])


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


def _vector_dims(spec: Spec) -> set[str]:
    """The dimensions that make up a vector of the energy score; none where it is not asked for."""
    if "energy_score" not in spec.scoring.metrics:
        return set()
    over = option(spec.scoring.options, "energy_score", "over")
    return {over} if isinstance(over, str) else set(over or ())


def _edges(truth: Canonical) -> Array | None:
    """The edges between the categories of every truth cell: (K − 1, and the truth's own shape), broadcast."""
    if "edges" not in truth.arrays:
        return None
    data, edges, names = truth.arrays["data"], truth.arrays["edges"], list(truth.attrs["edges_dims"])[1:]
    own = [dim for dim in dims_of(truth) if dim in names]
    turned = np.transpose(edges, [0, *(1 + names.index(dim) for dim in own)])
    sizes = [length if dim in own else 1 for dim, length in zip(dims_of(truth), data.shape, strict=True)]
    return np.broadcast_to(turned.reshape([len(edges), *sizes]), (len(edges), *data.shape))


def _groups(truth: Canonical, spec: Spec) -> tuple[int, ...] | None:
    """How the number of a cell's vector of the energy score grows along each dimension: 0 within a vector."""
    over = _vector_dims(spec)
    dims, shape = dims_of(truth), truth.arrays["data"].shape
    if not over & set(dims):
        return None
    kept = [1 if dim in over else length for dim, length in zip(dims, shape, strict=True)]
    return tuple(0 if dim in over else prod(kept[axis + 1 :]) for axis, dim in enumerate(dims))


@dataclass(frozen=True)
class Cutter:
    """Cuts a slab into blocks along one axis and drops cells without truth."""

    aligned: Aligned
    placed: Placed
    axis: int | None
    weight: Array | None
    groups: tuple[int, ...] | None
    edges: Array | None
    promised: bool

    def samples(self, part: tuple[slice, ...], *, ensemble: bool) -> Iterator[Block]:
        y, x = self.aligned.cut(part, self.axis)
        if self.promised and not all_finite(x.reshape(-1)):
            raise EngineFault("an array that intake found finite holds a value that is not")
        first = 0 if self.axis is None else part[self.axis].start
        if self.axis is None:
            y, x = y[None], x[None]
        for number in range(len(y)):
            truth, members = y[number].reshape(-1), x[number].reshape(x.shape[1], -1)
            keep = np.isfinite(truth)
            if not keep.any():
                continue
            w, edges = (self._cells(a, part, number) for a in (self.weight, self.edges))
            group = self._vectors(part, number)
            if not keep.all():
                truth, members = truth[keep], members[:, keep]
                w, group, edges = (None if a is None else a[..., keep] for a in (w, group, edges))
            label = first + number
            key, side = self.placed.keys[self.placed.codes[label]], SIDES[self.placed.sides[label]]
            if ensemble:
                yield key, side, Ensemble(truth, members.T, w, group, None if edges is None else edges.T)
            else:
                yield key, side, Numbers(truth, members[0], w)
        if self.edges is not None:
            release(self.aligned.template.arrays["edges"])

    def _vectors(self, part: tuple[slice, ...], number: int) -> Ints | None:
        """The number of the vector that each cell of one block of a part belongs to."""
        if self.groups is None:
            return None
        places = [np.arange(cut.start, cut.stop) for cut in part]
        if self.axis is not None:
            places[self.axis] = places[self.axis][number : number + 1]
        steps = np.ix_(*(own * step for own, step in zip(places, self.groups, strict=True)))
        return np.broadcast_to(sum(steps), [len(own) for own in places]).reshape(-1)

    def _cells(self, array: Array | None, part: tuple[slice, ...], number: int) -> Array | None:
        """What belongs to the cells of one block of a part: (n,), or (K − 1, n) of edges."""
        if array is None:
            return None
        more = array.ndim - len(part)
        found = array[(slice(None),) * more + part]
        if self.axis is not None:
            found = np.take(found, number, axis=more + self.axis)
        return found.reshape(*found.shape[:more], -1)
