"""Coming in: register, sign in and out, verify an address, reset a password."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.domain.errors import Invalid
from portal.services import accounts
from portal.web import sessions
from portal.web.access import actor, ctx
from portal.web.forms import EmptyForm, LoginForm, RegisterForm, ResetForm, ResetRequestForm
from portal.web.security import safe_next

blueprint = Blueprint("auth", __name__)


@blueprint.get("/register")
def register_form() -> ResponseReturnValue:
    return redirect("/") if actor() else render_template("account/register.html", form=RegisterForm())


@blueprint.post("/register")
def register() -> ResponseReturnValue:
    form = RegisterForm()
    if form.validate():
        try:
            accounts.register(
                ctx(), name=form.name.data, email=form.email.data, password=form.password.data, address=_address()
            )
            return redirect(url_for("auth.registered"), 303)
        except Invalid as refusal:
            form.take(refusal)
    return render_template("account/register.html", form=form), 422


@blueprint.get("/register/sent")
def registered() -> str:
    return render_template("account/sent.html", what="register")


@blueprint.get("/login")
def login_form() -> ResponseReturnValue:
    target = safe_next(request.args.get("next"))
    return redirect(target) if actor() else render_template("account/login.html", form=LoginForm(), next=target)


@blueprint.post("/login")
def login() -> ResponseReturnValue:
    form = LoginForm()
    target = safe_next(request.args.get("next"))
    if form.validate():
        try:
            session_id = accounts.login(
                ctx(),
                email=form.email.data,
                password=form.password.data,
                agent=request.headers.get("User-Agent", "")[:300],
                address=_address(),
            )
            sessions.sign_in(session_id)
            return redirect(target, 303)
        except Invalid as refusal:
            form.take(refusal)
    return render_template("account/login.html", form=form, next=target), 422


@blueprint.post("/logout")
def logout() -> ResponseReturnValue:
    sessions.sign_out()
    return redirect("/", 303)


@blueprint.get("/verify/<token>")
def verify_form(**_: str) -> str:
    return render_template("account/verify.html", form=EmptyForm())


@blueprint.post("/verify/<token>")
def verify(token: str) -> ResponseReturnValue:
    form = EmptyForm()
    try:
        accounts.verify(ctx(), token=token)
    except Invalid as refusal:
        form.take(refusal)
        return render_template("account/verify.html", form=form), 422
    flash("Your e-mail address is confirmed. Sign in to go on.", "good")
    return redirect(url_for("auth.login_form"), 303)


@blueprint.get("/reset")
def reset_request_form() -> str:
    return render_template("account/reset_request.html", form=ResetRequestForm())


@blueprint.post("/reset")
def reset_request() -> ResponseReturnValue:
    form = ResetRequestForm()
    if form.validate():
        try:
            accounts.request_reset(ctx(), email=form.email.data, address=_address())
            return redirect(url_for("auth.reset_sent"), 303)
        except Invalid as refusal:
            form.take(refusal)
    return render_template("account/reset_request.html", form=form), 422


@blueprint.get("/reset/sent")
def reset_sent() -> str:
    return render_template("account/sent.html", what="reset")


@blueprint.get("/reset/<token>")
def reset_form(**_: str) -> str:
    return render_template("account/reset.html", form=ResetForm())


@blueprint.post("/reset/<token>")
def reset(token: str) -> ResponseReturnValue:
    form = ResetForm()
    if form.validate():
        try:
            accounts.reset(ctx(), token=token, password=form.password.data)
            sessions.sign_out()
            flash("Your password is changed and all sessions are ended. Sign in with the new one.", "good")
            return redirect(url_for("auth.login_form"), 303)
        except Invalid as refusal:
            form.take(refusal)
    return render_template("account/reset.html", form=form), 422


def _address() -> str:
    return request.remote_addr or ""
