"""Plain CSV in one pass: pieces of the file on several threads, straight into the columns.

Plain is what programs write: ASCII without quotes, the right number of fields in every line, numbers in plain
decimals. Anything else gives None, and the reader that names every fault takes over.
"""

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import pyarrow as pa

from datasets.canonical import Array
from datasets.formats import plain_loops as loops
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


def read_plain(path: Path, fields: int, wanted: Mapping[int, Cell]) -> dict[int, pa.ChunkedArray] | None:
    """The wanted columns by their place among ``fields``; None when the file is not plain throughout.

    ``auto`` gives whole numbers where every value is one, else text; ``class`` text, as dictionaries when it can.
    """
    kinds = [loops.SKIP if place not in wanted else KINDS[wanted[place]] for place in range(fields)]
    with path.open("rb") as source:
        size = os.fstat(source.fileno()).st_size
        sample = source.read(max(SAMPLE, min(size, PIECE)))
        body = sample.find(b"\n") + 1
        if fields < 2 or not 0 < body < len(sample) or b"\r" in sample[: body - 1].removesuffix(b"\r"):
            return None
        lines = sample.count(b"\n", body) + (len(sample) == size)
        room = lines if len(sample) == size else int(1.05 * lines * (size - body) / (len(sample) - body)) + 1000
        for _ in range(_RETRIES):
            table = _Table.make(source, body, size, kinds, room)
            bad = table.read(sample if len(sample) == size else None)
            if bad is None:
                return {place: table.column(place) for place in sorted(wanted)}
            if bad == _FULL:
                room = (size - body) // (2 * fields) + 1
            elif bad in {loops.WHOLE, loops.LABEL}:
                kinds = [loops.TEXT if kind == bad else kind for kind in kinds]
            else:
                return None
    return None


_FULL = -2
_RAGGED = -3


@dataclass
class _Turns:
    """Hands out rows to the pieces in their order."""

    rows: int = 0
    _next: int = 0
    _turn: threading.Condition = field(default_factory=threading.Condition)

    def take(self, piece: int, count: int) -> int:
        """The first of ``count`` rows of a piece; waits until all pieces before it have taken theirs."""
        with self._turn:
            self._turn.wait_for(lambda: self._next == piece)
            start = self.rows
            self.rows += count
            self._next += 1
            self._turn.notify_all()
            return start


