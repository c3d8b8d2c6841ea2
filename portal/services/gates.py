"""Every service enters a challenge here: found or not, who the actor is in it, what time it is there."""

import uuid
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from datasets.spec import Spec, parse_spec
from portal.domain.errors import AgreementNeeded, Forbidden, NotFound, NotSignedIn
from portal.domain.permissions import Action, Actor, Standing, refusal
from portal.domain.states import Phase, Role
from portal.domain.views import Stage
from portal.services.context import Context
from portal.store import challenges
from portal.store.tables import Agreement, Challenge, Team


@dataclass(frozen=True, slots=True)
class Room:
    """A challenge as one actor finds it at one moment."""

    challenge: Challenge
    spec: Spec
    agreement: Agreement
    standing: Standing
    team: Team | None
    now: datetime

    @property
    def phase(self) -> Phase:
        return phase(self.challenge, self.now)

    @property
    def stage(self) -> Stage:
        """final once entries have ended; private values exist for nobody before."""
        return stage(self.challenge, self.now)

    def require(self, actor: Actor, action: Action) -> None:
        """Raises Forbidden or AgreementNeeded unless the actor may do this."""
        reason = refusal(actor, action, self.standing)
        once_signed = replace(self.standing, signed=True, roles=self.standing.roles or frozenset({Role.EXPERT}))
        unsigned = action == "submit" and not self.standing.signed
        if (reason or unsigned) and action in {"submit", "download"} and refusal(actor, action, once_signed) is None:
            raise AgreementNeeded(self.agreement.digest)
        if reason:
            raise Forbidden(reason)


def enter(ctx: Context, session: Session, actor: Actor | None, slug: str) -> Room:
    """The challenge of this slug. Raises NotFound when there is none."""
    challenge = challenges.by_slug(session, slug)
    if challenge is None:
        raise NotFound("challenge")
    return room(ctx, session, actor, challenge)


def room(ctx: Context, session: Session, actor: Actor | None, challenge: Challenge) -> Room:
    """A challenge already found."""
    agreement = challenges.agreement(session, challenge.id)
    standing, team = Standing(), None
    if actor is not None:
        user_id = uuid.UUID(actor.id)
        note = challenges.conflict(session, challenge.id, user_id)
        standing = Standing(
            roles=challenges.roles(session, challenge.id, user_id),
            signed=challenges.signature(session, agreement.id, user_id) is not None,
            conflicted=note is not None and note.conflicted,
        )
        team = challenges.team_of(session, challenge.id, user_id)
    return Room(challenge, spec_of(ctx, challenge), agreement, standing, team, ctx.now(session))


def spec_of(ctx: Context, challenge: Challenge) -> Spec:
    """The challenge file as published."""
    return ctx.cache.get(("spec", challenge.id, challenge.spec), lambda: parse_spec(challenge.spec))


def phase(challenge: Challenge, now: datetime) -> Phase:
    """Where a challenge stands in time."""
    if now >= challenge.ends:
        return Phase.SETTLED if challenge.settled_at else Phase.CLOSED
    return Phase.OPEN if now >= challenge.opens else Phase.UPCOMING


def stage(challenge: Challenge, now: datetime) -> Stage:
    """Which standing counts: the final one once entries have ended."""
    return "final" if now >= challenge.ends else "public"


def signed_in(actor: Actor | None) -> Actor:
    """Raises NotSignedIn for a stranger."""
    if actor is None:
        raise NotSignedIn
    return actor


def to_id(text: str, noun: str) -> uuid.UUID:
    """A public id as given in an address. Raises NotFound when it is none."""
    try:
        return uuid.UUID(text)
    except (ValueError, AttributeError, TypeError):
        raise NotFound(noun) from None
