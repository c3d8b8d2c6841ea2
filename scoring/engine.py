"""The engine: plan → partial states → merge → finish, the same bits whoever computes the parts.

A pairing yields aligned samples per part; every family turns each into a state. States of one (block, side) are
merged in the order of the plan, blocks in the order of their keys. Neither order depends on the runner, so inline,
threads and a cluster give identical numbers.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from datasets.blocks import PRIVATE, PUBLIC, SIDES, Side
from datasets.canonical import Canonical
from datasets.spec import Spec
from scoring.contracts import MetricValues, Scores
from scoring.kinds import KINDS
from scoring.kinds.pairing import Pairing, TruthSet
from scoring.metrics.registry import METRICS, families
from scoring.rules import sample_type
from scoring.state import Family, Options, State
from scoring.statistics import BlockKey, BlockStates, States

Partials = dict[BlockKey, dict[str, State]]
PartTask = Callable[[int], Partials]
Runner = Callable[[PartTask, int], Iterable[Partials]]


@dataclass(frozen=True)
class Plan:
    """One scoring run: the aligned pair, cut into parts, and the families its metrics need."""

    pairing: Pairing
    families: Mapping[str, Family]
    options: Options

    @classmethod
    def of(cls, spec: Spec, truth: TruthSet, prediction: Canonical) -> "Plan":
        """Pair prediction and truth.

        Raises:
            Rejected: the prediction does not cover the truth one to one.
        """
        pairing = KINDS[spec.challenge.kind].pair(prediction, truth, spec)
        return cls(pairing, families(sample_type(spec), spec.scoring.metrics), spec.scoring.options)

    def partials(self, part: int) -> Partials:
        """The states of one part, by (block key, side) and family."""
        found: Partials = {}
        for key, side, sample in self.pairing.samples(part):
            states = {name: family.partial(sample, self.options) for name, family in self.families.items()}
            found[key, side] = states if (key, side) not in found else self._joined([found[key, side], states])
        return found

    def _joined(self, states: list[dict[str, State]]) -> dict[str, State]:
        return {name: family.merge([state[name] for state in states]) for name, family in self.families.items()}

    def merge(self, parts: Iterable[Partials]) -> BlockStates:
        """The states of every (block, side), by key and side; ``parts`` in the order of the plan."""
        gathered: dict[BlockKey, list[dict[str, State]]] = {}
        for partials in parts:
            for place, states in partials.items():
                gathered.setdefault(place, []).append(states)
        ordered = sorted(gathered, key=lambda place: (place[0], SIDES.index(place[1])))
        return {place: self._joined(gathered[place]) for place in ordered}


@dataclass(frozen=True)
class Outcome:
    """What scoring gave. ``bounds``: certified error of each overall value that is not exact."""

    scores: Scores
    blocks: int
    block_states: BlockStates
    bounds: dict[str, float]


def inline(task: PartTask, parts: int) -> Iterator[Partials]:
    """One part after the other, in this thread."""
    return map(task, range(parts))


def threads(count: int) -> Runner:
    """A runner with ``count`` threads of this process."""

    def run(task: PartTask, parts: int) -> Iterator[Partials]:
        with ThreadPoolExecutor(count) as pool:
            yield from pool.map(task, range(parts))

    return run


def score(spec: Spec, truth: TruthSet, prediction: Canonical, *, run: Runner = inline) -> Outcome:
    """Score a prediction with every metric of the challenge, in one pass.

    Raises:
        Rejected: the prediction does not cover the truth one to one.
    """
    plan = Plan.of(spec, truth, prediction)
    return conclude(spec, plan, plan.merge(run(plan.partials, plan.pairing.parts)))


def conclude(spec: Spec, plan: Plan, states: BlockStates) -> Outcome:
    """Fold block states into metric values over all blocks, the public and the private ones."""
    values = partial(_values, spec, plan.families)
    overall = [state for _, state in states.items()]
    public, private = (_on_side(states, side) for side in (PUBLIC, PRIVATE))
    scores = Scores(overall=values(overall), public=values(public), private=values(private))
    return Outcome(scores, plan.pairing.blocks, states, _bounds(spec, plan.families, overall))


def by_block(spec: Spec, outcome: Outcome) -> list[tuple[BlockKey, MetricValues]]:
    """Every metric in every block, for those who may see both sides."""
    needed = families(sample_type(spec), spec.scoring.metrics)
    return [(place, _values(spec, needed, [states])) for place, states in outcome.block_states.items()]


def _on_side(states: BlockStates, side: Side) -> list[States]:
    return [state for (_, own), state in states.items() if own == side]


def _merged(families_: Mapping[str, Family], states: list[States]) -> dict[str, State]:
    return {name: family.merge([state[name] for state in states]) for name, family in families_.items()}


def _values(spec: Spec, families_: Mapping[str, Family], states: list[States]) -> MetricValues:
    """One number per metric; None without blocks or where the metric is undefined."""
    if not states:
        return dict.fromkeys(spec.scoring.metrics)
    merged, sample, options = _merged(families_, states), sample_type(spec), spec.scoring.options
    found: MetricValues = {}
    for name in spec.scoring.metrics:
        metric = METRICS[sample, name]
        value = float(metric.finish(merged[metric.family.name], options))
        found[name] = value if math.isfinite(value) else None
    return found


def _bounds(spec: Spec, families_: Mapping[str, Family], states: list[States]) -> dict[str, float]:
    if not states:
        return {}
    merged, sample, options = _merged(families_, states), sample_type(spec), spec.scoring.options
    metrics = {name: METRICS[sample, name] for name in spec.scoring.metrics}
    bounds = {name: float(metric.bound(merged[metric.family.name], options)) for name, metric in metrics.items()}
    return {name: bound for name, bound in bounds.items() if bound > 0 and math.isfinite(bound)}
