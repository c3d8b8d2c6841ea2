"""Life cycles, one transition table each. An illegal transition tells its story."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from portal.domain.errors import Conflict


class EntryState(StrEnum):
    """Where an entry stands. Rejected is the entry's fault; failed is the platform's, and its quota comes back."""

    QUEUED = "queued"
    SCORING = "scoring"
    SCORED = "scored"
    REJECTED = "rejected"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


class DraftState(StrEnum):
    """Where a sponsor's upload stands on its way to publication."""

    CHECKING = "checking"
    FAULTY = "faulty"
    READY = "ready"
    PUBLISHING = "publishing"
    PUBLISHED = "published"
    FAILED = "failed"


class Verdict(StrEnum):
    """What a judge found."""

    VERIFIED = "verified"
    REJECTED = "rejected"
    QUESTION = "question"


class Role(StrEnum):
    """What a person is in one challenge. Expert excludes the other two."""

    SPONSOR = "sponsor"
    JUDGE = "judge"
    EXPERT = "expert"


class Phase(StrEnum):
    """Where a challenge stands in time; settled: every prize that can be awarded is posted."""

    UPCOMING = "upcoming"
    OPEN = "open"
    CLOSED = "closed"
    SETTLED = "settled"


ENTRY_MOVES: Mapping[EntryState, frozenset[EntryState]] = MappingProxyType(
    {
        EntryState.QUEUED: frozenset({EntryState.SCORING, EntryState.WITHDRAWN, EntryState.FAILED}),
        EntryState.SCORING: frozenset(
            {EntryState.SCORED, EntryState.REJECTED, EntryState.FAILED, EntryState.QUEUED, EntryState.WITHDRAWN}
        ),
        EntryState.SCORED: frozenset(),
        EntryState.REJECTED: frozenset(),
        EntryState.FAILED: frozenset({EntryState.QUEUED}),
        EntryState.WITHDRAWN: frozenset(),
    }
)

DRAFT_MOVES: Mapping[DraftState, frozenset[DraftState]] = MappingProxyType(
    {
        DraftState.CHECKING: frozenset({DraftState.READY, DraftState.FAULTY, DraftState.FAILED}),
        DraftState.FAULTY: frozenset({DraftState.CHECKING}),
        DraftState.READY: frozenset({DraftState.CHECKING, DraftState.PUBLISHING}),
        DraftState.PUBLISHING: frozenset({DraftState.PUBLISHED, DraftState.FAULTY, DraftState.FAILED}),
        DraftState.PUBLISHED: frozenset(),
        DraftState.FAILED: frozenset({DraftState.CHECKING}),
    }
)


def move_entry(current: EntryState, to: EntryState) -> EntryState:
    """The new state. Raises Conflict when the table has no such move."""
    if to not in ENTRY_MOVES[current]:
        raise Conflict(_story("entry", current, to, ENTRY_MOVES[current]))
    return to


def move_draft(current: DraftState, to: DraftState) -> DraftState:
    """The new state. Raises Conflict when the table has no such move."""
    if to not in DRAFT_MOVES[current]:
        raise Conflict(_story("draft", current, to, DRAFT_MOVES[current]))
    return to


def _story(noun: str, current: StrEnum, to: StrEnum, allowed: frozenset[EntryState] | frozenset[DraftState]) -> str:
    choices = " or ".join(sorted(allowed)) or "nothing else: that is final"
    return f"The {noun} is {current} and cannot become {to}. From {current} it can become {choices}."
