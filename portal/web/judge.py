"""The judge's desk: entries without names, evidence on one page, rulings with reasons."""

from flask import Blueprint, Response, flash, jsonify, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.domain.errors import Invalid
from portal.services import challenges, verifying
from portal.web import evidence
from portal.web.access import ctx, require_actor
from portal.web.downloads import send
from portal.web.forms import ConflictForm, RulingForm
from portal.web.layers import artifact_list

blueprint = Blueprint("judge", __name__)


@blueprint.get("/judge")
def index() -> str:
    return render_template("judge/index.html", rows=challenges.judged(ctx(), actor=require_actor()))


@blueprint.get("/judge/<slug>")
def desk(slug: str) -> str:
    found = verifying.desk(ctx(), actor=require_actor(), slug=slug)
    return render_template(
        "judge/desk.html", desk=found, form=ConflictForm(data={"conflicted": found.conflict_declared})
    )


@blueprint.post("/judge/<slug>/conflict")
def declare_conflict(slug: str) -> ResponseReturnValue:
    form = ConflictForm()
    person = require_actor()
    if form.validate():
        try:
            verifying.declare_conflict(
                ctx(), actor=person, slug=slug, conflicted=form.conflicted.data, statement=form.statement.data or ""
            )
            flash("Your declaration is recorded.", "good")
            return redirect(url_for("judge.desk", slug=slug), 303)
        except Invalid as refusal:
            form.take(refusal)
    return render_template("judge/desk.html", desk=verifying.desk(ctx(), actor=person, slug=slug), form=form), 422


@blueprint.get("/judge/entries/<entry_id>")
def entry(entry_id: str) -> str:
    return _entry_page(entry_id, RulingForm())


@blueprint.post("/judge/entries/<entry_id>/rulings")
def rule(entry_id: str) -> ResponseReturnValue:
    form = RulingForm()
    if form.validate():
        try:
            ruling = verifying.rule(
                ctx(), actor=require_actor(), entry_id=entry_id, verdict=form.verdict.data, reason=form.reason.data
            )
            flash(f"Ruling recorded: {ruling.verdict}.", "good")
            return redirect(url_for("judge.entry", entry_id=entry_id), 303)
        except Invalid as refusal:
            form.take(refusal)
    return _entry_page(entry_id, form), 422


@blueprint.get("/judge/entries/<entry_id>/layers")
def layers(entry_id: str) -> Response:
    """The entry's previews as the map script reads them."""
    found = verifying.entry(ctx(), actor=require_actor(), entry_id=entry_id)
    return jsonify(artifact_list(found.artifacts, lambda name: url_for("judge.artifact", entry_id=entry_id, name=name)))


@blueprint.get("/judge/entries/<entry_id>/file")
def fetch(entry_id: str) -> Response:
    return send(verifying.fetch(ctx(), actor=require_actor(), entry_id=entry_id))


@blueprint.get("/judge/entries/<entry_id>/artifacts/<name>")
def artifact(entry_id: str, name: str) -> Response:
    return send(verifying.artifact(ctx(), actor=require_actor(), entry_id=entry_id, name=name), inline=True)


def _entry_page(entry_id: str, form: RulingForm) -> str:
    person = require_actor()
    found = verifying.entry(ctx(), actor=person, entry_id=entry_id)
    proofs = evidence.gather(
        ctx(),
        found.artifacts,
        lambda name: verifying.artifact(ctx(), actor=person, entry_id=entry_id, name=name),
    )
    return render_template("judge/entry.html", found=found, entry=found.entry, form=form, evidence=proofs)
