"""The parts of docs/ that are written from code, so that page and code cannot drift apart."""

from pathlib import Path

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from datasets.findings import CODES
from portal.settings import Settings


def findings_table() -> str:
    """Every finding's code and meaning as a Markdown table."""
    rows = [f"| `{code}` | {meaning} |" for code, meaning in sorted(CODES.items())]
    return "\n".join(["| code | means |", "|---|---|", *rows])


def settings_table() -> str:
    """Every setting of the portal with default and meaning as a Markdown table."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = "" if default in (None, "", PydanticUndefined) or isinstance(default, SecretStr) else f"`{default}`"
        rows.append(f"| `{name.upper()}` | {shown} | {field.description or ''} |")
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows])


def with_section(page: str, name: str, table: str) -> str:
    """``page`` with what stands between the markers of ``name`` replaced by ``table``.

    Raises:
        ValueError: the page has no such markers.
    """
    begin, end = f"<!-- {name}: written by ./dev docs -->", f"<!-- end of {name} -->"
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"the page has no section {name!r}")
    return f"{before}{begin}\n{table}\n{end}{after}"


def generated_pages(docs: Path) -> dict[Path, str]:
    """Path and current text of each page that has generated parts."""
    parts = {"formats.md": ("findings", findings_table()), "operations.md": ("settings", settings_table())}
    return {docs / page: with_section((docs / page).read_text(encoding="utf-8"), *part) for page, part in parts.items()}
