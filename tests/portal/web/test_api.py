"""The JSON interface: tokens, scopes, problems, uploads, downloads that resume."""

import io
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from flask import Flask

from portal.services import agreements, submitting, tokens
from portal.services.context import Context
from portal.web import api
from portal.web.waiting import Waiters
from tests.portal.web.browser import LintingClient, bearer
from tests.portal.web.routes import routes
from tests.portal.web.world import CANARY, ENTRY, FILES, World, join, score

ENTRIES = "/api/v1/challenges/seg-facies/entries"
RAW = {"X-Filename": "my%20entry.csv", "X-Note": "kriging%20%C3%A9"}


def problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.get_data(as_text=True)
    assert response.mimetype == "application/problem+json"
    body: dict[str, Any] = response.json
    assert body["status"] == status
    assert body["type"].startswith("urn:motherlode:problem:")
    assert body["title"]
    assert body["detail"]
    return body


def test_without_a_token_every_scoped_view_is_401(app: Flask, client: LintingClient) -> None:
    scoped = [
        r
        for r in routes(app)
        if r.path.startswith("/api/") and app.view_functions[r.endpoint].__dict__["_motherlode_scope"]
    ]
    assert len(scoped) >= 15
    for route in scoped:
        response = client.open(route.path, method=route.method)
        problem(response, 401)
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer x", "Basic YTpi", "mlt_x", "Bearer \x7f", "bearer mlt_unknown"]
)
def test_bad_tokens_are_401_even_on_open_views(client: LintingClient, header: str) -> None:
    problem(client.get("/api/v1/challenges", headers={"Authorization": header}), 401)


def test_a_token_without_the_scope_is_403(app: Flask, client: LintingClient, world: World) -> None:
    scopes = {scope: bearer(world.context, world.stranger, scope) for scope in ("read", "submit", "sponsor", "judge")}
    for route in routes(app):
        needed = app.view_functions[route.endpoint].__dict__.get("_motherlode_scope")
        if route.path.startswith("/api/") and needed:
            for scope, headers in scopes.items():
                if scope != needed:
                    problem(client.open(route.path, method=route.method, headers=headers), 403)


def test_challenges_and_boards_are_open_and_hold_nothing_private(client: LintingClient, world: World) -> None:
    listing = client.get("/api/v1/challenges").json["challenges"]
    assert {card["slug"] for card in listing} == {world.slug, world.other}
    page = client.get(f"/api/v1/challenges/{world.slug}").json
    assert page["card"]["pool_minor"] == 100_000
    assert page["card"]["opens"].endswith("Z")
    board = client.get(f"/api/v1/challenges/{world.slug}/board")
    row = next(row for row in board.json["rows"] if row["score"] is not None)
    assert (row["team"], row["score"], row["entry_id"]) == ("Expert A", 12.5, None)
    assert str(CANARY)[:6] not in board.get_data(as_text=True)


