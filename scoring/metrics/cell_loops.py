"""Compiled loops over ordered floats: counting them in cells and joining cells.

The *key* of a float is its bits as an unsigned integer, flipped so that integers compare as the floats do (uint32 for
float32, uint64 for float64). A *cell* is a row ``(greatest key, complement of the least key, rows of column 0, rows
of column 1)`` of unsigned integers: all zeros is the empty cell, and cells join by maximum, maximum, sum and sum.
Weights, where there are any, stand beside the cells as float64 (cells, 2).

The *first* cells are the same for all data: ``FIRST_NEGATIVE`` for x < 0 and ``FIRST_ABOVE`` for x ≥ 1, 512 to an
octave inside the range of float32, and between them ``linear`` (a power of two) of equal width for 0 ≤ x < 1.
"""

# ruff: noqa: PLR0913, PLR0917 - loops take plain arrays and numbers

from typing import Any

import numpy as np

from datasets.kernels import compiled

OCTAVE = 512
FIRST_NEGATIVE = 256 * OCTAVE
FIRST_ABOVE = 129 * OCTAVE
ONE = 127 * OCTAVE  # where 1.0 stands among the positive cells by octave
LAST = FIRST_NEGATIVE - 1
ZERO = np.uint64(0)
FULL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


@compiled()
def _first(x: Any, bits: Any, sign: Any, drop: Any, offset: Any, linear: Any) -> Any:
    if bits & sign == ZERO:
        if x < 1.0:
            return FIRST_NEGATIVE + np.int64(x * linear)
        step = np.int64(bits >> drop) - offset
        return FIRST_NEGATIVE + linear + min(step, LAST) - ONE
    step = np.int64((bits ^ sign) >> drop) - offset
    return LAST - min(max(step, 0), LAST)


@compiled()
def _key(bits: Any, sign: Any) -> Any:
    if bits & sign == ZERO:
        return bits | sign
    return (bits ^ FULL) & (sign | (sign - np.uint64(1)))


@compiled(
    "void(float32[::1], uint32[::1], uint8[::1], float64[::1], int64, int64, uint32[:,::1], float64[:,::1])",
    "void(float64[::1], uint64[::1], uint8[::1], float64[::1], int64, int64, uint64[:,::1], float64[:,::1])",
)
def count_first(values: Any, raw: Any, column: Any, w: Any, linear: Any, base: Any, cells: Any, sums: Any) -> Any:
    """Count values (n,) with columns 0 or 1 in the first cells, which begin at row ``base`` of ``cells``.

    ``raw``: the bits of the values. ``w`` (n,): weights, then added to ``sums``; or none.
    """
    narrow = raw.itemsize == 4
    sign = np.uint64(1) << np.uint64(31 if narrow else 63)
    drop = np.uint64(14 if narrow else 43)
    offset = 0 if narrow else 896 * OCTAVE
    mask = sign | (sign - np.uint64(1))
    weighted = len(w) > 0
    for i in range(len(values)):
        bits = np.uint64(raw[i])
        if bits == sign:  # -0.0 is 0.0
            bits = ZERO
        cell = base + _first(values[i], bits, sign, drop, offset, linear)
        key = _key(bits, sign)
        least = key ^ mask
        if key > np.uint64(cells[cell, 0]):
            cells[cell, 0] = key
        if least > np.uint64(cells[cell, 1]):
            cells[cell, 1] = least
        c = np.int64(column[i])
        cells[cell, 2 + c] += 1
        if weighted:
            sums[cell, c] += w[i]


