"""Every page of every role: nothing for axe to find, a quiet console, one h1, no sideways scrolling at 320 px."""

import os

import pytest

from tests.browser import auditing
from tests.browser.conftest import Visit
from tests.browser.settlement import CLOSED, OPEN, Settlement

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SHEETS = ("", "/data", "/rules", "/timeline", "/board", "/bounty", "/submit")
STRANGER = (
    ("front", "/"),
    ("design", "/design"),
    ("register", "/register"),
    ("register-sent", "/register/sent"),
    ("login", "/login"),
    ("reset", "/reset"),
    ("reset-sent", "/reset/sent"),
    ("reset-token", "/reset/none-such"),
    ("verify-token", "/verify/none-such"),
    ("missing", "/challenges/none-such"),
    *((f"open{sheet.replace('/', '-')}", f"/challenges/{OPEN}{sheet}") for sheet in SHEETS),
    ("closed-board", f"/challenges/{CLOSED}/board"),
    ("closed-bounty", f"/challenges/{CLOSED}/bounty"),
    ("agreement-stranger", f"/agreements/{OPEN}"),
)
EXPERT = (
    ("account", "/account"),
    ("tokens", "/account/tokens"),
    ("expert-overview", f"/challenges/{CLOSED}"),
    ("expert-data", f"/challenges/{OPEN}/data"),
    ("expert-board", f"/challenges/{OPEN}/board"),
    ("expert-entries", f"/challenges/{OPEN}/entries"),
    ("expert-submit", f"/challenges/{OPEN}/submit"),
    ("entry-scored", "/entries/{scored}"),
    ("entry-rejected", "/entries/{rejected}"),
    ("entry-map", "/entries/{map}"),
    ("agreement-signed", f"/agreements/{OPEN}"),
    ("forbidden", "/operator"),
)
SPONSOR = (
    ("sponsor", "/sponsor"),
    ("draft-ready", "/sponsor/drafts/{ready}"),
    ("draft-faulty", "/sponsor/drafts/{faulty}"),
    ("draft-published", "/sponsor/drafts/{published}"),
    ("manage-open", f"/sponsor/challenges/{OPEN}"),
    ("manage-closed", f"/sponsor/challenges/{CLOSED}"),
)
JUDGE = (
    ("judge", "/judge"),
    ("judge-open", f"/judge/{OPEN}"),
    ("judge-closed", f"/judge/{CLOSED}"),
    ("judge-entry", "/judge/entries/{winner}"),
    ("agreement-unsigned", f"/agreements/{OPEN}"),
)
OPERATOR = (("operator", "/operator"),)
STATUS = {"missing": 404, "forbidden": 403}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "pages"),
    [("", STRANGER), ("Expert A", EXPERT), ("Sponsor", SPONSOR), ("Judge", JUDGE), ("Operator", OPERATOR)],
    ids=["stranger", "expert", "sponsor", "judge", "operator"],
)
def test_pages_hold_what_every_page_must(
    comes: Visit, settled: Settlement, name: str, pages: tuple[tuple[str, str], ...]
) -> None:
    visitor = comes(name)
    found = []
    for label, path in pages:
        answer = visitor.open(path.format(**settled.entries, **settled.drafts))
        if answer.status != STATUS.get(label, 200):
            found.append(f"{label}: {path} answered {answer.status}")
        visitor.page.locator("h1").first.wait_for()
        found += [f"{label}: {fault}" for fault in auditing.faults(visitor.page)]
        if "MOTHERLODE_SCREENSHOTS" in os.environ:
            visitor.picture(f"page-{label}", both=True)
    assert not found + visitor.trouble, "\n".join([*found, *visitor.trouble])
