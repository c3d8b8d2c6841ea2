"""Standings: a pure function of entries and rules. Light: standard library only.

One row a team. A missing or non-finite score never ranks. Equal scores share a rank and the ranks they used up are
left free (1, 2, 2, 4); the earlier receipt stands first among equals but does not rank higher.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

Direction = Literal["higher", "lower", "zero"]
Stage = Literal["public", "final"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One scored entry, as ranking sees it. ``score`` is the one of the stage: public, or private once final.

    ``selected``: the team picked it for the final stage. ``interval``: bootstrap interval of the score.
    """

    team: str
    entry_id: str
    received_at: datetime
    score: float | None
    selected: bool = False
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """One row of a board. ``entries`` counts all of the team's, scored or not.

    ``tie_group`` numbers groups of rows from the top whose intervals all overlap that of the group's first row: the
    scores do not tell them apart. Without intervals only equal ranks make a group.
    """

    rank: int
    team: str
    entry_id: str
    score: float
    received_at: datetime
    entries: int
    shared: bool
    tie_group: int
    interval: tuple[float, float] | None = None

    @property
    def label(self) -> str:
        """The rank as shown: "3", or "=3" when shared."""
        return f"={self.rank}" if self.shared else str(self.rank)


def standings(
    entries: Iterable[Entry],
    *,
    direction: Direction,
    precision: int | None = None,
    stage: Stage = "public",
    finals: int = 2,
) -> tuple[Standing, ...]:
    """The board, best first; the order of ``entries`` does not matter.

    ``precision``: decimals at which scores are compared (None: exactly); the shown score stays as it is.
    ``stage``: on the public board a team stands with its best entry. In the final stage only the entries it selected
    count, or, if it selected none, its latest ``finals`` ones; of those the best.
    """
    by_team: dict[str, list[Entry]] = {}
    for entry in entries:
        by_team.setdefault(entry.team, []).append(entry)
    rows = []
    for team_entries in by_team.values():
        pool = _finalists(team_entries, finals) if stage == "final" else team_entries
        best = min(filter(_rankable, pool), key=lambda e: _place(e, direction, precision), default=None)
        if best is not None:
            rows.append((best, len(team_entries)))
    rows.sort(key=lambda row: _place(row[0], direction, precision))
    return _grouped(_ranked(rows, direction, precision))


def _rankable(entry: Entry) -> bool:
    return entry.score is not None and math.isfinite(entry.score)


def _finalists(entries: Sequence[Entry], finals: int) -> list[Entry]:
    selected = [entry for entry in entries if entry.selected]
    if selected:
        return selected
    latest = sorted(filter(_rankable, entries), key=lambda e: (e.received_at, e.entry_id), reverse=True)
    return latest[:finals]


def _key(entry: Entry, direction: Direction, precision: int | None) -> float:
    """What scores are compared by: lower is better."""
    score = float(entry.score if entry.score is not None else math.nan)
    size = -score if direction == "higher" else abs(score) if direction == "zero" else score
    return (size if precision is None else round(size, precision)) + 0.0


def _place(entry: Entry, direction: Direction, precision: int | None) -> tuple[float, datetime, str]:
    return _key(entry, direction, precision), entry.received_at, entry.entry_id


def _ranked(rows: Sequence[tuple[Entry, int]], direction: Direction, precision: int | None) -> list[Standing]:
    keys = [_key(entry, direction, precision) for entry, _ in rows]
    ranks: list[int] = []
    for position, key in enumerate(keys):
        ranks.append(ranks[-1] if position and key == keys[position - 1] else position + 1)
    sizes = Counter(ranks)
    return [
        Standing(
            rank=rank,
            team=entry.team,
            entry_id=entry.entry_id,
            score=float(entry.score if entry.score is not None else math.nan),
            received_at=entry.received_at,
            entries=count,
            shared=sizes[rank] > 1,
            tie_group=0,
            interval=entry.interval,
        )
        for rank, (entry, count) in zip(ranks, rows, strict=True)
    ]


def _grouped(rows: Sequence[Standing]) -> tuple[Standing, ...]:
    out: list[Standing] = []
    group, first = 0, None
    for row in rows:
        if first is None or not _alike(first, row):
            group, first = group + 1, row
        out.append(replace(row, tie_group=group))
    return tuple(out)


def _alike(first: Standing, row: Standing) -> bool:
    if first.rank == row.rank:
        return True
    a, b = first.interval, row.interval
    return a is not None and b is not None and a[0] <= b[1] and b[0] <= a[1]