@compiled(
    "void(float32[::1], uint32[::1], uint8[::1], float64[::1], int64, int64, "
    "uint32[:,::1], uint64[:,::1], int64[::1], uint32[:,::1], float64[:,::1])",
    "void(float64[::1], uint64[::1], uint8[::1], float64[::1], int64, int64, "
    "uint32[:,::1], uint64[:,::1], int64[::1], uint64[:,::1], float64[:,::1])",
)
def count_windows(
    values: Any,
    raw: Any,
    column: Any,
    w: Any,
    linear: Any,
    base: Any,
    first: Any,
    windows: Any,
    begin: Any,
    cells: Any,
    sums: Any,
) -> Any:
    """Count the values that lie in a window in its cells; the others are left out.

    ``first`` (first cells, 2): the first window that reaches into each first cell and the first that begins after it,
    from row ``base`` on; ``windows`` (W, 3): least key, greatest key and shift, in rising order; window k's cells
    begin at row ``begin[k]``.
    """
    narrow = raw.itemsize == 4
    sign = np.uint64(1) << np.uint64(31 if narrow else 63)
    drop = np.uint64(14 if narrow else 43)
    offset = 0 if narrow else 896 * OCTAVE
    mask = sign | (sign - np.uint64(1))
    weighted = len(w) > 0
    for i in range(len(values)):
        bits = np.uint64(raw[i])
        if bits == sign:
            bits = ZERO
        place = base + _first(values[i], bits, sign, drop, offset, linear)
        low, high = np.int64(first[place, 0]), np.int64(first[place, 1])
        if low >= high:
            continue
        key = _key(bits, sign)
        while high - low > 1:  # the last window that begins at or below the key
            middle = (low + high) >> 1
            if windows[middle, 0] <= key:
                low = middle
            else:
                high = middle
        if key < windows[low, 0] or key > windows[low, 1]:
            continue
        cell = begin[low] + np.int64((key - windows[low, 0]) >> windows[low, 2])
        least = key ^ mask
        cells[cell, 0] = max(np.uint64(cells[cell, 0]), key)  # no branch: in many cells none could be foreseen
        cells[cell, 1] = max(np.uint64(cells[cell, 1]), least)
        c = np.int64(column[i])
        cells[cell, 2 + c] += 1
        if weighted:
            sums[cell, c] += w[i]


@compiled(
    "void(float32[::1], uint32[::1], int64, int64[::1])",
    "void(float64[::1], uint64[::1], int64, int64[::1])",
)
def first_cells(values: Any, raw: Any, linear: Any, places: Any) -> Any:
    """The first cell of each value (n,)."""
    narrow = raw.itemsize == 4
    sign = np.uint64(1) << np.uint64(31 if narrow else 63)
    drop = np.uint64(14 if narrow else 43)
    offset = 0 if narrow else 896 * OCTAVE
    for i in range(len(values)):
        bits = np.uint64(raw[i])
        places[i] = _first(values[i], ZERO if bits == sign else bits, sign, drop, offset, linear)


@compiled(
    "int64(uint32[:,::1], float64[:,::1], int32[::1], uint32[:,::1], float64[:,::1])",
    "int64(uint64[:,::1], float64[:,::1], int32[::1], uint64[:,::1], float64[:,::1])",
)
def gather(cells: Any, sums: Any, places: Any, found: Any, weights: Any) -> Any:
    """Copy the cells that saw anything, their weights if there are any, and where they stood; how many there are."""
    weighted = len(sums) > 0
    k = 0
    for i in range(len(cells)):
        if cells[i, 2] or cells[i, 3]:
            places[k] = i
            for c in range(4):
                found[k, c] = cells[i, c]
            if weighted:
                weights[k, 0] = sums[i, 0]
                weights[k, 1] = sums[i, 1]
            k += 1
    return k


@compiled(
    "void(uint32[:,::1], float64[:,::1], int32[::1], uint32[:,::1], float64[:,::1])",
    "void(uint64[:,::1], float64[:,::1], int32[::1], uint64[:,::1], float64[:,::1])",
)
def join(cells: Any, sums: Any, places: Any, others: Any, weights: Any) -> Any:
    """Join ``others`` (k, 4) to the rows ``places`` of ``cells``; ``weights`` (k, 2) or none likewise to ``sums``."""
    weighted = len(weights) > 0
    for k in range(len(places)):
        i = places[k]
        cells[i, 0] = max(cells[i, 0], others[k, 0])
        cells[i, 1] = max(cells[i, 1], others[k, 1])
        cells[i, 2] += others[k, 2]
        cells[i, 3] += others[k, 3]
        if weighted:
            sums[i, 0] += weights[k, 0]
            sums[i, 1] += weights[k, 1]


