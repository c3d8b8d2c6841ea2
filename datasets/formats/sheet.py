"""What a reader of columns hands on: the columns that could be read, and the cells in them that could not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Spot:
    """A column by name; ``bad`` (n,) marks rows noted already, None: there are none."""

    name: str
    bad: Bools | None = None

    def rows(self, mask: Bools) -> npt.NDArray[np.int64]:
        """The 0-based rows of ``mask`` (n,) that are not noted yet."""
        return np.flatnonzero(mask if self.bad is None else mask & ~self.bad)


@dataclass(frozen=True, slots=True)
class Sheet:
    """``columns`` by name, of equal length, without nulls; a column that could not be read is left out.

    A cell that could not be read holds a placeholder (0 or an empty text) and is marked in ``bad``;
    columns without such cells are not in ``bad``. A row that could not be read is bad in every column.
    """

    columns: Mapping[str, pa.ChunkedArray]
    bad: Mapping[str, Bools] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def spot(self, name: str) -> Spot:
        return Spot(name, self.bad.get(name))


def join_masks(*masks: Bools | None) -> Bools | None:
    """Where any of the masks is true; None stands for a mask that is false throughout."""
    given = [mask for mask in masks if mask is not None]
    return np.logical_or.reduce(given) if given else None


def blank(column: pa.ChunkedArray, bad: Bools | None, placeholder: Any) -> pa.ChunkedArray:
    """``column`` with ``placeholder`` in its bad cells."""
    if bad is None:
        return column
    filled = pc.if_else(pa.array(bad), pa.scalar(placeholder, column.type), column)
    return filled if isinstance(filled, pa.ChunkedArray) else pa.chunked_array([filled])
