"""The JSON interface, version 1: for the command line, notebooks and other people's programs.

Identity is a Bearer token and nothing else; cookies mean nothing here. Every view states the scope it needs, or that it
is open to all. Refusals are problem+json.
"""

from flask import Blueprint, Response, current_app, jsonify, request, url_for

from portal.domain.views import DraftView, EntryView
from portal.services import agreements, challenges, downloading, publishing, ranking, submitting, verifying
from portal.web import uploads
from portal.web.access import actor, ctx, require_actor
from portal.web.downloads import send
from portal.web.guards import open_to_all, scoped, streams
from portal.web.waiting import Waiters
from portal.web.wire import AffiliationBody, AgreementBody, RulingBody, body, plain, wait_seconds

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")
WAITERS = "motherlode.waiters"
UNFINISHED_ENTRY = ("queued", "scoring")
UNFINISHED_DRAFT = ("checking", "publishing")


@blueprint.get("/me")
@scoped("read")
def me() -> Response:
    person = require_actor()
    scopes = sorted(person.scopes) if person.scopes is not None else None
    return jsonify(id=person.id, name=person.name, email=person.email, operator=person.is_operator, scopes=scopes)


@blueprint.get("/challenges")
@open_to_all
def listing() -> Response:
    return jsonify(challenges=plain(challenges.listing(ctx(), actor=actor())))


@blueprint.get("/challenges/<slug>")
@open_to_all
def challenge(slug: str) -> Response:
    return jsonify(plain(challenges.page(ctx(), actor=actor(), slug=slug)))


@blueprint.get("/challenges/<slug>/agreement")
@open_to_all
def agreement(slug: str) -> Response:
    return jsonify(plain(agreements.page(ctx(), actor=actor(), slug=slug)))


@blueprint.post("/challenges/<slug>/agreement")
@scoped("submit")
def sign(slug: str) -> Response:
    person = require_actor()
    agreements.sign(ctx(), actor=person, slug=slug, digest=body(AgreementBody).digest)
    return jsonify(plain(agreements.page(ctx(), actor=person, slug=slug)))


@blueprint.post("/challenges/<slug>/affiliation")
@scoped("submit")
def declare_affiliation(slug: str) -> Response:
    sent = body(AffiliationBody)
    challenges.declare_affiliation(
        ctx(), actor=require_actor(), slug=slug, affiliated=sent.affiliated, statement=sent.statement
    )
    return jsonify(affiliated=sent.affiliated)


@blueprint.get("/challenges/<slug>/files")
@open_to_all
def files(slug: str) -> Response:
    return jsonify(plain(downloading.listing(ctx(), actor=actor(), slug=slug)))


@blueprint.get("/challenges/<slug>/files/<path:path>")
@scoped("read")
def file(slug: str, path: str) -> Response:
    return send(downloading.fetch(ctx(), actor=require_actor(), slug=slug, path=path))


@blueprint.get("/challenges/<slug>/archive")
@scoped("read")
def archive(slug: str) -> Response:
    return send(downloading.fetch(ctx(), actor=require_actor(), slug=slug, path=None))


@blueprint.get("/challenges/<slug>/board")
@open_to_all
def board(slug: str) -> Response:
    """The standings. Strangers share one encoded answer a version; who holds that version is not sent it again."""
    person, context = actor(), ctx()
    version = ranking.version(context, actor=person, slug=slug)
    if request.if_none_match.contains(version):
        response = Response(status=304)
    else:
        key = ("board json", slug, version)
        text = _board(slug) if person else context.cache.get(key, lambda: _board(slug))
        response = Response(text, mimetype="application/json")
    response.set_etag(version)
    response.vary.add("Authorization")
    response.headers["Cache-Control"] = "private, no-cache" if person else "no-cache"
    return response


@blueprint.get("/challenges/<slug>/quota")
@scoped("read")
def quota(slug: str) -> Response:
    return jsonify(plain(submitting.quota(ctx(), actor=require_actor(), slug=slug)))


@blueprint.get("/challenges/<slug>/entries")
@scoped("read")
def entries(slug: str) -> Response:
    return jsonify(entries=plain(submitting.mine(ctx(), actor=require_actor(), slug=slug)))