@compiled(
    "int64(uint32[:,::1], float64[:,::1], uint32[:,::1], float64[:,::1], uint64[:,::1], uint32[:,::1], float64[:,::1])",
    "int64(uint64[:,::1], float64[:,::1], uint64[:,::1], float64[:,::1], uint64[:,::1], uint64[:,::1], float64[:,::1])",
)
def replace(cells: Any, sums: Any, finer: Any, weights: Any, windows: Any, out: Any, out_sums: Any) -> Any:
    """Cells in rising order with those inside a window left out and the ``finer`` ones woven in; how many there are."""
    weighted = len(sums) > 0
    i, j, k, n = 0, 0, 0, 0
    while i < len(cells) or j < len(finer):
        if i < len(cells):
            key = np.uint64(cells[i, 0])
            while k < len(windows) and windows[k, 1] < key:
                k += 1
            if k < len(windows) and key >= windows[k, 0]:
                i += 1
                continue
        if i == len(cells) or (j < len(finer) and finer[j, 0] < cells[i, 0]):
            for c in range(4):
                out[n, c] = finer[j, c]
            if weighted:
                out_sums[n, 0], out_sums[n, 1] = weights[j, 0], weights[j, 1]
            j += 1
        else:
            for c in range(4):
                out[n, c] = cells[i, c]
            if weighted:
                out_sums[n, 0], out_sums[n, 1] = sums[i, 0], sums[i, 1]
            i += 1
        n += 1
    return n


@compiled(
    "void(float32[::1], uint32[::1], uint8[::1], float64[::1], int64, "
    "uint8[::1], uint8[::1], float32[::1], uint8[::1], float64[::1], int64[::1])",
    "void(float64[::1], uint64[::1], uint8[::1], float64[::1], int64, "
    "uint8[::1], uint8[::1], float64[::1], uint8[::1], float64[::1], int64[::1])",
)
def partition(
    values: Any,
    raw: Any,
    column: Any,
    w: Any,
    linear: Any,
    buckets: Any,
    bucket: Any,
    out: Any,
    out_column: Any,
    out_w: Any,
    at: Any,
) -> Any:
    """Rows (n,) sorted by the bucket of their first cell, in their own order within one: neighbours then share memory.

    ``buckets`` (first cells): rising numbers; ``bucket`` (n,) is scratch. ``at`` (257,): where each bucket ends.
    """
    narrow = raw.itemsize == 4
    sign = np.uint64(1) << np.uint64(31 if narrow else 63)
    drop = np.uint64(14 if narrow else 43)
    offset = 0 if narrow else 896 * OCTAVE
    weighted = len(w) > 0
    at[:] = 0
    for i in range(len(values)):
        bits = np.uint64(raw[i])
        if bits == sign:
            bits = ZERO
        b = buckets[_first(values[i], bits, sign, drop, offset, linear)]
        bucket[i] = b
        at[np.int64(b) + 1] += 1
    for b in range(256):
        at[b + 1] += at[b]
    for i in range(len(values)):
        b = np.int64(bucket[i])
        k = at[b]
        at[b] = k + 1
        out[k] = values[i]
        out_column[k] = column[i]
        if weighted:
            out_w[k] = w[i]


@compiled("uint64(uint32[:,::1], int64, int64)", "uint64(uint64[:,::1], int64, int64)")
def warm(cells: Any, start: Any, stop: Any) -> Any:
    """Read cells in their order, so that what is counted next finds them in the cache."""
    seen = ZERO
    for i in range(start, stop, 4 if cells.itemsize == 4 else 2):
        seen += np.uint64(cells[i, 0])
    return seen


