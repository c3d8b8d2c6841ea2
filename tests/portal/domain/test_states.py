"""Life cycles: every move not in the table tells its story."""

import itertools

import pytest

from portal.domain.errors import Conflict
from portal.domain.states import DRAFT_MOVES, ENTRY_MOVES, DraftState, EntryState, move_draft, move_entry


@pytest.mark.parametrize(("current", "to"), list(itertools.product(EntryState, EntryState)))
def test_entries_move_only_by_the_table(current: EntryState, to: EntryState) -> None:
    if to in ENTRY_MOVES[current]:
        assert move_entry(current, to) is to
        return
    with pytest.raises(Conflict, match=f"entry is {current} and cannot become {to}"):
        move_entry(current, to)


@pytest.mark.parametrize(("current", "to"), list(itertools.product(DraftState, DraftState)))
def test_drafts_move_only_by_the_table(current: DraftState, to: DraftState) -> None:
    if to in DRAFT_MOVES[current]:
        assert move_draft(current, to) is to
        return
    with pytest.raises(Conflict, match="draft is"):
        move_draft(current, to)


def test_a_released_score_is_final() -> None:
    assert not ENTRY_MOVES[EntryState.SCORED]
    assert not ENTRY_MOVES[EntryState.REJECTED]
    assert not DRAFT_MOVES[DraftState.PUBLISHED]
