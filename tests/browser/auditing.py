"""What every page must hold: nothing for axe to find, one heading of the first rank, and room on a narrow screen."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
RUN = """async (only) => {
  const options = { resultTypes: ["violations"] };
  if (only) options.runOnly = { type: "rule", values: only };
  const found = await axe.run(document, options);
  return found.violations.map((rule) => ({
    id: rule.id, help: rule.help, nodes: rule.nodes.map((node) => `${node.target.join(" ")} | ${node.failureSummary}`),
  }));
}"""
WIDE = """() => {
  const room = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= room) return [];
  const over = [...document.body.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > room + 1);
  return [`page is ${document.documentElement.scrollWidth} wide`, ...over.slice(0, 8).map((e) =>
    `${e.tagName.toLowerCase()}.${e.className.baseVal ?? e.className}`)];
}"""
NARROW = {"width": 320, "height": 640}


def axe(page: Page, only: list[str] | None = None) -> list[str]:
    """Findings of axe-core on the page as it stands, one line each."""
    page.evaluate(f"window.axe ? undefined : (() => {{ {AXE} }})()")
    found: list[dict[str, Any]] = page.evaluate(RUN, only)
    return [f"{rule['id']}: {rule['help']}: {node}" for rule in found for node in rule["nodes"][:4]]


def headings(page: Page) -> list[str]:
    """Why the headings are wrong, or nothing."""
    count = page.locator("h1").count()
    return [] if count == 1 else [f"{count} headings of the first rank"]


def overflow(page: Page) -> list[str]:
    """What sticks out sideways on a screen 320 pixels wide, or nothing."""
    before = page.viewport_size
    page.set_viewport_size(NARROW)
    found: list[str] = page.evaluate(WIDE)
    if before:
        page.set_viewport_size(before)
    return found


def faults(page: Page) -> list[str]:
    """Everything at once; colours in light and in dark."""
    found = headings(page) + axe(page) + [f"320 px: {line}" for line in overflow(page)]
    page.emulate_media(color_scheme="dark")
    found += [f"dark: {line}" for line in axe(page, ["color-contrast"])]
    page.emulate_media(color_scheme="light")
    return found
