"""One running site and one browser for the journeys; a folder for pictures outside the repository."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser import settlement
from tests.browser.instance import Instance, running
from tests.browser.settlement import Settlement
from tests.browser.visiting import LIMIT_MS, Visitor, visit

ARGUMENTS = (
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--enable-unsafe-swiftshader",
)
Visit = Callable[..., Visitor]
expect.set_options(timeout=LIMIT_MS)  # as patient as everything else a visitor waits for


def chromium() -> str:
    """The machine's Chromium. Without one the test is skipped, in continuous integration it fails."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        reason = "no Chromium on this machine; on Debian: apt-get install chromium"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return found


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A healthy site with nothing in it, one for each test process."""
    chromium()
    with running(tmp_path_factory.mktemp("site") / "data") as site:
        yield site


@pytest.fixture(scope="session")
def settled(instance: Instance, tmp_path_factory: pytest.TempPathFactory) -> Settlement:
    """The site with challenges, people and entries."""
    return settlement.build(instance, tmp_path_factory.mktemp("settlement"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium. For a module only: its event loop must not run beside the tests of others."""
    with sync_playwright() as playwright:
        running_browser = playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        yield running_browser
        running_browser.close()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots go: MOTHERLODE_SCREENSHOTS, else a folder that is thrown away."""
    folder = Path(os.environ.get("MOTHERLODE_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def comes(browser: Browser, instance: Instance, pictures: Path) -> Iterator[Visit]:
    """``comes(name)`` opens a browser for that person and signs in; ``comes()`` is a stranger."""
    visitors: list[Visitor] = []

    def come(name: str = "", **options: bool) -> Visitor:
        visitor = visit(browser, instance.url, pictures, **options)
        visitors.append(visitor)
        return visitor.sign_in(name) if name else visitor

    yield come
    for visitor in visitors:
        visitor.page.context.close()
