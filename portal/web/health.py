"""Whether the instance works, for load balancers and people: names of what was checked, no details."""

from flask import Blueprint, Response, jsonify

from portal.services import operating
from portal.web.access import ctx

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    health = operating.health(ctx())
    response = jsonify(ok=health.ok, checks={check.name: check.ok for check in health.checks})
    response.status_code = 200 if health.ok else 503
    response.headers["Cache-Control"] = "no-store"
    return response
