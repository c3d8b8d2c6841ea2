"""Docs and code say the same."""

from pathlib import Path

import pytest

from portal.cli import COMMANDS
from portal.docs import generated_pages, with_section

ROOT = Path(__file__).resolve().parent.parent


def test_generated_parts_are_current() -> None:
    for path, text in generated_pages(ROOT / "docs").items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is stale; run ./dev docs"


def test_a_page_without_the_section_is_refused() -> None:
    with pytest.raises(ValueError, match="no section"):
        with_section("# Page", "findings", "")


def test_every_command_that_readme_names_exists() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = {line.split()[1] for line in readme.splitlines() if line.startswith("motherlode ")}
    assert named
    assert named <= set(COMMANDS)


def test_every_link_in_docs_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in page.read_text(encoding="utf-8").split("](")[1:]:
            link = target.split(")")[0].split("#")[0]
            if link and "://" not in link:
                assert (page.parent / link).exists(), f"{page.name} links to {link}"
