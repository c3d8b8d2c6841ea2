"""Every route of the application, taken from its own map, with addresses that lead to nothing."""

from dataclasses import dataclass

from flask import Flask
from werkzeug.routing import Rule

NOWHERE = {
    "slug": "no-such-challenge",
    "entry_id": "00000000-0000-4000-8000-000000000000",
    "draft_id": "00000000-0000-4000-8000-000000000000",
    "session_id": "00000000-0000-4000-8000-000000000000",
    "token_id": "00000000-0000-4000-8000-000000000000",
    "token": "no-such-link",
    "name": "none.png",
    "path": "none.csv",
    "filename": "css/base.css",
}


@dataclass(frozen=True)
class Route:
    """One method of one rule; ``path`` is a concrete address, ``bare`` whether it names nothing by id."""

    endpoint: str
    method: str
    path: str
    bare: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def routes(app: Flask, **values: str) -> list[Route]:
    """All of them; ``values`` fill the variable parts instead of ids that lead to nothing."""
    rules = sorted(app.url_map.iter_rules(), key=lambda rule: (rule.rule, rule.endpoint))
    return [
        Route(rule.endpoint, method, _address(app, rule, values), not rule.arguments)
        for rule in rules
        for method in sorted((rule.methods or set()) & {"GET", "POST", "PUT", "PATCH", "DELETE"})
    ]


def _address(app: Flask, rule: Rule, values: dict[str, str]) -> str:
    with app.test_request_context(base_url="http://localhost"):
        return str(app.url_for(rule.endpoint, **{name: (NOWHERE | values)[name] for name in rule.arguments})).partition(
            "?"
        )[0]
