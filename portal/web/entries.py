"""One entry: its receipt, its state as it changes, its score or its findings."""

from hashlib import sha256
from typing import Any

from flask import Blueprint, Response, jsonify, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from portal.domain.views import EntryView
from portal.services import challenges, submitting
from portal.web import access, downloads, guards
from portal.web.layers import artifact_list

bp = Blueprint("entries", __name__, url_prefix="/entries/<entry_id>")
UNDER_WAY = ("queued", "scoring")


def _entry(entry_id: str) -> EntryView:
    return submitting.entry(access.ctx(), actor=access.require_actor(), entry_id=entry_id)


def fingerprint(entry: EntryView) -> str:
    """Changes when anything shown about an entry's state changes."""
    shown = (entry.state, entry.position, entry.progress, entry.attempts, entry.is_final_pick)
    return sha256(repr(shown).encode()).hexdigest()[:16]


def saying(entry: EntryView) -> str:
    """Changes when there is something to read out: a share of the scoring is only shown."""
    return sha256(repr((entry.state, entry.position, entry.attempts)).encode()).hexdigest()[:16]


def _layers(entry: EntryView) -> dict[str, Any]:
    return artifact_list(entry.artifacts, lambda name: url_for(".artifact", entry_id=entry.id, name=name))


def _shown(entry: EntryView) -> dict[str, Any]:
    """What the templates of an entry are given."""
    page = challenges.page(access.ctx(), actor=access.actor(), slug=entry.challenge_slug)
    return {
        "entry": entry,
        "page": page,
        "card": page.card,
        "seen": fingerprint(entry),
        "said": saying(entry),
        "waiting": entry.state in UNDER_WAY,
        "pictures": [name for name in entry.artifacts if name.endswith(".png")],
        "shapes": [name for name in entry.artifacts if name.endswith(".geojson")],
        "mapped": bool(_layers(entry)["layers"]),
    }


@bp.get("")
@guards.signed_in
def entry(entry_id: str) -> str:
    """The whole sheet of one entry."""
    return render_template("entries/entry.html", **_shown(_entry(entry_id)))


@bp.get("/result")
@guards.signed_in
def result(entry_id: str) -> Response:
    """The part that changes, with a sentence to be read out when its state did; 204 while nothing is new."""
    found = _entry(entry_id)
    if request.args.get("seen") == fingerprint(found):
        return Response(status=204)
    now = saying(found)
    tell = request.args.get("said", now) != now
    return make_response(render_template("entries/_result.html", **_shown(found), tell=tell))


@bp.get("/layers")
@guards.signed_in
def layers(entry_id: str) -> Response:
    """The previews of the entry as the map script reads them."""
    return jsonify(_layers(_entry(entry_id)))


@bp.get("/artifacts/<name>")
@guards.signed_in
def artifact(entry_id: str, name: str) -> Response:
    """One preview made from the entry's own file."""
    return downloads.send(
        submitting.artifact(access.ctx(), actor=access.require_actor(), entry_id=entry_id, name=name), inline=True
    )


@bp.post("/final")
@guards.signed_in
def choose_final(entry_id: str) -> BaseResponse:
    """Take the entry as one of the team's finals, or give the place back."""
    chosen = request.form.get("chosen") == "yes"
    submitting.choose_final(access.ctx(), actor=access.require_actor(), entry_id=entry_id, chosen=chosen)
    return redirect(url_for(".entry", entry_id=entry_id), 303)


@bp.post("/withdraw")
@guards.signed_in
def withdraw(entry_id: str) -> BaseResponse:
    """Take an entry back."""
    submitting.withdraw(access.ctx(), actor=access.require_actor(), entry_id=entry_id)
    return redirect(url_for(".entry", entry_id=entry_id), 303)
