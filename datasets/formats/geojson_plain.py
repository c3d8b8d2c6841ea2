"""Plain GeoJSON polygons in one pass: pieces of the list of features on several threads, straight into arrays.

Plain is what programs write: strict JSON in UTF-8, closed rings of two-dimensional positions, and the properties
asked for in every feature. Anything else gives None, and the reader that names every fault takes over.
"""

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets import threads
from datasets.formats import geojson_loops as loops
from datasets.formats.number_loops import FIVES, PAD
from datasets.formats.ragged import Ragged

PIECE = 4 << 20
_LOOK = 1 << 20
_OPENING = 64
_BOM = b"\xef\xbb\xbf"
_SHORTEST = 6  # bytes of a position with what separates it from the next
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Plain:
    """``members``: the text of each other member of the collection, by name."""

    polygons: Ragged
    properties: dict[str, Sequence[Any] | npt.NDArray[np.float64]]
    members: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class _Piece:
    """What one call read; ``end``: address after it, ``more``: of the next feature."""

    more: bool
    end: int
    counts: Ints
    coords: npt.NDArray[np.float64]
    offsets: tuple[Ints, Ints, Ints]
    reals: npt.NDArray[np.float64]
    texts: Ints


class _Text:
    """A file in memory with a few zero bytes behind it, and its address."""

    def __init__(self, path: Path) -> None:
        size = path.stat().st_size
        self.data = bytearray(size + PAD)
        with path.open("rb") as source:
            self.size = source.readinto(memoryview(self.data)[:size])
        self._bytes = np.frombuffer(self.data, dtype=np.uint8)
        self.start = int(self._bytes.ctypes.data)
        self.end = self.start + self.size

    def cut(self, start: int, end: int) -> bytes:
        return bytes(memoryview(self.data)[start - self.start : end - self.start])

    def is_utf8(self) -> bool:
        if self.data.isascii():
            return True
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            for at in range(0, self.size, _LOOK):
                decoder.decode(memoryview(self.data)[at : min(at + _LOOK, self.size)], at + _LOOK >= self.size)
        except UnicodeDecodeError:
            return False
        return True


def read_plain(path: Path, names: Sequence[str], label: str | None) -> Plain | None:
    """The polygons and the properties ``names``, of which ``label`` is a text; None when the file is not plain."""
    text = _Text(path)
    if len(set(names)) < len(names) or not text.is_utf8():
        return None
    spans = np.zeros((loops.MEMBERS, 4), dtype=np.uint64)
    begin = text.start + len(_BOM) * text.data.startswith(_BOM)
    found, place = loops.read_members(begin, spans, 0)
    if not -1 - loops.MEMBERS < found < 0:
        return None
    pieces = _read(text, int(place), _Names(names, label))
    if pieces is None:
        return None
    count, rest = loops.read_members(_over_blanks(text, pieces[-1].end), spans, -int(found))
    members = _members(text, spans, -1 - int(found), int(count))
    if count < 0 or members is None or _over_blanks(text, int(rest)) != text.end:
        return None
    return Plain(_joined(pieces), _columns(text, pieces, names, label), members)


def _over_blanks(text: _Text, place: int) -> int:
    at = place - text.start
    while text.data[at] in b" \t\r\n":
        at += 1
    return text.start + at


def _members(text: _Text, spans: npt.NDArray[np.uint64], features: int, count: int) -> dict[str, bytes] | None:
    """The members by name, that of the features empty; None when a name stands twice."""
    rows = spans[: max(count, 0)].tolist()
    members = {
        text.cut(start + 1, end - 1).decode(): b"" if row == features else text.cut(first, last)
        for row, (start, end, first, last) in enumerate(rows)
    }
    return members if len(members) == count else None


class _Names:
    """The words the loops compare with, and the kind of each name asked for."""

    def __init__(self, names: Sequence[str], label: str | None) -> None:
        words = [*loops.WORDS, *(name.encode() for name in names)]
        self.words = np.frombuffer(b"".join(words), dtype=np.uint8)
        self.ends = np.cumsum([0, *map(len, words)], dtype=np.int64)
        self.kinds = np.array([loops.TEXT if name == label else loops.NUMBER for name in names], dtype=np.int64)


def _read(text: _Text, place: int, names: _Names) -> list[_Piece] | None:
    """The pieces of the list that begins at ``place``. A piece begins where a feature seems to begin; the one before
    it tells whether one does."""
    starts = list(_guesses(text, place))
    ranges = list(zip(starts, [*starts[1:], text.end], strict=True))
    pieces: list[_Piece] = []
    for (_, stop), piece in zip(ranges, threads.each(lambda item: _read_piece(item, names), ranges), strict=True):
        if piece is None or piece.more != (len(pieces) + 1 < len(ranges)) or (piece.more and piece.end != stop):
            whole = _read_piece((place, text.end), names) if len(ranges) > 1 else None
            return None if whole is None or whole.more else [whole]
        pieces.append(piece)
    return pieces


def _guesses(text: _Text, place: int) -> Iterator[int]:
    yield place
    opening = text.cut(place, min(place + _OPENING, text.end))
    opening = (
        opening[: opening.find(b'"Feature"') + 9] if b'"Feature"' in opening else opening[: opening.find(b":") + 1]
    )
    at = place - text.start
    while opening and (at := text.data.find(opening, at + PIECE)) > 0:
        yield text.start + at


def _read_piece(item: tuple[int, int], names: _Names) -> _Piece | None:
    start, stop = item
    room = (stop - start) // _SHORTEST + 2
    counts, coords = np.zeros(4, dtype=np.int64), np.empty((room, 2))
    rings, parts, features = (np.zeros(room // 4 + 2, dtype=np.int64) for _ in range(3))
    reals, texts = np.empty((len(names.kinds), room // 4 + 2)), np.empty((len(names.kinds), room // 4 + 2, 2), np.int64)
    asked, out = (names.words, names.ends, names.kinds), (coords, rings, parts, features, reals, texts)
    end, place = loops.read_features(start, stop, *asked, FIVES.ctypes.data, counts, *out)
    if end == loops.STRANGE:
        return None
    n, p, r, v = counts.tolist()
    offsets = (rings[: r + 1].copy(), parts[: p + 1].copy(), features[: n + 1].copy())
    return _Piece(
        end == loops.MORE, int(place), counts, coords[:v].copy(), offsets, reals[:, :n].copy(), texts[:, :n].copy()
    )


def _joined(pieces: Sequence[_Piece]) -> Ragged:
    before = np.cumsum([np.zeros(4, dtype=np.int64), *(piece.counts for piece in pieces)], axis=0)
    first = np.zeros(1, dtype=np.int64)
    rings, parts, features = (
        np.concatenate(
            [first, *(piece.offsets[i][1:] + row[3 - i] for piece, row in zip(pieces, before, strict=False))]
        )
        for i in range(3)
    )
    return Ragged(np.concatenate([piece.coords for piece in pieces]), rings, parts, features)


def _columns(
    text: _Text, pieces: Sequence[_Piece], names: Sequence[str], label: str | None
) -> dict[str, Sequence[Any] | npt.NDArray[np.float64]]:
    found: dict[str, Sequence[Any] | npt.NDArray[np.float64]] = {}
    for i, name in enumerate(names):
        if name == label:
            spans = np.concatenate([piece.texts[i] for piece in pieces]).tolist()
            found[name] = [text.cut(start, start + size).decode() for start, size in spans]
        else:
            found[name] = np.concatenate([piece.reals[i] for piece in pieces])
    return found
