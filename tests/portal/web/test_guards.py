"""Every route has a guard, and what has none is shut."""

from flask import Blueprint, Flask

from portal.app import BLUEPRINTS
from portal.domain.permissions import SCOPES
from portal.web import guards
from portal.web.guards import Access
from tests.portal.web.browser import LintingClient

OPEN_TO_ALL = {
    "api.listing",
    "api.challenge",
    "api.agreement",
    "api.files",
    "api.board",
}


def test_every_route_has_a_guard(app: Flask) -> None:
    needs = {endpoint: guards.needs_of(app, endpoint) for endpoint in app.view_functions}
    assert len(needs) > 50
    assert [endpoint for endpoint, need in needs.items() if need is None] == []
    assert {blueprint.name for blueprint in BLUEPRINTS} == set(app.blueprints)


def test_every_api_view_states_a_scope(app: Flask) -> None:
    views = {endpoint: view for endpoint, view in app.view_functions.items() if endpoint.startswith("api.")}
    scopes = {endpoint: guards.marked(view, "scope", "none stated") for endpoint, view in views.items()}
    assert {endpoint for endpoint, scope in scopes.items() if scope is None} == OPEN_TO_ALL
    assert set(scopes.values()) <= {None, *SCOPES}


def test_only_the_api_goes_without_a_forgery_token(app: Flask) -> None:
    exempt = {rule.endpoint for rule in app.url_map.iter_rules() if guards.needs_of(app, rule.endpoint) is Access.API}
    assert {endpoint.partition(".")[0] for endpoint in exempt} == {"api"}


def test_a_route_without_a_guard_is_not_found(app: Flask) -> None:
    loose = Blueprint("loose", __name__)
    loose.get("/loose")(lambda: "secret")
    app.register_blueprint(loose)
    client = app.test_client()
    assert isinstance(client, LintingClient)
    assert client.get("/loose").status_code == 404
