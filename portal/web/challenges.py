"""The sheets of one challenge: overview, data, rules, timeline, board, entries, bounty, submit."""

import secrets
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, jsonify, make_response, render_template, request, session, url_for

from portal.domain.errors import Closed, Conflict, Invalid, QuotaExceeded, TooLarge
from portal.domain.views import ChallengePage
from portal.services import agreements, challenges, downloading, paying, ranking, submitting
from portal.web import access, charts, downloads, errors, guards, paging, uploads
from portal.web.layers import layer_list

bp = Blueprint("challenges", __name__, url_prefix="/challenges/<slug>")
TABS = (
    ("overview", "Overview"), ("data", "Data"), ("rules", "Rules"), ("timeline", "Timeline"), ("board", "Board"),
    ("entries", "My entries"), ("bounty", "Bounty"), ("submit", "Submit"),
)  # fmt: skip


def _page(slug: str) -> ChallengePage:
    return challenges.page(access.ctx(), actor=access.actor(), slug=slug)


def _sheet(page: ChallengePage, name: str, **more: Any) -> str:
    """One sheet with its header and tabs."""
    slug = page.card.slug
    tabs = [(label, url_for(f"challenges.{tab}", slug=slug), tab == name) for tab, label in TABS]
    base_url = str(access.ctx().settings.base_url).rstrip("/")
    return render_template(
        f"challenges/{name}.html",
        page=page,
        card=page.card,
        tabs=tabs,
        now=datetime.now(UTC),
        base_url=base_url,
        **more,
    )


@bp.get("")
def overview(slug: str) -> str:
    """Key facts, the sponsor's text, the map of public layers, and the commitment to the sealed truth."""
    page = _page(slug)
    placed = [layer for layer in page.layers if layer.bounds]
    picture = next((layer for layer in placed if layer.kind == "raster"), None)
    may_see = page.me.agreement_signed or page.me.may_manage or page.me.role == "operator"
    return _sheet(page, "overview", layers=placed, picture=picture, may_see_layers=may_see)


@bp.get("/layers")
def layers(slug: str) -> Response:
    """The public layers as the map script reads them."""
    return jsonify(layer_list(_page(slug).layers, lambda name: url_for(".layer", slug=slug, name=name)))


@bp.get("/layers/<path:name>")
def layer(slug: str, name: str) -> Response:
    """One preview made from the public data."""
    return downloads.send(downloading.layer(access.ctx(), actor=access.actor(), slug=slug, name=name), inline=True)


@bp.get("/data")
def data(slug: str) -> str:
    """The files of the release, and what stands between the reader and them."""
    page = _page(slug)
    return _sheet(page, "data", release=page.release)


@bp.get("/data/archive")
@guards.signed_in
def archive(slug: str) -> Response:
    """All files in one zip."""
    return downloads.send(downloading.fetch(access.ctx(), actor=access.require_actor(), slug=slug, path=None))


@bp.get("/data/files/<path:path>")
@guards.signed_in
def file(slug: str, path: str) -> Response:
    """One file of the release."""
    return downloads.send(downloading.fetch(access.ctx(), actor=access.require_actor(), slug=slug, path=path))


@bp.get("/rules")
def rules(slug: str) -> str:
    """What is measured, what a file must hold, and how the truth is cut; the agreement's text beside it."""
    agreement = agreements.page(access.ctx(), actor=access.actor(), slug=slug)
    return _sheet(_page(slug), "rules", agreement=agreement)


@bp.get("/timeline")
def timeline(slug: str) -> str:
    """Every date, in UTC and in the reader's time."""
    page = _page(slug)
    return _sheet(page, "timeline", chart=charts.timeline(page.timeline, datetime.now(UTC)))


@bp.get("/board")
def board(slug: str) -> Response:
    """Standings. Strangers share one page a state of the board; a person's own page is made for that person."""
    context, number = access.ctx(), request.args.get("page", 1, type=int)
    if access.actor() is not None or "_flashes" in session:
        return make_response(_board(slug, number))
    version = ranking.version(context, actor=None, slug=slug)
    if request.if_none_match.contains(f"{version}-{number}"):
        response = Response(status=304)
    elif number == 1:
        minute = datetime.now(UTC).replace(second=0, microsecond=0)  # the time left stands on the page
        response = make_response(context.cache.get(("board page", slug, version, minute), lambda: _board(slug, 1)))
    else:
        response = make_response(_board(slug, number))
    response.set_etag(f"{version}-{number}")
    response.headers["Cache-Control"] = "no-cache"
    return response


def _board(slug: str, number: int) -> str:
    standings = ranking.board(access.ctx(), actor=access.actor(), slug=slug)
    points = ranking.progress(access.ctx(), slug=slug)
    shown = paging.cut(standings.rows, number)
    drawn = {
        "histogram": charts.histogram(standings.rows, standings.metric),
        "progress": charts.progress(points, standings.metric),
        "strips": charts.strips(standings.rows)[shown.first : shown.first + len(shown.items)],
    }
    return _sheet(
        _page(slug),
        "board",
        board=standings,
        shown=shown,
        my_page=paging.page_of(standings.rows, lambda row: row.is_me),
        page_url=lambda page: url_for(".board", slug=slug, page=page),
        points=points,
        charts=drawn,
    )


@bp.get("/entries")
@guards.signed_in
def entries(slug: str) -> str:
    """The reader's own entries, newest first."""
    mine = submitting.mine(access.ctx(), actor=access.require_actor(), slug=slug)
    return _sheet(_page(slug), "entries", entries=mine)


@bp.get("/bounty")
def bounty(slug: str) -> str:
    """Prizes, pool, and every posting of the ledger."""
    page = _page(slug)
    ledger = paying.ledger(access.ctx(), actor=access.actor(), slug=slug)
    drawn = {
        "prizes": charts.prizes(page.prizes, page.card.pool_minor, page.card.currency),
        "pool": charts.pool(ledger),
    }
    return _sheet(page, "bounty", ledger=ledger, charts=drawn)


@bp.get("/submit")
def submit(slug: str) -> str:
    """The form for an entry, or what is to be done first."""
    return _sheet(_page(slug), "submit", key=secrets.token_urlsafe(16), problem=None, note="")


@bp.post("/submit")
@guards.signed_in
@guards.streams
def send(slug: str) -> Response:
    """Take a file; answer with its receipt, or with the form and what is wrong."""
    actor, page, note = access.require_actor(), _page(slug), ""
    try:
        with uploads.receive(page.rules.max_bytes) as incoming:
            note = incoming.fields.get("note", "")
            entry = submitting.submit(
                access.ctx(),
                actor=actor,
                slug=slug,
                stream=incoming.stream,
                filename=incoming.filename,
                note=note,
                key=incoming.fields.get("key") or None,
            )
    except (Invalid, QuotaExceeded, TooLarge, Closed, Conflict) as error:
        problem = errors.describe(error)
        form = _sheet(_page(slug), "submit", key=secrets.token_urlsafe(16), problem=problem, note=note)
        return make_response(form, problem.status)
    return uploads.answer(url_for("entries.entry", entry_id=entry.id))
