"""How values look on a page: times, money, numbers, sizes, digests. `filters()` lists them for Jinja."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any

from markupsafe import Markup

from portal.web.markdown import render

THIN = "\N{NARROW NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
MISSING = "\N{EN DASH}"
SYMBOLS: Mapping[str, str] = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "CAD": "CA$", "AUD": "A$"}
NO_MINOR_UNIT = frozenset({"JPY", "KRW", "CLP", "ISK", "VND", "XAF", "XOF"})

STATES: Mapping[str, tuple[str, str]] = {
    "queued": ("Waiting", "water"),
    "scoring": ("Scoring", "water"),
    "scored": ("Scored", "good"),
    "rejected": ("Rejected", "bad"),
    "failed": ("Failed on our side", "bad"),
    "withdrawn": ("Withdrawn", "plain"),
    "upcoming": ("Opens soon", "water"),
    "open": ("Open", "gold"),
    "closed": ("Closed", "plain"),
    "settled": ("Settled", "good"),
    "checking": ("Checking", "water"),
    "faulty": ("Needs mending", "bad"),
    "ready": ("Ready", "good"),
    "publishing": ("Publishing", "water"),
    "published": ("Published", "good"),
    "verified": ("Verified", "good"),
    "refused": ("Refused", "bad"),
    "pending": ("Pending", "water"),
}
KINDS: Mapping[str, str] = {
    "table": "Table",
    "points": "Ranked points",
    "polygons": "Polygons",
    "raster": "Raster",
    "grid": "Grid",
    "judged": "Judged",
}


def money(minor: int | None, currency: str, *, cents: bool = False) -> str:
    """An amount in integer minor units as text: 57500000, "USD" → "$575,000"; cents only when there are any."""
    if minor is None:
        return MISSING
    sign = MINUS if minor < 0 else ""
    digits = 0 if currency in NO_MINOR_UNIT else 2
    amount = Decimal(abs(minor)).scaleb(-digits)
    shown = f"{amount:,.{digits}f}" if cents or amount != int(amount) else f"{int(amount):,}"
    symbol = SYMBOLS.get(currency)
    return f"{sign}{symbol}{shown}" if symbol else f"{sign}{currency}\N{NO-BREAK SPACE}{shown}"


def number(value: float | None) -> str:
    """A count or plain number with thousands separated; a missing or non-finite one is a dash."""
    if value is None or not isfinite(value):
        return MISSING
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
    return text.replace("-", MINUS)


def score(value: float | None, digits: int = 5) -> str:
    """A score with a fixed number of decimals, so that columns line up; a missing one is a dash, never a zero."""
    if value is None or not isfinite(value):
        return MISSING
    if value != 0 and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.{digits - 1}e}".replace("-", MINUS)
    return f"{value:,.{digits}f}".replace("-", MINUS)


def size(count: int | None) -> str:
    """Bytes in decimal units, three significant digits: 1234567 → "1.23 MB"."""
    if count is None:
        return MISSING
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{count}\N{NO-BREAK SPACE}B" if unit == "B" else f"{value:.3g}\N{NO-BREAK SPACE}{unit}"


def stamp(at: datetime) -> str:
    """ISO 8601 in UTC with Z, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(at: datetime) -> str:
    """2026-03-01 00:00 UTC as "1 Mar 2026, 00:00 UTC"."""
    utc = at.astimezone(UTC)
    return f"{utc.day} {utc:%b %Y, %H:%M} UTC"


def when(at: datetime | None, style: str = "full") -> Markup:
    """A <time> element. style: "full" (a script adds local time), "short" (local time in the title), "date"."""
    if at is None:
        return Markup('<span class="soft">{}</span>').format(MISSING)
    utc = at.astimezone(UTC)
    text = {"full": clock(at), "short": f"{utc:%Y-%m-%d %H:%M} UTC", "date": f"{utc.day} {utc:%b %Y}"}[style]
    return Markup('<time datetime="{}" data-time="{}">{}</time>').format(stamp(at), style, text)


def until(at: datetime, now: datetime) -> str:
    """The time left as words: "12 days 3 hours", "4 minutes", or "passed"."""
    left = at - now
    if left <= timedelta(0):
        return "passed"
    minutes = int(left.total_seconds() // 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [(days, "day"), (hours, "hour"), (minutes, "minute")]
    named = [f"{n} {word}{'' if n == 1 else 's'}" for n, word in parts if n]
    return " ".join(named[:2]) or "less than a minute"


def countdown(at: datetime, now: datetime) -> Markup:
    """The time left, kept current by countdown.js."""
    return Markup('<time datetime="{}" data-countdown>{}</time>').format(stamp(at), until(at, now))


def short_digest(digest: str | None) -> str:
    """The first twelve digits of a digest, enough to recognise it by."""
    return MISSING if not digest else f"{digest.removeprefix('sha256:')[:12]}…"


def slug(text: str) -> str:
    """Text as an element id: lower case, a–z 0–9 and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"


def place(where: Mapping[str, Any] | None) -> str:
    """Where a finding points, as words: {"row": 17} → "row 17"; {"row": 4, "column": 9} → "row 4, column 9"."""
    return ", ".join(f"{name} {value}" for name, value in (where or {}).items()) or MISSING


def plural(count: int, one: str, many: str = "") -> str:
    """A count with its noun: 1 → "1 entry", 2 → "2 entries"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def state_label(state: str) -> str:
    """The word shown for a state."""
    return STATES.get(state, (state.replace("_", " ").capitalize(), "plain"))[0]


def state_kind(state: str) -> str:
    """The colour role of a state's badge."""
    return STATES.get(state, ("", "plain"))[1]


def unit(name: str) -> str:
    """A metric's unit beside a value: nothing for plain numbers, nor for the truth's own unit."""
    return "" if name == "1" or name.startswith("truth unit") else name


def kind_label(kind: str) -> str:
    """The word shown for a kind of prediction."""
    return KINDS.get(kind, kind.capitalize())


def flat_errors(errors: Iterable[Any]) -> str:
    """A field's errors as one text; fields inside fields bring nested lists and dictionaries."""
    if isinstance(errors, Mapping):
        return " ".join(flat_errors(inner) for inner in errors.values())
    if isinstance(errors, str):
        return errors
    return " ".join(item if isinstance(item, str) else flat_errors(item) for item in errors)


def filters() -> dict[str, Callable[..., Any]]:
    """Every Jinja filter of the pages, by name."""
    return {
        "money": money,
        "number": number,
        "score": score,
        "size": size,
        "when": when,
        "until": until,
        "countdown": countdown,
        "short_digest": short_digest,
        "slug": slug,
        "place": place,
        "plural": plural,
        "state_label": state_label,
        "state_kind": state_kind,
        "kind_label": kind_label,
        "unit": unit,
        "flat_errors": flat_errors,
        "stamp": stamp,
        "clock": clock,
        "markdown": render,
    }
