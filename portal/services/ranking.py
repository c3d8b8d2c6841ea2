"""Standings of a challenge. Before the close only public values are read; after it the final ones decide."""

import hashlib

from portal.domain.permissions import Actor
from portal.domain.views import Board, BoardRow, ProgressPoint
from portal.services import gates, standing
from portal.services.context import Context
from portal.store import challenges, entries
from scoring.ranking import Standing
from scoring.rules import better, card_for


def board(ctx: Context, *, actor: Actor | None, slug: str) -> Board:
    """The board; ``etag`` changes exactly when something on it may have changed, whoever reads it.

    Raises:
        NotFound: there is no such challenge.
    """
    with ctx.reading() as session:
        room = gates.enter(ctx, session, actor, slug)
        projection = standing.project(ctx, session, room.challenge, room.stage)
    spec, mine = room.spec, str(room.team.id) if room.team else None
    card = card_for(spec, spec.scoring.primary)
    rows = tuple(_row(projection, row, mine) for row in projection.rows)
    unranked = sorted(
        set(projection.teams) - {row.team for row in projection.rows}, key=lambda team: projection.teams[team].name
    )
    return Board(
        slug=slug,
        metric=card.name,
        direction=card.direction,
        rows=rows + tuple(_unranked(projection.teams[team], team == mine) for team in unranked),
        updated_at=projection.updated_at,
        etag=etag(room, mine),
        stage=room.stage,
        total_entries=projection.total_entries,
        title=room.challenge.title,
        unit=card.unit,
    )


def version(ctx: Context, *, actor: Actor | None, slug: str) -> str:
    """The etag of a board, without making the board.

    Raises:
        NotFound: there is no such challenge.
    """
    with ctx.reading() as session:
        room = gates.enter(ctx, session, actor, slug)
    return etag(room, str(room.team.id) if room.team else None)


def etag(room: gates.Room, mine: str | None) -> str:
    """Names one state of a board as one team sees it."""
    facts = f"{room.challenge.id}:{room.challenge.change}:{room.stage}:{mine}"
    return hashlib.sha256(facts.encode()).hexdigest()[:32]


def progress(ctx: Context, *, slug: str) -> list[ProgressPoint]:
    """The best public score over time: a point whenever it was beaten, at the time that entry was received.

    Raises:
        NotFound: there is no such challenge.
    """
    with ctx.reading() as session:
        room = gates.enter(ctx, session, None, slug)
        card = card_for(room.spec, room.spec.scoring.primary)
        rows = entries.board_entries(
            session, room.challenge.id, challenges.truth(session, room.challenge.id).id, private=False
        )
        names = {team_id: team.name for team_id, team in challenges.teams(session, room.challenge.id).items()}
    points: list[ProgressPoint] = []
    best: float | None = None
    for row in sorted(rows, key=lambda row: (row.received_at, row.id)):
        score = standing.finite((row.public or {}).get(card.name))
        if score is not None and better(card, score, best):
            best = score
            points.append(ProgressPoint(row.received_at, score, names[row.team_id]))
    return points


def rebuild(ctx: Context) -> int:
    """Give every board a new version, so that whoever kept the old one asks again. How many boards that were."""
    with ctx.writing() as session:
        every = challenges.everything(session)
        for challenge in every:
            challenges.touch(session, challenge.id)
    for challenge in every:
        board(ctx, actor=None, slug=challenge.slug)
    return len(every)


def _row(projection: standing.Projection, row: Standing, mine: str | None) -> BoardRow:
    team = projection.teams[row.team]
    return BoardRow(
        rank=row.rank,
        rank_label=row.label,
        team=team.name,
        affiliated=team.affiliated,
        score=row.score,
        scores=projection.scores[row.entry_id],
        entries=team.entries,
        last_at=team.last_at,
        is_me=row.team == mine,
        entry_id=row.entry_id if row.team == mine else None,
        verdict=projection.verdicts.get(row.entry_id) if projection.stage == "final" else None,
    )


def _unranked(team: standing.TeamFacts, is_me: bool) -> BoardRow:
    return BoardRow(
        rank=None,
        rank_label="–",
        team=team.name,
        affiliated=team.affiliated,
        score=None,
        scores={},
        entries=team.entries,
        last_at=team.last_at,
        is_me=is_me,
    )
