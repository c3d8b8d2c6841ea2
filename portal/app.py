"""The web application: the one place that wires settings, services and pages together."""

import mimetypes
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask
from flask_wtf.csrf import generate_csrf

from portal import logs
from portal.services.context import Context, open_context
from portal.settings import Settings
from portal.store.database import Unreachable
from portal.web import (
    account,
    agreements,
    api,
    auth,
    challenges,
    design,
    entries,
    errors,
    formatting,
    front,
    guards,
    health,
    judge,
    operator,
    security,
    sessions,
    sponsor,
)
from portal.web.access import EXTENSION, actor
from portal.web.guards import Access
from portal.web.waiting import Waiters

WEB = Path(__file__).parent / "web"
BLUEPRINTS: Mapping[Blueprint, Access] = {
    front.bp: Access.PUBLIC,
    challenges.bp: Access.PUBLIC,
    agreements.bp: Access.PUBLIC,
    design.bp: Access.PUBLIC,
    health.blueprint: Access.PUBLIC,
    auth.blueprint: Access.PUBLIC,
    entries.bp: Access.SIGNED_IN,
    account.blueprint: Access.SIGNED_IN,
    sponsor.blueprint: Access.SIGNED_IN,
    judge.blueprint: Access.SIGNED_IN,
    operator.blueprint: Access.OPERATOR,
    api.blueprint: Access.API,
}


def create_app(settings: Settings, *, context: Context | None = None) -> Flask:
    """The application for ``settings``; ``context`` is opened from them unless one is passed.

    Raises ValueError without a secret key (``Settings.from_env`` makes one).
    """
    if not settings.secret_key.get_secret_value():
        raise ValueError("MOTHERLODE_SECRET_KEY is empty; set it, or read the settings with Settings.from_env()")
    logs.configure()
    mimetypes.add_type("text/javascript", ".mjs")
    app = Flask(
        "portal.web", root_path=str(WEB), template_folder=str(WEB / "templates"), static_folder=str(WEB / "static")
    )
    app.config.update(
        SECRET_KEY=settings.secret_key.get_secret_value(),
        WTF_CSRF_CHECK_DEFAULT=False,  # the guards ask for it, so that streamed bodies are not read first
        WTF_CSRF_TIME_LIMIT=None,  # as old as the session, which has its own age
        TRAP_HTTP_EXCEPTIONS=False,
    )
    app.extensions[EXTENSION] = context or open_context(settings)
    app.extensions[api.WAITERS] = Waiters()
    security.install(app, settings)
    sessions.install(app, settings)
    guards.register(app, BLUEPRINTS)
    errors.install(app, unavailable=(Unreachable,))
    _dress(app)
    return app


def _dress(app: Flask) -> None:
    """Filters and names every template may use."""
    app.jinja_env.filters.update(formatting.filters())
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    versions = _versions(WEB / "static")

    @app.url_defaults
    def version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static" and values.get("filename") in versions:
            values.setdefault("v", versions[values["filename"]])

    app.context_processor(lambda: {"actor": actor(), "csrf_token": generate_csrf})


def _versions(folder: Path) -> dict[str, str]:
    """A short digest of every static file, so that a changed file has another address."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest()[:12] for path in found}
