"""A forged form does nothing: every change asks for the token of the sender's own session."""

import io

import pytest
from flask import Flask

from portal.domain.permissions import Actor
from portal.services.context import Context
from portal.web import guards
from tests.portal.web.browser import PASSWORD, LintingClient, bearer
from tests.portal.web.routes import routes


def test_every_change_without_a_token_is_refused(app: Flask, client: LintingClient, person: Actor) -> None:
    client.sign_in(person)
    changing = [route for route in routes(app) if route.method != "GET" and not route.path.startswith("/api/")]
    assert len(changing) >= 15
    for route in changing:
        for kwargs in (
            {"data": {"x": "1"}},
            {"data": b"raw", "headers": {"X-Filename": "a.csv"}},
            {"data": {"file": (io.BytesIO(b"a"), "a.zip")}},
        ):
            status = client.open(route.path, method=route.method, **kwargs).status_code
            assert status == 400 or (status == 404 and guards.marked(app.view_functions[route.endpoint], "streams")), (
                route
            )


def test_the_token_of_another_session_is_refused(app: Flask, client: LintingClient, person: Actor) -> None:
    foreign = app.test_client().token("/login")
    client.get("/login")
    response = client.post("/login", data={"email": person.email, "password": PASSWORD, "csrf_token": foreign})
    assert response.status_code == 400


@pytest.mark.parametrize("token", ["", "x", "None", "a.b.c"])
def test_rubbish_is_refused(client: LintingClient, person: Actor, token: str) -> None:
    client.get("/login")
    assert (
        client.post("/login", data={"email": person.email, "password": PASSWORD, "csrf_token": token}).status_code
        == 400
    )


def test_the_api_knows_no_cookies(client: LintingClient, person: Actor) -> None:
    client.sign_in(person)
    assert client.get("/api/v1/me").status_code == 401
    assert client.post("/api/v1/challenges/x/agreement", json={"digest": "x"}).status_code == 401


def test_pages_know_no_bearer_token(client: LintingClient, context: Context, person: Actor) -> None:
    assert client.get("/account", headers=bearer(context, person)).status_code == 303
