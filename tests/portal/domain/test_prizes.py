"""Prize arithmetic: integers, an order of payment, nothing above what was promised."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain.prizes import Award, Placed, awards, promised, settled, split
from portal.domain.states import Verdict

YES, NO = Verdict.VERIFIED, Verdict.REJECTED
PRIZES = {1: 60_000, 2: 40_000}


def row(rank: int | None, name: str, verdict: Verdict | None = None, *, affiliated: bool = False) -> Placed:
    return Placed(rank, f"team-{name}", name, affiliated, verdict)


ROWS = st.lists(st.tuples(st.integers(1, 4), st.sampled_from([None, *Verdict]), st.booleans()), max_size=7).map(
    lambda items: [row(rank, f"e{i}", verdict, affiliated=tied) for i, (rank, verdict, tied) in enumerate(items)]
)
AMOUNTS = st.dictionaries(st.integers(1, 4), st.integers(1, 1000), max_size=4)


def test_a_verified_first_is_paid_the_first_prize() -> None:
    assert awards([row(1, "a", YES), row(2, "b")], PRIZES) == [Award(1, "team-a", "a", 60_000)]


def test_a_second_waits_for_the_first() -> None:
    assert awards([row(1, "a"), row(2, "b", YES)], PRIZES) == []
    assert [award.place for award in awards([row(1, "a", YES), row(2, "b", YES)], PRIZES)] == [1, 2]


def test_those_behind_a_rejected_or_affiliated_one_move_up() -> None:
    rows = [row(1, "a", NO), row(2, "b", YES, affiliated=True), row(3, "c", YES)]
    assert awards(rows, PRIZES) == [Award(1, "team-c", "c", 60_000)]


def test_a_question_holds_the_line() -> None:
    assert awards([row(1, "a", Verdict.QUESTION), row(2, "b", YES)], PRIZES) == []


def test_equal_ranks_share_the_prizes_of_their_places() -> None:
    rows = [row(1, "b", YES), row(1, "a", YES), row(3, "c", YES)]
    assert awards(rows, {1: 100, 2: 1, 3: 7}) == [
        Award(1, "team-a", "a", 51),
        Award(2, "team-b", "b", 50),
        Award(3, "team-c", "c", 7),
    ]


def test_an_unranked_entry_is_never_paid() -> None:
    assert awards([row(None, "a", YES)], PRIZES) == []


def test_it_is_settled_when_nothing_more_can_be_awarded() -> None:
    assert not settled([row(1, "a", YES), row(2, "b")], PRIZES)
    assert settled([row(1, "a", YES), row(2, "b", NO)], PRIZES)


@pytest.mark.parametrize(("total", "ways"), [(10, 3), (1, 2), (0, 4), (575_000_00, 7)])
def test_a_split_adds_up_and_differs_by_one(total: int, ways: int) -> None:
    shares = split(total, ways)
    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1


@given(ROWS, AMOUNTS)
def test_never_more_than_promised_and_only_to_the_verified(rows: list[Placed], prizes: dict[int, int]) -> None:
    due = awards(rows, prizes)
    by_entry = {item.entry: item for item in rows}
    assert sum(award.amount_minor for award in due) <= sum(prizes.values())
    assert len({award.place for award in due}) == len(due)
    assert all(by_entry[award.entry].verdict is YES and not by_entry[award.entry].affiliated for award in due)
    outlook = promised(rows, prizes)
    assert all(outlook[award.entry] == award.amount_minor for award in due)


@given(ROWS, AMOUNTS, st.data())
def test_a_further_ruling_never_takes_back_what_is_due(
    rows: list[Placed], prizes: dict[int, int], data: st.DataObject
) -> None:
    due = {award.entry: award for award in awards(rows, prizes)}
    # Others moved up past the rejected, and rejecting the verified is refused once somebody behind them is paid.
    undecided = [item for item in rows if item.verdict not in {YES, NO}]
    if not undecided:
        return
    ruled = data.draw(st.sampled_from(undecided))
    verdict = data.draw(st.sampled_from(list(Verdict)))
    again = [Placed(i.rank, i.team, i.entry, i.affiliated, verdict) if i is ruled else i for i in rows]
    assert due.items() <= {award.entry: award for award in awards(again, prizes)}.items()
