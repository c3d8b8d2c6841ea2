"""Who may come in: a guard stands beside every blueprint, a view may ask for more, and what has no guard is shut."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, TypeVar

from flask import Blueprint, Flask, current_app, g, request
from flask_wtf.csrf import CSRFProtect

from portal.domain.errors import Forbidden, NotFound, NotSignedIn
from portal.domain.permissions import Scope
from portal.services import accounts
from portal.web import access

View = TypeVar("View", bound=Callable[..., Any])
GUARDS = "motherlode.guards"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
csrf = CSRFProtect()


class Access(Enum):
    """What a route asks of the visitor before its view runs. Roles within a challenge are the services' affair."""

    PUBLIC = "public"
    SIGNED_IN = "signed in"
    OPERATOR = "operator"
    API = "api"  # cookies mean nothing here; every view states a scope or ``open_to_all``


def signed_in(view: View) -> View:
    """This view asks for a signed-in person although its blueprint does not."""
    return _mark(view, "needs", value=Access.SIGNED_IN)


def scoped(scope: Scope) -> Callable[[View], View]:
    """This API view asks for a token with ``scope``."""
    return lambda view: _mark(view, "scope", value=scope)


def open_to_all(view: View) -> View:
    """This API view answers without a token too."""
    return _mark(view, "scope", value=None)


def streams(view: View) -> View:
    """This view reads a large body itself and checks the forgery token before the first byte (``uploads.receive``)."""
    return _mark(view, "streams", value=True)


def marked(view: Callable[..., Any], name: str, default: object = None) -> Any:
    """What a decorator of this module said about ``view``."""
    return getattr(view, f"_motherlode_{name}", default)


def register(app: Flask, table: Mapping[Blueprint, Access]) -> None:
    """Register every blueprint of ``table`` behind its guard."""
    csrf.init_app(app)
    app.extensions[GUARDS] = {blueprint.name: needs for blueprint, needs in table.items()}
    app.before_request(check)
    for blueprint in table:
        app.register_blueprint(blueprint)


def needs_of(app: Flask, endpoint: str) -> Access | None:
    """What the route asks; None when nothing guards it."""
    if endpoint == "static":
        return Access.PUBLIC
    guard: Access | None = app.extensions[GUARDS].get(endpoint.rpartition(".")[0])
    return marked(app.view_functions[endpoint], "needs", guard) if guard else None


def check() -> None:
    """Before every view: a guard exists, the request is not forged, the visitor is let in.

    Raises NotSignedIn, Forbidden, or CSRFError (400).
    """
    if request.endpoint is None:
        return  # no such route: routing answers 404 or 405
    view = current_app.view_functions[request.endpoint]
    needs = needs_of(current_app, request.endpoint)
    if needs is None:
        raise NotFound
    if needs is Access.API:
        _check_token(view)
        return
    if request.method not in SAFE and not marked(view, "streams"):
        csrf.protect()
    if needs is not Access.PUBLIC:
        person = access.require_actor()
        if needs is Access.OPERATOR and not person.is_operator:
            raise Forbidden("This page is for the operator of the platform. Sign in with an operator's account.")


def _check_token(view: Callable[..., Any]) -> None:
    """Identity under /api comes from the Bearer token alone, so a forged form can do nothing here."""
    g.actor = None
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme:
        if scheme.lower() != "bearer" or not secret.strip():
            raise NotSignedIn("Send the header `Authorization: Bearer TOKEN`. Tokens are made on the account page.")
        g.actor = accounts.actor_for_token(access.ctx(), secret=secret.strip())
        if g.actor is None:
            raise NotSignedIn("The token is unknown, revoked or out of date. Make a new one on the account page.")
    scope = marked(view, "scope", "none stated")
    if scope is None:
        return
    if g.actor is None:
        raise NotSignedIn("Send the header `Authorization: Bearer TOKEN`. Tokens are made on the account page.")
    if not g.actor.has_scope(scope):
        raise Forbidden(f"The token has no scope `{scope}`. Make one that has it on the account page.")


def _mark(view: View, name: str, *, value: object) -> View:
    setattr(view, f"_motherlode_{name}", value)
    return view
