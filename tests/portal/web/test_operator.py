"""The operator's page: what waits, who works, whether everything holds, and mail that was not sent."""

from flask import Flask

from portal.services import collecting
from portal.web import guards
from tests.portal.web.browser import LintingClient
from tests.portal.web.world import World, send


def test_the_page_shows_queue_workers_health_and_mail(client: LintingClient, world: World) -> None:
    client.sign_in(world.operator)
    send(world.context, world.rival, world.slug)
    collecting.heartbeat(world.context, worker="scorer-1", busy=1, threads=2, memory=412_000_000)
    page = client.get("/operator").get_data(as_text=True)
    for text in ("scorer-1", "412\N{NO-BREAK SPACE}MB", "database", "Waiting", "Every invariant of the ledger holds."):
        assert text in page
    part = client.get("/operator/queue").get_data(as_text=True)
    assert "scorer-1" in part
    assert "<html" not in part


def test_mail_that_waits_is_readable_here(client: LintingClient, world: World) -> None:
    client.send("/reset", {"email": world.expert.email}, form="/reset")
    client.sign_in(world.operator)
    page = client.get("/operator").get_data(as_text=True)
    assert "Reset your password" in page
    assert world.expert.email in page


def test_nobody_else_gets_in(app: Flask, world: World) -> None:
    for person in (world.sponsor, world.judge, world.expert, world.stranger):
        client = app.test_client().sign_in(person)
        assert client.get("/operator").status_code == 403
        assert client.get("/operator/queue").status_code == 403
        assert "/operator" not in client.get("/account").get_data(as_text=True)


def test_health_is_public_and_names_no_details(client: LintingClient, world: World) -> None:
    dead = client.get("/healthz")
    assert (dead.status_code, dead.json["ok"], dead.json["checks"]["scorer"]) == (503, False, False)
    collecting.heartbeat(world.context, worker="scorer-1", busy=0, threads=2, memory=1)
    well = client.get("/healthz")
    assert (well.status_code, well.json["ok"]) == (200, True)
    assert "scorer-1" not in well.get_data(as_text=True)
    assert set(well.json) == {"ok", "checks"}


def test_the_operator_guard_stands_before_the_service(app: Flask) -> None:
    assert guards.needs_of(app, "operator.page") is guards.Access.OPERATOR
