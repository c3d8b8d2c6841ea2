"""Plain CSV in one pass: pieces of the file on several threads, each handed on as small arrays while it is in cache.

Plain is what programs write: ASCII without quotes, the right number of fields in every line, numbers in plain
decimals. Anything else gives None, and the reader that names every fault takes over.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import pyarrow as pa

from datasets.canonical import Array
from datasets.formats import plain_loops as loops
from datasets.formats.number_loops import FIVES
from datasets.threads import allowed, each

Cell = Literal["float", "int", "text", "auto", "class"]
PIECE = 2 << 20
OVERHANG = 1 << 16  # the most bytes a row may reach beyond its piece
SAMPLE = 1 << 16
KINDS: Mapping[Cell, int] = {
    "float": loops.FLOAT, "int": loops.INT, "text": loops.TEXT, "auto": loops.WHOLE, "class": loops.LABEL,
}  # fmt: skip
_GROUPS = {loops.FLOAT: 0, loops.INT: 1, loops.WHOLE: 1, loops.TEXT: 2, loops.LABEL: 3}
_RETRIES = 4
_FULL = -100  # more rows than there is room for


@dataclass(frozen=True)
class Rows:
    """The rows of one piece. Field k is row ``slots[k]`` of ``reals``, ``wholes`` or ``codes`` (their first ``count``
    entries), or a text; the arrays are used again for the next piece.
    """

    count: int
    slots: Array
    reals: Array
    wholes: Array
    codes: Array
    words: Sequence[Sequence[str]]
    texts: Array
    ends: Array

    def text(self, slot: int) -> tuple[Array, Array]:
        """Offsets (count + 1,) and bytes of a text column."""
        ends = self.ends[slot, : self.count + 1]
        return ends, self.texts[slot, : int(ends[-1])]


class Turns:
    """Hands out places to pieces in their order."""

    def __init__(self) -> None:
        self.totals: tuple[int, ...] = ()
        self._next = 0
        self._broken = False
        self._turn = threading.Condition()

    def take(self, piece: int, *counts: int) -> tuple[int, ...] | None:
        """The sums of the ``counts`` of all pieces before, which are waited for; None: given up."""
        with self._turn:
            self._turn.wait_for(lambda: self._next == piece or self._broken)
            if self._broken:
                return None
            before = self.totals or (0,) * len(counts)
            self.totals = tuple(old + new for old, new in zip(before, counts, strict=True))
            self._next += 1
            self._turn.notify_all()
            return before

    def give_up(self) -> None:
        """Nobody waits any more."""
        with self._turn:
            self._broken = True
            self._turn.notify_all()


Take = Callable[[int, Rows, Turns], int | None]


def read_plain(path: Path, fields: int, wanted: Mapping[int, Cell]) -> dict[int, pa.ChunkedArray] | None:
    """The wanted columns by their place among ``fields``; None when the file is not plain throughout.

    ``auto`` gives whole numbers where every value is one, else text; ``class`` text, as dictionaries when it can.
    """
    kinds = kinds_of(fields, wanted)
    with opened(path, fields) as file:
        if file is None:
            return None
        room = file.rows()
        for _ in range(_RETRIES):
            table = _Table.make(Layout.of(kinds), room)
            bad = file.read(kinds, table.take)
            if bad is None:
                return {place: table.column(place) for place in sorted(wanted)}
            if bad == _FULL:
                room = (file.size - file.body) // fields + 1
            elif loops.RAGGED - bad in {loops.WHOLE, loops.LABEL}:
                kinds = [loops.TEXT if kind == loops.RAGGED - bad else kind for kind in kinds]
            else:
                return None
    return None


def kinds_of(fields: int, wanted: Mapping[int, Cell]) -> list[int]:
    """How each of the fields is read."""
    return [loops.SKIP if place not in wanted else KINDS[wanted[place]] for place in range(fields)]


@dataclass(frozen=True)
class Layout:
    """Which row of the arrays of its kind each field fills, and how many rows each kind has."""

    kinds: Array
    slots: Array
    counts: Sequence[int]

    @classmethod
    def of(cls, kinds: Sequence[int]) -> "Layout":
        counts, slots = [0] * 4, np.zeros(len(kinds), dtype=np.int32)
        for place, kind in enumerate(kinds):
            if kind in _GROUPS:
                slots[place] = counts[_GROUPS[kind]]
                counts[_GROUPS[kind]] += 1
        return cls(np.array(kinds, dtype=np.int8), slots, counts)


@contextmanager
def opened(path: Path, fields: int) -> Iterator["Plain | None"]:
    """The file, if its beginning looks plain."""
    with path.open("rb") as source:
        size = os.fstat(source.fileno()).st_size
        sample = source.read(max(SAMPLE, min(size, PIECE)))
        body = sample.find(b"\n") + 1
        good = fields > 1 and 0 < body < len(sample) and b"\r" not in sample[: body - 1].removesuffix(b"\r")
        yield Plain(source, sample, body, size, fields) if good else None


@dataclass
class Plain:
    """A CSV whose rows begin at ``body``; ``sample``: its first bytes, all of them if it is small."""

    source: BinaryIO
    sample: bytes
    body: int
    size: int
    fields: int
    bad: int | None = None
    turns: Turns = field(default_factory=Turns)
    local: threading.local = field(default_factory=threading.local)

    def rows(self) -> int:
        """About how many rows there are, a little too many rather than too few; no fewer for a small file."""
        lines = self.sample.count(b"\n", self.body) + 1
        if len(self.sample) == self.size:
            return lines
        return int(1.05 * lines * (self.size - self.body) / (len(self.sample) - self.body)) + 1000

    def read(self, kinds: Sequence[int], take: Take) -> int | None:
        """Hand every piece to ``take``, on several threads and in any order; None, or why the file is not plain.

        ``take`` gets the piece, its rows, and the turns by which it finds their place; it returns None or why not.
        """
        layout = Layout.of(kinds)
        self.bad, self.turns, self.local = None, Turns(), threading.local()
        if len(self.sample) == self.size:
            room = _Room.make(layout, self.size)
            room.text[loops.FRONT : loops.FRONT + self.size] = self.sample
            stop = _closed(room.text, loops.FRONT + self.size)
            self._rows(0, room, (loops.FRONT + self.body, stop), take)
            return self.bad
        pieces = range(-(-(self.size - self.body) // PIECE))
        for _ in each(lambda piece: self._piece(piece, layout, take), pieces, threads=allowed()):
            if self.bad is not None:
                break
        return self.bad

    def _stop(self, reason: int | None) -> None:
        if reason is not None:
            self.bad = reason
            self.turns.give_up()

    def _piece(self, piece: int, layout: Layout, take: Take) -> None:
        try:
            if self.bad is None:
                if not hasattr(self.local, "room"):
                    self.local.room = _Room.make(layout, PIECE + OVERHANG)
                self._rows(piece, self.local.room, self._load(piece, self.local.room.text), take)
        except BaseException:
            self.turns.give_up()  # or the other threads would wait for this piece
            raise

    def _load(self, piece: int, text: bytearray) -> tuple[int, int]:
        """(first, stop): the rows that begin in the piece are text[first:stop]."""
        begin, front = self.body + piece * PIECE - 1, loops.FRONT - 1  # the byte before tells whether a row begins
        length = min(PIECE, self.size - begin - 1)
        wanted = min(1 + length + OVERHANG, self.size - begin)
        with memoryview(text) as view:
            got = os.preadv(self.source.fileno(), [view[front : front + wanted]], begin)
        if got < wanted:
            self._stop(loops.RAGGED)
            return 0, 0
        first = text.find(b"\n", front, front + length) + 1
        if not first:  # a row that began before reaches over the whole piece
            return 0, 0
        end = front + got
        end = _closed(text, end) if begin + got == self.size else end
        stop = text.find(b"\n", front + length, end) + 1
        if not stop:
            self._stop(loops.RAGGED)
        return first, stop

    def _rows(self, piece: int, room: "_Room", span: tuple[int, int], take: Take) -> None:
        count = room.read(*span) if span[0] < span[1] else 0
        if count < 0:
            self._stop(count)
        if self.bad is None:
            self._stop(take(piece, room.rows(count), self.turns))


def _closed(text: bytearray, stop: int) -> int:
    """Where the text that ends at ``stop`` ends with a line feed, which is written if it is not there."""
    if text[stop - 1] == ord("\n"):
        return stop
    text[stop] = ord("\n")
    return stop + 1


@dataclass
class _Room:
    """What one thread reads into: the text of a piece and its columns."""

    layout: Layout
    text: bytearray
    spans: Array
    reals: Array
    wholes: Array
    texts: Array
    ends: Array
    labels: Array
    counts: Array
    codes: Array

    @classmethod
    def make(cls, layout: Layout, size: int) -> "_Room":
        """Room for ``size`` bytes; memory is touched only as far as it is used."""
        reals, wholes, texts, codes = layout.counts
        rows = size // len(layout.kinds) + 2
        return cls(
            layout, bytearray(loops.FRONT + size + 2 + loops.BACK), np.empty(size + 16, dtype=np.int32),
            np.empty((reals, rows)), np.empty((wholes, rows), dtype=np.int64),
            np.empty((texts, size), dtype=np.uint8), np.zeros((texts, rows + 1), dtype=np.int64),
            np.empty((codes, loops.LABELS, 2), dtype=np.uint64), np.zeros(codes, dtype=np.int64),
            np.empty((codes, rows), dtype=np.uint8),
        )  # fmt: skip

    def read(self, first: int, stop: int) -> int:
        self.counts[:] = 0
        start = np.frombuffer(self.text, dtype=np.uint8).ctypes.data
        return int(
            loops.read_rows(
                start + first, start + stop, self.spans, self.layout.kinds, self.layout.slots, FIVES.ctypes.data,
                self.reals, self.wholes, self.texts, self.ends, self.labels, self.counts, self.codes,
            )
        )  # fmt: skip

    def rows(self, count: int) -> Rows:
        words = [_words(self.labels[slot], known) for slot, known in enumerate(self.counts)]
        return Rows(count, self.layout.slots, self.reals, self.wholes, self.codes, words, self.texts, self.ends)


@dataclass
class _Table:
    """The columns in memory: ``reals``, ``wholes`` and ``codes`` of shape (columns, room)."""

    layout: Layout
    reals: Array
    wholes: Array
    codes: Array
    cuts: dict[int, tuple[int, int, list[Any], Sequence[Sequence[str]]]] = field(default_factory=dict)

    @classmethod
    def make(cls, layout: Layout, room: int) -> "_Table":
        reals, wholes, _, codes = layout.counts
        whole, code = np.empty((wholes, room), dtype=np.int64), np.empty((codes, room), dtype=np.uint8)
        return cls(layout, np.empty((reals, room)), whole, code)

    def take(self, piece: int, rows: Rows, turns: Turns) -> int | None:
        before = turns.take(piece, rows.count)
        if before is None or not rows.count:
            return None
        (first,), stop = before, before[0] + rows.count
        if stop > max(array.shape[1] for array in (self.reals, self.wholes, self.codes)):
            return _FULL
        for target, given in ((self.reals, rows.reals), (self.wholes, rows.wholes), (self.codes, rows.codes)):
            target[:, first:stop] = given[:, : rows.count]
        self.cuts[piece] = (first, stop, [_text(*rows.text(slot)) for slot in range(len(rows.texts))], rows.words)
        return None

    def column(self, place: int) -> pa.ChunkedArray:
        """A filled column; whole and real ones share the memory of the table."""
        kind, slot = int(self.layout.kinds[place]), int(self.layout.slots[place])
        pieces = [self.cuts[piece] for piece in sorted(self.cuts)]
        count = pieces[-1][1] if pieces else 0
        if kind == loops.FLOAT:
            return pa.chunked_array([_wrapped(self.reals[slot, :count], pa.float64())])
        if kind in {loops.INT, loops.WHOLE}:
            return pa.chunked_array([_wrapped(self.wholes[slot, :count], pa.int64())])
        if kind == loops.TEXT:
            return pa.chunked_array([cut[slot] for _, _, cut, _ in pieces], pa.large_string())
        return pa.chunked_array(
            [
                pa.DictionaryArray.from_arrays(
                    _wrapped(self.codes[slot, start:stop], pa.uint8()), pa.array(lists[slot], pa.string())
                )
                for start, stop, _, lists in pieces
            ]
        )


def _wrapped(values: Array, kind: pa.DataType) -> pa.Array:
    """A numpy array as an Arrow array over the same memory."""
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def _text(ends: Array, data: Array) -> pa.Array:
    """A copy as an Arrow array."""
    return pa.LargeStringArray.from_buffers(len(ends) - 1, pa.py_buffer(ends.copy()), pa.py_buffer(data.copy()))


def _words(labels: Array, count: int) -> list[str]:
    """The labels packed into pairs of words."""
    return [labels[code].tobytes().rstrip(b"\0").decode("ascii") for code in range(int(count))]
