"""What every answer carries, on every route, whatever its status."""

import re

import pytest
from flask import Flask, request
from pydantic import SecretStr

from portal.app import create_app
from portal.domain.permissions import Actor
from portal.services.context import Context
from portal.settings import Settings
from portal.web import guards
from portal.web.security import CONTENT_SECURITY_POLICY
from tests.portal.web.browser import LintingClient
from tests.portal.web.routes import routes


def test_every_answer_is_dressed(app: Flask, client: LintingClient) -> None:
    for route in routes(app):
        response = client.open(route.path, method=route.method)
        assert response.status_code < 500 or route.path == "/healthz", route  # no worker has reported here
        headers = response.headers
        assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY, route
        assert headers["X-Content-Type-Options"] == "nosniff", route
        assert headers["Referrer-Policy"] == "same-origin", route
        assert headers["X-Frame-Options"] == "DENY", route
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin", route
        assert re.fullmatch(r"[0-9a-f]{16}", headers["X-Request-ID"]), route
        assert headers["Cache-Control"], route
        assert "Access-Control-Allow-Origin" not in headers, route
        assert "charset=utf-8" in headers["Content-Type"] or headers["Content-Type"] == "application/json", route
        assert "Server" not in headers or "Werkzeug" not in headers["Server"], route


def test_the_policy_allows_nothing_inline() -> None:
    assert "default-src 'none'" in CONTENT_SECURITY_POLICY
    assert "frame-ancestors 'none'" in CONTENT_SECURITY_POLICY
    assert "base-uri 'none'" in CONTENT_SECURITY_POLICY
    for word in ("unsafe", "*", "http:", "https:"):
        assert word not in CONTENT_SECURITY_POLICY


def test_pages_of_a_person_are_never_stored(app: Flask, client: LintingClient, person: Actor) -> None:
    client.sign_in(person)
    pages = [
        route
        for route in routes(app)
        if route.method == "GET" and route.bare and not route.path.startswith(("/api/", "/healthz"))
    ]
    for route in pages:
        assert client.get(route.path).headers["Cache-Control"] == "no-store", route


def test_strangers_get_no_cookie_where_no_form_is(client: LintingClient) -> None:
    for path in ("/healthz", "/static/css/base.css", "/api/v1/challenges", "/"):
        response = client.get(path)
        assert "Set-Cookie" not in response.headers, path
        if path != "/":
            assert "Cookie" not in response.headers.get("Vary", ""), path


def test_static_files_with_their_digest_are_kept_for_long(client: LintingClient) -> None:
    page = client.get("/login").get_data(as_text=True)
    link = re.search(r'href="(/static/css/base\.css\?v=[0-9a-f]{12})"', page)
    assert link
    assert "immutable" in client.get(link.group(1)).headers["Cache-Control"]
    assert client.get("/static/css/base.css").headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "evil.example:80", "localhost@evil.example", "", "a b"]
)
def test_foreign_hosts_are_refused(client: LintingClient, host: str) -> None:
    response = client.get("/login", headers={"Host": host})
    assert response.status_code == 400
    assert b"evil" not in response.data
    assert response.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "name", ["X-Forwarded-Host", "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Original-URL", "Forwarded"]
)
def test_forwarding_headers_of_strangers_change_nothing(client: LintingClient, name: str) -> None:
    plain = client.get("/account/tokens")
    spoofed = client.get("/account/tokens", headers={name: "evil.example"})
    assert (spoofed.status_code, spoofed.location) == (plain.status_code, plain.location)


def test_https_adds_secure_cookies_and_hsts(settings: Settings, context: Context) -> None:
    app = create_app(settings.model_copy(update={"https": True}), context=context)
    response = app.test_client().get("/login", base_url="https://localhost")
    assert int(re.findall(r"max-age=(\d+)", response.headers["Strict-Transport-Security"])[0]) >= 31_536_000
    cookie = response.headers["Set-Cookie"]
    assert cookie.startswith("__Host-motherlode=")
    assert "Secure" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie


def test_trusted_proxies_are_counted(settings: Settings, context: Context) -> None:
    app = create_app(settings.model_copy(update={"proxies": 1}), context=context)
    seen = {}

    @app.after_request
    def note(response: object) -> object:
        seen["address"] = request.remote_addr
        return response

    app.test_client().get("/login", headers={"X-Forwarded-For": "6.6.6.6, 10.0.0.7"})
    assert seen["address"] == "10.0.0.7"


def test_faults_tell_nothing(app: Flask, client: LintingClient, monkeypatch: pytest.MonkeyPatch) -> None:
    @guards.open_to_all
    def broken(**_: object) -> object:
        raise RuntimeError("canary /secret/path")

    monkeypatch.setitem(app.view_functions, "health.healthz", broken)
    monkeypatch.setitem(app.view_functions, "api.listing", broken)
    page, answer = client.get("/healthz"), client.get("/api/v1/challenges")
    for response in (page, answer):
        assert response.status_code == 500
        assert b"canary" not in response.data
        assert b"Traceback" not in response.data
        assert response.headers["X-Request-ID"].encode() in response.data
    assert answer.mimetype == "application/problem+json"


def test_unknown_pages_and_methods(client: LintingClient) -> None:
    assert client.get("/nowhere").status_code == 404
    assert client.delete("/login").status_code == 405
    assert client.delete("/login").headers["Allow"]
    missing = client.get("/api/v1/nowhere")
    assert (missing.status_code, missing.mimetype) == (404, "application/problem+json")
    assert client.open("/", method="TRACE").status_code == 405


def test_settings_without_a_key_do_not_start(settings: Settings, context: Context) -> None:
    with pytest.raises(ValueError, match="SECRET_KEY"):
        create_app(settings.model_copy(update={"secret_key": SecretStr("")}), context=context)
