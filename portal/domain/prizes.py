"""Who is paid what: pure arithmetic on integer minor units.

Prizes go down the final standing. A rejected entry and a team affiliated with the sponsor hold no place in that
line, so those behind move up. A place is awarded once everybody before it is settled; teams that share a rank share
the prizes of their places, and odd minor units go to the first of them by name of entry.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from portal.domain.states import Verdict


@dataclass(frozen=True, slots=True)
class Placed:
    """One team in the final standing, by the entry that ranks; ``rank`` None means unranked."""

    rank: int | None
    team: str
    entry: str
    affiliated: bool
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Award:
    """The prize of one place; ``place`` 1 is the first."""

    place: int
    team: str
    entry: str
    amount_minor: int


def split(total: int, ways: int) -> list[int]:
    """``total`` minor units in ``ways`` shares that differ by at most one and add up to it, larger ones first."""
    share, odd = divmod(total, ways)
    return [share + (1 if index < odd else 0) for index in range(ways)]


def eligible(rows: Iterable[Placed]) -> list[Placed]:
    """Those in line for a prize, best first."""
    line = [row for row in rows if row.rank is not None and not row.affiliated and row.verdict is not Verdict.REJECTED]
    return sorted(line, key=lambda row: (row.rank or 0, row.entry))


def promised(rows: Iterable[Placed], prizes: Mapping[int, int]) -> dict[str, int]:
    """What each entry in line would be paid (minor units) if it and all before it were verified; by entry."""
    return {award.entry: award.amount_minor for _, group in _groups(rows, prizes) for award in group}


def awards(rows: Iterable[Placed], prizes: Mapping[int, int]) -> list[Award]:
    """The prizes due now: those of every group of equal rank until the first with somebody not verified.

    Entries without a prize of their own hold up those behind them too: were they rejected, the others would move up.
    """
    due: list[Award] = []
    for members, group in _groups(rows, prizes):
        if any(row.verdict is not Verdict.VERIFIED for row in members):
            break
        due.extend(group)
    return due


def settled(rows: Sequence[Placed], prizes: Mapping[int, int]) -> bool:
    """Whether nothing more can be awarded."""
    return len(awards(rows, prizes)) == len(promised(rows, prizes))


def _groups(rows: Iterable[Placed], prizes: Mapping[int, int]) -> Iterator[tuple[list[Placed], list[Award]]]:
    """Those of equal rank with what they share, down to the last place that has a prize."""
    place, last = 1, max(prizes, default=0)
    for _, tied in groupby(eligible(rows), key=lambda row: row.rank):
        if place > last:
            return
        members = list(tied)
        shares = split(sum(prizes.get(place + offset, 0) for offset in range(len(members))), len(members))
        yield (
            members,
            [Award(place + i, row.team, row.entry, shares[i]) for i, row in enumerate(members) if shares[i]],
        )
        place += len(members)
