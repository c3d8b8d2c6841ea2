"""Standings are a pure function of entries and rules."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.ranking import Direction, Entry, Standing, standings

START = datetime(2026, 1, 1, tzinfo=UTC)


def entry(team: str, score: float | None, minute: int = 0, **more: object) -> Entry:
    return Entry(team, f"{team}-{minute}", START + timedelta(minutes=minute), score, **more)  # type: ignore[arg-type]


def ranks(rows: Sequence[Standing]) -> list[tuple[int, str]]:
    return [(row.rank, row.team) for row in rows]


def test_ties_share_a_rank_and_use_it_up() -> None:
    entries = [entry("d", 1.0, 4), entry("c", 2.0, 3), entry("b", 2.0, 2), entry("a", 3.0, 1)]
    rows = standings(entries, direction="higher")
    assert ranks(rows) == [(1, "a"), (2, "b"), (2, "c"), (4, "d")]
    assert [row.label for row in rows] == ["1", "=2", "=2", "4"]


def test_a_team_stands_once_with_its_best_and_first_entry() -> None:
    rows = standings(
        [entry("a", 2.0, 3), entry("a", 2.0, 1), entry("a", 5.0, 0), entry("a", None, 4)], direction="lower"
    )
    assert [(row.entry_id, row.entries) for row in rows] == [("a-1", 4)]


@pytest.mark.parametrize("bad", [None, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("direction", ["higher", "lower", "zero"])
def test_a_missing_or_infinite_score_never_ranks(bad: float | None, direction: Direction) -> None:
    assert ranks(standings([entry("a", bad), entry("b", 1.0)], direction=direction)) == [(1, "b")]


def test_zero_is_best_for_a_bias() -> None:
    rows = standings([entry("a", -2.0, 1), entry("b", 0.5, 2), entry("c", 2.0, 3)], direction="zero")
    assert ranks(rows) == [(1, "b"), (2, "a"), (2, "c")]


def test_precision_decides_what_is_equal() -> None:
    entries = [entry("a", 0.61204, 2), entry("b", 0.61196, 1)]
    assert ranks(standings(entries, direction="higher")) == [(1, "a"), (2, "b")]
    rounded = standings(entries, direction="higher", precision=3)
    assert ranks(rounded) == [(1, "b"), (1, "a")]
    assert [row.score for row in rounded] == [0.61196, 0.61204]


def test_the_final_counts_selected_entries_or_the_latest() -> None:
    picked = [entry("a", 9.0, 1), entry("a", 3.0, 2, selected=True), entry("a", 4.0, 3)]
    latest = [entry("b", 8.0, 1), entry("b", 2.0, 2), entry("b", 5.0, 3), entry("b", None, 4)]
    rows = standings([*picked, *latest], direction="higher", stage="final", finals=2)
    assert [(row.team, row.score) for row in rows] == [("b", 5.0), ("a", 3.0)]


def test_a_selected_entry_without_a_score_leaves_the_team_out() -> None:
    assert standings([entry("a", None, 1, selected=True), entry("a", 3.0, 2)], direction="higher", stage="final") == ()


def test_tie_groups_follow_intervals() -> None:
    rows = standings(
        [
            entry("a", 10.0, interval=(8.0, 12.0)),
            entry("b", 9.0, interval=(7.0, 11.0)),
            entry("c", 7.5, interval=(6.0, 7.9)),
            entry("d", 7.0, interval=(6.5, 7.2)),
            entry("e", 1.0),
        ],
        direction="higher",
    )
    assert [(row.team, row.tie_group) for row in rows] == [("a", 1), ("b", 1), ("c", 2), ("d", 2), ("e", 3)]


scores = st.one_of(st.none(), st.just(math.nan), st.integers(-3, 3).map(float), st.floats(allow_nan=True))
entries_of = st.lists(st.tuples(st.sampled_from("abcdef"), scores, st.booleans()), max_size=25).map(
    lambda rows: [entry(team, score, minute, selected=flag) for minute, (team, score, flag) in enumerate(rows)]
)
rules = st.fixed_dictionaries(
    {
        "direction": st.sampled_from(["higher", "lower", "zero"]),
        "precision": st.sampled_from([None, 0, 2]),
        "stage": st.sampled_from(["public", "final"]),
    }
)


@given(entries_of, rules, st.randoms(use_true_random=False))
def test_the_order_of_entries_does_not_matter(entries: list[Entry], rule: dict, random) -> None:  # type: ignore[no-untyped-def, type-arg]
    mixed = list(entries)
    random.shuffle(mixed)
    assert standings(mixed, **rule) == standings(entries, **rule)


@given(entries_of, rules)
def test_rows_are_one_a_team_and_ranks_count_who_is_better(entries: list[Entry], rule: dict) -> None:  # type: ignore[type-arg]
    rows = standings(entries, **rule)
    assert len({row.team for row in rows}) == len(rows)
    assert all(math.isfinite(row.score) for row in rows)
    for i, row in enumerate(rows):
        assert row.rank <= i + 1
        assert row.rank == 1 + sum(other.rank < row.rank for other in rows)
        assert row.shared == (sum(other.rank == row.rank for other in rows) > 1)
    assert [row.rank for row in rows] == sorted(row.rank for row in rows)


@given(entries_of, st.floats(-5, 5))
def test_a_worse_entry_never_moves_a_team(entries: list[Entry], score: float) -> None:
    before = {row.team: (row.rank, row.score) for row in standings(entries, direction="higher")}
    for team, (_, best) in before.items():
        if score < best:
            after = standings([*entries, entry(team, score, 99)], direction="higher")
            assert {row.team: (row.rank, row.score) for row in after} == before
