"""What a judge reads beside the map: the rows that are furthest off, and the scores by block."""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from portal.domain.views import Download
from portal.services.context import Context

RESIDUALS, BLOCKS, CONFUSION = "judge-residuals.json", "judge-blocks.json", "judge-confusion.json"
SHOWN_ROWS, SHOWN_BLOCKS = 50, 200


@dataclass(frozen=True, slots=True)
class Evidence:
    """Tables for the page; empty where the challenge is of another kind, or not over yet."""

    residuals: tuple[dict[str, Any], ...] = ()
    metrics: tuple[str, ...] = ()
    blocks: tuple[dict[str, Any], ...] = ()
    all_blocks: int = 0
    confusion: dict[str, Any] = field(default_factory=dict)


def gather(ctx: Context, names: Collection[str], fetch: Callable[[str], Download]) -> Evidence:
    """Read the tables among the previews ``names`` of one entry."""
    residuals = _read(ctx, fetch(RESIDUALS)) if RESIDUALS in names else {}
    blocks = _read(ctx, fetch(BLOCKS)) if BLOCKS in names else {}
    rows = blocks.get("rows", [])
    return Evidence(
        residuals=tuple(residuals.get("rows", [])[:SHOWN_ROWS]),
        metrics=tuple(blocks.get("metrics", [])),
        blocks=tuple(rows[:SHOWN_BLOCKS]),
        all_blocks=len(rows),
        confusion=_read(ctx, fetch(CONFUSION)) if CONFUSION in names else {},
    )


def _read(ctx: Context, download: Download) -> dict[str, Any]:
    with ctx.blobs.open(download.blob_digest) as stream:
        found = json.load(stream)
    return found if isinstance(found, dict) else {}
