"""The people of the demo: roles, not persons. Their passwords are made once and kept in the data folder."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from portal.domain.errors import NotFound
from portal.domain.permissions import Actor
from portal.services import accounts
from portal.services.context import Context

FILE = "demo-accounts.txt"
PEOPLE: Mapping[str, str] = {
    "operator": "Operator",
    "sponsor": "Demonstration desk",
    "judge": "Judge",
    **{f"expert-{letter.lower()}": f"Expert {letter}" for letter in "ABCDEF"},
}


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody by short name: ``operator``, ``sponsor``, ``judge``, ``expert-a`` … ``expert-f``."""

    actors: Mapping[str, Actor]
    file: Path

    def __getitem__(self, name: str) -> Actor:
        return self.actors[name]

    def expert(self, letter: str) -> Actor:
        """The expert with this capital letter."""
        return self.actors[f"expert-{letter.lower()}"]


def address(name: str) -> str:
    """The mail address of a demo account; example.org receives no mail."""
    return f"{name}@example.org"


def assemble(ctx: Context) -> Cast:
    """Open the accounts that are missing; passwords go to DATA/demo-accounts.txt, readable by its owner alone."""
    file = ctx.settings.data / FILE
    known = _passwords(file)
    missing = [name for name in PEOPLE if not _exists(ctx, name)]
    fresh = {name: secrets.token_urlsafe(12) for name in missing if name not in known}
    if fresh:
        known = {**known, **fresh}
        _keep(file, known)
    for name in missing:
        accounts.create_verified(ctx, name=PEOPLE[name], email=address(name), password=known[name])
    if "operator" in missing:
        accounts.make_operator(ctx, email=address("operator"))
    return Cast({name: accounts.actor_by_email(ctx, email=address(name)) for name in PEOPLE}, file)


def _exists(ctx: Context, name: str) -> bool:
    try:
        accounts.actor_by_email(ctx, email=address(name))
    except NotFound:
        return False
    return True


def _passwords(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    lines = (line.split() for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return {words[0].removesuffix("@example.org"): words[1] for words in lines if len(words) == 2}


def _keep(file: Path, passwords: Mapping[str, str]) -> None:
    """Written at once and readable by the owner only."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".new")
    rows = "".join(f"{address(name):28} {password}\n" for name, password in passwords.items())
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        stream.write(f"# Accounts of the demo: address and password.\n{rows}")
    draft.replace(file)
