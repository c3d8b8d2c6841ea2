"""API tokens: issued once, shown once, hashed at rest."""

import secrets
import uuid
from collections.abc import Sequence
from datetime import timedelta

from portal.domain.errors import Forbidden, Invalid, NotFound
from portal.domain.permissions import SCOPES, Actor
from portal.domain.views import TokenView
from portal.services import recording
from portal.services.context import Context
from portal.store import people
from portal.store.tables import ApiToken

PREFIX = "mlt_"
MAX_DAYS, MAX_TOKENS = 365, 50


def issue(ctx: Context, *, actor: Actor, name: str, scopes: Sequence[str], days: int) -> tuple[TokenView, str]:
    """A new token and its secret, which is never shown again.

    Raises:
        Forbidden: the actor is itself a token, or holds too many.
        Invalid: name, scopes or days are not acceptable.
    """
    if actor.scopes is not None:
        raise Forbidden("A token cannot issue tokens. Sign in with your password to make one.")
    _check(name, scopes, days)
    secret = PREFIX + secrets.token_urlsafe(32)
    with ctx.writing() as session:
        now = ctx.now(session)
        if len(people.tokens_of(session, uuid.UUID(actor.id))) >= MAX_TOKENS:
            raise Forbidden(f"You hold {MAX_TOKENS} tokens. Revoke one that you no longer use.")
        token = ApiToken(
            id=uuid.uuid4(),
            user_id=uuid.UUID(actor.id),
            name=name.strip(),
            prefix=secret[: len(PREFIX) + 6],
            created_at=now,
            secret_hash=recording.digest(secret),
            scopes=[s for s in SCOPES if s in scopes],
            expires_at=now + timedelta(days=days),
        )
        session.add(token)
        recording.event(session, now, actor=actor, kind="token.issued", subject=token.id, scopes=list(token.scopes))
        return _view(token), secret


def listing(ctx: Context, *, actor: Actor) -> list[TokenView]:
    """The actor's tokens that were not revoked, newest first."""
    with ctx.reading() as session:
        return [_view(token) for token in people.tokens_of(session, uuid.UUID(actor.id))]


def revoke(ctx: Context, *, actor: Actor, token_id: str) -> None:
    """Revoke one of the actor's tokens at once.

    Raises:
        NotFound: the actor has no such token.
    """
    with ctx.writing() as session:
        now = ctx.now(session)
        token = next((t for t in people.tokens_of(session, uuid.UUID(actor.id)) if str(t.id) == token_id), None)
        if token is None:
            raise NotFound("token")
        token.revoked_at = now
        recording.event(session, now, actor=actor, kind="token.revoked", subject=token.id)


def _check(name: str, scopes: Sequence[str], days: int) -> None:
    faults = {}
    if not 1 <= len(name.strip()) <= 80:
        faults["name"] = "Give the token a name of 1 to 80 characters, such as the machine it is for."
    if not scopes or not set(scopes) <= set(SCOPES):
        faults["scopes"] = f"Choose one or more of {', '.join(SCOPES)}."
    if not 1 <= days <= MAX_DAYS:
        faults["days"] = f"Choose 1 to {MAX_DAYS} days."
    if faults:
        raise Invalid(faults)


def _view(token: ApiToken) -> TokenView:
    return TokenView(
        str(token.id),
        token.name,
        tuple(token.scopes),
        token.expires_at,
        token.last_used_at,
        token.created_at,
        token.prefix,
    )
