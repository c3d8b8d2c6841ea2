"""From cell values to class codes: straight through, by a table, or value by value."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from datasets.canonical import Array, Canonical
from datasets.errors import EngineFault
from scoring.kinds import raster_loops as loops
from scoring.kinds.columns import number_text
from scoring.kinds.raster_layout import Ints

UNKNOWN = 255  # in a table: the code of no class
TABLED = 1 << 16  # range of class values that are looked up in a table
LOOKED_UP = frozenset(("uint8", "int16", "uint16", "int32", "float32", "float64"))


@dataclass(frozen=True)
class Codes:
    """Positions of cell values in ``classes``. ``table``: code of each whole number from ``first`` on, or None."""

    classes: tuple[str, ...]
    first: int
    table: Array | None

    @classmethod
    def of(cls, classes: tuple[str, ...]) -> Self:
        numbers = [_whole(label) for label in classes]
        known = [number for number in numbers if number is not None]
        if len(known) < len(classes) or not known or len(classes) >= UNKNOWN or max(known) - min(known) >= TABLED:
            return cls(classes, 0, None)
        table = np.full(max(known) - min(known) + 1, UNKNOWN, dtype=np.uint8)
        for code, number in enumerate(known):
            table[number - min(known)] = code
        return cls(classes, min(known), table)

    @cached_property
    def straight(self) -> bool:
        """Whether every class is its own code."""
        return self.table is not None and self.first == 0 and self.table.tolist() == list(range(len(self.classes)))

    def truth(self, values: Array) -> Array:
        """Codes of true values; -1 for a value that is none of the classes."""
        found = self._looked_up(values)
        return codes(values, self.classes) if found is None else found

    def entry(self, values: Array) -> Array:
        """Codes of submitted values.

        Raises:
            EngineFault: intake let a class through that the challenge does not name.
        """
        found = self.truth(values)
        if found.dtype != np.uint8 and (found < 0).any():
            raise EngineFault("intake let a class through that the challenge does not name")
        return found

    def _looked_up(self, values: Array) -> Array | None:
        """Codes by the table; None without one, or when some value is not in it."""
        if self.table is None or values.dtype.name not in LOOKED_UP:
            return None
        if self.straight and values.dtype == np.uint8:
            return values if not values.size or int(values.max()) < len(self.classes) else None
        out = np.empty(len(values), dtype=np.uint8)
        return None if loops.look_up(values, self.first, self.table, out) else out


def codes(values: Array, classes: tuple[str, ...]) -> Ints:
    """Position of each cell value in ``classes``; -1 for a value that is none of them."""
    distinct, place = np.unique(values, return_inverse=True)
    places = {label: number for number, label in enumerate(classes)}
    table = np.array([places.get(number_text(value), -1) for value in distinct.tolist()], dtype=np.int64)
    found: Ints = table[place.reshape(-1)] if len(distinct) else np.empty(0, dtype=np.int64)
    return found


def listed(prediction: Canonical, truth: Canonical) -> tuple[str, ...] | None:
    """The classes of either side as intake counted them; None where only the cells themselves can tell.

    Every class of the truth stands in a cell that is scored. One that only the entry names may not.
    """
    own, entry = (side.attrs.get("classes") for side in (truth, prediction))
    if not isinstance(own, list) or not isinstance(entry, list) or not 0 < len(own) < TABLED:
        return None
    known = {label: _whole(label) for label in own}
    if not set(entry) <= known.keys() or None in known.values():
        return None
    return tuple(sorted(known, key=lambda label: known[label] or 0))


def _whole(label: str) -> int | None:
    """The whole number a label is the plain text of."""
    digits = label.removeprefix("-")
    return int(label) if digits.isdecimal() and len(digits) < 16 and str(int(label)) == label else None
