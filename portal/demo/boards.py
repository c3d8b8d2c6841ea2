"""Boards of the demo on a terminal, and whether the demo has been played to its end. Light: no science is imported."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from portal.domain.errors import NotFound
from portal.domain.views import Board, BoardRow, LedgerView, MetricLine
from portal.services import challenges, paying, ranking
from portal.services.context import Context

DONE = "demo-played.json"
SHOWN = 4  # metrics beside the primary one
WHOLE = 10_000  # scores from here on lose their decimals
BETTER = {"higher": "higher is better", "lower": "lower is better", "zero": "nearer to 0 is better"}


def remember(ctx: Context, played: dict[str, int]) -> None:
    """Note how many entries each challenge holds now that the demo is played."""
    (ctx.settings.data / DONE).write_text(json.dumps(played, indent=1) + "\n", encoding="utf-8")


def played(ctx: Context) -> tuple[str, ...]:
    """The slugs of the demo when it was played to its end and everything is still there, else nothing."""
    noted = _noted(ctx.settings.data / DONE)
    try:
        whole = all(ranking.board(ctx, actor=None, slug=slug).total_entries >= count for slug, count in noted.items())
    except NotFound:
        return ()
    return tuple(noted) if whole else ()


def _noted(file: Path) -> dict[str, int]:
    if not file.is_file():
        return {}
    noted: dict[str, int] = json.loads(file.read_text(encoding="utf-8"))
    return noted


def show(ctx: Context, slugs: tuple[str, ...], console: Console) -> None:
    """Print the board of each challenge, best first."""
    for slug in slugs:
        board = ranking.board(ctx, actor=None, slug=slug)
        page = challenges.page(ctx, actor=None, slug=slug)
        console.print(f"[bold]{page.card.title}[/bold]")
        stage = "final" if board.stage == "final" else "public"
        money = _money(paying.ledger(ctx, actor=None, slug=slug))
        console.print(
            f"{slug} · {page.card.kind} · {stage} board · {BETTER[board.direction]} · {money}", highlight=False
        )
        console.print(_table(board, page.rules.metrics), "")


def _table(board: Board, metrics: tuple[MetricLine, ...]) -> Table:
    units = {line.name: line.unit for line in metrics}
    shown = [board.metric, *(name for name in units if name != board.metric)][: SHOWN + 1]
    marks = [_marks(row) for row in board.rows]
    table = Table("rank", "team", *shown, "entries", *([""] if any(marks) else []))
    for column in (table.columns[0], *table.columns[2 : len(shown) + 3]):
        column.justify = "right"
    for row, mark in zip(board.rows, marks, strict=True):
        values = [number(row.scores.get(name), units.get(name, "")) for name in shown]
        table.add_row(row.rank_label, row.team, *values, str(row.entries), *([mark] if any(marks) else []))
    return table


def _marks(row: BoardRow) -> str:
    return ", ".join(word for word in ("affiliated" if row.affiliated else "", row.verdict or "") if word)


def _money(ledger: LedgerView) -> str:
    pool, paid = ledger.pool_minor / 100, ledger.paid_minor / 100  # every demo bounty has a currency of two decimals
    return f"bounty {ledger.currency} {pool:,.0f}" + (
        f", of which {paid:,.0f} posted to verified winners" if paid else ""
    )


def number(value: float | None, unit: str = "") -> str:
    """A score with four significant digits, a count as a whole number, a dash where there is none."""
    if value is None:
        return "–"
    if unit == "features" or abs(value) >= WHOLE:
        return f"{value:,.0f}"
    return f"{value:#.4g}"
