"""From refusals to answers: one table of status and title, a page for people, problem+json under /api.

No answer holds a stack trace or a path; what a stranger needs to quote is the request id.
"""

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from urllib.parse import urlencode

import structlog
from flask import Flask, Response, current_app, g, jsonify, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, SecurityError

from datasets.errors import BlobNotFound, EngineFault, IntegrityError, Rejected, SpecError, TooLarge, VaultError
from portal.domain.errors import (
    AgreementNeeded,
    Closed,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    NotSignedIn,
    QuotaExceeded,
    RateLimited,
)

UNAVAILABLE = "motherlode.unavailable"
OURS = "Nothing was lost. Try again in a minute; if it happens again, tell the operator the request number."
TABLE: Mapping[type[Exception], tuple[int, str]] = {
    NotFound: (404, "Not found"),
    NotSignedIn: (401, "Sign in first"),
    Forbidden: (403, "Not allowed"),
    Invalid: (422, "Some fields need another look"),
    QuotaExceeded: (429, "No entries left for now"),
    Closed: (409, "The challenge takes no entries now"),
    AgreementNeeded: (403, "Sign the data agreement first"),
    Conflict: (409, "Not possible now"),
    TooLarge: (413, "The file is too large"),
    RateLimited: (429, "Too many tries"),
    Rejected: (422, "The file was rejected"),
    SpecError: (422, "The challenge has faults"),
    CSRFError: (400, "The form is out of date"),
    BlobNotFound: (503, "A stored file is missing"),
    IntegrityError: (503, "A stored file is damaged"),
    EngineFault: (503, "The scoring engine failed"),
    VaultError: (503, "Nothing can be sealed now"),
}
OWN_WORDS = {  # instead of the error's own text
    CSRFError: "The form is too old, or cookies of this site are blocked. Open the page again and send it anew.",
    BlobNotFound: OURS,
    IntegrityError: OURS,
    EngineFault: OURS,
    VaultError: OURS,
}
HTTP_WORDS = {
    400: ("The request was not understood", "Check the address and what was sent, then try again."),
    404: ("Not found", "There is no such page. Check the address, or start from the front page."),
    405: ("Not done this way", "This address does not answer this kind of request."),
    413: ("Too large", "What was sent is larger than this address takes."),
    415: ("Wrong type of content", "Send the type of content that the documentation names."),
    416: ("No such range", "The file is shorter than the range asked for."),
}
log = structlog.get_logger("motherlode.web")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is told: status, a title, one sentence, and machine-readable facts beside it."""

    status: int
    title: str
    detail: str
    facts: Mapping[str, Any]
    headers: Mapping[str, str]


def install(app: Flask, unavailable: tuple[type[Exception], ...] = ()) -> None:
    """Answer every exception of the app from here; ``unavailable`` are those of a database that does not answer."""
    app.extensions[UNAVAILABLE] = unavailable
    app.register_error_handler(Exception, answer)


def answer(error: Exception) -> Response:
    """The one place where an exception becomes an answer."""
    problem = describe(error)
    if problem.status >= 500:
        log.error("failure", request_id=g.get("request_id"), route=str(request.url_rule), exc_info=error)
    if isinstance(error, HTTPException) and error.response is not None:
        return error.response  # type: ignore[return-value]
    response = _json(problem) if wants_json() else _page(problem, error)
    response.headers.update(problem.headers)
    return response


def describe(error: Exception) -> Problem:
    """Status and wording of ``error``; anything unforeseen is a 500 that tells nothing."""
    for known in type(error).__mro__:
        if known in TABLE:
            status, title = TABLE[known]
            return Problem(status, title, OWN_WORDS.get(known) or _sentence(str(error)), _facts(error), _headers(error))
    if isinstance(error, HTTPException):
        status = error.code or 500
        title, detail = HTTP_WORDS.get(status, (error.name, ""))
        return Problem(
            status, title, detail, {}, {k: v for k, v in error.get_headers() if k in ("Allow", "Content-Range")}
        )
    if isinstance(error, current_app.extensions[UNAVAILABLE]):
        return Problem(503, "The database does not answer", OURS, {}, {"Retry-After": "5"})
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Problem(507, "The server's disk is full", OURS, {}, {})
    return Problem(500, "Something broke on our side", OURS, {}, {})


def _sentence(text: str) -> str:
    """Text of an error as a sentence; errors of the lower houses begin small and end without a stop."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"


def wants_json() -> bool:
    """Whether the asker reads JSON: everything under /api, and scripts of our pages that say so."""
    if request.path.startswith("/api/"):
        return True
    kinds = ["text/html", "application/json", "application/problem+json"]
    return request.accept_mimetypes.best_match(kinds, default="text/html") != "text/html"


def _facts(error: Exception) -> dict[str, Any]:
    match error:
        case Invalid():
            return {"errors": error.field_errors}
        case QuotaExceeded():
            return {"next_at": error.next_at.astimezone(UTC).isoformat()}
        case AgreementNeeded():
            return {"agreement": error.digest}
        case TooLarge():
            return {"limit": error.limit}
        case RateLimited():
            return {"retry_after": error.retry_after}
        case Rejected():
            return {"findings": [finding.to_dict() for finding in error.findings]}
        case SpecError():
            return {
                "faults": [
                    {"file": f.file, "key": f.key, "message": f.message, "remedy": f.remedy} for f in error.faults
                ]
            }
    return {}


def _headers(error: Exception) -> dict[str, str]:
    match error:
        case NotSignedIn():
            return {"WWW-Authenticate": 'Bearer realm="motherlode"'} if request.path.startswith("/api/") else {}
        case RateLimited():
            return {"Retry-After": str(max(1, error.retry_after))}
    return {}


def _json(problem: Problem) -> Response:
    body = {
        "type": f"urn:motherlode:problem:{problem.title.lower().replace(' ', '-').replace(chr(39), '')}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "request_id": g.get("request_id"),
        **problem.facts,
    }
    response = jsonify(body)
    response.status_code = problem.status
    response.headers["Content-Type"] = "application/problem+json; charset=utf-8"
    return response


def _page(problem: Problem, error: Exception) -> Response:
    if isinstance(error, NotSignedIn):
        return _to_login()
    if isinstance(error, SecurityError) or (request.url_rule is None and not _known_host()):
        return Response(
            "This server does not answer for that host name.\n",
            problem.status,
            content_type="text/plain; charset=utf-8",
        )
    if problem.status >= 500:
        g.setdefault("actor", None)  # whoever asked: the page must not need what may have just failed
    html = render_template(
        "errors/error.html",
        status=problem.status,
        title=problem.title,
        detail=problem.detail,
        facts=problem.facts,
        request_id=g.get("request_id", ""),
    )
    return Response(html, problem.status)


def _to_login() -> Response:
    """Where a stranger is sent; back to the page asked for, if it was one to look at."""
    query = urlencode({"next": request.full_path.rstrip("?")}) if request.method == "GET" else ""
    return Response(status=303, headers={"Location": f"/login?{query}" if query else "/login"})


def _known_host() -> bool:
    return not isinstance(request.routing_exception, SecurityError)
