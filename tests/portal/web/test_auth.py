"""Registering, signing in and out, links by mail: through pages, as a browser does it."""

import re
from datetime import timedelta

import pytest
from flask import Flask

from portal.domain.permissions import Actor
from portal.services import accounts, operating
from portal.services.context import Context
from portal.web.security import safe_next
from tests.portal.web.browser import PASSWORD, LintingClient, new_person

BYPASSES = (
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "https://evil.example",
    "http:evil.example",
    "https:/evil.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,x",
    "//evil.example/%2f..",
    "/%5cevil.example",
    "/%2f%2fevil.example",
    "/.//evil.example\\",
    "//localhost@evil.example",
    "http://localhost@evil.example",
    "////evil.example",
    "/\x00/evil.example",
    "/\r\nLocation: //evil.example",
    "evil.example",
    ".evil.example",
    "@evil.example",
    "?next=//evil.example",
    "#//evil.example",
    "",
    "ftp://evil.example",
    "//[::1]",
    "/\u2028/evil.example\\",
    "/ok\\..\\evil",
)


@pytest.mark.parametrize("target", BYPASSES)
def test_nobody_is_led_off_the_site(target: str) -> None:
    assert safe_next(target, default="/start") == "/start"


@pytest.mark.parametrize("target", ["/", "/account", "/challenges/seg-facies/board?page=2", "/entries/1#result"])
def test_own_paths_are_kept(target: str) -> None:
    assert safe_next(target, default="/start") == target


def test_a_stranger_is_sent_to_the_form_and_back(client: LintingClient, person: Actor) -> None:
    refused = client.get("/account/tokens?x=1")
    assert refused.status_code == 303
    assert refused.location == "/login?next=%2Faccount%2Ftokens%3Fx%3D1"
    done = client.send(refused.location, {"email": person.email, "password": PASSWORD}, form=refused.location)
    assert (done.status_code, done.location) == (303, "/account/tokens?x=1")


def test_signing_in_never_follows_a_foreign_target(client: LintingClient, person: Actor) -> None:
    done = client.send("/login?next=//evil.example/", {"email": person.email, "password": PASSWORD})
    assert done.location == "/"


def test_wrong_password_and_unknown_address_look_the_same(client: LintingClient, person: Actor) -> None:
    known = client.send("/login", {"email": person.email, "password": "wrong wrong wrong"})
    unknown = client.send("/login", {"email": "nobody@example.org", "password": "wrong wrong wrong"})
    assert known.status_code == unknown.status_code == 422
    strip = re.compile(r'value="[^"]*"')
    assert strip.sub("", known.get_data(as_text=True)) == strip.sub("", unknown.get_data(as_text=True))
    assert "<title>Error: Sign in" in known.get_data(as_text=True)
    assert 'role="alert"' in known.get_data(as_text=True)


def test_a_password_never_comes_back(client: LintingClient, person: Actor) -> None:
    page = client.send("/login", {"email": person.email, "password": "canary-secret-7"})
    assert "canary-secret-7" not in page.get_data(as_text=True)


def test_too_many_tries_are_429_with_a_time(client: LintingClient, person: Actor) -> None:
    answers = [client.send("/login", {"email": person.email, "password": f"wrong {n} wrong wrong"}) for n in range(11)]
    assert [answer.status_code for answer in answers[:10]] == [422] * 10
    assert answers[10].status_code == 429
    assert int(answers[10].headers["Retry-After"]) > 0


def test_forwarded_addresses_of_strangers_change_nothing(client: LintingClient, person: Actor) -> None:
    for n in range(11):
        data = {"email": f"user{n}@example.org", "password": "wrong wrong wrong"}
        last = client.send("/login", data, headers={"X-Forwarded-For": f"10.0.0.{n}", "X-Real-IP": f"10.0.0.{n}"})
    assert last.status_code == 429


