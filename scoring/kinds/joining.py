"""Ids of truth and prediction matched one to one by hashing, with an index of the truth's ids that is made once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from datasets.canonical import Array, release
from datasets.hashing import Parted, Seed, Words, match, parted, seed
from datasets.threads import each
from scoring.kinds.columns import Codes, Column, id_codes, is_text
from scoring.kinds.table_loops import same_texts, same_words

Rows = npt.NDArray[np.int32]
NOTHING: Mapping[str, Array] = MappingProxyType({})
HASHES, ROWS, STARTS, SEED = "ids.hashes", "ids.rows", "ids.starts", "ids.seed"
_WINDOW = 1 << 20


@dataclass(frozen=True)
class Matched:
    """``rows`` (n,): the prediction's row for each wanted id, -1 where it has none.

    ``found`` (m,): the wanted row of each row of the prediction, -1: none; None when both match one to one.
    """

    rows: Rows
    found: Codes | None = None


def index_ids(columns: Sequence[Column]) -> dict[str, Array]:
    """The index of a truth's ids as plain arrays; empty when they cannot be hashed."""
    words = _words(columns)
    if words is None:
        return {}
    one = seed()
    parts = parted(words, one)
    return {HASHES: parts.hashes, ROWS: parts.rows, STARTS: parts.starts, SEED: np.array(one, dtype=np.uint64)}


def match_ids(wanted: Sequence[Column], given: Sequence[Column], kept: Mapping[str, Array] = NOTHING) -> Matched:
    """Match the rows of two tables on their ids. ``kept``: what ``index_ids`` made of ``wanted``."""
    ours, theirs = _words(wanted), _words(given)
    if ours is not None and theirs is not None and _comparable(wanted, given):
        found = _by_hash(ours, theirs, kept if HASHES in kept else index_ids(wanted))
        if found is not None:
            return found
    return _by_codes(list(wanted), list(given))


def _by_hash(ours: Sequence[Words], theirs: Sequence[Words], index: Mapping[str, Array]) -> Matched | None:
    """None: two different ids share a hash."""
    wanted = Parted(index[HASHES], index[ROWS], index[STARTS])
    one: Seed = (index[SEED][0], index[SEED][1])
    given = parted(theirs, one, bits=(len(wanted.starts) - 1).bit_length() - 1)
    rows, _, wrong = match(wanted, given, trace=False)
    _release(theirs)
    if not wrong.any() and len(rows) == len(given.hashes):
        return Matched(rows) if _same(ours, theirs, rows) else None
    rows, found, _ = match(wanted, given, trace=True)
    return Matched(rows, found.astype(np.int64)) if _same(theirs, ours, found) else None


def _by_codes(wanted: list[Column], given: list[Column]) -> Matched:
    """By codes over both sides: for ids of different types, and should hashes ever collide."""
    left, right = id_codes(wanted, given)
    size = max(int(left.max(initial=-1)), int(right.max(initial=-1))) + 1
    place = np.full(size + 1, -1, dtype=np.int64)  # the last slot takes code -1
    place[left] = np.arange(len(left))
    place[-1] = -1
    found = place[right]
    rows = np.full(len(left), -1, dtype=np.int32)
    rows[found[found >= 0]] = np.flatnonzero(found >= 0)
    return Matched(rows, found)


def _words(columns: Sequence[Column]) -> list[Words] | None:
    """Columns as hashing takes them: equal ids have equal words. None where one holds NaN, which equals nothing."""
    found: list[Words] = []
    for values in columns:
        if is_text(values):
            _, offsets, data = values.buffers()
            ends = np.frombuffer(offsets, dtype=np.int64)[values.offset : values.offset + len(values) + 1]
            found.append((ends, np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, np.uint8)))
        elif values.dtype.kind == "f":
            plain = np.asarray(values, dtype=np.float64) + 0.0  # -0.0 and 0.0 are one id
            if np.isnan(plain).any():
                return None
            found.append(plain.view(np.int64))
        else:
            found.append(np.ascontiguousarray(values, dtype=np.int64))
    return found


def _comparable(wanted: Sequence[Column], given: Sequence[Column]) -> bool:
    kinds = [["t" if is_text(values) else values.dtype.kind for values in side] for side in (wanted, given)]
    return kinds[0] == kinds[1] and set(kinds[0]) <= set("tif")


def _same(ours: Sequence[Words], theirs: Sequence[Words], rows: Rows) -> bool:
    """Whether row i of ours has the ids of row rows[i] of theirs, -1 left out; one word is as good as its hash."""
    if len(ours) == 1 and not isinstance(ours[0], tuple):
        return True

    def window(start: int) -> bool:
        cut = rows[start : start + _WINDOW]
        return all(
            same_texts(one[0], one[1], other[0], other[1], cut, start)
            if isinstance(one, tuple)
            else same_words(one, other, cut, start)
            for one, other in zip(ours, theirs, strict=True)
        )

    starts = range(0, len(rows), _WINDOW)
    return all(list(each(window, starts, threads=1 if len(starts) < 2 else None)))


def _release(columns: Sequence[Words]) -> None:
    """Hashed ids of one number are not looked at again: their mapped pages may leave memory."""
    if len(columns) == 1 and isinstance(columns[0], np.ndarray):
        release(columns[0])