def test_the_board_is_not_sent_twice(client: LintingClient, world: World) -> None:
    url = f"/api/v1/challenges/{world.slug}/board"
    first = client.get(url)
    again = client.get(url, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    own = client.get(url, headers=bearer(world.context, world.expert))
    assert own.headers["ETag"] != first.headers["ETag"]
    assert "private" in own.headers["Cache-Control"]
    assert "Authorization" in own.headers["Vary"]
    assert any(row["entry_id"] == world.entry.id for row in own.json["rows"])
    submitting.submit(
        world.context, actor=world.rival, slug=world.slug, stream=io.BytesIO(ENTRY), filename="b.csv", note=""
    )
    score(world.context, rmse=1.0)
    assert client.get(url, headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


def test_files_follow_the_signature(client: LintingClient, world: World) -> None:
    headers = bearer(world.context, world.stranger)
    url = f"/api/v1/challenges/{world.slug}"
    listed = client.get(f"{url}/files").json["files"]
    assert {file["path"] for file in listed} == set(FILES)
    refused = problem(client.get(f"{url}/files/train.csv", headers=headers), 403)
    problem(client.get(f"{url}/archive", headers=headers), 403)
    problem(client.post(f"{url}/agreement", json={"digest": "f" * 64}, headers=headers), 409)
    signed = client.post(f"{url}/agreement", json={"digest": refused["agreement"]}, headers=headers)
    assert signed.json["signed_at"]
    got = client.get(f"{url}/files/notes/read%20me.txt", headers=headers)
    assert got.data == FILES["notes/read me.txt"]
    assert client.get(f"{url}/archive", headers=headers).status_code == 200
    problem(client.get(f"{url}/files/hidden/truth.csv", headers=headers), 404)
    problem(client.get(f"{url}/files/../../etc/passwd", headers=headers), 404)


def test_downloads_resume_and_carry_their_digest(client: LintingClient, world: World) -> None:
    headers = bearer(world.context, world.expert)
    url, content = f"/api/v1/challenges/{world.slug}/files/train.csv", FILES["train.csv"]
    whole = client.get(url, headers=headers)
    etag = f'"{sha256(content).hexdigest()}"'
    assert (whole.data, whole.headers["ETag"], whole.headers["Accept-Ranges"]) == (content, etag, "bytes")
    part = client.get(url, headers={**headers, "Range": "bytes=100-"})
    assert (part.status_code, part.data) == (206, content[100:])
    assert part.headers["Content-Range"] == f"bytes 100-{len(content) - 1}/{len(content)}"
    assert client.get(url, headers={**headers, "Range": "bytes=10-19", "If-Range": etag}).data == content[10:20]
    assert client.get(url, headers={**headers, "Range": "bytes=10-19", "If-Range": '"old"'}).data == content
    beyond = client.get(url, headers={**headers, "Range": f"bytes={len(content)}-"})
    assert beyond.status_code == 416
    assert client.get(url, headers={**headers, "If-None-Match": etag}).status_code == 304
    assert client.head(url, headers=headers).headers["Content-Length"] == str(len(content))


def test_downloads_never_run_in_our_origin(client: LintingClient, world: World) -> None:
    response = client.get(
        f"/api/v1/challenges/{world.slug}/files/train.csv", headers=bearer(world.context, world.expert)
    )
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"].startswith("sandbox")
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert "no-store" in response.headers["Cache-Control"]


def test_an_entry_by_raw_body(client: LintingClient, world: World) -> None:
    headers = bearer(world.context, world.rival)
    sent = client.post(ENTRIES, data=ENTRY, headers={**headers, **RAW})
    assert sent.status_code == 201
    body = sent.json
    assert (body["state"], body["filename"], body["note"]) == ("queued", "my entry.csv", "kriging é")
    assert body["file_sha256"] == sha256(ENTRY).hexdigest()
    assert body["receipt"]
    assert sent.headers["Location"] == f"/api/v1/entries/{body['id']}"
    assert client.get(sent.headers["Location"], headers=headers).json["id"] == body["id"]
    assert [entry["id"] for entry in client.get(ENTRIES, headers=headers).json["entries"]] == [body["id"]]
    assert client.get(f"/api/v1/challenges/{world.slug}/quota", headers=headers).json["left"] == 2


def test_an_entry_by_form(client: LintingClient, world: World) -> None:
    data = {"note": "tree", "file": (io.BytesIO(ENTRY), "entry.csv")}
    sent = client.post(
        ENTRIES, data=data, headers=bearer(world.context, world.rival), content_type="multipart/form-data"
    )
    assert sent.status_code == 201
    assert (sent.json["note"], sent.json["file_sha256"]) == ("tree", sha256(ENTRY).hexdigest())


def test_the_same_key_gives_the_same_entry(client: LintingClient, world: World) -> None:
    headers = {**bearer(world.context, world.rival), **RAW, "Idempotency-Key": "one"}
    ids = {client.post(ENTRIES, data=ENTRY, headers=headers).json["id"] for _ in range(4)}
    assert len(ids) == 1
    problem(client.post(ENTRIES, data=ENTRY + b"W-1,1001,2\n", headers=headers), 409)


def test_waiting_brings_the_score(app: Flask, client: LintingClient, world: World) -> None:
    def engine(_: float) -> None:
        score(world.context, rmse=3.25)

    app.extensions[api.WAITERS] = Waiters(sleep=engine)
    sent = client.post(f"{ENTRIES}?wait=5", data=ENTRY, headers={**bearer(world.context, world.rival), **RAW})
    assert (sent.status_code, sent.json["state"], sent.json["public_scores"]["rmse"]) == (201, "scored", 3.25)
    assert sent.json["final_scores"] is None
    assert str(CANARY)[:6] not in sent.get_data(as_text=True)


@pytest.mark.parametrize("wait", ["-1", "31", "nan", "inf", "x", "", "5&wait=6"])
def test_odd_waits_are_refused(client: LintingClient, world: World, wait: str) -> None:
    headers = bearer(world.context, world.expert)
    problem(client.get(f"/api/v1/entries/{world.entry.id}?wait={wait}", headers=headers), 422)
    problem(client.post(f"{ENTRIES}?wait={wait}", data=ENTRY, headers={**headers, **RAW}), 422)
    assert len(submitting.mine(world.context, actor=world.expert, slug=world.slug)) == 1


def test_findings_are_told(client: LintingClient, world: World) -> None:
    headers = bearer(world.context, world.rival)
    sent = client.post(ENTRIES, data=ENTRY, headers={**headers, **RAW}).json
    score(world.context)
    entry = client.get(f"/api/v1/entries/{sent['id']}", headers=headers).json
    assert entry["state"] == "rejected"
    assert entry["findings"] == [
        {"code": "missing-id", "message": "Row W-9 is missing.", "where": {"row": 3}, "hint": "Add it."}
    ]


def test_too_large_is_413_and_leaves_nothing(client: LintingClient, context: Context, world: World) -> None:
    headers = {**bearer(world.context, world.rival), **RAW}
    before = len(list(context.settings.store_root.rglob("*")))
    for size in (20_001, 400_000):
        body = problem(client.post(ENTRIES, data=b"x" * size, headers=headers), 413)
        assert body["limit"] == 20_000
    form = {"file": (io.BytesIO(b"x" * 20_001), "entry.csv")}
    problem(client.post(ENTRIES, data=form, headers=headers, content_type="multipart/form-data"), 413)
    assert len(list(context.settings.store_root.rglob("*"))) == before
    assert client.post(ENTRIES, data=b"x" * 20_000, headers=headers).status_code == 201


def test_quota_agreement_and_names_are_checked_before_the_file(client: LintingClient, world: World) -> None:
    outsider = {**bearer(world.context, world.stranger), **RAW}
    assert problem(client.post(ENTRIES, data=ENTRY, headers=outsider), 403)["agreement"]
    rival = {**bearer(world.context, world.rival), **RAW}
    assert "file" in problem(client.post(ENTRIES, data=ENTRY, headers={**rival, "X-Filename": "a.exe"}), 422)["errors"]
    assert "file" in problem(client.post(ENTRIES, data=ENTRY, headers={**rival, "X-Filename": ""}), 422)["errors"]
    for n in range(3):
        assert client.post(ENTRIES, data=ENTRY + b"%d" % n, headers=rival).status_code == 201
    assert problem(client.post(ENTRIES, data=ENTRY, headers=rival), 429)["next_at"].startswith("20")


def test_insiders_cannot_compete(client: LintingClient, world: World) -> None:
    for person in (world.sponsor, world.judge, world.operator):
        problem(client.post(ENTRIES, data=ENTRY, headers={**bearer(world.context, person), **RAW}), 403)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"digest": ["a"]}, 422),
        ({"digest": 5}, 422),
        ({"digest": None}, 422),
        ({}, 422),
        ({"digest": "x", "is_admin": True}, 422),
        (["digest"], 400),
        ("digest", 400),
    ],
)
def test_bodies_are_read_strictly(client: LintingClient, world: World, body: object, status: int) -> None:
    url = f"/api/v1/challenges/{world.slug}/agreement"
    problem(client.post(url, json=body, headers=bearer(world.context, world.stranger)), status)
    assert agreements.page(world.context, actor=world.stranger, slug=world.slug).signed_at is None


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [(b"{", "application/json", 400), (b"digest=1", "text/plain", 415), (b"\xff", "application/json", 400)],
)
def test_bodies_that_are_no_json(client: LintingClient, world: World, data: bytes, kind: str, status: int) -> None:
    url = f"/api/v1/challenges/{world.slug}/agreement"
    problem(client.post(url, data=data, content_type=kind, headers=bearer(world.context, world.stranger)), status)


