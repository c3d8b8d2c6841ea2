"""What every answer carries and every request must hold: hosts, headers, cookies' company, a request id."""

import secrets
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import structlog
from flask import Flask, Response, g, request
from werkzeug.middleware.proxy_fix import ProxyFix

from portal.settings import Settings

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
HSTS = "max-age=63072000; includeSubDomains"
ORDINARY_BODY = 2 * 1024 * 1024  # forms and JSON; uploads set their own limit
log = structlog.get_logger("motherlode.web")


def install(app: Flask, settings: Settings) -> None:
    """Allowed hosts, trusted proxies, body limits, headers and one log line a request."""
    app.config.update(
        TRUSTED_HOSTS=list(settings.hosts),
        MAX_CONTENT_LENGTH=ORDINARY_BODY,
        MAX_FORM_MEMORY_SIZE=ORDINARY_BODY // 2,
        MAX_FORM_PARTS=200,
        PREFERRED_URL_SCHEME="https" if settings.https else "http",
    )
    if settings.proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=settings.proxies, x_proto=settings.proxies, x_host=0, x_prefix=0
        )
    app.before_request(_number_request)
    app.after_request(_finish(https=settings.https))


def safe_next(target: str | None, default: str = "/") -> str:
    """``target`` when it is a plain path of this site, else ``default``: nobody is led elsewhere after signing in."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return default
    if "\\" in target or any(ord(character) <= 0x20 or ord(character) == 0x7F for character in target):
        return default
    parts = urlsplit(target)
    path = parts.path.lower()
    if parts.scheme or parts.netloc or path.startswith("//") or "%2f%2f" in path or "%5c" in path:
        return default
    return target


def _number_request() -> None:
    g.request_id = secrets.token_hex(8)
    g.started = time.perf_counter()


def _finish(*, https: bool) -> Callable[[Response], Response]:
    def finish(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if https:
            response.headers["Strict-Transport-Security"] = HSTS
        response.headers["X-Request-ID"] = g.get("request_id", "")
        _keep_private(response)
        _log(response)
        return response

    return finish


def _keep_private(response: Response) -> None:
    """Pages made for one person are never stored; shared ones are asked for again unless their view knows better."""
    if request.endpoint == "static" and "v" in request.args and response.status_code < 400:
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"  # a changed file has another address
    if "Cache-Control" in response.headers:
        return
    personal = g.get("actor") is not None or request.method not in ("GET", "HEAD") or response.status_code >= 400
    response.headers["Cache-Control"] = "no-store" if personal else "no-cache"


def _log(response: Response) -> None:
    if request.endpoint == "static":
        return
    person = g.get("actor")
    log.info(
        "request",
        request_id=g.get("request_id"),
        method=request.method,
        path=_loggable_path(),
        status=response.status_code,
        person=person.id if person else None,
        milliseconds=round((time.perf_counter() - g.get("started", time.perf_counter())) * 1000, 1),
    )


def _loggable_path() -> str:
    """The path, without the secret of a mailed link."""
    secret = request.view_args and "token" in request.view_args
    return request.url_rule.rule if secret and request.url_rule else request.path
