"""Who is asking, and the context services want: the only way views reach either."""

from typing import cast

from flask import current_app, g
from flask_login import current_user

from portal.domain.errors import NotSignedIn
from portal.domain.permissions import Actor
from portal.services.context import Context

EXTENSION = "motherlode"


def ctx() -> Context:
    """The context of this process, put there by ``create_app``."""
    return cast(Context, current_app.extensions[EXTENSION])


def actor() -> Actor | None:
    """Who is asking: by browser session on pages, by Bearer token under /api; None for a stranger."""
    if "actor" not in g:
        g.actor = getattr(current_user, "actor", None)
    return cast(Actor | None, g.actor)


def require_actor() -> Actor:
    """Who is asking. Raises NotSignedIn for a stranger."""
    found = actor()
    if found is None:
        raise NotSignedIn
    return found
