"""Small charts as inline SVG: they print, need no script, and say in words what they show.

Geometry is in user units of a fixed view box; colours come from classes (static/css/charts.css).
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from math import ceil, floor, isfinite, log10

from markupsafe import Markup, escape

from portal.domain.views import BoardRow, LedgerView, PrizeView, ProgressPoint, TimelineItem
from portal.web.formatting import clock, money, plural, score

WIDTH = 440


def _figure(name: str, title: str, text: str, height: int, body: Sequence[str], *, width: int = WIDTH) -> Markup:
    """One SVG named by its own title and description. ``body`` is markup made in this module from escaped text."""
    opening = (
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-labelledby="{name}-title {name}-text">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-text">{escape(text)}</desc>'
    )
    return Markup(opening + "".join(body) + "</svg>")  # noqa: S704 - numbers and escaped text only


def _text(x: float, y: float, text: str, *, anchor: str = "start", kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _bar(x: float, y: float, width: float, height: float, kind: str) -> str:
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round values inside [low, high], about ``count`` of them, at steps of 1, 2 or 5 times a power of ten."""
    if not (isfinite(low) and isfinite(high)) or high <= low:
        return [low]
    raw = (high - low) / max(count, 1)
    power = 10.0 ** floor(log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999999)
    first = ceil(low / step - 1e-9)
    last = floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def bins(values: Sequence[float], count: int) -> list[tuple[float, float, int]]:
    """Equal bins over the range of ``values`` as (from, to, how many); a single value makes one bin around it."""
    low, high = min(values), max(values)
    if high == low:
        pad = abs(low) * 0.05 or 0.5
        return [(low - pad, high + pad, len(values))]
    width = (high - low) / count
    tally = [0] * count
    for value in values:
        tally[min(int((value - low) / width), count - 1)] += 1
    return [(low + i * width, low + (i + 1) * width, n) for i, n in enumerate(tally)]


def histogram(rows: Sequence[BoardRow], metric: str) -> Markup:
    """How the scores of a board are spread; the reader's own bin is gold. Empty below three finite scores."""
    scored = [(row.score, row.is_me) for row in rows if row.score is not None and isfinite(row.score)]
    if len(scored) < 3:
        return Markup("")
    parts = bins([value for value, _ in scored], min(16, max(4, ceil(len(scored) ** 0.5) * 2)))
    mine = {sum(value >= low for low, _, _ in parts) - 1 for value, me in scored if me}
    most = max(n for _, _, n in parts)
    left, top, bottom = 4.0, 22.0, 166.0
    wide = (WIDTH - 2 * left) / len(parts)
    body = [_line(left, bottom, WIDTH - left, bottom, "axis")]
    for i, (_, _, n) in enumerate(parts):
        tall, x = (bottom - top) * n / most, left + i * wide
        body.append(_bar(x + 1, bottom - tall, wide - 2, tall, "bar mine" if i in mine else "bar"))
        body.append(_text(x + wide / 2, bottom - tall - 5, str(n), anchor="middle") if n else "")
    low, high = score(parts[0][0], 4), score(parts[-1][1], 4)
    body += [_text(left, bottom + 18, low), _text(WIDTH - left, bottom + 18, high, anchor="end")]
    body.append(_text(WIDTH / 2, bottom + 18, metric, anchor="middle", kind="label"))
    said = (
        f"{plural(len(scored), 'team')} from {low} to {high} in {plural(len(parts), 'bin')}; the fullest holds {most}."
    )
    return _figure("histogram", f"Scores of all teams by {metric}", said, 196, body)


def place_on_scale(value: float | None, low: float, high: float) -> Markup:
    """A dot on a line from ``low`` to ``high``: ornament beside a number, hidden from screen readers."""
    if value is None or not isfinite(value) or high <= low:
        return Markup("")
    x = 6 + 108 * (min(max(value, low), high) - low) / (high - low)
    body = f'<line class="axis" x1="6" y1="8" x2="114" y2="8"/><circle class="dot" cx="{x:.1f}" cy="8" r="4.5"/>'
    opening = '<svg class="chart strip" viewBox="0 0 120 16" aria-hidden="true" focusable="false">'
    return Markup(f"{opening}{body}</svg>")  # noqa: S704 - numbers only


def strips(rows: Sequence[BoardRow]) -> list[Markup]:
    """One small scale a row, all with the same ends; empty ones below three finite scores."""
    finite = [row.score for row in rows if row.score is not None and isfinite(row.score)]
    if len(finite) < 3:
        return [Markup("") for _ in rows]
    return [place_on_scale(row.score, min(finite), max(finite)) for row in rows]


