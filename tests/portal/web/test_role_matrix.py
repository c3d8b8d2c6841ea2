"""Roles × routes, generated from the application's own map: who gets in, who is sent away, and what never changes."""

import sqlite3
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from flask import Flask

from portal.domain.permissions import SCOPES
from portal.services import accounts
from portal.services.context import Context
from portal.web import guards
from portal.web.guards import Access
from tests.portal.web.browser import LintingClient, bearer
from tests.portal.web.routes import Route, routes
from tests.portal.web.world import CANARY, World

WRITES = {  # a ledger line is the one thing a GET may write
    "challenges.archive",
    "challenges.file",
    "api.archive",
    "api.file",
    "judge.fetch",
}
PRIVATE = {  # pages of one challenge or entry: who sees them beside the owner of the entry is Expert A
    "entries": {"expert"},
    "judge": {"judge"},
}


def people(world: World) -> dict[str, Any]:
    return {
        "sponsor": world.sponsor,
        "judge": world.judge,
        "expert": world.expert,
        "rival": world.rival,
        "stranger": world.stranger,
        "operator": world.operator,
    }


def gets(app: Flask, world: World) -> list[Route]:
    values = {"slug": world.slug, "entry_id": world.entry.id, "path": "train.csv", "name": "map.geojson"}
    return [route for route in routes(app, **values) if route.method == "GET"]


@pytest.fixture
def clients(app: Flask, world: World) -> dict[str, LintingClient]:
    made: dict[str, LintingClient] = {"nobody": app.test_client()}
    for name, person in people(world).items():
        made[name] = app.test_client().sign_in(person)
    return made


def expected(app: Flask, route: Route, role: str) -> set[int]:
    """The statuses that are right for ``role``; the table the platform answers for."""
    needs = guards.needs_of(app, route.endpoint)
    room = route.endpoint.partition(".")[0]
    if needs is Access.API:
        return {401} if guards.marked(app.view_functions[route.endpoint], "scope") else {200}
    if needs is not Access.PUBLIC and role == "nobody":
        return {303}
    if needs is Access.OPERATOR:
        return {200} if role == "operator" else {403}
    if room in PRIVATE and route.endpoint != "judge.index":
        return {200} if role in PRIVATE[room] else {404}
    if route.endpoint == "sponsor.manage":
        return {200} if role in ("sponsor", "operator") else {404}
    if route.endpoint in ("challenges.file", "challenges.archive", "challenges.layer"):
        signed = role in ("sponsor", "expert", "rival", "operator")
        return {200, 404} if signed else {403, 303}
    if route.endpoint in ("auth.login_form", "auth.register_form"):
        return {200} if role == "nobody" else {302}
    if route.endpoint in ("sponsor.draft", "sponsor.draft_state"):
        return {404}
    return {200, 503} if route.endpoint == "health.healthz" else {200}


def test_every_role_on_every_page(app: Flask, world: World, clients: dict[str, LintingClient]) -> None:
    """Each answers as the table says, and none tells a private score before the end."""
    wrong = []
    for route in gets(app, world):
        for role, client in clients.items():
            response = client.get(route.path)
            if response.status_code not in expected(app, route, role):
                wrong.append(f"{role}: {route} answered {response.status_code}, not {expected(app, route, role)}")
            if leaks(response):
                wrong.append(f"{role}: {route} tells a private score")
    assert not wrong


def test_no_token_reads_a_private_score_before_the_end(app: Flask, world: World) -> None:
    client = app.test_client()
    for role, person in people(world).items():
        headers = bearer(world.context, person, *SCOPES)
        for route in gets(app, world):
            if route.path.startswith("/api/"):
                assert not leaks(client.get(route.path, headers=headers)), (role, route)


def leaks(response: Any) -> bool:
    return str(CANARY)[:6] in response.get_data(as_text=True).replace(",", "")


def test_foreign_ids_are_not_found_by_api(app: Flask, world: World) -> None:
    client = app.test_client()
    headers = {role: bearer(world.context, person, *SCOPES) for role, person in people(world).items()}
    for route in gets(app, world):
        if not route.path.startswith("/api/") or world.entry.id not in route.path:
            continue
        owner = "judge" if "/judge/" in route.path else "expert"
        for role, token in headers.items():
            assert (client.get(route.path, headers=token).status_code == 200) is (role == owner), (role, route)


def test_ids_that_lead_nowhere_are_not_found(app: Flask, world: World) -> None:
    client = app.test_client().sign_in(world.operator)
    token = bearer(world.context, world.operator, *SCOPES)
    for route in routes(app):
        if (
            route.method == "GET"
            and not route.bare
            and route.endpoint not in ("static", "auth.verify_form", "auth.reset_form")
        ):
            headers = token if route.path.startswith("/api/") else None
            assert client.get(route.path, headers=headers).status_code == 404, route


@pytest.mark.parametrize(
    "odd", ["0", "-1", "1e9", "%00", "..%2f..%2fetc", "' OR 1=1 --", "x" * 3000, "\u202e", "%F0%9F%92%8E", "null"]
)
def test_odd_ids_are_not_found(app: Flask, world: World, odd: str) -> None:
    client = app.test_client().sign_in(world.operator)
    token = bearer(world.context, world.operator, *SCOPES)
    for path in (
        "/entries/{}",
        "/judge/entries/{}",
        "/sponsor/drafts/{}",
        "/challenges/{}",
        "/agreements/{}",
        "/judge/{}",
    ):
        assert client.get(path.format(odd)).status_code == 404, path
    for path in (
        "/api/v1/entries/{}",
        "/api/v1/sponsor/drafts/{}",
        "/api/v1/challenges/{}",
        "/api/v1/judge/entries/{}",
    ):
        assert client.get(path.format(odd), headers=token).status_code == 404, path


def test_looking_changes_nothing(
    app: Flask, context: Context, world: World, clients: dict[str, LintingClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "SEEN_STEP", timedelta(days=1))  # when somebody was last here is noted after a while
    before = rows(context)
    for route in gets(app, world):
        if route.endpoint not in WRITES:
            for client in clients.values():
                client.get(route.path)
    after = rows(context)
    assert {table for table in before if before[table] != after[table]} == set()


def rows(context: Context) -> dict[str, str]:
    """A checksum of each table."""
    with sqlite3.connect(context.settings.data / "motherlode.db") as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: sha256(repr(database.execute(f"SELECT * FROM {name}").fetchall()).encode()).hexdigest()
            for name in names
        }
