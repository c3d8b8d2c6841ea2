"""People: registering, signing in and out, sessions, passwords.

Nothing here tells whether an address is known: unknown and known ones give the same answers in the same time.
"""

import secrets
import uuid
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from portal.domain import credentials
from portal.domain.errors import Forbidden, Invalid, NotFound
from portal.domain.permissions import Actor
from portal.domain.views import SessionView
from portal.services import recording
from portal.services.context import Context
from portal.store import people
from portal.store.tables import Link, LoginSession, User

log = structlog.get_logger(__name__)
VERIFY, RESET = "verify", "reset"
VERIFY_LIFE, RESET_LIFE = timedelta(hours=24), timedelta(minutes=30)
LOGIN_LIMIT, LOGIN_WINDOW = 10, timedelta(minutes=5)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SEEN_STEP = timedelta(minutes=1)
BAD_LOGIN = "The address or the password is not right. Check both, or reset the password."
BAD_LINK = "This link was used already or is too old. Ask for a new one."


def register(ctx: Context, *, name: str, email: str, password: str, address: str = "") -> None:
    """Open an account and mail a link that verifies its address. A known address gets a mail that says so instead.

    Raises:
        Invalid: a field is not acceptable, or the name is taken.
        RateLimited: too many accounts from this address.
    """
    credentials.check_new_account(name, email, password)
    recording.counted(ctx, "register", limit=20, per=HOUR, address=address)
    password_hash = ctx.passwords.hash(password)
    with ctx.writing() as session:
        now = ctx.now(session)
        _require_free_name(session, name)  # before the address is looked up, so that the answer tells nothing of it
        known = people.by_email(session, credentials.email_key(email))
        if known:
            _mail_known(ctx, session, now, known)
            return
        user = _add_user(session, now, name=name, email=email, password_hash=password_hash)
        _mail_link(ctx, session, now, user, VERIFY)
        recording.event(session, now, actor=None, kind="account.registered", subject=user.id)


def create_verified(ctx: Context, *, name: str, email: str, password: str) -> Actor:
    """Open an account whose address needs no mail: for the command line and the demo. An existing one is returned.

    Raises:
        Invalid: a field is not acceptable, or the name is taken.
    """
    credentials.check_new_account(name, email, password)
    password_hash = ctx.passwords.hash(password)
    with ctx.writing() as session:
        now = ctx.now(session)
        user = people.by_email(session, credentials.email_key(email))
        if user is None:
            _require_free_name(session, name)
            user = _add_user(session, now, name=name, email=email, password_hash=password_hash)
            recording.event(session, now, actor=None, kind="account.created", subject=user.id)
        user.verified_at = user.verified_at or now
        return _actor(session, user)


def verify(ctx: Context, *, token: str) -> None:
    """Verify the address a link was mailed to.

    Raises:
        Invalid: the link is unknown, used or too old.
    """
    with ctx.writing() as session:
        now = ctx.now(session)
        user = _linked(session, token, VERIFY, now)
        user.verified_at = user.verified_at or now
        recording.event(session, now, actor=None, kind="account.verified", subject=user.id)


def login(ctx: Context, *, email: str, password: str, agent: str, address: str) -> str:
    """Sign in. Returns the session's secret, for the cookie; only its hash is kept.

    Raises:
        Invalid: address or password is wrong (the same for both).
        Forbidden: the password is right and the address not verified yet; a new link is on its way.
        RateLimited: too many failures for this account or from this address.
    """
    key = credentials.email_key(email)
    tries = recording.counted(ctx, "login", limit=LOGIN_LIMIT, per=LOGIN_WINDOW, account=key, address=address)
    with ctx.reading() as session:
        known = people.by_email(session, key)
    usable = known if known and known.disabled_at is None else None
    if not ctx.passwords.check(password, usable.password_hash if usable else None) or usable is None:
        log.info("login refused", known=known is not None)
        raise Invalid({"password": BAD_LOGIN})
    tries.give_back()
    if usable.verified_at is None:
        _resend(ctx, usable.id)
        raise Forbidden("Confirm your address first: open the link in the mail that was just sent to you.")
    return _start_session(ctx, usable, password, agent)


def actor_for_session(ctx: Context, *, session_id: str) -> Actor | None:
    """Who holds this session, or None when it has ended. ``session_id`` is the secret that ``login`` returned."""
    hashed = recording.digest(session_id)
    with ctx.reading() as session:
        now = ctx.now(session)
        found = people.live_session(session, hashed)
        if found is None or not _alive(ctx, *found, now):
            return None
        row, user = found
        actor = _actor(session, user, session_id=session_id)
    if now - row.last_seen_at >= SEEN_STEP:
        with ctx.writing() as session:
            again = people.live_session(session, hashed)
            if again:
                again[0].last_seen_at = now
    return actor


