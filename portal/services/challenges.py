"""Challenges as people see them, and who holds which role in them."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from sqlalchemy.orm import Session

from datasets.spec import Spec
from portal.domain import credentials
from portal.domain.errors import Conflict, Forbidden, Invalid
from portal.domain.permissions import Actor, Scope
from portal.domain.states import Phase, Role
from portal.domain.views import (
    ChallengeCard,
    ChallengePage,
    JudgedChallenge,
    LayerView,
    MetricLine,
    MyState,
    PersonRole,
    PrizeView,
    RoleName,
    RulesView,
    TimelineItem,
)
from portal.services import downloading, gates, recording, standing, submitting
from portal.services.context import Context
from portal.store import challenges, database
from portal.store import people as persons
from portal.store.tables import INSIDE, Challenge, RoleGrant, Side
from scoring.rules import card_for

MAX_STATEMENT = 2_000
_NAMES: Mapping[Role, RoleName] = MappingProxyType(
    {Role.SPONSOR: "sponsor", Role.JUDGE: "judge", Role.EXPERT: "expert"}
)


def listing(ctx: Context, *, actor: Actor | None) -> list[ChallengeCard]:  # noqa: ARG001  all see the same
    """All challenges: open ones first, soonest end first; then upcoming, then past ones."""
    with ctx.reading() as session:
        cards = _cards(session, challenges.everything(session), ctx.now(session))
    order = {Phase.OPEN: 0, Phase.UPCOMING: 1, Phase.CLOSED: 2, Phase.SETTLED: 3}
    live = sorted(
        (card for card in cards if order[card.phase] < 2), key=lambda card: (order[card.phase], card.closes, card.slug)
    )
    return live + [card for card in cards if order[card.phase] >= 2]


def managed(ctx: Context, *, actor: Actor) -> list[ChallengeCard]:
    """The published challenges the actor is a sponsor of, all of them for an operator; the last to close first.

    Raises:
        Forbidden: a token without the scope ``sponsor``.
    """
    _require_scope(actor, "sponsor")
    with ctx.reading() as session:
        held = challenges.held(session, uuid.UUID(actor.id), Role.SPONSOR)
        return _cards(session, challenges.everything(session) if actor.is_operator else held, ctx.now(session))


def judged(ctx: Context, *, actor: Actor) -> list[JudgedChallenge]:
    """The challenges the actor is a judge of, with what waits for a ruling; the last to close first.

    Raises:
        Forbidden: a token without the scope ``judge``.
    """
    _require_scope(actor, "judge")
    person = uuid.UUID(actor.id)
    with ctx.reading() as session:
        held, now = challenges.held(session, person, Role.JUDGE), ctx.now(session)
        cards = _cards(session, held, now)
        return [_judged(ctx, session, item, card, person, now) for item, card in zip(held, cards, strict=True)]


def page(ctx: Context, *, actor: Actor | None, slug: str) -> ChallengePage:
    """Everything one reader sees of a challenge.

    Raises:
        NotFound: there is no such challenge.
    """
    with ctx.reading() as session:
        room = gates.enter(ctx, session, actor, slug)
        challenge = room.challenge
        count = challenges.entry_counts(session).get(challenge.id, 0)
        experts = challenges.team_counts(session).get(challenge.id, 0)
        return ChallengePage(
            card=_card(challenge, room.phase, count, experts),
            overview_md=challenge.overview,
            rules=rules_view(room.spec),
            prizes=tuple(PrizeView(rank, amount) for rank, amount in challenges.prizes(session, challenge.id).items()),
            release=downloading.release_view(session, challenge),
            me=_me(ctx, session, room, actor),
            layers=tuple(_layer(item) for item in challenge.layers),
            commitment=challenges.truth(session, challenge.id).commitment,
            timeline=_timeline(room),
        )


def grant(ctx: Context, *, actor: Actor, slug: str, email: str, role: str) -> None:
    """Make a person sponsor or judge of a challenge. Experts of it never can be.

    Raises:
        NotFound: no such challenge.
        Forbidden: the actor may not manage it.
        Invalid: nobody verified has this address, or the role is unknown.
        Conflict: the person competes in the challenge.
    """
    with ctx.writing() as session:
        room = gates.enter(ctx, session, actor, slug)
        room.require(actor, "manage")
        if role not in {Role.SPONSOR, Role.JUDGE}:
            raise Invalid({"role": "Choose sponsor or judge. Experts join by signing the agreement."})
        person = persons.by_email(session, credentials.email_key(email))
        if person is None or person.verified_at is None:
            raise Invalid({"email": "Nobody with this address has a confirmed account. Ask them to register first."})
        put_inside(session, room.challenge, person.id, Role(role), by=uuid.UUID(actor.id), now=room.now)
        recording.event(
            session, room.now, actor=actor, kind="role.granted", subject=slug, role=role, person=str(person.id)
        )


def put_inside(
    session: Session, challenge: Challenge, person: uuid.UUID, role: Role, *, by: uuid.UUID, now: datetime
) -> None:
    """Give a person an inside role. Raises Conflict when they stand outside."""
    database.lock(session, "person", challenge.id, person)
    side = challenges.side(session, challenge.id, person)
    if side not in {None, INSIDE}:
        raise Conflict("This person competes in the challenge, so they can be neither sponsor nor judge of it.")
    if side is None:
        session.add(Side(challenge_id=challenge.id, user_id=person, side=INSIDE))
        session.flush()
    if role not in challenges.roles(session, challenge.id, person):
        session.add(
            RoleGrant(challenge_id=challenge.id, user_id=person, role=role, side=INSIDE, granted_by=by, granted_at=now)
        )
        session.flush()


def people(ctx: Context, *, actor: Actor, slug: str) -> list[PersonRole]:
    """Who holds which role; addresses are shown to those who manage the challenge.

    Raises:
        NotFound: no such challenge.
        Forbidden: the actor may not manage it.
    """
    with ctx.reading() as session:
        room = gates.enter(ctx, session, actor, slug)
        room.require(actor, "manage")
        rows = challenges.people(session, room.challenge.id)
        return [PersonRole(user.name, user.email if role is not Role.EXPERT else "", role.value) for user, role in rows]


def declare_affiliation(ctx: Context, *, actor: Actor, slug: str, affiliated: bool, statement: str) -> None:
    """Say whether the actor's team is tied to the sponsor: employed, related, paid. It is shown and bars from prizes.

    Raises:
        NotFound: no such challenge.
        Conflict: the actor has no team here yet, or takes an affiliation back after the end.
        Invalid: the statement is too long, or missing for an affiliation.
    """
    if len(statement) > MAX_STATEMENT or (affiliated and not statement.strip()):
        raise Invalid({"statement": f"Say in 1 to {MAX_STATEMENT:,} characters what ties you to the sponsor."})
    with ctx.writing() as session:
        room = gates.enter(ctx, session, actor, slug)
        room.require(actor, "sign")
        if room.team is None:
            raise Conflict("Sign the data agreement first; that makes your team.")
        if room.stage == "final" and room.team.affiliated and not affiliated:
            raise Conflict("The challenge is over: an affiliation can be declared but not taken back.")
        room.team.affiliated, room.team.affiliation = affiliated, statement.strip()
        challenges.touch(session, room.challenge.id)
        recording.event(
            session, room.now, actor=actor, kind="affiliation.declared", subject=slug, affiliated=affiliated
        )


def close(ctx: Context, *, actor: Actor, slug: str, reason: str = "") -> None:
    """End a challenge before its time, for good; recorded with its reason.

    Raises:
        NotFound: no such challenge.
        Forbidden: the actor may not manage it.
        Conflict: it is not open, or closed already.
    """
    with ctx.writing() as session:
        room = gates.enter(ctx, session, actor, slug)
        room.require(actor, "manage")
        if room.phase is not Phase.OPEN:
            raise Conflict(f"The challenge is {room.phase}; only an open one can be closed early.")
        room.challenge.closed_at = room.now
        challenges.touch(session, room.challenge.id)
        recording.event(
            session, room.now, actor=actor, kind="challenge.closed", subject=slug, reason=reason[:MAX_STATEMENT]
        )


def rules_view(spec: Spec) -> RulesView:
    """The rules that decide, from the challenge file. The split into blocks is told only as a share."""
    lines = []
    for name in spec.scoring.metrics:
        card = card_for(spec, name)
        lines.append(
            MetricLine(name, card.direction, card.unit, card.range, card.formula, name == spec.scoring.primary)
        )
    entry = spec.submission
    return RulesView(
        kind=spec.challenge.kind,
        primary=spec.scoring.primary,
        metrics=tuple(lines),
        formats=entry.formats,
        max_bytes=int(entry.max_bytes),
        per_day=entry.per_day,
        finals=entry.finals,
        blocks_text=_blocks_text(spec),
        range=entry.range,
    )


def _blocks_text(spec: Spec) -> str:
    if not standing.has_private(spec) or spec.blocks is None:
        return "The public board is made from all of the hidden truth, and the final board is the same."
    share = "A part" if isinstance(spec.blocks.public, tuple) else f"About {spec.blocks.public:.0%}"
    return (
        f"{share} of the hidden truth, in whole blocks, makes the public board. "
        "The rest decides the final board when the challenge closes."
    )


def _require_scope(actor: Actor, scope: Scope) -> None:
    if not actor.has_scope(scope):
        raise Forbidden(f"This token has no scope {scope!r}. Issue one that has it.")


def _judged(
    ctx: Context, session: Session, challenge: Challenge, card: ChallengeCard, person: uuid.UUID, now: datetime
) -> JudgedChallenge:
    note, stage = challenges.conflict(session, challenge.id, person), gates.stage(challenge, now)
    conflicted, to_rule = note is not None and note.conflicted, None
    if stage == "final" and not conflicted:
        final = standing.project(ctx, session, challenge, stage)
        to_rule = sum(row.entry_id not in final.verdicts for row in final.rows)
    return JudgedChallenge(card, stage, to_rule, conflicted)


def _cards(session: Session, found: Sequence[Challenge], now: datetime) -> list[ChallengeCard]:
    entries, teams = challenges.entry_counts(session), challenges.team_counts(session)
    return [_card(item, gates.phase(item, now), entries.get(item.id, 0), teams.get(item.id, 0)) for item in found]


def _card(challenge: Challenge, phase: Phase, entries: int, teams: int) -> ChallengeCard:
    return ChallengeCard(
        slug=challenge.slug,
        title=challenge.title,
        sponsor=challenge.sponsor,
        summary=challenge.summary,
        kind=challenge.kind,
        phase=phase,
        opens=challenge.opens,
        closes=challenge.ends,
        pool_minor=challenge.pool_minor,
        currency=challenge.currency,
        entries=entries,
        experts=teams,
        tags=tuple(challenge.tags),
    )


def _layer(item: dict[str, Any]) -> LayerView:
    west, south, east, north = item["bounds"]
    kind: Literal["raster", "vector"] = "raster" if item["kind"] == "raster" else "vector"
    return LayerView(
        str(item["name"]),
        kind,
        downloading.layer_name(item),
        (west, south, east, north),
        str(item.get("description", "")),
        bool(item.get("local", False)),
    )


def _me(ctx: Context, session: Session, room: gates.Room, actor: Actor | None) -> MyState:
    if actor is None:
        return MyState(signed_in=False, role="none", agreement_digest=room.agreement.digest, agreement_signed=False)
    projection = standing.project(ctx, session, room.challenge, room.stage) if room.team else None
    own = (
        next((row for row in projection.rows if room.team and row.team == str(room.team.id)), None)
        if projection
        else None
    )
    competes = not room.standing.inside and not actor.is_operator
    return MyState(
        signed_in=True,
        role=_role(room, actor),
        agreement_digest=room.agreement.digest,
        agreement_signed=room.standing.signed,
        quota=submitting.quota_in(session, room) if competes else None,
        affiliated=room.team.affiliated if room.team else None,
        best_rank=own.rank if own else None,
        team_name=room.team.name if room.team else None,
        may_submit=competes and room.standing.signed and room.phase is Phase.OPEN,
        may_judge=Role.JUDGE in room.standing.roles and not room.standing.conflicted,
        may_manage=actor.is_operator or Role.SPONSOR in room.standing.roles,
    )


def _role(room: gates.Room, actor: Actor) -> RoleName:
    if actor.is_operator:
        return "operator"
    for role in (Role.SPONSOR, Role.JUDGE, Role.EXPERT):
        if role in room.standing.roles:
            return _NAMES[role]
    return "none"


def _timeline(room: gates.Room) -> tuple[TimelineItem, ...]:
    challenge = room.challenge
    points = [(challenge.published_at, "Published"), (challenge.opens, "Opens"), (challenge.ends, "Closes")]
    if challenge.settled_at:
        points.append((challenge.settled_at, "Prizes awarded"))
    points.sort(key=lambda point: point[0])
    return tuple(TimelineItem(at, label, room.now >= at) for at, label in points)