def test_entries_of_others_are_not_found(client: LintingClient, world: World) -> None:
    for person in (world.rival, world.stranger, world.sponsor, world.operator):
        headers = bearer(world.context, person)
        problem(client.get(f"/api/v1/entries/{world.entry.id}", headers=headers), 404)
        problem(client.get(f"/api/v1/entries/{world.entry.id}/artifacts/map.geojson", headers=headers), 404)
    own = bearer(world.context, world.expert)
    preview = client.get(f"/api/v1/entries/{world.entry.id}/artifacts/map.geojson", headers=own)
    assert preview.mimetype == "application/geo+json"
    assert preview.headers["Content-Disposition"].startswith("inline")
    problem(client.get(f"/api/v1/entries/{world.entry.id}/artifacts/none", headers=own), 404)


def test_affiliation_is_declared(client: LintingClient, world: World) -> None:
    join(world.context, world.stranger, world.slug)
    url, headers = f"/api/v1/challenges/{world.slug}/affiliation", bearer(world.context, world.stranger)
    assert client.post(url, json={"affiliated": True, "statement": "Employed there"}, headers=headers).json == {
        "affiliated": True
    }
    assert "statement" in problem(client.post(url, json={"affiliated": True}, headers=headers), 422)["errors"]
    assert client.get(f"/api/v1/challenges/{world.slug}", headers=headers).json["me"]["affiliated"] is True


