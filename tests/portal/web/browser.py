"""A browser for tests: it lints every page it fetches, knows forgery tokens, and signs people in."""

import re
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from pydantic import SecretStr

from datasets.sealing import generate_keys
from portal.domain.permissions import Actor
from portal.services import accounts, tokens
from portal.services.context import Context
from portal.settings import Settings
from tests.portal.web.lint import lint

_, RECIPIENT = generate_keys()
PASSWORD = "correct horse battery"


def settings_for(folder: Path, **changes: Any) -> Settings:
    known: dict[str, Any] = {
        "data": folder,
        "secret_key": SecretStr("k" * 40),
        "base_url": "http://localhost",
        "argon2_memory_kib": 8,
        "argon2_time": 1,
        "upload_max_bytes": 200_000,
        "truth_recipient": RECIPIENT,
    }
    return Settings(**(known | changes))


class LintingClient(FlaskClient):
    """Fetches like a browser and fails the test when a page is not fit to be shown."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        response = super().open(*args, **{"buffered": True, **kwargs})
        if response.mimetype == "text/html" and not 300 <= response.status_code < 400:
            faults = lint(response.get_data(as_text=True)) if response.data else []
            assert not faults, f"{args} {response.status_code}: {faults}"
        return response

    def token(self, path: str = "/login") -> str:
        """A forgery token of this client's own session."""
        found = re.search(
            r'name="csrf_token"[^>]*value="([^"]+)"', self.get(path, follow_redirects=True).get_data(as_text=True)
        )
        assert found, f"{path} holds no form"
        return found.group(1)

    def send(self, path: str, data: dict[str, Any] | None = None, *, form: str = "/login", **kwargs: Any) -> Any:
        """A form sent with its forgery token; ``form`` is the page that holds it."""
        return self.post(path, data={**(data or {}), "csrf_token": self.token(form)}, **kwargs)

    def sign_in(self, person: Actor) -> "LintingClient":
        response = self.send("/login", {"email": person.email, "password": PASSWORD})
        assert response.status_code == 303, response.get_data(as_text=True)
        return self


def new_person(context: Context, name: str) -> Actor:
    email = f"{name.lower().replace(' ', '.')}@example.org"
    accounts.create_verified(context, name=name, email=email, password=PASSWORD)
    return accounts.actor_by_email(context, email=email)


def bearer(context: Context, person: Actor, *scopes: str) -> dict[str, str]:
    """Headers with a fresh token of ``person``."""
    _, secret = tokens.issue(context, actor=person, name="test", scopes=scopes or ("read", "submit"), days=1)
    return {"Authorization": f"Bearer {secret}"}
