"""The engine: plan → partial states → merge → finish, the same bits whoever computes the parts.

A pairing yields aligned samples per part; every family turns each into a state. States of one (block, side) are
merged in the order of the plan, blocks in the order of their keys. Neither order depends on the runner, so inline,
threads and a cluster give identical numbers.
"""

import json
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TypeGuard

import numpy as np

from datasets.blocks import ALL, PRIVATE, PUBLIC, SIDES, Side
from datasets.canonical import Canonical
from datasets.spec import Spec
from datasets.threads import allowed, each, using
from scoring.contracts import Bounds, Confusion, Matrix, MetricValues, Scores
from scoring.kinds import KINDS
from scoring.kinds.pairing import Pairing, TruthSet
from scoring.metrics.registry import METRICS, families
from scoring.rules import sample_type
from scoring.state import FINE, BlockKey, Detail, Family, Options, Refined, State, Study, Which
from scoring.statistics import BlockStates, States

Measured = dict[str, tuple[float, float]]  # value and bound by metric
Partials = dict[BlockKey, dict[str, State]]
BUNDLES = 64  # tasks a pass is cut into at most
FEW_BUNDLES = 16  # where each brings many cells along, or the rows themselves
ROWS = 1 << 23  # of one such bundle, as long as there are not more than BUNDLES
SMALL = 1 << 17  # rows whose order is simply sorted
GATHERED = 16  # states of one place joined at a time
CONFUSION, MOST_CLASSES = "confusion", 64


@cache
def _refines(kind: type) -> bool:
    return issubclass(kind, Refined)


def is_refined(family: Family) -> TypeGuard[Refined]:
    """Whether a family reads large data several times; asked of its class once, as protocols answer slowly."""
    return _refines(type(family))


class Asked:
    """What the families asked of the pass under way: kept for its bundles, and no longer than the plan."""

    def __init__(self) -> None:
        self._detail, self._found = b"", dict[str, Detail]()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type["Asked"], tuple[()]]:
        return Asked, ()  # a plan that travels reads for itself

    def of(self, detail: bytes) -> Mapping[str, Detail]:
        """By family."""
        with self._lock:
            if detail != self._detail:
                self._found = {name: Detail(about) for name, about in unpack_details(detail).items()}
                self._detail = detail
            return self._found


