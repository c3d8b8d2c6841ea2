"""The front sheet: open challenges first, then what is coming, then what is done."""

from collections.abc import Sequence
from datetime import UTC, datetime

from flask import Blueprint, render_template

from portal.domain.views import ChallengeCard
from portal.services import challenges
from portal.web import access
from portal.web.formatting import money

bp = Blueprint("front", __name__)
SECTIONS = (
    ("open", "Open now", ("open",)),
    ("upcoming", "Opening soon", ("upcoming",)),
    ("past", "Past challenges", ("closed", "settled")),
)


def open_totals(cards: Sequence[ChallengeCard]) -> dict[str, int | str]:
    """How much is open: challenges, bounties (one amount a currency, never added across), entries."""
    pools: dict[str, int] = {}
    for card in cards:
        pools[card.currency] = pools.get(card.currency, 0) + card.pool_minor
    bounties = " + ".join(money(minor, currency) for currency, minor in sorted(pools.items()))
    return {"challenges": len(cards), "bounties": bounties, "entries": sum(card.entries for card in cards)}


@bp.get("/")
def index() -> str:
    """Every challenge the visitor may see, by phase; the nearest deadline first, the latest of the past first."""
    cards = challenges.listing(access.ctx(), actor=access.actor())
    sections = [
        (key, title, sorted((c for c in cards if c.phase in phases), key=lambda c: c.closes, reverse=key == "past"))
        for key, title, phases in SECTIONS
    ]
    totals = open_totals([card for card in cards if card.phase == "open"])
    return render_template("front.html", sections=sections, totals=totals, now=datetime.now(UTC))