@dataclass
class _Table:
    """The columns while they are being filled: ``reals``, ``wholes`` and ``codes`` of shape (columns, room)."""

    source: BinaryIO
    body: int
    size: int
    kinds: Array
    slots: Array
    reals: Array
    wholes: Array
    codes: Array
    texts: int
    turns: _Turns = field(default_factory=_Turns)
    local: threading.local = field(default_factory=threading.local)
    words: dict[int, tuple[int, list[Any], list[list[str]]]] = field(default_factory=dict)
    bad: int | None = None

    @classmethod
    def make(cls, source: BinaryIO, body: int, size: int, kinds: Sequence[int], room: int) -> "_Table":
        counts = [0] * 4
        slots = np.zeros(len(kinds), dtype=np.int32)
        for place, kind in enumerate(kinds):
            if kind in _GROUPS:
                slots[place] = counts[_GROUPS[kind]]
                counts[_GROUPS[kind]] += 1
        return cls(
            source, body, size, np.array(kinds, dtype=np.int8), slots,
            np.empty((counts[0], room)), np.empty((counts[1], room), dtype=np.int64),
            np.empty((counts[3], room), dtype=np.uint8), counts[2],
        )  # fmt: skip

    def read(self, whole: bytes | None) -> int | None:
        """Fill the columns from the file or from its ``whole`` bytes; None, or why that cannot be."""
        if whole is not None:
            buffer = bytearray(whole)
            if not buffer.endswith(b"\n"):
                buffer += b"\n"
            stop = len(buffer)
            self._fill(0, buffer + bytes(loops.PAD), self.body, stop)
        else:
            pieces = range(-(-(self.size - self.body) // PIECE))
            for _ in each(self._piece, pieces, threads=allowed()):
                if self.bad is not None:
                    break
        return self.bad

    def _piece(self, piece: int) -> None:
        if self.bad is not None:
            self.turns.take(piece, 0)
            return
        buffer, first, stop = bytearray(1), 0, 0
        try:
            buffer, first, stop = self._load(piece)
        finally:
            self._fill(piece, buffer, first, stop)

    def _load(self, piece: int) -> tuple[bytearray, int, int]:
        """(buffer, first, stop): the rows that begin in the piece are buffer[first:stop]."""
        if not hasattr(self.local, "buffer"):
            self.local.buffer = bytearray(1 + PIECE + OVERHANG + 1 + loops.PAD)
        buffer: bytearray = self.local.buffer
        begin = self.body + piece * PIECE - 1
        length = min(PIECE, self.size - begin - 1)
        wanted = min(1 + length + OVERHANG, self.size - begin)
        with memoryview(buffer) as view:
            got = os.preadv(self.source.fileno(), [view[:wanted]], begin)
        if got < wanted:
            self.bad = _RAGGED
            return buffer, 0, 0
        first = buffer.find(b"\n", 0, length) + 1
        if not first:  # a row that began before reaches over the whole piece
            return buffer, 0, 0
        if begin + got == self.size and buffer[got - 1] != ord("\n"):
            buffer[got] = ord("\n")
            got += 1
        stop = buffer.find(b"\n", length, got) + 1
        if not stop:
            self.bad = _RAGGED
        return buffer, first, stop

    def _fill(self, piece: int, buffer: bytearray, first: int, stop: int) -> None:
        data = np.frombuffer(buffer, dtype=np.uint8)
        count = int(np.count_nonzero(data[first:stop] == 10)) if first < stop else 0
        row = self.turns.take(piece, count)
        room = max(self.reals.shape[1], self.wholes.shape[1], self.codes.shape[1])
        if self.bad is not None or not count:
            return
        if row + count > room:
            self.bad = _FULL
            return
        texts = np.empty((self.texts, stop - first), dtype=np.uint8)
        ends = np.zeros((self.texts, count + 1), dtype=np.int64)
        labels = np.zeros((len(self.codes), loops.LABELS, 2), dtype=np.uint64)
        counts = np.zeros(len(self.codes), dtype=np.int64)
        start = data.ctypes.data
        bad = loops.read_rows(
            start + first, start + stop, self.kinds, self.slots, row, self.reals, self.wholes, loops.FIVES.ctypes.data,
            texts, ends, labels, counts, self.codes,
        )  # fmt: skip
        if bad >= 0:
            self.bad = bad
        cut = [_text(texts[slot], ends[slot]) for slot in range(self.texts)]
        self.words[piece] = (row, cut, [_words(labels[slot], counts[slot]) for slot in range(len(counts))])

    def column(self, place: int) -> pa.ChunkedArray:
        """A filled column; whole and real ones share the memory of the table."""
        kind, slot, rows = int(self.kinds[place]), int(self.slots[place]), self.turns.rows
        if kind == loops.FLOAT:
            return pa.chunked_array([_wrapped(self.reals[slot, :rows], pa.float64())])
        if kind in {loops.INT, loops.WHOLE}:
            return pa.chunked_array([_wrapped(self.wholes[slot, :rows], pa.int64())])
        pieces = [self.words[piece] for piece in sorted(self.words)]
        if kind == loops.TEXT:
            return pa.chunked_array([cut[slot] for _, cut, _ in pieces], pa.large_string())
        ends = [row for row, _, _ in pieces[1:]] + [rows]
        return pa.chunked_array(
            [
                pa.DictionaryArray.from_arrays(
                    _wrapped(self.codes[slot, row:end], pa.uint8()), pa.array(lists[slot], pa.string())
                )
                for (row, _, lists), end in zip(pieces, ends, strict=True)
            ]
        )


def _wrapped(values: Array, kind: pa.DataType) -> pa.Array:
    """A numpy array as an Arrow array over the same memory."""
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def _text(data: Array, ends: Array) -> pa.Array:
    used = data[: int(ends[-1])].copy()
    return pa.LargeStringArray.from_buffers(len(ends) - 1, pa.py_buffer(ends), pa.py_buffer(used))


def _words(labels: Array, count: int) -> list[str]:
    """The labels packed into pairs of words."""
    return [labels[code].tobytes().rstrip(b"\0").decode("ascii") for code in range(int(count))]
