"""Orders of large data at the edge: sides without weight, extreme weights, errors that overflow, and what is kept."""

import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring import engine, worker
from scoring.hosts import PartJob
from scoring.metrics import rank_sorts
from scoring.metrics.cells import Leaves, Table, quantile_layout
from scoring.metrics.rank_cells import RankCells
from scoring.metrics.rank_sorts import Axis
from scoring.metrics.windows import Form, Layout
from scoring.samples import Numbers
from tests.scoring.large import SIDES, cut_up, scored

WHICH = ("overall", "public", "private")
ROWS = 300


@pytest.fixture(autouse=True)
def sums_may_overflow() -> Iterator[None]:
    with np.errstate(over="ignore", invalid="ignore"):
        yield


def on_either_path(samples: list[Any], names: tuple[str, ...], few: int, **given_: Any) -> tuple[Any, Any]:
    """What the engine makes of the same samples as small and as large data; ``few`` as in rank_sorts."""
    found = []
    for small in (1 << 40, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(engine, "SMALL", small)
            patch.setattr(rank_sorts, "FEW", few)
            found.append(scored(samples, names, **given_).made)
    return found[0], found[1]


@pytest.mark.parametrize("few", [ROWS, ROWS - 1])  # the most rows whose keys are sorted, and one more than those
@pytest.mark.parametrize("weightless", [(), ("public",), ("private",), ("public", "private"), SIDES])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_side_without_weight_has_no_value(few: int, weightless: tuple[str, ...], kind: Any) -> None:
    rng = np.random.default_rng(7)
    samples = [
        Numbers(
            rng.random(ROWS // 6).astype(kind),
            rng.random(ROWS // 6).astype(kind),
            np.full(ROWS // 6, float(SIDES[k % 3] not in weightless)),
        )
        for k in range(6)
    ]
    small, large = on_either_path(samples, ("spearman_r", "median_ae"), few, blocks=3)
    for which in WHICH:
        for name in ("spearman_r", "median_ae"):
            one, other = (getattr(made.scores, which)[name] for made in (small, large))
            assert (one is None) == (which in weightless or len(weightless) == len(SIDES))
            assert other == (None if one is None else pytest.approx(one, rel=1e-9))


@pytest.mark.parametrize("few", [0, 1 << 20])
@pytest.mark.parametrize("weight", [5e-324, 1e-310, 1e-300, 1e290, 1e306, 1.7e308])
@pytest.mark.parametrize("blocks", [1, 3])
def test_extreme_weights_neither_fail_nor_take_room(few: int, weight: float, blocks: int) -> None:
    rng = np.random.default_rng(3)
    sample = Numbers(rng.random(600), rng.random(600), np.full(600, weight))
    small, large = on_either_path(cut_up(sample, 6), ("median_ae", "spearman_r"), few, blocks=blocks)
    if 1e-300 <= weight <= 1e290:
        for name, value in small.scores.overall.items():
            assert large.scores.overall[name] == pytest.approx(value, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6), n=st.integers(1, 400), share=st.floats(0, 1), infinite=st.floats(0, 1),
    weighted=st.booleans(), blocks=st.sampled_from([1, 3]),
)  # fmt: skip
def test_the_median_of_errors_that_overflow_is_that_of_small_data(
    seed: int, n: int, share: float, infinite: float, weighted: bool, blocks: int
) -> None:
    rng = np.random.default_rng(seed)
    y = np.where(rng.random(n) < share, -1.0, 1e-300) * rng.uniform(0.5, 1.0, n) * 1e308
    f = np.where(rng.random(n) < infinite, 1.7e308, rng.uniform(0, 1, n) * 1e308)
    sample = Numbers(y, f, rng.integers(1, 4, n).astype(float) if weighted else None)
    small, large = on_either_path(cut_up(sample, 4), ("median_ae",), 0, blocks=blocks)
    for which in WHICH:
        one, other = (getattr(made.scores, which)["median_ae"] for made in (small, large))
        assert other == (None if one is None else pytest.approx(one, rel=1e-9))
        assert getattr(large.bounds, which).get("median_ae", 0.0) <= 1e-9 * (one or 1.0)


@settings(max_examples=30, deadline=None)
@given(
    weights=st.lists(st.floats(0, 1.7e308), min_size=1, max_size=60),
    factor=st.sampled_from([1.0, 5e-324, 1e-300, 1e-20]),
    cells=st.integers(16, 4096),
)
def test_coarse_cells_are_few_whatever_they_weigh(weights: list[float], factor: float, cells: int) -> None:
    table = Table(Form(1, narrow=False), None)
    for size, weight in enumerate(weights):
        values = np.array([1.0, 1.001]) * 2.0 ** (size - 30)
        table.count(0, values, np.zeros(2, dtype=np.uint8), np.full(2, weight * factor))
    assert quantile_layout(Leaves.of(table), cells).size <= 4 * (cells + len(weights)) + 16


def read_details() -> int:
    """How many of the things that collectors read in details are alive."""
    gc.collect()
    return sum(type(found) in {Layout, RankCells, Axis} for found in gc.get_objects())


@pytest.mark.parametrize("few", [0, 1 << 20])
@pytest.mark.parametrize("run", [engine.inline, engine.threads(2)])
def test_nothing_of_a_pass_stays_after_an_entry(few: int, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SMALL", 0)
    monkeypatch.setattr(rank_sorts, "FEW", few)
    rng = np.random.default_rng(5)
    before, during = read_details(), []

    def watched(task: engine.PartTask, bundles: int) -> Iterator[engine.Partials]:
        for number, partials in enumerate(run(task, bundles)):
            during.extend([read_details()] if number == 0 else [])
            yield partials

    sample = Numbers(rng.random(900), rng.random(900))
    scored(cut_up(sample, 6), ("spearman_r", "median_ae"), blocks=3, run=watched)
    assert max(during) > before
    assert read_details() == before


def test_a_worker_reads_a_detail_once_and_lets_go_of_it_with_the_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SMALL", 0)
    job, before, made = PartJob("table", "", "truth", "index", "prediction"), read_details(), []
    reading = RankCells.of_bytes

    def read(detail: bytes) -> RankCells:
        made.append(len(detail))
        return reading(detail)

    monkeypatch.setattr(RankCells, "of_bytes", read)

    def away(task: engine.PartTask, bundles: int) -> Iterator[engine.Partials]:
        worker.PLANS.keep(job, task.plan)
        for number in range(bundles):
            sent = bytes(bytearray(task.detail))  # every stretch brings one of its own
            yield from worker.unpacked(worker.parts(job, sent, number, number + 1), 1)

    monkeypatch.setattr(rank_sorts, "FEW", 0)
    rng = np.random.default_rng(5)
    scored(cut_up(Numbers(rng.random(900), rng.random(900)), 6), ("spearman_r",), blocks=3, run=away)
    assert len(made) == 1
    assert read_details() > before
    worker.PLANS.forget(job)
    assert read_details() == before
