"""What every kind hands to the engine: a pairing of prediction and truth, cut into parts and blocks."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from datasets.blocks import Side
from datasets.canonical import Array, Canonical
from datasets.errors import Finding
from scoring.samples import Sample

FEW = 5  # examples shown in a finding
Block = tuple[str, Side, Sample]


@dataclass(frozen=True)
class TruthSet:
    """A challenge's hidden truth. ``grid``: the grid through which points are read, and its valid cells.

    ``prepared``: what the kind's ``prepare`` made of this truth and spec, kept with an opened truth so that it is
    made once; empty when nothing was kept, and then made anew for every entry.
    """

    truth: Canonical
    grid: Canonical | None = None
    prepared: Mapping[str, Array] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Pairing:
    """A prediction aligned with its truth.

    ``samples(part)`` for part 0 … parts − 1 yields (block key, side, aligned sample). The parts depend on the data
    and the challenge alone, never on who computes them; several parts may contribute to one block. ``blocks`` counts
    the blocks of the truth, ``classes`` are what the codes of Classes stand for.
    """

    parts: int
    samples: Callable[[int], Iterable[Block]]
    blocks: int
    rows: int = field(default=0)
    classes: tuple[str, ...] = ()


def rows_finding(code: str, message: str, rows: list[int], count: int, hint: str) -> Finding:
    """A finding about rows of the uploaded file, counted from 1 without the header; ``rows`` are the first few."""
    where: dict[str, object] = {"row": rows[0], "rows": rows[:FEW], "count": count} if rows else {"count": count}
    return Finding(code, message, where, hint)


def spread(total: int, size: int) -> list[tuple[int, int]]:
    """(start, stop) ranges that cover ``total`` items in steps of at most ``size``; one empty range for no items."""
    step = max(1, size)
    return [(start, min(start + step, total)) for start in range(0, total, step)] or [(0, 0)]
