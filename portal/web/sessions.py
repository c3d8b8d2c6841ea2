"""Browser sessions: the signed cookie holds an opaque id and a forgery secret; everything else is a row of ours."""

from datetime import timedelta

from flask import Flask, Request, Response, request, session
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from flask_login import LoginManager, UserMixin, login_user, logout_user

from portal.domain.errors import NotSignedIn
from portal.domain.permissions import Actor
from portal.services import accounts
from portal.settings import Settings
from portal.web.access import ctx


class Visitor(UserMixin):  # type: ignore[misc]
    """A signed-in person for Flask-Login; known to the cookie by the session row's id, not by the person's."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor

    def get_id(self) -> str:
        return self.actor.session_id or ""


class CookieSessions(SecureCookieSessionInterface):
    """Flask's signed cookie, left alone on answers that do not depend on it."""

    def open_session(self, app: Flask, request: Request) -> SessionMixin | None:  # type: ignore[override]
        if _stateless(request.path):
            return self.session_class()
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if not _stateless(request.path):
            super().save_session(app, session, response)


def install(app: Flask, settings: Settings) -> None:
    """Cookie flags and the loader of signed-in people."""
    app.config.update(
        SESSION_COOKIE_NAME="__Host-motherlode" if settings.https else "motherlode",
        SESSION_COOKIE_SECURE=settings.https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PATH="/",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=timedelta(hours=settings.session_hours),
    )
    app.session_interface = CookieSessions()
    manager = LoginManager()
    manager.session_protection = None  # the row knows its own age and can be ended; addresses may change on the way
    manager.user_loader(_visitor)
    manager.init_app(app)


def sign_in(session_id: str) -> None:
    """Start the browser session of a fresh row; whatever the cookie held before is forgotten."""
    visitor = _visitor(session_id)
    if visitor is None:
        raise NotSignedIn
    session.clear()
    login_user(visitor, remember=False)


def sign_out() -> None:
    """End the row and empty the cookie."""
    session_id = session.get("_user_id")
    if session_id:
        accounts.logout(ctx(), session_id=session_id)
    logout_user()
    session.clear()


def _visitor(session_id: str) -> Visitor | None:
    actor = accounts.actor_for_session(ctx(), session_id=session_id)
    return Visitor(actor) if actor else None


def _stateless(path: str) -> bool:
    return path.startswith(("/static/", "/api/")) or path == "/healthz"