@dataclass(frozen=True)
class Plan:
    """One scoring run: the aligned pair, cut into parts, and the families its metrics need."""

    pairing: Pairing
    families: Mapping[str, Family]
    options: Options
    metrics: tuple[str, ...] = ()
    asked: Asked = field(default_factory=Asked, compare=False)

    @classmethod
    def of(cls, spec: Spec, truth: TruthSet, prediction: Canonical) -> "Plan":
        """Pair prediction and truth.

        Raises:
            Rejected: the prediction does not cover the truth one to one.
        """
        pairing = KINDS[spec.challenge.kind].pair(prediction, truth, spec)
        metrics = tuple(spec.scoring.metrics)
        return cls(pairing, families(sample_type(spec), metrics), spec.scoring.options, metrics)

    @property
    def bundles(self) -> int:
        """How many tasks a pass is cut into; depends on the data alone."""
        few = min(BUNDLES, max(FEW_BUNDLES, self.pairing.rows // ROWS))
        return min(self.pairing.parts, few if self.refined else BUNDLES)

    def parts(self, bundle: int) -> range:
        """The consecutive parts that one task reads."""
        first, last = (self.pairing.parts * number // self.bundles for number in (bundle, bundle + 1))
        return range(first, last)

    @property
    def refined(self) -> dict[str, Refined]:
        """The families that read this data several times; none when it is small enough to be sorted."""
        if self.pairing.rows <= SMALL:
            return {}
        return {name: family for name, family in self.families.items() if is_refined(family)}

    def partials(self, bundle: int, detail: bytes = b"") -> Partials:
        """The states of one bundle of parts, by (block key, side) and family; ``detail`` as in PartTask."""
        asked = self.asked.of(detail)
        collectors = {
            name: family.collector(asked.get(name) or Detail(), self.pairing.rows)
            for name, family in self.refined.items()
            if name in asked or not detail
        }
        plain = {} if detail else {name: self.families[name] for name in self.families if name not in collectors}
        joined = Joined(plain)
        for part in self.parts(bundle):
            for key, side, sample in self.pairing.samples(part):
                joined.add((key, side), {name: family.partial(sample, self.options) for name, family in plain.items()})
                for collector in collectors.values():
                    collector.add((key, side), sample)
        found = joined.states()
        for name, collector in collectors.items():
            for place, state in collector.states().items():
                found.setdefault(place, {})[name] = state
        return found


@dataclass(frozen=True)
class PartTask:
    """One pass over the data, bundle by bundle. ``detail`` says what the pass is about; b"" is the first pass."""

    plan: Plan
    detail: bytes = b""

    def __call__(self, number: int) -> Partials:
        return self.plan.partials(number, self.detail)


Runner = Callable[[PartTask, int], Iterable[Partials]]


class Joined:
    """States by place and family, joined in the order they come, a few at a time so that none are piled up."""

    def __init__(self, families_: Mapping[str, Family]) -> None:
        self._families = families_
        self._waiting: dict[BlockKey, dict[str, list[State]]] = {}

    def add(self, place: BlockKey, states: States) -> None:
        """Take the states of some families at a place."""
        here = self._waiting.setdefault(place, {})
        for name, state in states.items():
            waiting = here.setdefault(name, [])
            waiting.append(state)
            if len(waiting) == GATHERED:
                here[name] = [self._families[name].merge(waiting)]

    def states(self) -> Partials:
        """What was added, joined; places by key and side."""
        ordered = sorted(self._waiting, key=lambda at: (at[0], SIDES.index(at[1])))
        return {place: self._at(place) for place in ordered}

    def _at(self, place: BlockKey) -> dict[str, State]:
        here = self._waiting[place]
        return {name: family.merge(here[name]) for name, family in self._families.items() if name in here}


@dataclass(frozen=True)
class Outcome:
    """What scoring gave."""

    scores: Scores
    blocks: int
    block_states: BlockStates
    bounds: Bounds
    confusion: Confusion | None = None


def inline(task: PartTask, bundles: int) -> Iterator[Partials]:
    """One bundle after the other, in this thread."""
    return map(task, range(bundles))


@dataclass(frozen=True)
class Threads:
    """A runner with ``count`` threads of this process; few bundles are under way at once."""

    count: int

    def __call__(self, task: PartTask, bundles: int) -> Iterator[Partials]:
        return each(task, range(bundles), threads=self.count)


def threads(count: int) -> Runner:
    """A runner with ``count`` threads, which also join and end the passes of studies."""
    return Threads(count)


def score(spec: Spec, truth: TruthSet, prediction: Canonical, *, run: Runner = inline) -> Outcome:
    """Score a prediction with every metric of the challenge: in one pass, or several where order matters.

    Raises:
        Rejected: the prediction does not cover the truth one to one.
    """
    return carry_out(spec, Plan.of(spec, truth, prediction), run=run)


def carry_out(spec: Spec, plan: Plan, *, run: Runner = inline) -> Outcome:
    """Score an aligned pair."""
    with using(run.count if isinstance(run, Threads) else allowed()):
        return _carried_out(spec, plan, run)


def _carried_out(spec: Spec, plan: Plan, run: Runner) -> Outcome:
    pairing = plan.pairing
    studies = {
        name: family.study(plan.metrics, plan.options, rows=pairing.rows, blocks=pairing.blocks)
        for name, family in plan.refined.items()
    }
    joined, detail = Joined(plan.families), b""
    asked: dict[str, bytes] = {}
    while True:
        for partials in run(PartTask(plan, detail), plan.bundles):
            _take(partials, joined, studies)
        details = {name: study.next() for name, study in studies.items() if not detail or name in asked}
        asked = {name: about for name, about in details.items() if about is not None}
        if not asked:
            break
        detail = pack_details(asked)
    only = next((key for key, _ in joined.states()), ALL) if pairing.blocks == 1 else ALL
    for name, study in studies.items():
        for side, state in study.blocks().items():
            joined.add((only, side), {name: state})
    return conclude(spec, plan, joined.states(), studies)


def _take(partials: Partials, joined: Joined, studies: Mapping[str, Study]) -> None:
    for place, states in partials.items():
        if place[0] == FINE:
            for name, state in states.items():
                studies[name].take(place[1], state)
        else:
            joined.add(place, states)


def conclude(spec: Spec, plan: Plan, states: Mapping[BlockKey, States], studies: Mapping[str, Study]) -> Outcome:
    """Fold block states into metric values over all blocks, the public and the private ones."""
    groups: dict[Which, list[States]] = {
        "overall": list(states.values()),
        "public": _on_side(states, PUBLIC),
        "private": _on_side(states, PRIVATE),
    }
    found: dict[Which, Measured] = {"overall": _measured(spec, plan.families, groups["overall"], studies, "overall")}
    for which in ("public", "private"):
        alike = len(groups[which]) == len(states)  # all blocks are on that side
        found[which] = found["overall"] if alike else _measured(spec, plan.families, groups[which], studies, which)
    return Outcome(
        Scores(**{which: _values(own) for which, own in found.items()}),
        plan.pairing.blocks,
        dict(states),
        Bounds(**{which: _bounds(own) for which, own in found.items()}),
        _confusion(plan, groups),
    )


def _confusion(plan: Plan, groups: Mapping[Which, Sequence[States]]) -> Confusion | None:
    """The confusion matrices of classes; None for other samples, and for more classes than a page can show."""
    family, classes = plan.families.get(CONFUSION), plan.pairing.classes
    if family is None or not 0 < len(classes) <= MOST_CLASSES:
        return None
    found: dict[Which, Matrix] = {}
    for which, states in groups.items():
        sums = family.merge([state[CONFUSION] for state in states])["sums"] if states else np.zeros(0)
        matrix = sums if sums.size else np.zeros((len(classes), len(classes)))
        found[which] = tuple(tuple(float(weight) for weight in matrix[row]) for row in range(len(matrix)))
    return Confusion(classes=classes, overall=found["overall"], public=found["public"], private=found["private"])


def by_block(spec: Spec, outcome: Outcome) -> list[tuple[BlockKey, MetricValues, dict[str, float]]]:
    """Every metric in every block, and the bounds of those not exact, for those who may see both sides."""
    needed = families(sample_type(spec), spec.scoring.metrics)
    rows = ((place, _measured(spec, needed, [states], {}, "overall")) for place, states in outcome.block_states.items())
    return [(place, _values(found), _bounds(found)) for place, found in rows]


def _values(measured: Measured) -> MetricValues:
    return {name: value if math.isfinite(value) else None for name, (value, _) in measured.items()}


def _bounds(measured: Measured) -> dict[str, float]:
    return {name: bound for name, (_, bound) in measured.items() if bound > 0 and math.isfinite(bound)}


def _on_side(states: Mapping[BlockKey, States], side: Side) -> list[States]:
    return [state for (_, own), state in states.items() if own == side]


def _measured(
    spec: Spec, families_: Mapping[str, Family], states: Sequence[States], studies: Mapping[str, Study], which: Which
) -> Measured:
    """Value and bound of every metric; nan without blocks or where the metric is undefined."""
    if not states:
        return dict.fromkeys(spec.scoring.metrics, (math.nan, 0.0))
    sample, options = sample_type(spec), spec.scoring.options
    merged = {
        name: family.merge([state[name] for state in states if name in state])
        for name, family in families_.items()
        if name not in studies
    }
    found = {}
    for name in spec.scoring.metrics:
        metric = METRICS[sample, name]
        if metric.family.name in studies:
            found[name] = studies[metric.family.name].value(name, which)
        else:
            state = merged[metric.family.name]
            found[name] = float(metric.finish(state, options)), float(metric.bound(state, options))
    return found


def pack_details(details: Mapping[str, bytes]) -> bytes:
    """What a pass is about, family by family, in one piece."""
    index = json.dumps({name: len(about) for name, about in details.items()}).encode()
    return b"".join([index, b"\n", *details.values()])


def unpack_details(detail: bytes) -> Mapping[str, bytes]:
    """The inverse of pack_details; b"" holds nothing."""
    if not detail:
        return {}
    index, _, rest = detail.partition(b"\n")
    found, start = {}, 0
    for name, size in json.loads(index).items():
        found[name] = rest[start : start + size]
        start += size
    return found