def test_a_copied_cookie_is_worth_nothing_after_signing_out(app: Flask, client: LintingClient, person: Actor) -> None:
    client.sign_in(person)
    cookie = client.get_cookie("motherlode")
    assert cookie is not None
    client.send("/logout", form="/account")
    thief = app.test_client()
    thief.set_cookie("motherlode", cookie.value)
    assert thief.get("/account").status_code == 303


def test_the_session_is_new_at_every_sign_in(client: LintingClient, person: Actor) -> None:
    client.get("/login")
    before = client.get_cookie("motherlode")
    client.sign_in(person)
    after = client.get_cookie("motherlode")
    assert after is not None
    assert before is None or before.value != after.value
    with client.session_transaction() as held:
        assert person.id not in str(dict(held))
        assert person.email not in str(dict(held))


def test_cookie_flags(client: LintingClient, person: Actor) -> None:
    response = client.send("/login", {"email": person.email, "password": PASSWORD})
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie


def test_register_verify_sign_in(client: LintingClient, context: Context) -> None:
    new_person(context, "Operator")
    accounts.make_operator(context, email="operator@example.org")
    sent = client.send(
        "/register", {"name": "Expert B", "email": "b@example.org", "password": PASSWORD}, form="/register"
    )
    assert (sent.status_code, sent.location) == (303, "/register/sent")
    assert client.get("/register/sent").status_code == 200
    link = _mailed_link(context, "b@example.org", "verify")
    assert client.get(link).status_code == 200
    early = client.send("/login", {"email": "b@example.org", "password": PASSWORD})
    assert early.status_code == 403  # looking at the link is not following it
    assert client.send(link, form=link).location == "/login"
    assert client.send(link, form=link).status_code == 422  # works once
    assert client.send("/login", {"email": "b@example.org", "password": PASSWORD}).status_code == 303


def test_register_says_what_is_wrong_beside_the_field(client: LintingClient) -> None:
    page = client.send(
        "/register", {"name": "Expert B", "email": "b@example.org", "password": "short"}, form="/register"
    )
    text = page.get_data(as_text=True)
    assert page.status_code == 422
    assert 'id="password-error"' in text
    assert 'href="#password"' in text
    assert "<title>Error: Register" in text


def test_registering_a_known_address_looks_like_any_other(client: LintingClient, person: Actor) -> None:
    again = client.send(
        "/register", {"name": "Expert Z", "email": person.email, "password": PASSWORD}, form="/register"
    )
    assert (again.status_code, again.location) == (303, "/register/sent")


def test_reset_ends_every_session(app: Flask, client: LintingClient, context: Context, person: Actor) -> None:
    new_person(context, "Operator")
    accounts.make_operator(context, email="operator@example.org")
    elsewhere = app.test_client()
    elsewhere.sign_in(person)
    assert client.send("/reset", {"email": person.email}, form="/reset").location == "/reset/sent"
    assert client.send("/reset", {"email": "nobody@example.org"}, form="/reset").location == "/reset/sent"
    link = _mailed_link(context, person.email, "reset")
    assert client.send(link, {"password": "short"}, form=link).status_code == 422
    done = client.send(link, {"password": "another long password"}, form=link)
    assert (done.status_code, done.location) == (303, "/login")
    assert elsewhere.get("/account").status_code == 303
    assert client.send("/login", {"email": person.email, "password": PASSWORD}).status_code == 422
    assert client.send("/login", {"email": person.email, "password": "another long password"}).status_code == 303


def test_a_session_ends_with_its_age(app: Flask, client: LintingClient, person: Actor) -> None:
    client.sign_in(person)
    assert app.permanent_session_lifetime <= timedelta(hours=12)
    assert client.get("/login").status_code == 302  # who is in needs no form


def _mailed_link(context: Context, to: str, purpose: str) -> str:
    operator = accounts.actor_by_email(context, email="operator@example.org")
    bodies = [mail.body for mail in operating.outbox(context, actor=operator) if mail.to == to]
    links = [found.group(1) for body in bodies if (found := re.search(rf"http://localhost(/{purpose}/\S+)", body))]
    assert links
    return links[0]
