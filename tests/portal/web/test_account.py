"""One's own account: sessions, password, tokens."""

import re

from flask import Flask

from portal.domain.permissions import Actor
from portal.services import accounts, tokens
from portal.services.context import Context
from tests.portal.web.browser import PASSWORD, LintingClient, bearer, new_person


def test_sessions_are_shown_and_ended(app: Flask, client: LintingClient, context: Context, person: Actor) -> None:
    elsewhere = app.test_client()
    elsewhere.sign_in(person)
    client.sign_in(person)
    page = client.get("/account").get_data(as_text=True)
    assert page.count("/account/sessions/") == 1  # the one in use has no button
    (end,) = re.findall(r'action="(/account/sessions/[^"]+/end)"', page)
    assert client.send(end, form="/account").location == "/account"
    assert elsewhere.get("/account").status_code == 303
    assert client.get("/account").status_code == 200


def test_sessions_of_others_are_not_found(app: Flask, client: LintingClient, context: Context, person: Actor) -> None:
    rival = new_person(context, "Expert B")
    elsewhere = app.test_client()
    elsewhere.sign_in(rival)
    (theirs,) = accounts.sessions(context, actor=rival)
    client.sign_in(person)
    assert client.send(f"/account/sessions/{theirs.id}/end", form="/account").status_code == 404
    assert elsewhere.get("/account").status_code == 200


def test_the_current_password_is_needed_for_a_new_one(client: LintingClient, person: Actor) -> None:
    client.sign_in(person)
    wrong = client.send(
        "/account/password", {"current": "wrong wrong wrong", "new": "another long password"}, form="/account"
    )
    assert wrong.status_code == 422
    assert 'id="current-error"' in wrong.get_data(as_text=True)
    done = client.send("/account/password", {"current": PASSWORD, "new": "another long password"}, form="/account")
    assert done.location == "/login"
    assert client.get("/account").status_code == 303  # every session ended, this one too
    assert client.send("/login", {"email": person.email, "password": "another long password"}).status_code == 303


def test_a_token_is_shown_once_and_works(client: LintingClient, context: Context, person: Actor) -> None:
    client.sign_in(person)
    form = {"name": "laptop", "scopes": ["read", "submit"], "days": "30"}
    made = client.send("/account/tokens", form, form="/account/tokens")
    assert made.status_code == 201
    (secret,) = set(re.findall(r"mlt_[\w-]{30,}", made.get_data(as_text=True)))
    assert made.headers["Cache-Control"] == "no-store"
    assert secret not in client.get("/account/tokens").get_data(as_text=True)
    answer = client.get("/api/v1/me", headers={"Authorization": f"Bearer {secret}"})
    assert answer.json["name"] == person.name
    assert answer.json["scopes"] == ["read", "submit"]
    (token,) = tokens.listing(context, actor=person)
    assert client.send(f"/account/tokens/{token.id}/revoke", form="/account/tokens").location == "/account/tokens"
    assert client.get("/api/v1/me", headers={"Authorization": f"Bearer {secret}"}).status_code == 401


def test_a_token_form_says_what_is_missing(client: LintingClient, person: Actor) -> None:
    client.sign_in(person)
    page = client.send("/account/tokens", {"name": "", "days": "30"}, form="/account/tokens")
    assert page.status_code == 422
    text = page.get_data(as_text=True)
    assert "<title>Error: API tokens" in text
    assert "Say what the token is for." in text
    assert "Choose at least one." in text
    odd = client.send("/account/tokens", {"name": "x", "days": "9999", "scopes": ["root"]}, form="/account/tokens")
    assert odd.status_code == 422


def test_tokens_of_others_are_not_found(client: LintingClient, context: Context, person: Actor) -> None:
    rival = new_person(context, "Expert B")
    headers = bearer(context, rival)
    (theirs,) = tokens.listing(context, actor=rival)
    client.sign_in(person)
    assert client.send(f"/account/tokens/{theirs.id}/revoke", form="/account/tokens").status_code == 404
    assert client.get("/api/v1/me", headers=headers).status_code == 200


def test_names_are_text_and_never_markup(client: LintingClient, context: Context) -> None:
    person = new_person(context, "Expert {{7*7}}")
    client.sign_in(person)
    page = client.get("/account").get_data(as_text=True)
    assert "{{7*7}}" in page
    assert "49" not in page.partition("<main")[2].partition("Sessions")[0]