def actor_for_token(ctx: Context, *, secret: str) -> Actor | None:
    """Who holds this API token, with its scopes, or None when it is unknown, expired or revoked."""
    with ctx.reading() as session:
        now = ctx.now(session)
        found = people.live_token(session, recording.digest(secret), now)
        if found is None or found[1].disabled_at is not None:
            return None
        token, user = found
        actor = _actor(session, user, scopes=frozenset(token.scopes))
    if token.last_used_at is None or now - token.last_used_at >= SEEN_STEP:
        with ctx.writing() as session:
            again = people.live_token(session, recording.digest(secret), now)
            if again:
                again[0].last_used_at = now
    return actor


def actor_by_email(ctx: Context, *, email: str) -> Actor:
    """The person with this address, with all rights of a session: for the command line on the server itself.

    Raises:
        NotFound: nobody has it.
    """
    with ctx.reading() as session:
        user = people.by_email(session, credentials.email_key(email))
        if user is None:
            raise NotFound("account")
        return _actor(session, user)


def logout(ctx: Context, *, session_id: str) -> None:
    """End the session whose secret this is."""
    with ctx.writing() as session:
        found = people.live_session(session, recording.digest(session_id))
        if found:
            found[0].ended_at = ctx.now(session)


def sessions(ctx: Context, *, actor: Actor) -> list[SessionView]:
    """The actor's own sessions, last used first. ``SessionView.id`` is what ``end_session`` takes; it opens nothing."""
    current = recording.digest(actor.session_id) if actor.session_id else ""
    with ctx.reading() as session:
        newer = ctx.now(session) - timedelta(minutes=ctx.settings.session_idle_minutes)
        rows = people.sessions_of(session, uuid.UUID(actor.id), newer)
        return [
            SessionView(str(row.id), row.created_at, row.last_seen_at, row.agent, row.secret_hash == current)
            for row in rows
        ]


def end_session(ctx: Context, *, actor: Actor, session_id: str) -> None:
    """End one of the actor's own sessions by the id that ``sessions`` shows.

    Raises:
        NotFound: the actor has no such session.
    """
    with ctx.writing() as session:
        now = ctx.now(session)
        mine = people.sessions_of(session, uuid.UUID(actor.id), now - timedelta(hours=ctx.settings.session_hours))
        row = next((row for row in mine if str(row.id) == session_id), None)
        if row is None:
            raise NotFound("session")
        row.ended_at = now


def request_reset(ctx: Context, *, email: str, address: str = "") -> None:
    """Mail a link that resets the password, if the address is known. Says nothing about whether it is.

    Raises:
        RateLimited: too many requests for this address or from this network address.
    """
    key = credentials.email_key(email)
    recording.counted(ctx, "reset", limit=5, per=DAY, account=key)
    recording.counted(ctx, "reset", limit=20, per=HOUR, address=address)
    with ctx.writing() as session:
        user = people.by_email(session, key)
        if user and user.disabled_at is None:
            _mail_link(ctx, session, ctx.now(session), user, RESET)


def reset(ctx: Context, *, token: str, password: str) -> None:
    """Set a new password by a mailed link; ends all sessions and revokes all tokens.

    Raises:
        Invalid: the link is unknown, used or too old, or the password is not acceptable.
    """
    fault = credentials.password_fault(password)
    if fault:
        raise Invalid({"password": fault})
    password_hash = ctx.passwords.hash(password)
    with ctx.writing() as session:
        now = ctx.now(session)
        user = _linked(session, token, RESET, now)
        user.password_hash = password_hash
        user.verified_at = user.verified_at or now
        people.end_sessions(session, user.id, now)
        people.revoke_tokens(session, user.id, now)
        people.drop_links(session, user.id, RESET, now)
        recording.event(session, now, actor=None, kind="account.password-reset", subject=user.id)
        recording.mail(session, now, to=user.email, subject="Your password was changed", body=_changed_body(ctx))


def change_password(ctx: Context, *, actor: Actor, current: str, new: str) -> None:
    """Change the actor's password. All sessions end, this one too.

    Raises:
        Invalid: the current password is wrong, or the new one not acceptable.
        RateLimited: too many wrong tries.
    """
    tries = recording.counted(ctx, "password", limit=LOGIN_LIMIT, per=LOGIN_WINDOW, account=actor.id)
    fault = credentials.password_fault(new, own=(actor.name, actor.email))
    with ctx.reading() as session:
        user = people.by_id(session, uuid.UUID(actor.id))
    if not ctx.passwords.check(current, user.password_hash if user else None):
        raise Invalid({"current": "This is not your password."})
    tries.give_back()
    if fault:
        raise Invalid({"new": fault})
    password_hash = ctx.passwords.hash(new)
    with ctx.writing() as session:
        now = ctx.now(session)
        row = people.by_id(session, uuid.UUID(actor.id))
        if row is None:
            raise NotFound("account")
        row.password_hash = password_hash
        people.end_sessions(session, row.id, now)
        recording.event(session, now, actor=actor, kind="account.password-changed", subject=row.id)
        recording.mail(session, now, to=row.email, subject="Your password was changed", body=_changed_body(ctx))


