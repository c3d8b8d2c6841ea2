"""Values counted one by one: float32 in pages and short decimals. Exact after one reading, whoever counts."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.threads import using
from scoring import engine
from scoring.metrics import cells, decimals, page_loops, pages, passes, plain
from scoring.samples import Probabilities
from scoring.statistics import pack
from tests.scoring.large import KINDS, ORDER, SIDES, cut_up, exact, scored, truth_of, values


@pytest.fixture(autouse=True)
def all_data_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SMALL", 0)


def counted(asked: list[bytes]) -> Any:
    """A runner that notes what each pass was about."""

    def run(task: engine.PartTask, bundles: int) -> Any:
        asked.append(task.detail)
        return engine.inline(task, bundles)

    return run


def floats(kind: str, rng: np.random.Generator, n: int) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.nan_to_num(values(kind, rng, n).astype(np.float32))


def captured(y: np.ndarray, p: np.ndarray, share: float) -> float:
    """The share of the positives in the best ``share`` of all rows, equal ones in proportion."""
    wanted = share * len(p)
    levels = np.unique(p)[::-1]
    rows = np.cumsum([np.count_nonzero(p == level) for level in levels])
    hits = np.cumsum([np.count_nonzero(y[p == level]) for level in levels])
    return float(np.interp(wanted, [0, *rows], [0, *hits]) / y.sum())


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6), kind=st.sampled_from(KINDS), few=st.sampled_from([0, 3, 1 << 11]),
    waiting=st.sampled_from([1, 700, 1 << 20]), blocks=st.sampled_from([1, 2, 3]), n=st.integers(2, 1500),
)  # fmt: skip
def test_float32_is_exact_after_one_reading(seed: int, kind: str, few: int, waiting: int, blocks: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    p = floats(kind, rng, n)
    y = truth_of(p, rng)
    asked: list[bytes] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "SMALL", 0)
        patch.setattr(pages, "FEW", few)
        patch.setattr(pages, "WAITING", waiting)
        made = scored(cut_up(Probabilities(y, p), 4), ORDER, blocks=blocks, run=counted(asked)).made
    for name, value in exact(y, p).items():
        assert made.scores.overall[name] == pytest.approx(value, rel=1e-12, abs=1e-13)
    assert made.scores.overall["capture_curve"] == pytest.approx(captured(y, p, 0.1), rel=1e-12, abs=1e-13)
    assert made.bounds.overall == {}
    assert asked[0] == b""
    assert len(asked) == (1 if blocks == 1 else 2)  # the second counts blocks


def test_each_side_of_float32_is_exact() -> None:
    rng = np.random.default_rng(1)
    p = rng.random(9000).astype(np.float32)
    y = truth_of(p, rng)
    found = scored([Probabilities(y[k::3], p[k::3]) for k in range(3)], ORDER, blocks=3).made.scores
    for k in range(2):
        own = getattr(found, SIDES[k])
        for name, value in exact(y[k::3], p[k::3]).items():
            assert own[name] == pytest.approx(value, rel=1e-12)


def test_several_classes_of_float32_do_not_mix() -> None:
    rng = np.random.default_rng(2)
    p = rng.dirichlet(np.ones(3), 2000).astype(np.float32)
    y = (p.cumsum(axis=1) > rng.random(2000)[:, None] * 0.999).argmax(axis=1)
    made = scored(cut_up(Probabilities(y, p), 3), ORDER).made
    for name in ("roc_auc", "average_precision"):
        each = [exact((y == k).astype(np.int64), p[:, k])[name] for k in range(3)]
        assert made.scores.overall[name] == pytest.approx(np.mean(each), rel=1e-12)


def test_counters_of_a_page_run_over_without_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "FEW", 10)
    rng = np.random.default_rng(3)
    p = rng.choice(np.array([0.25, 0.25000003, 0.5, 0.9], dtype=np.float32), 20_000)
    y = (rng.random(len(p)) < p).astype(np.int64)
    made = scored(cut_up(Probabilities(y, p), 7), ORDER, run=engine.threads(2)).made
    for name, value in exact(y, p).items():
        assert made.scores.overall[name] == pytest.approx(value, rel=1e-12)
    assert made.bounds.overall == {}


@pytest.mark.parametrize("kind", ["probabilities", "huge", "signed zero"])
@pytest.mark.parametrize("listed", [0, 1000])
def test_values_in_too_many_pages_go_to_plain_cells(kind: str, listed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "WAITING", 1)
    monkeypatch.setattr(pages, "LISTED", listed)
    monkeypatch.setattr(pages, "SLOTS", 2)
    monkeypatch.setattr(pages, "FEW", 50)
    monkeypatch.setattr(plain, "LINEAR", 1 << 15)
    rng = np.random.default_rng(len(kind))
    p = floats(kind, rng, 4000)
    y = truth_of(p, rng)
    for blocks in (1, 3):
        made = scored(cut_up(Probabilities(y, p), 6), ORDER, blocks=blocks).made
        for name, value in exact(y, p).items():
            off = made.bounds.overall.get(name, 0.0)
            assert abs(made.scores.overall[name] - value) <= off + 1e-12
            assert off <= passes.PRECISION


@settings(max_examples=40, deadline=None)
@given(
    given_values=st.lists(
        st.floats(width=32, allow_nan=False) | st.sampled_from([0.0, -0.0, 1.0, 2.0**-149, -1.0]), max_size=30
    ),
    few=st.sampled_from([0, 2, 100]),
)
def test_pages_give_back_what_they_took(given_values: list[float], few: int) -> None:
    p = np.array(given_values, dtype=np.float32) + np.float32(0)
    column = (np.arange(len(p)) % 2).astype(np.uint8)
    counting = pages.Pages(cells.Form(2, narrow=True))
    for k in range(0, len(p), 7):
        assert counting.count(1, p[k : k + 7], column[k : k + 7], None) == len(p[k : k + 7])
    state = counting.state()
    nothing, rows = pages.rows_of(state)
    assert not len(nothing[1])
    assert sorted(zip(*(a.tolist() for a in rows[1:]), strict=True)) == sorted(
        zip(p.tolist(), column.tolist(), strict=True)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "FEW", few)
        total = pages.Total(counting.form)
        total.join(state)
        total.join(state)
        seen: dict[float, list[int]] = {}
        for stream, own, times in total.counted():
            assert stream == 1 or not len(own)
            for value, pair in zip(own.tolist(), times.tolist(), strict=True):
                known = seen.setdefault(value, [0, 0])
                seen[value] = [known[0] + pair[0], known[1] + pair[1]]
    want: dict[float, list[int]] = {}
    for value, mark in zip(p.tolist(), column.tolist(), strict=True):
        want.setdefault(value, [0, 0])[mark] += 2
    assert seen == want


def test_no_scratch_is_left_behind() -> None:
    room = np.zeros(page_loops.PAGES, dtype=np.int32)
    raw = np.random.default_rng(4).random(1000).astype(np.float32).view(np.uint32)
    scratch = np.empty(1000, dtype=np.int32), np.empty(1000, dtype=np.int32), np.empty(1000, dtype=np.uint16)
    assert page_loops.sort_pages(raw, np.zeros(1000, dtype=np.uint8), 0, room, *scratch) > 1
    assert not room.any()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6), digits=st.integers(0, 6), n=st.integers(2, 1500), blocks=st.sampled_from([1, 3]),
    spoilt=st.sampled_from([None, 0.1234567, 1.5, -1e-9, 1 / 3, 1.0 + 1e-15, 5e-324]),
    weighted=st.sampled_from(["none", "some", "all"]),
)  # fmt: skip
def test_short_decimals_are_exact_also_among_others(
    seed: int, digits: int, n: int, blocks: int, spoilt: float | None, weighted: str
) -> None:
    rng = np.random.default_rng(seed)
    p = np.round(rng.random(n), digits)
    p[0] = -0.0
    if spoilt is not None:
        p[rng.integers(n)] = spoilt
    y, w = truth_of(p, rng), np.ones(n)
    if weighted != "none":
        w[rng.random(n) < (1.0 if weighted == "all" else 0.5)] = 0.7
    edges = np.linspace(0, n, 6).astype(int)
    samples = [
        Probabilities(y[a:b], p[a:b], w[a:b] if weighted == "all" or (k % 2 and weighted == "some") else None)
        for k, (a, b) in enumerate(pairwise(edges))
    ]
    truly = np.concatenate([np.ones(len(s.y)) if s.w is None else s.w for s in samples])
    asked: list[bytes] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "SMALL", 0)
        made = scored(samples, ORDER, blocks=blocks, run=counted(asked)).made
        again = scored(samples, ORDER, blocks=blocks, run=engine.threads(3)).made
    for name, value in exact(y, p, truly).items():
        assert made.scores.overall[name] == pytest.approx(value, rel=1e-9, abs=1e-12)
    if spoilt is None:
        assert made.bounds.overall == {}
        assert len(asked) == (1 if blocks == 1 else 2)
    assert (again.scores, again.bounds, pack(again.block_states)) == (made.scores, made.bounds, pack(made.block_states))


@settings(max_examples=60, deadline=None)
@given(digits=st.integers(0, 6), k=st.integers(0, 10**6), after=st.floats(allow_nan=False))
def test_a_decimal_as_any_parser_reads_it_is_counted(digits: int, k: int, after: float) -> None:
    text = f"{min(k, 10**digits)}e-{digits}"
    counting = decimals.Decimals(cells.Form(1, narrow=False))
    given_values = np.full(decimals.loops.STRIP, float(text))
    assert counting.count(0, given_values, np.zeros(len(given_values), dtype=np.uint8), None) == len(given_values)
    taken = counting.count(0, np.array([after]), np.zeros(1, dtype=np.uint8), None)
    assert taken == int(0 <= after <= 1 and after == round(after * 10**6) / 10**6)


@pytest.mark.parametrize("few", [0, 3, 1 << 11])
@pytest.mark.parametrize("room", [1, 5, 1 << 12])
def test_threads_that_share_the_pages_count_the_same(few: int, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "FEW", few)
    monkeypatch.setattr(pages, "SLOTS", room)
    rng = np.random.default_rng(few + room)
    p = np.exp(rng.normal(size=20_000)).astype(np.float32)
    p[::3] = p[0]  # counters that run over
    form, column = cells.Form(1, narrow=True), (rng.random(20_000) < 0.3).astype(np.uint8)
    found = []
    for count, pieces in ((1, 1), (1, 16), (3, 16), (3, 5)):
        monkeypatch.setattr(pages, "PIECES", pieces)
        total = pages.Total(form)
        for start in (0, 9000):
            counting = pages.Pages(form)
            counting.count(0, p[start : start + 11_000], column[start : start + 11_000], None)
            total.join(counting.state())
            with using(count):
                total.slots.sum()
        found.append((total.slots.tolist(), total.low.tobytes(), total.over().tolist(), total.rare().tolist()))
    assert len(found[0][2]) > 20 or room < 1 << 12
    assert all(one == found[0] for one in found)
