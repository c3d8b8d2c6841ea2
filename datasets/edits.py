"""Changes of a challenge directory's texts, dates and prizes, as made in a form.

The rest of challenge.toml keeps its wording and comments. Light: tomlkit and pydantic only.
"""

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import BaseModel, ConfigDict, Field
from tomlkit.exceptions import TOMLKitError

from datasets.errors import Fault, SpecError
from datasets.spec import TOML


class PrizeEdit(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int
    amount: Decimal


class Edits(BaseModel):
    """New values; None leaves a thing as it is. Times are aware, amounts decimal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str | None = None
    summary: str | None = None
    overview: str | None = None
    agreement: str | None = None
    opens: datetime | None = None
    closes: datetime | None = None
    pool: Decimal | None = None
    prizes: tuple[PrizeEdit, ...] | None = Field(default=None, description="replaces all prizes")


def apply_edits(folder: Path, edits: Edits) -> None:
    """Write ``edits`` into the challenge directory ``folder``.

    Raises:
        SpecError: challenge.toml is no TOML, so nothing of it can be edited.
    """
    for name, text in (("overview.md", edits.overview), ("agreement.md", edits.agreement)):
        if text is not None:
            (folder / name).write_text(text.replace("\r\n", "\n"), encoding="utf-8")
    path = folder / TOML
    try:
        document = edited_toml(path.read_text(encoding="utf-8"), edits)
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise SpecError([Fault(TOML, "", f"cannot be edited: {error}.", "Mend the file and upload again.")]) from error
    path.write_text(document, encoding="utf-8")


def edited_toml(text: str, edits: Edits) -> str:
    """``text`` of a challenge.toml with the edited values. Raises tomlkit's errors when it is no TOML."""
    document = tomlkit.parse(text)
    _set(document, "challenge", {"title": edits.title, "summary": edits.summary})
    _set(document, "schedule", {"opens": edits.opens, "closes": edits.closes})
    _set(document, "bounty", {"pool": _plain(edits.pool), "prizes": _prizes(edits.prizes)})
    return tomlkit.dumps(document)


def _set(document: tomlkit.TOMLDocument, section: str, values: dict[str, Any]) -> None:
    given = {key: value for key, value in values.items() if value is not None}
    if given and section not in document:
        document[section] = tomlkit.table()
    for key, value in given.items():
        document[section][key] = value


def _plain(amount: Decimal | None) -> str | None:
    return None if amount is None else format(amount, "f")


def _prizes(prizes: tuple[PrizeEdit, ...] | None) -> Any:
    if prizes is None:
        return None
    array = tomlkit.array()
    for prize in prizes:
        row = tomlkit.inline_table()
        row.update({"rank": prize.rank, "amount": _plain(prize.amount)})
        array.append(row)
    return array.multiline(multiline=True)