def make_operator(ctx: Context, *, email: str) -> None:
    """Make a person an operator. Only the command line on the server calls this.

    Raises:
        NotFound: nobody has this address.
    """
    with ctx.writing() as session:
        user = people.by_email(session, credentials.email_key(email))
        if user is None:
            raise NotFound("account")
        user.is_operator = True
        recording.event(session, ctx.now(session), actor=None, kind="account.operator", subject=user.id)


def _require_free_name(session: Session, name: str) -> None:
    if people.name_taken(session, credentials.name_key(name)):
        raise Invalid({"name": "Somebody uses this name already. Add something that tells you apart."})


def _add_user(session: Session, now: datetime, *, name: str, email: str, password_hash: str) -> User:
    key = credentials.name_key(name)
    user = User(name=" ".join(name.split()), name_key=key, email=email.strip(), email_key=credentials.email_key(email))
    user.password_hash, user.created_at, user.is_operator = password_hash, now, False
    session.add(user)
    session.flush()
    return user


def _actor(
    session: Session, user: User, *, session_id: str | None = None, scopes: frozenset[str] | None = None
) -> Actor:
    return Actor(
        id=str(user.id),
        name=user.name,
        email=user.email,
        is_operator=user.is_operator,
        session_id=session_id,
        scopes=scopes,
        roles=people.roles_of(session, user.id),
    )


def _alive(ctx: Context, row: LoginSession, user: User, now: datetime) -> bool:
    idle, life = timedelta(minutes=ctx.settings.session_idle_minutes), timedelta(hours=ctx.settings.session_hours)
    return user.disabled_at is None and now - row.last_seen_at < idle and now - row.created_at < life


def _start_session(ctx: Context, user: User, password: str, agent: str) -> str:
    fresh = ctx.passwords.hash(password) if ctx.passwords.outdated(user.password_hash) else None
    secret = secrets.token_urlsafe(32)
    with ctx.writing() as session:
        now = ctx.now(session)
        row = people.by_id(session, user.id)
        if row is None or row.disabled_at is not None or row.password_hash != user.password_hash:
            raise Invalid({"password": BAD_LOGIN})
        row.password_hash = fresh or row.password_hash
        agent = "".join(char for char in agent if char.isprintable())[:300]
        session.add(
            LoginSession(
                secret_hash=recording.digest(secret), user_id=user.id, agent=agent, created_at=now, last_seen_at=now
            )
        )
        recording.event(session, now, actor=None, kind="account.signed-in", subject=user.id)
    return secret


def _linked(session: Session, token: str, purpose: str, now: datetime) -> User:
    owner = people.take_link(session, recording.digest(token), purpose, now)
    user = people.by_id(session, owner) if owner else None
    if user is None or user.disabled_at is not None:
        raise Invalid({"token": BAD_LINK})
    return user


def _resend(ctx: Context, user_id: uuid.UUID) -> None:
    recording.counted(ctx, "verify", limit=5, per=HOUR, account=str(user_id))
    with ctx.writing() as session:
        user = people.by_id(session, user_id)
        if user:
            _mail_link(ctx, session, ctx.now(session), user, VERIFY)


def _mail_link(ctx: Context, session: Session, now: datetime, user: User, purpose: str) -> None:
    secret = secrets.token_urlsafe(32)
    life = VERIFY_LIFE if purpose == VERIFY else RESET_LIFE
    session.add(
        Link(
            user_id=user.id,
            purpose=purpose,
            secret_hash=recording.digest(secret),
            created_at=now,
            expires_at=now + life,
        )
    )
    link = f"{ctx.settings.base_url.rstrip('/')}/{purpose}/{secret}"
    if purpose == VERIFY:
        subject, what = "Confirm your address", "confirm your address with Motherlode"
    else:
        subject, what = "Reset your password", "set a new Motherlode password"
    until = "24 hours" if purpose == VERIFY else "30 minutes"
    body = (
        f"Open this link to {what}. It works once, within {until}:\n\n{link}\n\n"
        "If you did not ask for it, ignore this mail.\n"
    )
    recording.mail(session, now, to=user.email, subject=subject, body=body)


def _mail_known(ctx: Context, session: Session, now: datetime, user: User) -> None:
    link = f"{ctx.settings.base_url.rstrip('/')}/reset"
    body = f"Somebody tried to open an account with this address, which has one already. Forgot the password? {link}\n"
    recording.mail(session, now, to=user.email, subject="You have an account", body=body)


def _changed_body(ctx: Context) -> str:
    link = f"{ctx.settings.base_url.rstrip('/')}/reset"
    return f"The password of your Motherlode account was changed and all sessions ended.\nNot you? Reset it: {link}\n"
