"""The board of a challenge as a pure derivation from rows; made again whenever a change was counted."""

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from datasets.spec import Spec
from portal.domain.prizes import Placed
from portal.domain.states import Verdict
from portal.domain.views import Stage
from portal.services import gates
from portal.services.context import Context
from portal.store import challenges, entries
from portal.store.tables import Challenge, Team
from scoring.ranking import Entry, Standing, standings
from scoring.rules import better, card_for


@dataclass(frozen=True, slots=True)
class TeamFacts:
    """A team as the board shows it."""

    name: str
    affiliated: bool
    entries: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Projection:
    """A board at one stage and change count. ``scores``: of that stage, by entry; ``public_scores``: of every entry."""

    stage: Stage
    change: int
    rows: tuple[Standing, ...]
    teams: Mapping[str, TeamFacts]
    scores: Mapping[str, Mapping[str, float | None]]
    public_scores: Mapping[str, Mapping[str, float | None]]
    verdicts: Mapping[str, Verdict]
    updated_at: datetime | None
    total_entries: int

    def placed(self, verdicts: Mapping[str, Verdict] | None = None) -> list[Placed]:
        """The rows as prizes see them."""
        known = self.verdicts if verdicts is None else verdicts
        return [
            Placed(row.rank, row.team, row.entry_id, self.teams[row.team].affiliated, known.get(row.entry_id))
            for row in self.rows
        ]


def has_private(spec: Spec) -> bool:
    """Whether some blocks are kept back from the public board."""
    return spec.blocks is not None and spec.blocks.public != 1.0


def project(ctx: Context, session: Session, challenge: Challenge, stage: Stage) -> Projection:
    """The board at one stage. Private values are read in the final stage only."""
    key = ("board", challenge.id, challenge.change, stage)
    return ctx.cache.get(key, lambda: _project(ctx, session, challenge, stage))


def _project(ctx: Context, session: Session, challenge: Challenge, stage: Stage) -> Projection:
    spec = gates.spec_of(ctx, challenge)
    card = card_for(spec, spec.scoring.primary)
    private = stage == "final" and has_private(spec)
    rows = entries.board_entries(session, challenge.id, challenges.truth(session, challenge.id).id, private=private)
    picks = _picks(rows, spec) if stage == "final" else frozenset()
    values = {row.id: (row.private if private else row.public) or {} for row in rows}
    board = standings(
        (
            Entry(
                str(row.team_id),
                str(row.id),
                row.received_at,
                finite(values[row.id].get(card.name)),
                selected=row.id in picks,
            )
            for row in rows
        ),
        direction=card.direction,
        stage=stage,
        finals=spec.submission.finals,
    )
    scored = [row.scored_at for row in rows if row.scored_at]
    return Projection(
        stage=stage,
        change=challenge.change,
        rows=board,
        teams=_teams(rows, challenges.teams(session, challenge.id)),
        scores={row.entry_id: values[uuid.UUID(row.entry_id)] for row in board},
        public_scores={str(row.id): row.public or {} for row in rows},
        verdicts={str(entry): verdict for entry, verdict in entries.verdicts(session, challenge.id).items()},
        updated_at=max(scored, default=None),
        total_entries=len(rows),
    )


def finite(value: Any) -> float | None:
    """A score that can rank, or None."""
    return (
        float(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        else None
    )


def _teams(rows: list[entries.Scored], teams: Mapping[uuid.UUID, Team]) -> dict[str, TeamFacts]:
    facts: dict[str, TeamFacts] = {}
    for row in rows:
        team, known = teams[row.team_id], facts.get(str(row.team_id))
        last = max(known.last_at, row.received_at) if known else row.received_at
        facts[str(row.team_id)] = TeamFacts(team.name, bool(team.affiliated), (known.entries if known else 0) + 1, last)
    return facts


def _picks(rows: list[entries.Scored], spec: Spec) -> frozenset[uuid.UUID]:
    """What each team stands with at the end: its own picks, or else its best public entries."""
    card = card_for(spec, spec.scoring.primary)
    by_team: dict[uuid.UUID, list[entries.Scored]] = {}
    for row in sorted(rows, key=lambda row: (row.received_at, row.id)):
        by_team.setdefault(row.team_id, []).append(row)
    chosen: set[uuid.UUID] = set()
    for own in by_team.values():
        picked = [row for row in own if row.is_final]
        chosen.update(row.id for row in picked or _best(own, card, spec.submission.finals))
    return frozenset(chosen)


def _best(own: list[entries.Scored], card: Any, count: int) -> list[entries.Scored]:
    """The ``count`` best public ones; among equals the earlier."""
    left = [row for row in own if row.public and finite(row.public.get(card.name)) is not None]
    best: list[entries.Scored] = []
    while left and len(best) < count:
        top = left[0]
        for row in left[1:]:
            if better(card, (row.public or {})[card.name], (top.public or {})[card.name]):
                top = row
        best.append(top)
        left.remove(top)
    return best
