"""Compiled sorting of ranks and confidences; ``datasets.formats.ranking`` is the way in.

A number becomes a whole number of the same order, its key; its *lead* are the 32 leading bits of what sets the keys
of one file apart. A *mark* is a lead and, below it, the place in the file. Marks are dealt to buckets by the first
bits of their lead, then each bucket is sorted where it lies in the processor's cache, by the other bits, and the few
that still agree are put right one by one. Nothing else as long as the file is held: fresh memory costs most.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.kernels import compiled

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Marks = npt.NDArray[np.uint64]

BUCKETS = 2048  # of the 11 leading bits
RUN = 64  # marks of one lead are put right one by one up to here
FEW = 24  # marks that are sorted sooner by insertion
_DIGIT = 7
_D = "Array(float64, 1, 'C', readonly=True)"
_U = "Array(uint64, 1, 'C', readonly=True)"


@compiled()
def _key(number: float, scratch: Floats) -> Any:
    """A whole number in the order of ``number``; 0 and −0 are one."""
    scratch[0] = number + 0.0
    key = scratch.view(np.int64)[0]
    return key if key >= 0 else key ^ np.int64(0x7FFFFFFFFFFFFFFF)


@compiled(f"boolean({_D}, float64, uint64[::1], int64[::1])")
def deal(values: Floats, sign: float, marks: Marks, starts: Ints) -> bool:
    """Marks of sign · ``values`` (n,) dealt to buckets; ``starts`` (BUCKETS + 1,) where each begins.

    True when the values rise already; then nothing is written.
    """
    n = len(values)
    scratch = np.empty(1)
    rising = True
    low, high = np.inf, -np.inf
    for i in range(n):
        number = values[i] * sign
        rising &= i == 0 or number >= values[i - 1] * sign
        low, high = min(low, number), max(high, number)
    if rising:
        return True
    base = np.uint64(_key(low, scratch))
    span = np.uint64(_key(high, scratch)) - base
    shift = np.uint64(0)
    while (span >> shift) >> np.uint64(32):
        shift += np.uint64(1)
    starts[:] = 0
    for i in range(n):
        lead = (np.uint64(_key(values[i] * sign, scratch)) - base) >> shift
        starts[1 + (lead >> np.uint64(21))] += 1
    for after in range(1, BUCKETS + 1):
        starts[after] += starts[after - 1]
    ends = starts.copy()
    for i in range(n):
        lead = (np.uint64(_key(values[i] * sign, scratch)) - base) >> shift
        bucket = lead >> np.uint64(21)
        marks[ends[bucket]] = (lead << np.uint64(32)) | np.uint64(i)
        ends[bucket] += 1
    return False


@compiled()
def _add_up(counts: Ints, row: int) -> None:
    """Counts of digits to where each digit starts."""
    total = 0
    for value in range(1 << _DIGIT):
        total, counts[row, value] = total + counts[row, value], total


@compiled()
def _few(marks: Marks, start: int, size: int, sorted_: Marks) -> None:
    """A few marks sorted by insertion."""
    for i in range(size):
        mark, at = marks[start + i], i
        while at > 0 and sorted_[at - 1] > mark:
            sorted_[at] = sorted_[at - 1]
            at -= 1
        sorted_[at] = mark


@compiled()
def _many(marks: Marks, start: int, size: int, sorted_: Marks, spare: Marks, counts: Ints) -> None:
    """Marks of one bucket sorted by what is left of their lead, digit by digit, the lowest first."""
    mask = np.uint64((1 << _DIGIT) - 1)
    counts[:] = 0
    for i in range(start, start + size):
        for digit in range(3):
            counts[digit, (marks[i] >> np.uint64(32 + _DIGIT * digit)) & mask] += 1
    for digit in range(3):
        place = np.uint64(32 + _DIGIT * digit)
        _add_up(counts, digit)
        for i in range(size):
            mark = marks[start + i] if digit == 0 else sorted_[i] if digit == 1 else spare[i]
            value = (mark >> place) & mask
            if digit == 1:
                spare[counts[digit, value]] = mark
            else:
                sorted_[counts[digit, value]] = mark
            counts[digit, value] += 1


@compiled(f"boolean({_D}, float64, int64, int64, int64[::1], uint64[::1])")
def settle(values: Floats, sign: float, first: int, last: int, starts: Ints, marks: Marks) -> bool:
    """Sort the marks of buckets ``first`` … ``last`` − 1; False when too many agree in their lead and not in value."""
    most = 0
    for bucket in range(first, last):
        most = max(most, starts[bucket + 1] - starts[bucket])
    one, spare = np.empty(most, np.uint64), np.empty(most, np.uint64)
    counts = np.empty((3, 1 << _DIGIT), np.int64)
    for bucket in range(first, last):
        start = starts[bucket]
        size = starts[bucket + 1] - start
        if size <= FEW:
            _few(marks, start, size, one)
        else:
            _many(marks, start, size, one, spare, counts)
        run = 0
        for i in range(size):
            mark = one[i]
            at = i
            if i and mark >> np.uint64(32) == one[i - 1] >> np.uint64(32):
                number = values[np.int64(mark & np.uint64(0xFFFFFFFF))] * sign
                while at > run and values[np.int64(marks[start + at - 1] & np.uint64(0xFFFFFFFF))] * sign > number:
                    if i - run >= RUN:
                        return False
                    marks[start + at] = marks[start + at - 1]
                    at -= 1
            else:
                run = i
            marks[start + at] = mark
    return True


@compiled(f"void({_U}, {_D}, float64[::1])")
def gather(marks: Marks, values: Floats, out: Floats) -> None:
    """``values`` in the order of ``marks``."""
    for i in range(len(marks)):
        out[i] = values[np.int64(marks[i] & np.uint64(0xFFFFFFFF))]
