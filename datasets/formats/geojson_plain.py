"""Plain GeoJSON polygons in one pass: pieces of the list of features on several threads, straight into arrays.

Plain is what programs write: strict JSON in UTF-8, closed rings of two-dimensional positions, and the properties
asked for in every feature. Anything else gives None, and the reader that names every fault takes over.
"""

import ctypes
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets import threads
from datasets.formats import geojson_loops as loops
from datasets.formats.number_loops import FIVES, PAD
from datasets.formats.ragged import Gathering, Ragged

PIECE = 1 << 20
ENDS = 1 << 20  # bytes before the first feature, and behind the last one, that are looked at
_LOOK = 1 << 16
_OPENING = 64
_BOM = b"\xef\xbb\xbf"
_FEATURE, _RING, _POSITION = 64, 25, 6  # bytes that one takes at least, with what separates it from the next
_HIGH = np.uint64(0x8080808080808080)
Columns = dict[str, Sequence[Any] | npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Plain:
    """``members``: the text of each other member of the collection, by name."""

    polygons: Ragged
    properties: Columns
    members: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class _Piece:
    """What one call read besides the polygons; ``end``: place in the file after it, ``more``: of the next feature."""

    more: bool
    end: int
    reals: npt.NDArray[np.float64]
    texts: Sequence[Sequence[str]]


class _Text:
    """Room for a stretch of the file with a few zero bytes behind it. Places count in the file."""

    def __init__(self, room: int) -> None:
        self._bytes = np.empty(room + PAD, dtype=np.uint8)
        self.start = int(self._bytes.ctypes.data)
        self._first = self.size = 0

    def load(self, file: int, first: int, stop: int) -> "_Text":
        """Take the bytes from place ``first`` to ``stop``, as far as there are any."""
        self._first = first
        self.size = os.preadv(file, [self._bytes.data[: stop - first]], first)
        self._bytes[self.size : self.size + PAD] = 0
        return self

    def address(self, place: int) -> int:
        return self.start + place - self._first

    def place(self, address: int) -> int:
        return self._first + int(address) - self.start

    def cut(self, first: int, stop: int) -> bytes:
        return self._bytes[first - self._first : stop - self._first].tobytes()

    def over_blanks(self, address: int) -> int:
        rest = self._bytes[int(address) - self.start : self.size].tobytes()
        return int(address) + len(rest) - len(rest.lstrip(b" \t\r\n"))

    def is_utf8(self, stop: int) -> bool:
        """Whether all that stands before place ``stop`` is UTF-8."""
        text = self._bytes[: stop - self._first]
        whole = len(text) // 8 * 8
        high = np.bitwise_or.reduce(text[:whole].view(np.uint64), initial=0) & _HIGH
        if not high and text[whole:].tobytes().isascii():
            return True
        try:
            str(text.data, "utf-8")
        except UnicodeDecodeError:
            return False
        return True


class _Names:
    """The words the loops compare with, and the kind of each name asked for."""

    def __init__(self, names: Sequence[str], label: str | None) -> None:
        words = [*loops.WORDS, *(name.encode() for name in names)]
        self.words = np.frombuffer(b"".join(words), dtype=np.uint8)
        self.ends = np.cumsum([0, *map(len, words)], dtype=np.int64)
        self.kinds = np.array([loops.TEXT if name == label else loops.NUMBER for name in names], dtype=np.int64)


class _Scratch:
    """What a thread reads a piece with, in memory that stays warm: the text and what comes out of it."""

    def __init__(self, room: int, names: int) -> None:
        some = room // _RING + 2
        self.text, self.hold = _Text(room), np.empty(loops.HOLD, dtype=np.uint64)
        self.coords = np.empty((room // _POSITION + 2, 2))
        self.rings, self.parts, self.features = (np.zeros(some, dtype=np.int64) for _ in range(3))
        self.reals, self.texts = np.empty((names, some)), np.empty((names, some, 2), dtype=np.int64)


class _Reading:
    """The list of features between the first and the last of ``places``, cut at the others."""

    def __init__(self, file: int, places: Sequence[int], names: _Names) -> None:
        self._file, self._names = file, names
        self._ranges = list(pairwise(places))
        size, rings = places[-1] - places[0], (places[-1] - places[0]) // _RING + 2
        self._gathering = Gathering((size // _FEATURE + 2, rings, rings, size // _POSITION + 2))
        self._idle: SimpleQueue[_Scratch] = SimpleQueue()

    def run(self) -> tuple[Ragged, list[_Piece]] | None:
        """The polygons and the rest of each piece; None: it is not plain, or cut in a wrong place."""
        pieces = [piece for piece in threads.each(self._turn, range(len(self._ranges))) if piece is not None]
        polygons = self._gathering.polygons()
        return None if polygons is None else (polygons, pieces)

    def _turn(self, turn: int) -> _Piece | None:
        piece, good, last = None, False, turn + 1 == len(self._ranges)
        try:
            scratch = self._scratch()
            piece = self._piece(turn, scratch)
            self._idle.put(scratch)
            good = piece is not None and piece.more != last and (last or piece.end == self._ranges[turn][1])
        finally:
            if not good:
                self._gathering.give_up()
        return piece

    def _scratch(self) -> _Scratch:
        try:
            return self._idle.get_nowait()
        except Empty:
            return _Scratch(max(stop - start for start, stop in self._ranges), len(self._names.kinds))

    def _piece(self, turn: int, scratch: _Scratch) -> _Piece | None:
        start, stop = self._ranges[turn]
        text, names, counts = scratch.text.load(self._file, start, stop), self._names, np.zeros(4, dtype=np.int64)
        asked: list[Any] = [names.words, names.ends, names.kinds, FIVES.ctypes.data, scratch.hold, counts]
        out: list[Any] = [getattr(scratch, name) for name in ("coords", "rings", "parts", "features", "reals", "texts")]
        end, address = loops.read_features(text.start, text.address(stop), *asked, *out)
        if end == loops.STRANGE or not text.is_utf8(text.place(address)):
            return None
        before = self._gathering.claim(turn, counts)
        if before is None:
            return None
        target: list[Any] = [counts, before, *self._gathering.arrays]
        loops.put_features(*out[:4], *target)
        count = int(counts[0])
        texts = [
            [ctypes.string_at(at, size).decode() for at, size in scratch.texts[i, :count].tolist()]
            if kind == loops.TEXT
            else []
            for i, kind in enumerate(names.kinds)
        ]
        return _Piece(end == loops.MORE, text.place(address), scratch.reals[:, :count].copy(), texts)


def read_plain(path: Path, names: Sequence[str], label: str | None) -> Plain | None:
    """The polygons and the properties ``names``, of which ``label`` is a text; None when the file is not plain."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _read(file, names, label) if len(set(names)) == len(names) else None
    finally:
        os.close(file)


def _read(file: int, names: Sequence[str], label: str | None) -> Plain | None:
    size, spans = os.fstat(file).st_size, np.zeros((loops.MEMBERS, 4), dtype=np.uint64)
    head = _Text(min(size, ENDS)).load(file, 0, min(size, ENDS))
    hold = np.empty(loops.HOLD, dtype=np.uint64)
    found, address = loops.read_members(head.start + len(_BOM) * (head.cut(0, 3) == _BOM), spans, 0, hold)
    place = head.place(address)
    if not -1 - loops.MEMBERS < found < 0 or not head.is_utf8(place):
        return None
    opening, asked = _opening(head.cut(place, min(place + _OPENING, head.size))), _Names(names, label)
    read = _Reading(file, list(_guesses(file, place, size, opening)), asked).run()
    read = read or _Reading(file, [place, size], asked).run()
    if read is None or size - (end := read[1][-1].end) > ENDS:
        return None
    tail = _Text(ENDS).load(file, end, size)
    count, rest = loops.read_members(tail.over_blanks(tail.start), spans, -int(found), hold)
    members = _members(spans, -1 - int(found), int(count))
    if count < 0 or members is None or not tail.is_utf8(size) or tail.place(tail.over_blanks(rest)) != size:
        return None
    return Plain(read[0], _columns(read[1], names, label), members)


def _members(spans: npt.NDArray[np.uint64], features: int, count: int) -> dict[str, bytes] | None:
    """The members by name, that of the features empty; None when a name stands twice."""
    members = {
        ctypes.string_at(start + 1, end - start - 2).decode(): b""
        if row == features
        else ctypes.string_at(first, last - first)
        for row, (start, end, first, last) in enumerate(spans[: max(count, 0)].tolist())
    }
    return members if len(members) == count else None


def _opening(text: bytes) -> bytes:
    """How features of the file begin, told by the first."""
    return text[: text.find(b'"Feature"') + 9] if b'"Feature"' in text else text[: text.find(b":") + 1]


def _guesses(file: int, place: int, size: int, opening: bytes) -> Iterator[int]:
    """Places where features seem to begin, from ``place`` on, and the end of the file."""
    yield place
    at = place + PIECE
    while opening and at < size:
        found = os.pread(file, _LOOK + len(opening), at).find(opening)
        if found >= 0:
            yield at + found
        at += _LOOK if found < 0 else found + PIECE
    yield size


def _columns(pieces: Sequence[_Piece], names: Sequence[str], label: str | None) -> Columns:
    return {
        name: [text for piece in pieces for text in piece.texts[i]]
        if name == label
        else np.concatenate([piece.reals[i] for piece in pieces])
        for i, name in enumerate(names)
    }
