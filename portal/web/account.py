"""One's own account: sessions, password, API tokens."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.domain.errors import Invalid
from portal.domain.views import TokenView
from portal.services import accounts, tokens
from portal.web import sessions
from portal.web.access import ctx, require_actor
from portal.web.forms import Form, PasswordForm, TokenForm

blueprint = Blueprint("account", __name__)


@blueprint.get("/account")
def page() -> str:
    return _page(PasswordForm())


@blueprint.post("/account/password")
def change_password() -> ResponseReturnValue:
    form = PasswordForm()
    if form.validate():
        try:
            accounts.change_password(ctx(), actor=require_actor(), current=form.current.data, new=form.new.data)
            sessions.sign_out()
            flash("Your password is changed and all sessions are ended. Sign in with the new one.", "good")
            return redirect(url_for("auth.login_form"), 303)
        except Invalid as refusal:
            form.take(refusal)
    return _page(form), 422


@blueprint.post("/account/sessions/<session_id>/end")
def end_session(session_id: str) -> ResponseReturnValue:
    accounts.end_session(ctx(), actor=require_actor(), session_id=session_id)
    flash("The session is ended.", "good")
    return redirect(url_for("account.page"), 303)


@blueprint.get("/account/tokens")
def token_page() -> str:
    return _token_page(TokenForm())


@blueprint.post("/account/tokens")
def issue_token() -> ResponseReturnValue:
    """Answers with the page itself, not a redirect: the secret is in this answer and nowhere else."""
    form = TokenForm()
    if form.validate():
        try:
            issued = tokens.issue(
                ctx(), actor=require_actor(), name=form.name.data, scopes=form.scopes.data, days=form.days.data
            )
            return _token_page(TokenForm(formdata=None), issued), 201
        except Invalid as refusal:
            form.take(refusal)
    return _token_page(form), 422


@blueprint.post("/account/tokens/<token_id>/revoke")
def revoke_token(token_id: str) -> ResponseReturnValue:
    tokens.revoke(ctx(), actor=require_actor(), token_id=token_id)
    flash("The token is revoked.", "good")
    return redirect(url_for("account.token_page"), 303)


def _page(form: Form) -> str:
    person = require_actor()
    return render_template("account/page.html", form=form, sessions=accounts.sessions(ctx(), actor=person))


def _token_page(form: Form, issued: tuple[TokenView, str] | None = None) -> str:
    listing = tokens.listing(ctx(), actor=require_actor())
    return render_template("account/tokens.html", form=form, tokens=listing, issued=issued)
