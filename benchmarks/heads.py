"""The head of a challenge.toml, for benchmarks and tests that are about what comes after it."""

import json
from collections.abc import Sequence


def head(
    kind: str,
    *,
    slug: str = "test",
    title: str = "",
    opens: str = "2026-01-01T00:00:00Z",
    closes: str = "2036-01-01T00:00:00Z",
    prizes: Sequence[int] = (),
    summary: str = "A small challenge for tests.",
) -> str:
    """[challenge], [schedule] and [bounty]; ``prizes`` in USD, the first rank's first, make up the pool."""
    ranked = ", ".join(f'{{rank = {place}, amount = "{prize}.00"}}' for place, prize in enumerate(prizes, start=1))
    return f"""[challenge]
slug = "{slug}"
title = {json.dumps(title or slug)}
sponsor = "Survey"
kind = "{kind}"
summary = {json.dumps(summary)}
tags = ["geology"]
[schedule]
opens = {opens}
closes = {closes}
[bounty]
currency = "USD"
pool = "{sum(prizes)}.00"
prizes = [{ranked}]
"""