@compiled(
    "void(uint64[:,::1], float64[:,::1], float64[::1], int64[::1])",
    "void(uint32[:,::1], float64[:,::1], float64[::1], int64[::1])",
)
def totals(cells: Any, sums: Any, weight: Any, mixed: Any) -> Any:
    """The weight of each cell (m,), and whether it saw more than one value."""
    weighted = len(sums) > 0
    mask = np.uint64(0xFFFF_FFFF) if cells.itemsize == 4 else FULL
    for i in range(len(cells)):
        weight[i] = sums[i, 0] + sums[i, 1] if weighted else np.float64(cells[i, 2]) + np.float64(cells[i, 3])
        mixed[i] = np.uint64(cells[i, 0]) != np.uint64(cells[i, 1]) ^ mask


@compiled(
    "void(uint32[:,::1], float64[:,::1], uint64[:,::1], int64[::1], uint32[:,::1], float64[:,::1])",
    "void(uint64[:,::1], float64[:,::1], uint64[:,::1], int64[::1], uint64[:,::1], float64[:,::1])",
)
def join_within(leaves: Any, weights: Any, windows: Any, begin: Any, cells: Any, sums: Any) -> Any:
    """Join ``leaves`` in rising order, each of which begins in one of ``windows``, to cells; those ``begin`` there."""
    mask = np.uint64(0xFFFF_FFFF) if leaves.itemsize == 4 else FULL
    weighted = len(weights) > 0
    k = 0
    for j in range(len(leaves)):
        low = np.uint64(leaves[j, 1]) ^ mask
        while k + 1 < len(windows) and windows[k + 1, 0] <= low:
            k += 1
        at = min(max(low, windows[k, 0]), windows[k, 1])
        i = begin[k] + np.int64((at - windows[k, 0]) >> windows[k, 2])
        cells[i, 0] = max(cells[i, 0], leaves[j, 0])
        cells[i, 1] = max(cells[i, 1], leaves[j, 1])
        cells[i, 2] += leaves[j, 2]
        cells[i, 3] += leaves[j, 3]
        if weighted:
            sums[i, 0] += weights[j, 0]
            sums[i, 1] += weights[j, 1]


@compiled(
    "int64(uint32[:,::1], float64[:,::1], int64, int64[::1], float64[::1])",
    "int64(uint64[:,::1], float64[:,::1], int64, int64[::1], float64[::1])",
)
def quantiles(cells: Any, sums: Any, parts: Any, starts: Any, shares: Any) -> Any:
    """Where runs of cells begin that weigh about 2 / ``parts`` of the whole each; how many there are.

    ``shares``: of a cell of several values that weighs more than two runs do, a run by itself, in how many to cut it;
    else 0.
    """
    mask = np.uint64(0xFFFF_FFFF) if cells.itemsize == 4 else FULL
    weighted = len(sums) > 0
    total = 0.0
    for i in range(len(cells)):
        total += sums[i, 0] + sums[i, 1] if weighted else np.float64(cells[i, 2]) + np.float64(cells[i, 3])
    scale = parts / 2.0 / (total if total > 0.0 else 1.0)
    so_far, last, was_heavy, n = 0.0, np.int64(-1), False, 0
    for i in range(len(cells)):
        weight = sums[i, 0] + sums[i, 1] if weighted else np.float64(cells[i, 2]) + np.float64(cells[i, 3])
        share = weight * scale
        heavy = share >= 2.0 and np.uint64(cells[i, 0]) != np.uint64(cells[i, 1]) ^ mask
        so_far += share
        place = np.int64(so_far - share / 2.0)
        if (place != last or heavy or was_heavy) and n < len(starts):
            starts[n] = i
            shares[n] = share if heavy else 0.0
            n += 1
        last, was_heavy = place, heavy
    return n
