"""The operator's page: queue, workers, health, mail that waits."""

from flask import Blueprint, render_template

from portal.services import operating, paying
from portal.web.access import ctx, require_actor

blueprint = Blueprint("operator", __name__)


@blueprint.get("/operator")
def page() -> str:
    return render_template("operator/page.html", **_overview())


@blueprint.get("/operator/queue")
def queue() -> str:
    """The part of the page that renews itself."""
    return render_template("operator/queue.html", **_overview())


def _overview() -> dict[str, object]:
    person = require_actor()
    return {
        "overview": operating.overview(ctx(), actor=person),
        "outbox": operating.outbox(ctx(), actor=person),
        "ledger_faults": paying.check(ctx()),
    }
