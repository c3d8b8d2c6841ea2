"""Without a mouse: the skip link, an order that reaches what matters, and a focus one can see."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.settlement import OPEN, Settlement

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
SEEN = """() => {
  const style = getComputedStyle(document.activeElement);
  return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
}"""
NAME = """() => {
  const e = document.activeElement;
  return (e.innerText || e.labels?.[0]?.innerText || e.getAttribute("aria-label") || e.name || e.tagName).trim();
}"""


def _walk(page: Page, goal: str, most: int = 60) -> list[str]:
    """Press Tab until ``goal`` has the focus; the names passed on the way. Each one must show its focus."""
    passed: list[str] = []
    while goal not in passed[-1:] and len(passed) < most:
        page.keyboard.press("Tab")
        passed.append(str(page.evaluate(NAME)).split("\n")[0])
        assert page.evaluate(SEEN), f"the focus on {passed[-1]!r} of {page.url} cannot be seen"
    return passed


@pytest.mark.parametrize(
    ("name", "path", "goal"),
    [
        ("", "/", "See the open challenges"),
        ("", "/login", "Password"),
        ("", f"/challenges/{OPEN}", "Register to take part"),
        ("Expert A", f"/challenges/{OPEN}/submit", "Send the entry"),
        ("Expert A", f"/challenges/{OPEN}/data", "public/logs.csv"),
        ("Sponsor", "/sponsor/drafts/{ready}", "Publish the challenge"),
        ("Sponsor", "/sponsor", "Upload and check"),
        ("Judge", "/judge/entries/{winner}", "Record the ruling"),
    ],
)
def test_tab_reaches_the_main_action(comes: Visit, settled: Settlement, name: str, path: str, goal: str) -> None:
    visitor = comes(name)
    visitor.open(path.format(**settled.entries, **settled.drafts))
    passed = _walk(visitor.page, goal)
    assert passed[0] == "Skip to the content"
    assert passed[-1] == goal, f"never reached {goal!r} among {passed}"


def test_the_skip_link_leads_to_the_content(comes: Visit, settled: Settlement) -> None:
    visitor = comes()
    visitor.open(f"/challenges/{OPEN}/board")
    visitor.page.keyboard.press("Tab")
    expect(visitor.page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.locator("#main")).to_be_focused()
    visitor.page.keyboard.press("Tab")
    assert visitor.page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_signing_in_needs_no_mouse(comes: Visit, settled: Settlement) -> None:
    visitor = comes()
    visitor.open("/login")
    _walk(visitor.page, "E-mail address")
    visitor.page.keyboard.type("nobody@example.org")
    visitor.page.keyboard.press("Enter")
    alert = visitor.page.get_by_role("alert")
    expect(alert).to_be_focused()
    visitor.page.keyboard.press("Tab")
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_label("Password")).to_be_focused()


def test_the_theme_button_is_kept(comes: Visit, settled: Settlement) -> None:
    visitor = comes()
    visitor.open("/")
    paper = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
    visitor.page.get_by_role("button", name="Change between light and dark").press("Enter")
    visitor.open("/design")
    assert visitor.page.evaluate("getComputedStyle(document.body).backgroundColor") != paper