def test_tokens_end(client: LintingClient, world: World) -> None:
    headers = bearer(world.context, world.expert)
    (token,) = tokens.listing(world.context, actor=world.expert)
    tokens.revoke(world.context, actor=world.expert, token_id=token.id)
    problem(client.get("/api/v1/me", headers=headers), 401)


@pytest.fixture
def waiters() -> Callable[[], tuple[Waiters, list[float]]]:
    def make() -> tuple[Waiters, list[float]]:
        pauses: list[float] = []
        return Waiters(1, clock=lambda: sum(pauses), sleep=pauses.append), pauses

    return make


def test_waiting_ends_on_time_and_looks_less_often(waiters: Callable[[], tuple[Waiters, list[float]]]) -> None:
    line, pauses = waiters()
    assert line.wait(lambda: "queued", done=lambda state: state == "scored", seconds=5) == "queued"
    assert sum(pauses) == pytest.approx(5)
    assert len(pauses) < 25


def test_waiting_without_a_place_answers_soon(waiters: Callable[[], tuple[Waiters, list[float]]]) -> None:
    line, pauses = waiters()
    inner: list[str] = []

    def look() -> str:
        if not inner:
            inner.append(line.wait(lambda: "inner", done=lambda _: False, seconds=30))
        return "outer"

    looks = iter([lambda: "outer"])
    line.wait(lambda: next(looks, look)(), done=lambda _: bool(inner), seconds=1)  # noqa: PLW0108  next is called each time
    assert inner == ["inner"]
    assert sum(pauses) < 1
