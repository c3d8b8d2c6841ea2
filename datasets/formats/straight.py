"""Tables with nothing wrong in them, from the file to the canonical columns in one pass.

Every piece is checked and written while it is in cache, so memory does not grow with the file. Only what is plainly
right goes this way; at the first doubt the answer is no, and the reader that names every fault begins anew.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from datasets.canonical import Array, CanonicalWriter
from datasets.errors import Rejected
from datasets.expect import Column, Expectation
from datasets.formats import straight_parquet
from datasets.formats.delimited import read_header
from datasets.formats.plain import Cell, Rows, Turns, kinds_of, opened
from datasets.formats.sink import Sink, is_fraction, is_id

MOST_COLUMNS = 20  # a text takes two of the 64 files a reader may have open
CELLS: Mapping[str, Cell] = {
    "auto": "auto",
    "text": "text",
    "class": "class",
    "int": "int",
    "float": "float",
    "probability": "float",
    "weight": "float",
}
_WRONG = -200


def write_straight(path: Path, form: str, expect: Expectation, out: Path, limit: int | None) -> bool:
    """Write the canonical table of ``path`` into ``out``; ``limit``: the most rows it may have.

    False: it is not plainly right. What stands in ``out`` then is no canonical form and may be written over.
    """
    names = [column.name for column in expect.columns]
    texts = [column.name for column in expect.columns if column.type == "text"]
    if len(set(names)) < len(names) or len(names) > MOST_COLUMNS or (texts and form != "csv"):
        return False
    writer = CanonicalWriter(out, "table")
    with ExitStack() as stack:
        sink = Sink(expect, writer, stack)
        try:
            rows = (_read_csv if form == "csv" else straight_parquet.read)(path, expect, sink, limit)
        except Rejected:
            rows = 0
        good = rows > 0 and sink.close()
    good = good and sink.all_differ()
    if good:
        ids = [column.name for column in expect.columns if is_id(column)]
        writer.finish({"rows": rows, "ids": ids, "classes": sink.classes})
    return good


def _read_csv(path: Path, expect: Expectation, sink: Sink, limit: int | None) -> int:
    """How many rows were written; 0: something is not as it has to be."""
    header = read_header(path)
    places = {column: header.index(column.name) for column in expect.columns if header.count(column.name) == 1}
    if len(places) < len(expect.columns):
        return 0
    kinds = kinds_of(len(header), {place: CELLS[column.type] for column, place in places.items()})
    plan = _Plan(places, sink, limit)
    with opened(path, len(header)) as file:
        return 0 if file is None or file.read(kinds, plan.take) is not None else file.turns.totals[0]


@dataclass(frozen=True)
class _Plan:
    """Where each column stands in the file, and where it goes."""

    places: Mapping[Column, int]
    sink: Sink
    limit: int | None

    def take(self, piece: int, rows: Rows, turns: Turns) -> int | None:
        """Write a piece; None, or that it is not right."""
        cut = {column: rows.text(rows.slots[place]) for column, place in self.places.items() if column.type == "text"}
        before = turns.take(piece, rows.count, *(len(data) for _, data in cut.values()))
        if before is None or not rows.count:
            return None
        first, *starts = before
        good = self.limit is None or first + rows.count <= self.limit
        good = good and self.sink.put(first, self._numbers(rows))
        for (column, text), start in zip(cut.items(), starts, strict=True):
            good = good and self.sink.put_text(column, first, start, text)
        for column, place in self.places.items():
            if column.type == "class":
                slot = rows.slots[place]
                self.sink.put_codes(column.key, first, rows.codes[slot, : rows.count].copy(), rows.words[slot])
        return None if good else _WRONG

    def _numbers(self, rows: Rows) -> dict[str, Array]:
        return {
            column.key: (rows.reals if is_fraction(column) else rows.wholes)[rows.slots[place], : rows.count]
            for column, place in self.places.items()
            if column.type not in {"text", "class"}
        }
