"""A person at a browser: a context of their own, everything that goes wrong on their pages, and pictures."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Page, Response

from tests.browser.settlement import PASSWORD, address

LIMIT_MS = 20_000
PHONE, DESK = {"width": 375, "height": 780}, {"width": 1280, "height": 860}


@dataclass
class Visitor:
    """``page`` on the site at ``url``. ``trouble`` lists console errors, script faults and failed requests so far."""

    page: Page
    url: str
    pictures: Path
    trouble: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def open(self, path: str) -> Response:
        """Go to ``path``; the answer, which is no server error."""
        answer = self.page.goto(f"{self.url}{path}", wait_until="load")
        assert answer is not None
        assert answer.status < 500, f"{path} answered {answer.status}: {self.page.inner_text('main')}"
        return answer

    def sign_in(self, name: str) -> "Visitor":
        self.open("/login")
        self.page.get_by_label("E-mail address").fill(address(name))
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("button", name="Sign out").wait_for()
        return self

    def picture(self, name: str, *, both: bool = False) -> None:
        """Keep a picture of the whole page; with ``both``, on a phone and in the dark as well."""
        self._shoot(name)
        if both and os.environ.get("MOTHERLODE_SCREENSHOTS"):
            self.page.emulate_media(color_scheme="dark")
            self._shoot(f"{name}-dark")
            self.page.set_viewport_size(PHONE)
            self._shoot(f"{name}-phone-dark")
            self.page.emulate_media(color_scheme="light")
            self._shoot(f"{name}-phone")
            self.page.set_viewport_size(DESK)

    def _shoot(self, name: str) -> None:
        self.page.screenshot(path=self.pictures / f"{name}.png", full_page=True)

    def told(self) -> str:
        """Everything the site says at every address this person has seen, asked for once more as this person."""
        asked = (address for address in sorted(self.seen) if address.startswith(self.url) and "/static/" not in address)
        answers = (self.page.context.request.get(address) for address in asked)
        return "\n".join(answer.body().decode("utf-8", errors="replace") for answer in answers)

    def calm(self) -> None:
        """Fails when something went wrong on any page since the last call."""
        found, self.trouble[:] = list(self.trouble), []
        assert not found, "\n".join(found)


def visit(browser: Browser, url: str, pictures: Path, *, javascript: bool = True) -> Visitor:
    """A new person with empty pockets."""
    context = browser.new_context(
        java_script_enabled=javascript, viewport=DESK, color_scheme="light", reduced_motion="reduce", locale="en-GB"
    )
    context.set_default_timeout(LIMIT_MS)
    visitor = Visitor(context.new_page(), url, pictures)
    _watch(visitor)
    return visitor


def _watch(visitor: Visitor) -> None:
    page = visitor.page
    page.on("console", lambda message: _note(visitor, message))
    page.on("pageerror", lambda error: visitor.trouble.append(f"{page.url}: script fault: {error}"))
    page.on("response", lambda answer: _record(visitor, answer))


def _note(visitor: Visitor, message: ConsoleMessage) -> None:
    refused_form = "status of 4" in message.text and message.location.get("url") == visitor.page.url
    if message.type in {"error", "warning"} and not refused_form and not _driver_talk(message.text):
        visitor.trouble.append(f"{visitor.page.url}: console {message.type}: {message.text} {message.location}")


def _driver_talk(text: str) -> bool:
    """Remarks of software rendering, which say nothing about the page."""
    return "GL Driver Message" in text or "GPU stall" in text or ("WebGL" in text and "fallback" in text)


def _record(visitor: Visitor, answer: Response) -> None:
    request = answer.request
    if request.method == "GET" and request.resource_type in {"document", "fetch", "xhr", "image"}:
        visitor.seen.add(answer.url)
    if answer.status >= 400 and request.resource_type not in {"document", "xhr"}:
        visitor.trouble.append(f"{visitor.page.url}: {request.method} {answer.url} answered {answer.status}")
