"""The API client against the real application, without a socket."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from flask import Flask

import portal.client
from portal.client import ApiError, Client, NoToken, Unreachable, find_token, keep_token, token_file
from portal.services import tokens
from tests.portal.web.world import ENTRY, FILES, World


class Flaky(httpx2.WSGITransport):
    """Breaks the line at the first ``failures`` requests; remembers what was asked."""

    def __init__(self, app: Flask, failures: int = 0) -> None:
        super().__init__(app=app)
        self.failures, self.seen = failures, list[httpx2.Request]()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append(request)
        if self.failures:
            self.failures -= 1
            raise httpx2.ReadError("the line went dead")
        return super().handle_request(request)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portal.client.time, "sleep", lambda seconds: None)


@pytest.fixture
def transport(app: Flask) -> Flaky:
    return Flaky(app)


@pytest.fixture
def client(world: World, transport: Flaky) -> Iterator[Client]:
    _, secret = tokens.issue(world.context, actor=world.expert, name="test", scopes=("read", "submit"), days=1)
    with Client.connect(world.context.settings.base_url, secret, transport=transport) as connected:
        yield connected


def test_a_release_is_fetched_whole_and_kept(client: Client, world: World, transport: Flaky, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    saved = client.download(world.slug, tmp_path, progress=lambda done, total: told.append((done, total)))
    assert {path.name for path in saved} >= {Path(name).name for name in FILES}
    assert told[-1][0] == told[-1][1]
    asked = len(transport.seen)
    client.download(world.slug, tmp_path)
    assert len(transport.seen) == asked + 1  # the listing alone: nothing is fetched twice


def test_a_broken_download_goes_on_where_it_stopped(
    client: Client, world: World, transport: Flaky, tmp_path: Path
) -> None:
    listing = client.get(f"/challenges/{world.slug}/files")["files"]
    name = next(item["path"] for item in listing if item["path"].endswith("train.csv"))
    part = tmp_path / f"{name}.part"
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(FILES["train.csv"][:1000])
    client.download(world.slug, tmp_path)
    assert (tmp_path / name).read_bytes() == FILES["train.csv"]
    (request,) = [request for request in transport.seen if "Range" in request.headers]
    assert request.headers["Range"] == "bytes=1000-"


def test_a_damaged_part_is_not_kept(client: Client, world: World, tmp_path: Path) -> None:
    listing = client.get(f"/challenges/{world.slug}/files")["files"]
    name = next(item["path"] for item in listing if item["path"].endswith("train.csv"))
    part = tmp_path / f"{name}.part"
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(b"?" * 1000)
    with pytest.raises(Exception, match="sha256 differs"):
        client.download(world.slug, tmp_path)
    assert not part.exists()
    assert not (tmp_path / name).exists()


def test_an_upload_over_a_broken_line_is_one_entry(
    client: Client, world: World, transport: Flaky, tmp_path: Path
) -> None:
    file = tmp_path / "entry.csv"
    file.write_bytes(ENTRY + b"W-2,1,1\n")
    before = len(client.get(f"/challenges/{world.slug}/entries")["entries"])
    transport.failures = 2
    entry = client.submit(world.slug, file, note="kriging, ±")
    assert entry["file_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert entry["note"] == "kriging, ±"
    assert len(client.get(f"/challenges/{world.slug}/entries")["entries"]) == before + 1
    keys = {request.headers["Idempotency-Key"] for request in transport.seen if request.method == "POST"}
    assert len(keys) == 1


def test_no_answer_at_all_is_said(client: Client, transport: Flaky) -> None:
    transport.failures = 100
    with pytest.raises(Unreachable, match="nothing is lost"):
        client.get("/me")


def test_a_refusal_carries_the_servers_sentence(client: Client) -> None:
    with pytest.raises(ApiError) as caught:
        client.get("/challenges/no-such-challenge")
    assert caught.value.status == 404
    assert caught.value.detail


def test_a_server_cannot_write_outside_the_folder(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    evil: dict[str, Any] = {"files": [{"path": "../evil", "bytes": 1, "sha256": "0" * 64}]}
    monkeypatch.setattr(Client, "get", lambda self, path, **params: evil)
    with pytest.raises(Exception, match="outside"):
        client.download("any", tmp_path / "into")
    assert not (tmp_path / "evil").exists()


def test_tokens_are_kept_private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(portal.client.platformdirs, "user_config_dir", lambda name: str(tmp_path / name))
    monkeypatch.delenv("MOTHERLODE_TOKEN", raising=False)
    with pytest.raises(NoToken):
        find_token(None)
    keep_token("ml_secret")
    assert token_file().stat().st_mode & 0o077 == 0
    assert find_token(None) == "ml_secret"
    monkeypatch.setenv("MOTHERLODE_TOKEN", "ml_other")
    assert find_token(None) == "ml_other"
    assert find_token("ml_given") == "ml_given"
