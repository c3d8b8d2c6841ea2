"""Long lists cut into pages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Cut(Generic[Item]):
    """One page of a list: its items, its number from 1, how many pages there are, where its first item stands."""

    items: Sequence[Item]
    page: int
    pages: int
    first: int


def cut(items: Sequence[Item], page: int, *, size: int = 100) -> Cut[Item]:
    """Page number ``page`` of ``items``; a number outside is taken to the nearest page there is."""
    pages = max(1, -(-len(items) // size))
    number = min(max(page, 1), pages)
    first = (number - 1) * size
    return Cut(items[first : first + size], number, pages, first)


def page_of(items: Sequence[Item], wanted: Callable[[Item], bool], *, size: int = 100) -> int | None:
    """The page that holds the first item wanted, or None."""
    return next((place // size + 1 for place, item in enumerate(items) if wanted(item)), None)
