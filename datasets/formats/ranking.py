"""Points sorted best first, by rank or by falling confidence, and written in that order."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from datasets.canonical import Array, CanonicalWriter, Placed
from datasets.formats.ranking_loops import BUCKETS, deal, gather, settle
from datasets.threads import each

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
WINDOW = 1 << 15  # features written at once
PARTS = 16  # of the sort
_PLACE = np.uint64((1 << 32) - 1)  # far above the features a file may have


@dataclass(frozen=True)
class Ranking:
    """The order of ``count`` features; the low half of each mark is a place in the file. No marks: the file's order."""

    count: int
    marks: npt.NDArray[np.uint64] | None = None

    def windows(self) -> Iterator[tuple[int, int]]:
        for start in range(0, self.count, WINDOW):
            yield start, min(start + WINDOW, self.count)

    def places(self, start: int, stop: int) -> Ints:
        """The places in the file of the features ``start`` … ``stop`` − 1 of the order."""
        if self.marks is None:
            return np.arange(start, stop, dtype=np.int64)
        return (self.marks[start:stop] & _PLACE).view(np.int64)


def rank(values: Floats, *, falling: bool) -> Ranking:
    """The order of finite ``values``, lowest first or, ``falling``, highest; equal ones, and 0 and −0, keep theirs."""
    count = len(values)
    values, sign = np.ascontiguousarray(values), -1.0 if falling else 1.0
    marks, starts = np.empty(count, dtype=np.uint64), np.empty(BUCKETS + 1, dtype=np.int64)
    if deal(values, sign, marks, starts):
        return Ranking(count)

    def settled(part: int) -> bool:
        first, last = (BUCKETS * number // PARTS for number in (part, part + 1))
        return bool(settle(values, sign, first, last, starts, marks))

    if all(list(each(settled, range(PARTS)))):
        return Ranking(count, marks)
    return Ranking(count, np.argsort(sign * values, kind="stable").view(np.uint64))


def write_ranked(writer: CanonicalWriter, columns: Mapping[str, Floats], order: Ranking) -> None:
    """Write ``columns`` (n,) in ``order``, then ``order`` 0 … n − 1 and ``feature``, the place of each in the file."""
    count = order.count
    with ExitStack() as stack:

        def opened(name: str, kind: str) -> Placed:
            return stack.enter_context(writer.placed(name, kind, (count,)))

        tasks: list[tuple[Placed, Array | None]] = [
            (opened(name, "f8"), np.ascontiguousarray(column)) for name, column in columns.items()
        ]
        counted, feature = opened("order", "i8"), opened("feature", "i8")

        def write(task: tuple[Placed, Array | None]) -> None:
            target, column = task
            buffer = np.empty(min(WINDOW, count))
            for start, stop in order.windows():
                if column is None:
                    ranked = order if target is feature else Ranking(count)
                    target.put(start, ranked.places(start, stop))
                elif order.marks is None:
                    target.put(start, column[start:stop])
                else:
                    gather(order.marks[start:stop], column, buffer[: stop - start])
                    target.put(start, buffer[: stop - start])

        for _ in each(write, [*tasks, (counted, None), (feature, None)]):
            pass
