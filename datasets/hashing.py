"""Equal ids found by seeded hashing: rows are dealt into parts small enough for a cache, then compared part by part.

Hashes only save time: a hash of one whole number is as good as the number (the mixing is a bijection), any other match
is compared again by whoever asks. Seeds are random, so nobody can choose ids that fall together.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from datasets.kernels import compiled
from datasets.threads import each

Hashes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int32]
Starts = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Words = Ints | tuple[Ints, Bytes]
WINDOW = 1 << 20
PART = 1 << 14  # rows of a part: its table stays in a core's own cache
MOST_BITS = 13
MOST_ROWS = (1 << 31) - 1
_ONE, _EIGHT = np.uint64(1), np.uint64(8)
_A, _B = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT, _HALF = np.uint64(33), np.uint64(32)
_GIVEN = "Array({}, 1, 'C', readonly=True)"  # arrays that may be mapped from a file
_TEXTS = f"void({_GIVEN.format('int64')}, {_GIVEN.format('uint8')}, uint64[::1], boolean, uint64, uint64)"
_KEPT = ", ".join(_GIVEN.format(kind) for kind in ("uint64", "int32", "int64"))
_MATCHES = f"void({_KEPT}, {_KEPT}, int64, int64, int32[::1], int32[::1], int32[::1], int32[::1], int64[::1])"
_COUNTS = "void(Array({}, 1, 'C', readonly=True), uint64, uint64, uint64, int64[::1])"
_DEALS = "void(Array({}, 1, 'C', readonly=True), int64, uint64, uint64, uint64, int64[::1], uint64[::1], int32[::1])"
_NONE = np.uint64(0)
Item = TypeVar("Item")
Result = TypeVar("Result")
Seed = tuple[np.uint64, np.uint64]


def seed() -> Seed:
    """Two random words, the second odd."""
    return np.uint64(secrets.randbits(64)), np.uint64(secrets.randbits(64) | 1)


@compiled()
def _mix(word: Any, one: Any, two: Any) -> Any:
    """A bijection of 64-bit words: MurmurHash3's finalizer behind a secret xor and an odd secret factor."""
    word = (word ^ one) * two
    word ^= word >> _SHIFT
    word *= _A
    word ^= word >> _SHIFT
    word *= _B
    return word ^ (word >> _SHIFT)


@compiled("void(Array(int64, 1, 'C', readonly=True), uint64[::1], boolean, uint64, uint64)")
def _hash_words(values: Any, out: Any, more: Any, one: Any, two: Any) -> Any:
    """Hashes of ``values``; ``more``: folded into what ``out`` holds of earlier columns."""
    for row in range(len(values)):
        word = np.uint64(values[row])
        out[row] = _mix(word ^ _mix(out[row], two, two), one, two) if more else _mix(word, one, two)


@compiled(_TEXTS)
def _hash_texts(offsets: Any, data: Any, out: Any, more: Any, one: Any, two: Any) -> Any:
    """Hashes of texts: eight bytes after eight bytes, then the length."""
    for row in range(len(out)):
        start, stop = offsets[row], offsets[row + 1]
        found = _mix(out[row], two, two) if more else two  # not ``one``: its xor would cancel the first word's secret
        while start < stop:
            word = np.uint64(0)
            for at in range(min(8, stop - start)):
                word |= np.uint64(data[start + at]) << np.uint64(8 * at)
            found = _mix(found ^ word, one, two)
            start += 8
        out[row] = _mix(found ^ np.uint64(stop - offsets[row]), two, two)


@compiled()
def _part(found: Any, bits: Any) -> Any:
    """The part a hash falls into: its leading bits."""
    return np.int64(found >> _HALF >> (_HALF - bits))


@compiled(_COUNTS.format("uint64"), _COUNTS.format("int64"))
def _count(values: Any, one: Any, two: Any, bits: Any, counts: Any) -> Any:
    """How many rows fall into each of the 2**bits parts; ``two`` 0: values are hashes already."""
    for row in range(len(values)):
        word = np.uint64(values[row])
        counts[_part(word if two == _NONE else _mix(word, one, two), bits)] += 1


@compiled(_DEALS.format("uint64"), _DEALS.format("int64"))
def _deal(values: Any, first: Any, one: Any, two: Any, bits: Any, places: Any, keys: Any, rows: Any) -> Any:
    """Put hashes and their row numbers (from ``first``) where their part goes on."""
    for row in range(len(values)):
        word = np.uint64(values[row])
        found = word if two == _NONE else _mix(word, one, two)
        part = _part(found, bits)
        place = places[part]
        places[part] = place + 1
        keys[place] = found
        if len(rows):
            rows[place] = first + row


@compiled("b1(u8[::1], i8[::1], i8, i8, i4[::1])")
def _all_differ(keys: Any, starts: Any, first: Any, last: Any, table: Any) -> Any:
    """Whether no hash stands twice in parts first … last − 1; ``table``: a power of two, larger than any part."""
    mask = np.uint64(len(table) - 1)
    for part in range(first, last):
        table[:] = -1
        start = starts[part]
        for place in range(start, starts[part + 1]):
            slot = keys[place] & mask
            while table[slot] >= 0:
                if keys[start + table[slot]] == keys[place]:
                    return False
                slot = (slot + _ONE) & mask
            table[slot] = place - start
    return True


