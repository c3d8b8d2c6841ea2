"""The sponsor's desk: upload a challenge directory, mend what is found, publish, name judges, close."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.domain.errors import Invalid, NotFound, TooLarge
from portal.domain.views import DraftView
from portal.services import challenges, paying, publishing
from portal.web import errors, uploads
from portal.web.access import ctx, require_actor
from portal.web.forms import CloseForm, DraftForm, Form, GrantForm
from portal.web.guards import streams

blueprint = Blueprint("sponsor", __name__)
WORKING = ("checking", "publishing")


@blueprint.get("/sponsor")
def desk() -> str:
    return render_template("sponsor/desk.html", **_desk(), problem=None)


@blueprint.post("/sponsor/drafts")
@streams
def upload() -> ResponseReturnValue:
    try:
        with uploads.receive(ctx().settings.upload_max_bytes) as incoming:
            draft = publishing.upload(ctx(), actor=require_actor(), stream=incoming.stream, filename=incoming.filename)
    except (Invalid, TooLarge) as refusal:
        problem = errors.describe(refusal)
        return render_template("sponsor/desk.html", **_desk(), problem=problem), problem.status
    return uploads.answer(url_for("sponsor.draft", draft_id=draft.id))


@blueprint.get("/sponsor/drafts/<draft_id>")
def draft(draft_id: str) -> str:
    found = publishing.draft(ctx(), actor=require_actor(), draft_id=draft_id)
    return _draft_page(found, DraftForm.of(found.edit) if found.edit else None)


@blueprint.get("/sponsor/drafts/<draft_id>/state")
def draft_state(draft_id: str) -> ResponseReturnValue:
    """The part of the draft page that renews itself while the engine works; then the whole page is asked for again."""
    found = publishing.draft(ctx(), actor=require_actor(), draft_id=draft_id)
    if found.state in WORKING:
        return render_template("sponsor/draft_state.html", draft=found, working=True)
    return "", 200, {"HX-Refresh": "true"}


@blueprint.post("/sponsor/drafts/<draft_id>")
def edit(draft_id: str) -> ResponseReturnValue:
    form = DraftForm()
    person = require_actor()
    if form.validate():
        try:
            publishing.edit(ctx(), actor=person, draft_id=draft_id, changes=form.changes())
            flash("Saved. The draft is being checked again.", "good")
            return redirect(url_for("sponsor.draft", draft_id=draft_id), 303)
        except Invalid as refusal:
            form.take(refusal)
    return _draft_page(publishing.draft(ctx(), actor=person, draft_id=draft_id), form), 422


@blueprint.post("/sponsor/drafts/<draft_id>/publish")
def publish(draft_id: str) -> ResponseReturnValue:
    publishing.publish(ctx(), actor=require_actor(), draft_id=draft_id)
    flash("Publication has started.", "good")
    return redirect(url_for("sponsor.draft", draft_id=draft_id), 303)


@blueprint.get("/sponsor/challenges/<slug>")
def manage(slug: str) -> str:
    return _manage_page(slug, GrantForm(), CloseForm())


@blueprint.post("/sponsor/challenges/<slug>/people")
def grant(slug: str) -> ResponseReturnValue:
    form = GrantForm()
    if form.validate():
        try:
            challenges.grant(ctx(), actor=require_actor(), slug=slug, email=form.email.data, role=form.role.data)
            flash("The role is granted.", "good")
            return redirect(url_for("sponsor.manage", slug=slug), 303)
        except Invalid as refusal:
            form.take(refusal)
    return _manage_page(slug, form, CloseForm(formdata=None)), 422


@blueprint.post("/sponsor/challenges/<slug>/close")
def close(slug: str) -> ResponseReturnValue:
    form = CloseForm()
    if form.validate():
        challenges.close(ctx(), actor=require_actor(), slug=slug, reason=form.reason.data)
        flash("The challenge is closed. Entries already received are still scored.", "good")
        return redirect(url_for("sponsor.manage", slug=slug), 303)
    return _manage_page(slug, GrantForm(formdata=None), form), 422


def _desk() -> dict[str, object]:
    person = require_actor()
    return {
        "cards": challenges.managed(ctx(), actor=person),
        "drafts": publishing.drafts(ctx(), actor=person),
        "max_bytes": ctx().settings.upload_max_bytes,
    }


def _draft_page(found: DraftView, form: Form | None) -> str:
    return render_template("sponsor/draft.html", draft=found, form=form, working=found.state in WORKING)


def _manage_page(slug: str, form: GrantForm, close_form: CloseForm) -> str:
    person = require_actor()
    page = challenges.page(ctx(), actor=person, slug=slug)
    if not page.me.may_manage:
        raise NotFound("challenge")
    people = challenges.people(ctx(), actor=person, slug=slug)
    ledger = paying.ledger(ctx(), actor=person, slug=slug)
    return render_template(
        "sponsor/manage.html", page=page, people=people, ledger=ledger, form=form, close_form=close_form
    )