@blueprint.post("/challenges/<slug>/entries")
@scoped("submit")
@streams
def submit(slug: str) -> Response:
    """The file as raw body (``X-Filename``, ``X-Note``) or as last part of a multipart form; ``?wait=`` for the score.

    The same ``Idempotency-Key`` with the same file answers with the same entry, as often as it is sent.
    """
    seconds = wait_seconds()
    person = require_actor()
    limit = challenges.page(ctx(), actor=person, slug=slug).rules.max_bytes
    with uploads.receive(limit, forgery_check=False) as incoming:
        entry = submitting.submit(
            ctx(),
            actor=person,
            slug=slug,
            stream=incoming.stream,
            filename=incoming.filename,
            note=incoming.fields.get("note", ""),
            key=request.headers.get("Idempotency-Key"),
        )
    response = jsonify(plain(_awaited(entry.id, seconds)))
    response.status_code = 201
    response.headers["Location"] = url_for("api.entry", entry_id=entry.id)
    return response


@blueprint.get("/entries/<entry_id>")
@scoped("read")
def entry(entry_id: str) -> Response:
    return jsonify(plain(_awaited(entry_id, wait_seconds())))


@blueprint.get("/entries/<entry_id>/artifacts/<name>")
@scoped("read")
def artifact(entry_id: str, name: str) -> Response:
    return send(submitting.artifact(ctx(), actor=require_actor(), entry_id=entry_id, name=name), inline=True)


@blueprint.get("/sponsor/drafts")
@scoped("sponsor")
def drafts() -> Response:
    return jsonify(drafts=plain(publishing.drafts(ctx(), actor=require_actor())))


@blueprint.post("/sponsor/drafts")
@scoped("sponsor")
@streams
def upload_draft() -> Response:
    """A zipped challenge directory; ``?wait=`` for its faults and its dry run."""
    seconds = wait_seconds()
    with uploads.receive(ctx().settings.upload_max_bytes, forgery_check=False) as incoming:
        draft = publishing.upload(ctx(), actor=require_actor(), stream=incoming.stream, filename=incoming.filename)
    response = jsonify(plain(_awaited_draft(draft.id, seconds)))
    response.status_code = 201
    response.headers["Location"] = url_for("api.draft", draft_id=draft.id)
    return response


@blueprint.get("/sponsor/drafts/<draft_id>")
@scoped("sponsor")
def draft(draft_id: str) -> Response:
    return jsonify(plain(_awaited_draft(draft_id, wait_seconds())))


@blueprint.post("/sponsor/drafts/<draft_id>/publish")
@scoped("sponsor")
def publish(draft_id: str) -> Response:
    seconds = wait_seconds()
    publishing.publish(ctx(), actor=require_actor(), draft_id=draft_id)
    response = jsonify(plain(_awaited_draft(draft_id, seconds)))
    response.status_code = 202
    return response


@blueprint.get("/judge/<slug>")
@scoped("judge")
def judge_desk(slug: str) -> Response:
    return jsonify(plain(verifying.desk(ctx(), actor=require_actor(), slug=slug)))


@blueprint.get("/judge/entries/<entry_id>")
@scoped("judge")
def judge_entry(entry_id: str) -> Response:
    return jsonify(plain(verifying.entry(ctx(), actor=require_actor(), entry_id=entry_id)))


@blueprint.post("/judge/entries/<entry_id>/rulings")
@scoped("judge")
def rule(entry_id: str) -> Response:
    sent = body(RulingBody)
    ruling = verifying.rule(ctx(), actor=require_actor(), entry_id=entry_id, verdict=sent.verdict, reason=sent.reason)
    response = jsonify(plain(ruling))
    response.status_code = 201
    return response


def _board(slug: str) -> str:
    return current_app.json.dumps(plain(ranking.board(ctx(), actor=actor(), slug=slug)))


def _awaited(entry_id: str, seconds: float) -> EntryView:
    person = require_actor()
    waiters: Waiters = current_app.extensions[WAITERS]
    return waiters.wait(
        lambda: submitting.entry(ctx(), actor=person, entry_id=entry_id),
        done=lambda found: found.state not in UNFINISHED_ENTRY,
        seconds=seconds,
    )


def _awaited_draft(draft_id: str, seconds: float) -> DraftView:
    person = require_actor()
    waiters: Waiters = current_app.extensions[WAITERS]
    return waiters.wait(
        lambda: publishing.draft(ctx(), actor=person, draft_id=draft_id),
        done=lambda found: found.state not in UNFINISHED_DRAFT,
        seconds=seconds,
    )