@compiled(_MATCHES)
def _match(  # noqa: PLR0913, PLR0917
    keys: Any,
    rows: Any,
    starts: Any,
    given: Any,
    lines: Any,
    begins: Any,
    first: Any,
    last: Any,
    table: Any,
    mine: Any,
    taken: Any,
    found: Any,
    counts: Any,
) -> Any:
    """In parts first … last − 1: ``taken[row]`` the first line with the row's hash, ``found[line]`` the row, or -1.

    ``counts`` gets the lines without a row and the lines whose row was taken already. ``found`` may be empty.
    ``mine``: as long as any part; what is taken of one is noted in it, so that nothing far away is read.
    """
    mask = np.uint64(len(table) - 1)
    for part in range(first, last):
        table[:] = -1
        start = starts[part]
        for place in range(start, starts[part + 1]):
            slot = keys[place] & mask
            while table[slot] >= 0:
                slot = (slot + _ONE) & mask
            table[slot] = place - start
            mine[place - start] = -1
        for place in range(begins[part], begins[part + 1]):
            slot = given[place] & mask
            while table[slot] >= 0 and keys[start + table[slot]] != given[place]:
                slot = (slot + _ONE) & mask
            own = table[slot]
            if own < 0:
                counts[0] += 1
            elif mine[own] >= 0:
                counts[1] += 1
            else:
                mine[own] = lines[place]
            if len(found):
                found[lines[place]] = rows[start + own] if own >= 0 else -1
        for place in range(start, starts[part + 1]):
            taken[rows[place]] = mine[place - start]


@dataclass(frozen=True)
class Parted:
    """Hashes grouped by part, with the row each came from: part k is hashes[starts[k]:starts[k + 1]]."""

    hashes: Hashes
    rows: Rows
    starts: Starts


def parted(
    columns: Sequence[Words], one: Seed, *, bits: int | None = None, numbered: bool = True, threads: int | None = None
) -> Parted:
    """Hash each row over all columns and group the hashes by their leading bits, rows ascending in every part.

    ``numbered`` False: without the rows. A single column of whole numbers is hashed on the way.
    """
    values, one = (columns[0], one) if _is_single(columns) else (hashed(columns, one, threads=threads), (_NONE, _NONE))
    count = len(values)
    depth = np.uint64(bits_for(count) if bits is None else bits)
    windows = range(0, count, WINDOW)
    counts = np.zeros((len(windows), 1 << int(depth)), dtype=np.int64)
    _run(lambda at: _count(values[at : at + WINDOW], *one, depth, counts[at // WINDOW]), windows, threads)
    starts = np.zeros((1 << int(depth)) + 1, dtype=np.int64)
    np.cumsum(counts.sum(axis=0), out=starts[1:])
    places = starts[:-1] + np.cumsum(counts, axis=0) - counts
    keys = np.empty(count, dtype=np.uint64)
    rows = np.empty(count if numbered else 0, dtype=np.int32)
    _run(
        lambda at: _deal(values[at : at + WINDOW], at, *one, depth, places[at // WINDOW], keys, rows), windows, threads
    )
    return Parted(keys, rows, starts)


def _is_single(columns: Sequence[Words]) -> bool:
    return len(columns) == 1 and not isinstance(columns[0], tuple)


def hashed(columns: Sequence[Words], one: Seed, *, threads: int | None = None) -> Hashes:
    """One hash a row over all columns: int64 words (n,), or texts as offsets (n + 1,) and bytes."""
    first = columns[0]
    count = len(first[0]) - 1 if isinstance(first, tuple) else len(first)
    out = np.empty(count, dtype=np.uint64)

    def window(start: int) -> None:
        stop = min(start + WINDOW, count)
        for place, column in enumerate(columns):
            if isinstance(column, tuple):
                _hash_texts(column[0][start : stop + 1], column[1], out[start:stop], place > 0, *one)
            else:
                _hash_words(column[start:stop], out[start:stop], place > 0, *one)

    _run(window, range(0, count, WINDOW), threads)
    return out


def bits_for(count: int) -> int:
    """How many leading bits deal ``count`` rows into parts of about PART."""
    return min(MOST_BITS, max(0, (count // PART).bit_length()))


def distinct(columns: Sequence[Words], *, threads: int | None = None) -> bool:
    """Whether no two rows have the same hash under a random seed."""
    parts = parted(columns, seed(), numbered=False, threads=threads)
    found = _run(
        lambda span: _all_differ(parts.hashes, parts.starts, *span, _table(parts.starts)), _spans(parts), threads
    )
    return all(found)


def match(wanted: Parted, given: Parted, *, trace: bool, threads: int | None = None) -> tuple[Rows, Rows, Ints]:
    """Rows of ``wanted``, whose hashes differ, taken by rows of ``given``, which is dealt into as many parts.

    Returns:
        taken (n,): for each wanted row the first given one of its hash, -1 without any; found (m,): for each given
        row the wanted one, -1 without any, empty unless ``trace``; how many given rows match nothing, and how many
        repeat an earlier one.
    """
    taken = np.empty(len(wanted.hashes), dtype=np.int32)
    found = np.empty(len(given.hashes) if trace else 0, dtype=np.int32)

    def part(span: tuple[int, int]) -> Ints:
        counts = np.zeros(2, dtype=np.int64)
        table = _table(wanted.starts)
        _match(
            wanted.hashes, wanted.rows, wanted.starts, given.hashes, given.rows, given.starts, *span,
            table, np.empty_like(table), taken, found, counts,
        )  # fmt: skip
        return counts

    return taken, found, np.sum(_run(part, _spans(wanted), threads), axis=0)


def _table(starts: Starts) -> Rows:
    return np.empty(2 << int(np.diff(starts).max(initial=1)).bit_length(), dtype=np.int32)


def _spans(parts: Parted) -> list[tuple[int, int]]:
    total = len(parts.starts) - 1
    step = max(1, total // 16)
    return [(at, min(at + step, total)) for at in range(0, total, step)]


def _run(task: Callable[[Item], Result], items: Sequence[Item], threads: int | None) -> list[Result]:
    """The results of all items; a single item needs no thread."""
    return list(each(task, items, threads=1 if len(items) < 2 else threads))
