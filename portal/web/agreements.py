"""The data agreement: read it, say whether you belong to the sponsor, sign it."""

from flask import Blueprint, flash, make_response, redirect, render_template, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import BooleanField, HiddenField, RadioField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length, ValidationError

from portal.domain.errors import Conflict, Invalid
from portal.domain.permissions import Actor
from portal.services import agreements, challenges
from portal.web import access, guards

bp = Blueprint("agreements", __name__, url_prefix="/agreements")


def _said_when_needed(form: "SignForm", field: StringField) -> None:
    if form.affiliated.data == "yes" and not (field.data or "").strip():
        raise ValidationError("Say in a few words how you belong to the sponsor.")


class SignForm(FlaskForm):  # type: ignore[misc]
    """What is asked before the first download."""

    digest = HiddenField()
    affiliated = RadioField(
        "Do you work for the sponsor, or with it on this problem?",
        choices=[
            SelectChoice("no", "No"),
            SelectChoice("yes", "Yes: my entries are shown on the board and take no prize"),
        ],
        validators=[InputRequired("Say whether you belong to the sponsor.")],
    )
    statement = StringField(
        "How do you belong to it?",
        validators=[_said_when_needed, Length(max=300, message="Use at most 300 characters.")],
    )
    accept = BooleanField(
        "I have read this agreement and I accept it.", validators=[InputRequired("Tick the box to sign the agreement.")]
    )


def _show(slug: str, form: SignForm, status: int = 200) -> Response:
    agreement = agreements.page(access.ctx(), actor=access.actor(), slug=slug)
    page = challenges.page(access.ctx(), actor=access.actor(), slug=slug)
    form.digest.data = agreement.digest
    html = render_template("agreements/agreement.html", agreement=agreement, page=page, card=page.card, form=form)
    return make_response(html, status)


def _declare(actor: Actor, slug: str, form: SignForm) -> None:
    """Keep the answer about the sponsor with the team that signing made; sponsors and judges sign without one."""
    page = challenges.page(access.ctx(), actor=actor, slug=slug)
    if page.me.team_name:
        challenges.declare_affiliation(
            access.ctx(),
            actor=actor,
            slug=slug,
            affiliated=form.affiliated.data == "yes",
            statement=form.statement.data or "",
        )


@bp.get("/<slug>")
def agreement(slug: str) -> Response:
    """The agreement's text, and the form to sign it for those signed in."""
    return _show(slug, SignForm())


@bp.post("/<slug>")
@guards.signed_in
def sign(slug: str) -> Response:
    """Record the declaration and the signature of exactly the text that was shown."""
    form, actor = SignForm(), access.require_actor()
    if not form.validate_on_submit():
        return _show(slug, form, 422)
    try:
        agreements.sign(access.ctx(), actor=actor, slug=slug, digest=form.digest.data or "")
        _declare(actor, slug, form)
    except Invalid as error:
        for name, message in error.field_errors.items():
            form.form_errors.append(message) if name not in form else form[name].errors.append(message)
        return _show(slug, form, 422)
    except Conflict as error:
        form.form_errors.append(str(error))
        return _show(slug, form, 409)
    flash("Signed. The files are yours to download.", "good")
    return redirect(url_for("challenges.data", slug=slug), 303)