def progress(points: Sequence[ProgressPoint], metric: str) -> Markup:
    """The best public score over time as steps. Empty below two points."""
    usable = [p for p in points if isfinite(p.score)]
    if len(usable) < 2:
        return Markup("")
    start, end = usable[0].at, usable[-1].at
    span = (end - start).total_seconds() or 1.0
    low, high = min(p.score for p in usable), max(p.score for p in usable)
    pad = (high - low) * 0.08 or abs(high) * 0.05 or 0.5
    low, high = low - pad, high + pad
    left, right, top, bottom = 56.0, WIDTH - 10.0, 12.0, 166.0

    def place(at: datetime, value: float) -> tuple[float, float]:
        x = left + (right - left) * (at - start).total_seconds() / span
        return x, bottom - (bottom - top) * (value - low) / (high - low)

    body = []
    for value in ticks(low, high):
        y = place(start, value)[1]
        body += [_line(left, y, right, y, "grid"), _text(left - 8, y + 4, f"{value:g}", anchor="end")]
    body.append(_line(left, bottom, right, bottom, "axis"))
    spots = [place(p.at, p.score) for p in usable]
    path = f"M{spots[0][0]:.1f} {spots[0][1]:.1f}" + "".join(f"H{b[0]:.1f}V{b[1]:.1f}" for _, b in pairwise(spots))
    body.append(f'<path class="step" d="{path}"/>')
    body += [f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in spots]
    body += [_text(left, bottom + 18, clock(start)), _text(right, bottom + 18, clock(end), anchor="end")]
    first, last = usable[0], usable[-1]
    said = (
        f"From {score(first.score, 4)} on {clock(start)} to {score(last.score, 4)} by {last.team} on {clock(end)}, "
        f"in {plural(len(usable), 'step')}."
    )
    return _figure("progress", f"Best {metric} so far", said, 196, body)


def prizes(items: Sequence[PrizeView], pool_minor: int, currency: str) -> Markup:
    """The prizes as shares of the pool, one bar a rank; what no prize names stays as the last, pale piece."""
    if not items or pool_minor <= 0:
        return Markup("")
    shown = sorted(items, key=lambda prize: prize.rank)
    most = max(prize.amount_minor for prize in shown) or 1
    left, row = 32.0, 28.0
    body = []
    for i, prize in enumerate(shown):
        y = 6 + i * row
        wide = (WIDTH - left - 110) * prize.amount_minor / most
        kind = "bar mine" if i == 0 else "bar"
        body.append(_text(left - 10, y + 15, f"{prize.rank}.", anchor="end", kind="label"))
        body.append(f'<rect class="{kind}" x="{left}" y="{y:.1f}" width="{max(wide, 1):.1f}" height="20"/>')
        body.append(_text(left + max(wide, 1) + 8, y + 15, money(prize.amount_minor, currency), kind="label"))
    said = "; ".join(f"rank {prize.rank}: {money(prize.amount_minor, currency)}" for prize in shown)
    return _figure(
        "prizes", f"Prizes from a pool of {money(pool_minor, currency)}", said, round(len(shown) * row + 8), body
    )


def pool(ledger: LedgerView) -> Markup:
    """The bounty as one bar: paid, promised, and what is left of the pool."""
    total = max(ledger.pool_minor, 1)
    paid, promised = ledger.paid_minor / total, ledger.promised_minor / total
    left, wide, y = 1.0, WIDTH - 2.0, 4.0
    pieces = [
        ("paid", 0.0, paid),
        ("promised", paid, promised),
        ("rest", paid + promised, max(0.0, 1 - paid - promised)),
    ]
    body = [
        f'<rect class="{kind}" x="{left + wide * start:.1f}" y="{y}" width="{wide * share:.1f}" height="26"/>'
        for kind, start, share in pieces
        if share > 0
    ]
    body.append(f'<rect class="frame" x="{left}" y="{y}" width="{wide}" height="26"/>')
    rest = ledger.pool_minor - ledger.paid_minor - ledger.promised_minor
    parts = (("Paid", ledger.paid_minor), ("promised", ledger.promised_minor), ("left", rest))
    words = ", ".join(f"{name} {money(minor, ledger.currency)}" for name, minor in parts)
    body.append(_text(left, 48, words, kind="label"))
    return _figure("pool", f"The pool of {money(ledger.pool_minor, ledger.currency)}", f"{words}.", 56, body)


def timeline(items: Sequence[TimelineItem], now: datetime) -> Markup:
    """The dates of a challenge on one line, with today's place on it. Empty below two dates."""
    if len(items) < 2:
        return Markup("")
    ordered = sorted(items, key=lambda item: item.at)
    start, end = ordered[0].at, ordered[-1].at
    span = (end - start).total_seconds() or 1.0
    left, right, y = 16.0, WIDTH - 16.0, 34.0

    def place(at: datetime) -> float:
        return left + (right - left) * min(max((at - start).total_seconds() / span, 0.0), 1.0)

    body = [_line(left, y, right, y, "axis")]
    if now > start:
        body.append(_line(left, y, place(now), y, "rule"))
    for i, item in enumerate(ordered, start=1):
        x = place(item.at)
        kind = "dot" if item.done else "dot todo"
        body += [
            f'<circle class="{kind}" cx="{x:.1f}" cy="{y}" r="6"/>',
            _text(x, y + 24, str(i), anchor="middle", kind="label"),
        ]
    if start < now < end:
        x = place(now)
        body += [
            f'<path class="lode" d="M{x:.1f} {y - 7} l-5 -8h10z"/>',
            _text(x, y - 19, "now", anchor="middle", kind="label"),
        ]
    said = "; ".join(f"{i}. {item.label}, {clock(item.at)}" for i, item in enumerate(ordered, start=1))
    return _figure("timeline", "The dates of this challenge", said, 64, body)
