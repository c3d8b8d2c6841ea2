"""The data agreement: read, signed, asked again when it changes. Whoever signs from outside joins with a team."""

import uuid

from sqlalchemy.orm import Session

from portal.domain import credentials
from portal.domain.errors import Conflict
from portal.domain.permissions import Actor
from portal.domain.states import Role
from portal.domain.views import AgreementView
from portal.services import gates, recording
from portal.services.context import Context
from portal.store import challenges, database
from portal.store.tables import OUTSIDE, RoleGrant, Side, Signature, Team, TeamMember


def page(ctx: Context, *, actor: Actor | None, slug: str) -> AgreementView:
    """The agreement in force, and when the actor signed it.

    Raises:
        NotFound: there is no such challenge.
    """
    with ctx.reading() as session:
        room = gates.enter(ctx, session, actor, slug)
        signed = challenges.signature(session, room.agreement.id, uuid.UUID(actor.id)) if actor else None
        return AgreementView(room.agreement.digest, room.agreement.text, signed.signed_at if signed else None)


def sign(ctx: Context, *, actor: Actor, slug: str, digest: str) -> None:
    """Sign the version of the agreement with this digest; signing twice changes nothing.

    The first signature of somebody from outside makes them an expert with a team of their own. Sponsors, judges and
    operators sign as readers.

    Raises:
        Conflict: the agreement has changed since it was read.
        Forbidden: the token has no scope for it.
    """
    with ctx.writing() as session:
        room = gates.enter(ctx, session, actor, slug)
        room.require(actor, "sign")
        if digest != room.agreement.digest:
            raise Conflict("The agreement has changed since you read it. Read the new version and sign that.")
        user_id = uuid.UUID(actor.id)
        database.lock(session, "person", room.challenge.id, user_id)
        if challenges.signature(session, room.agreement.id, user_id) is None:
            session.add(Signature(agreement_id=room.agreement.id, user_id=user_id, signed_at=room.now))
            recording.event(
                session, room.now, actor=actor, kind="agreement.signed", subject=room.challenge.slug, digest=digest
            )
        if not room.standing.inside and not actor.is_operator:
            _join(session, room, actor, user_id)


def _join(session: Session, room: gates.Room, actor: Actor, user_id: uuid.UUID) -> None:
    if challenges.team_of(session, room.challenge.id, user_id) is not None:
        return
    challenge_id = room.challenge.id
    if challenges.side(session, challenge_id, user_id) is None:
        session.add(Side(challenge_id=challenge_id, user_id=user_id, side=OUTSIDE))
        session.flush()
        session.add(
            RoleGrant(
                challenge_id=challenge_id,
                user_id=user_id,
                role=Role.EXPERT,
                side=OUTSIDE,
                granted_by=user_id,
                granted_at=room.now,
            )
        )
    team = Team(id=uuid.uuid4(), challenge_id=challenge_id, name=actor.name, name_key=credentials.name_key(actor.name))
    team.created_at, team.affiliated = room.now, None
    session.add(team)
    session.flush()
    session.add(TeamMember(challenge_id=challenge_id, user_id=user_id, team_id=team.id, joined_at=room.now))
    challenges.touch(session, challenge_id)
