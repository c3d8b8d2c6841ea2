"""The same plan gives the same bits in this thread, on several, and on Dask: every metric of the registry."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from datasets.blocks import SIDES
from datasets.sealing import generate_keys
from scoring import engine
from scoring.cluster import Cluster
from scoring.engine import Outcome, Partials, PartTask, Plan, Runner
from scoring.kinds.pairing import Pairing
from scoring.metrics.registry import families
from scoring.settings import EngineSettings
from scoring.statistics import pack, unpack
from tests.properties.making import KEYS, MAKERS, OPTIONS, VECTOR, take, weights

PARTS, BLOCKS, ROWS = 3, 9, 360
FORMS = [(kind, form) for kind, makers in MAKERS.items() for form in range(len(makers))]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    root = tmp_path_factory.mktemp("cluster")
    settings = EngineSettings(root / "blobs", root / "scratch", *generate_keys())
    with Cluster.local(workers=2, settings=settings, processes=False) as made:
        yield made


def plan_of(kind: str, form: int, *, weighted: bool) -> Plan:
    """All metrics of a sample type, in nine blocks on three sides and three parts, each block in all of them."""
    rng = np.random.default_rng(form)
    sample = MAKERS[kind][form](rng, ROWS)
    if weighted:
        sample = replace(sample, w=weights(sample, rng))
    names = tuple(name for other, name in KEYS if other == kind)
    cuts = sorted(VECTOR * rng.integers(0, ROWS // VECTOR, 4 * BLOCKS - 1))
    pieces = [take(sample, slice(a, b), totals=not a) for a, b in pairwise([0, *cuts, ROWS])]
    placed = [(f"b{i % BLOCKS}", SIDES[i % BLOCKS % len(SIDES)], piece) for i, piece in enumerate(pieces)]
    parts = [placed[len(placed) * k // PARTS : len(placed) * (k + 1) // PARTS] for k in range(PARTS)]
    return Plan(Pairing(PARTS, lambda part: iter(parts[part]), BLOCKS, ROWS), families(kind, names), OPTIONS, names)


def on_dask(cluster: Cluster) -> Runner:
    """Every bundle as a task on a worker that answers with bytes, as bundles of large entries are spread."""

    def run(task: PartTask, bundles: int) -> Iterable[Partials]:
        def answer(number: int) -> bytes:
            return pack(task(number))

        futures = [cluster._client.submit(answer, number, pure=False) for number in range(bundles)]
        return ({place: dict(states) for place, states in unpack(future.result(60)).items()} for future in futures)

    return run


def outcome(kind: str, plan: Plan, run: Runner, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    spec: Any = SimpleNamespace(scoring=SimpleNamespace(metrics=plan.metrics, options=plan.options))
    monkeypatch.setattr(engine, "sample_type", lambda _: kind)
    return engine.carry_out(spec, plan, run=run)


HOW = {"sorted": (False, False), "weighted": (True, False), "in passes": (True, True)}


@pytest.mark.parametrize(("weighted", "large"), HOW.values(), ids=HOW)
@pytest.mark.parametrize(("kind", "form"), FORMS, ids=[f"{kind}{form}" for kind, form in FORMS])
def test_whoever_computes_the_bits_are_the_same(
    kind: str, form: int, weighted: bool, large: bool, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        monkeypatch.setattr(engine, "SMALL", 0)
    plan = plan_of(kind, form, weighted=weighted)
    assert plan.bundles > 1
    alone = outcome(kind, plan, engine.inline, monkeypatch)
    values = alone.scores.overall
    assert values.keys() == {name for other, name in KEYS if other == kind}
    of_one_class = {"f1", "iou"} if (kind, form) == ("probabilities", 1) else set()
    assert {name for name, value in values.items() if value is None} == of_one_class
    for run in (engine.threads(3), on_dask(cluster)):
        other = outcome(kind, plan, run, monkeypatch)
        assert (other.scores, other.bounds, other.blocks) == (alone.scores, alone.bounds, alone.blocks)
        assert pack(other.block_states) == pack(alone.block_states)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("kind", "form"), FORMS, ids=[f"{kind}{form}" for kind, form in FORMS])
def test_large_data_has_the_values_it_has_when_sorted(
    kind: str, form: int, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(kind, form, weighted=weighted)
    plain = outcome(kind, plan, engine.inline, monkeypatch)
    monkeypatch.setattr(engine, "SMALL", 0)
    found = outcome(kind, plan, engine.inline, monkeypatch)
    for which in ("overall", "public", "private"):
        values = getattr(found.scores, which)
        for name, wanted in getattr(plain.scores, which).items():
            off = getattr(found.bounds, which).get(name, 0.0)
            assert (values[name] is None) == (wanted is None), name
            assert wanted is None or values[name] == pytest.approx(wanted, rel=1e-9, abs=off), name
