"""Names, previews and stores of downloads; uploads cut short or malformed."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from portal.domain.views import Download
from portal.services.context import Context
from portal.web import downloads, uploads
from portal.web.access import EXTENSION
from tests.portal.web.browser import LintingClient, bearer
from tests.portal.web.world import World

HOSTILE = (
    "a\r\nSet-Cookie: x=1.csv",
    "a\nb.csv",
    "\x00.csv",
    "../../etc/passwd",
    "..\\..\\boot.ini",
    'a"; filename="evil.exe',
    "a;b.csv",
    "naïve – データ.csv",
    "\u202egpj.exe",
    "x" * 5000,
    "",
    ".",
    "..",
    "   ",
    "/",
    "CON",
    "a%0d%0ab.csv",
    "<script>.csv",
    "=cmd().csv",
    "a\x7fb",
    "\u2028.csv",
    "\ud83d\ude00.csv".encode("utf-16", "surrogatepass").decode("utf-16"),
    "a\tb.csv",
    "-rf.csv",
)


def download(context: Context, name: str, *, local: bool = True) -> Download:
    blob = context.blobs.put(io.BytesIO(b"0123456789"))
    return Download(blob.digest, context.blobs.path(blob.digest) if local else None, name, blob.size)


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_one_header(app: Flask, context: Context, name: str, local: bool) -> None:
    with app.test_request_context("/", base_url="http://localhost"):
        response = downloads.send(download(context, name, local=local))
        response.direct_passthrough = False
        disposition = response.headers["Content-Disposition"]
        assert response.get_data() == b"0123456789"
        response.close()
    assert disposition.startswith("attachment")
    assert disposition.isascii()
    assert not [character for character in disposition if ord(character) < 0x20]
    assert "/" not in disposition.replace("UTF-8''", "")
    assert "\\\\" not in disposition
    assert len(disposition) < 3000


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=2-4", 206, b"234"),
        ("bytes=-3", 206, b"789"),
        ("bytes=8-99", 206, b"89"),
        ("bytes=10-", 416, None),
        ("lines=1-2", 416, None),
        ("bytes=x", 416, None),
        (None, 200, b"0123456789"),
    ],
)
def test_ranges_from_disk_and_from_a_store(
    app: Flask, context: Context, local: bool, asked: str | None, status: int, body: bytes | None
) -> None:
    @app.get("/probe")
    def probe() -> object:
        return downloads.send(download(context, "a.csv", local=local))

    app.extensions["motherlode.guards"][""] = app.extensions["motherlode.guards"]["front"]
    response = app.test_client().get("/probe", headers={"Range": asked} if asked else {})
    assert response.status_code == status
    assert body is None or response.data == body


@pytest.mark.parametrize(
    ("name", "kind"), [("a.png", "image/png"), ("a.geojson", "application/geo+json"), ("a.svg", None), ("a.html", None)]
)
def test_only_our_previews_are_shown_inline(app: Flask, context: Context, name: str, kind: str | None) -> None:
    with app.test_request_context("/", base_url="http://localhost"):
        response = downloads.send(download(context, name), inline=True)
        response.close()
    assert response.mimetype == (kind or "application/octet-stream")
    assert response.headers["Content-Disposition"].startswith("inline" if kind else "attachment")
    assert response.headers["Content-Security-Policy"].startswith("sandbox")


def test_a_missing_file_is_our_fault(app: Flask, client: LintingClient, world: World, tmp_path: Path) -> None:
    for file in (tmp_path / "blobs").rglob("*"):
        if file.is_file():
            file.unlink()
    answer = client.get(f"/api/v1/challenges/{world.slug}/files/train.csv", headers=bearer(world.context, world.expert))
    assert answer.status_code == 503
    assert str(tmp_path) not in answer.get_data(as_text=True)


def body_of(*parts: tuple[str, str | None, bytes], boundary: str = "XX", end: str = "--") -> bytes:
    made = b""
    for name, filename, content in parts:
        shown = f'; filename="{filename}"' if filename is not None else ""
        made += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{shown}\r\n\r\n'.encode() + content + b"\r\n"
        )
    return made + f"--{boundary}{end}\r\n".encode()


def received(
    app: Flask, body: bytes, limit: int = 1000, kind: str = "multipart/form-data; boundary=XX"
) -> tuple[bytes, str, dict[str, str]]:
    with (
        app.test_request_context("/", base_url="http://localhost", method="POST", data=body, content_type=kind),
        uploads.receive(limit, forgery_check=False) as incoming,
    ):
        return incoming.stream.read(), incoming.filename, dict(incoming.fields)


@pytest.mark.parametrize("size", [0, 1, 100, 262_143, 262_144, 262_145, 700_000])
def test_a_part_arrives_whole(app: Flask, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"\r\n--X" * 3 + b"x" * (size % 256)
    found, name, fields = received(
        app, body_of(("note", None, "grün".encode()), ("file", "a.csv", content)), limit=1_000_000
    )
    assert (found == content, name, fields) == (True, "a.csv", {"note": "grün"})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"rubbish",
        b"--XX\r\n",
        b"--XX\r\nContent-Disposition: form-data\r\n\r\nx\r\n--XX--\r\n",
        b"--XX\r\nNo-Disposition: x\r\n\r\nx\r\n--XX--\r\n",
        b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nhalf',
        b'--XX\r\nContent-Disposition: form-data; name="note"\r\n\r\n' + b"x" * 100_000 + b"\r\n--XX--\r\n",
        body_of(*[("note", None, b"x")] * 50),
        body_of(("note", None, b"x")),
        body_of(("file", "", b"")),
        b"--XX\r\n" + b"A: b\r\n" * 30_000 + b"\r\nx\r\n--XX--\r\n",
    ],
)
def test_broken_forms_are_refused(app: Flask, client: LintingClient, world: World, body: bytes) -> None:
    headers = {**bearer(world.context, world.rival), "Content-Type": "multipart/form-data; boundary=XX"}
    answer = client.post(f"/api/v1/challenges/{world.slug}/entries", data=body, headers=headers)
    assert answer.status_code in (400, 413, 422), answer.get_data(as_text=True)
    assert client.get(f"/api/v1/challenges/{world.slug}/entries", headers=headers).json["entries"] == []


@pytest.mark.parametrize("terminated", [True, False])
def test_a_body_cut_short_leaves_no_entry(client: LintingClient, world: World, terminated: bool) -> None:
    headers = {**bearer(world.context, world.rival), "X-Filename": "a.csv"}
    environ: dict[str, object] = {"CONTENT_LENGTH": "5000", "wsgi.input": io.BytesIO(b"x" * 4000)}
    if terminated:
        environ["wsgi.input_terminated"] = True  # as gunicorn says even when the line broke
    url = f"/api/v1/challenges/{world.slug}/entries"
    answer = client.post(url, environ_overrides=environ, headers=headers)
    assert answer.status_code == 400
    assert client.get(url, headers=headers).json["entries"] == []


def test_a_full_disk_is_507(app: Flask, client: LintingClient, world: World) -> None:
    class Full:
        def __getattr__(self, name: str) -> object:
            return getattr(world.context.blobs, name)

        def put(self, *_: object, **__: object) -> object:
            raise OSError(28, "No space left on device")

    app.extensions[EXTENSION] = replace(world.context, blobs=Full())  # type: ignore[arg-type]
    headers = {**bearer(world.context, world.rival), "X-Filename": "a.csv"}
    answer = client.post(f"/api/v1/challenges/{world.slug}/entries", data=b"x", headers=headers)
    assert answer.status_code == 507
    assert answer.json["title"] == "The server's disk is full"


def test_a_silent_database_is_503(app: Flask, client: LintingClient, context: Context, tmp_path: Path) -> None:
    for file in tmp_path.glob("motherlode.db*"):
        file.unlink()
    context.close()
    for path in ("/", "/api/v1/challenges"):
        assert client.get(path).status_code == 503
    page = client.get("/").get_data(as_text=True)
    assert "no such table" not in page
    assert "Nothing was lost" in page
