"""Compiled loops that put the rows of cells in order: where values stand exactly, and what that adds to Spearman's r.

A *code* is a row as its cell sees it: from the top, how far its key lies above the cell's least one, then the side
(2 bits), then the cell of its other axis (``bits``). Codes of a cell in rising order are its values in rising order.
"""

# ruff: noqa: C901, PLR0913, PLR0917 - loops take plain arrays and numbers, and one flat loop is fast

from typing import Any

import numpy as np

from datasets.kernels import compiled

SIDE_BITS = 2
FEW = 48  # rows of a cell that are put in order by moving them one by one
DIGIT = 8
DIGITS = 1 << DIGIT
SIGN, FULL = np.uint64(1 << 63), np.uint64(0xFFFF_FFFF_FFFF_FFFF)
ZERO = np.uint64(0)


@compiled(
    "void(uint32[::1], int64[::1], int64, int64, int32[::1], uint64[::1], int64, int32[::1])",
    "void(uint64[::1], int64[::1], int64, int64, int32[::1], uint64[::1], int64, int32[::1])",
)
def find_cells(raw: Any, tops: Any, drop: Any, first: Any, starts: Any, highs: Any, base: Any, found: Any) -> Any:
    """The cell of each value (n,) by its bits ``raw``, counted from ``base`` on, to ``found``.

    ``highs`` (m,): the greatest key of each cell in rising order. ``tops``: for the upper bits of a key, ``drop`` bits
    from below and from ``first`` on, the first slot · 256 + the shift of what is below them; ``starts`` (slots + 1,):
    the first cell each slot may mean. Every key lies in a cell.
    """
    sign = np.uint64(1) << np.uint64(31) if raw.itemsize == 4 else SIGN
    mask = sign | (sign - np.uint64(1))
    low_bits = (np.uint64(1) << np.uint64(drop)) - np.uint64(1)
    for i in range(len(raw)):
        bits = np.uint64(raw[i])
        key = bits | sign if (bits & sign) == ZERO or bits == sign else (bits ^ FULL) & mask
        top = tops[np.int64(key >> np.uint64(drop)) - first]
        slot = (top >> 8) + np.int64((key & low_bits) >> np.uint64(top & 255))
        low, high = np.int64(starts[slot]), np.int64(starts[slot + 1])
        while low < high:
            middle = (low + high) >> 1
            if highs[middle] < key:
                low = middle + 1
            else:
                high = middle
        found[i] = base + low


@compiled(
    "void(int32[::1], int32[::1], float64[::1], float64[::1], float64[::1], uint8[::1], int64, float64[::1], "
    "float64[::1])"
)
def add_pairs(
    left: Any, right: Any, w: Any, ranks: Any, own: Any, groups: Any, size: Any, sums: Any, joint: Any
) -> Any:
    """Add Σ w·rank·rank of pairs of cells to ``sums`` (2,), by ``ranks`` and by ``own``; count them by their groups."""
    weighted = len(w) > 0
    whole, side = 0.0, 0.0
    for i in range(len(left)):
        a, b = left[i], right[i]
        weight = w[i] if weighted else 1.0
        whole += weight * ranks[a] * ranks[b]
        side += weight * own[a] * own[b]
        joint[np.int64(groups[a]) * size + np.int64(groups[b])] += weight
    sums[0] += whole
    sums[1] += side


@compiled("int64(int32[::1], int64, int64, uint8[::1], int64[::1])")
def choose(found: Any, start: Any, stop: Any, mixed: Any, chosen: Any) -> Any:
    """The rows whose cell lies in start … stop − 1 and saw several values, to ``chosen``; how many there are."""
    n: Any = 0
    for i in range(len(found)):
        cell = np.int64(found[i])
        chosen[n] = i
        n += np.int64(start <= cell < stop and mixed[cell] != 0)
    return n


@compiled(
    "void(uint32[::1], int64[::1], int32[::1], int32[::1], uint64[::1], uint8[::1], int64, int64, int64, "
    "int32[::1], uint64[::1])",
    "void(uint64[::1], int64[::1], int32[::1], int32[::1], uint64[::1], uint8[::1], int64, int64, int64, "
    "int32[::1], uint64[::1])",
)
def code_rows(
    raw: Any, rows: Any, own: Any, other: Any, lows: Any, shifts: Any, base: Any, bits: Any, side: Any, cells: Any,
    codes: Any,
) -> Any:  # fmt: skip
    """Cells and codes of ``rows`` (k,) of the bits ``raw``: ``own`` cell of each of raw's rows, ``other`` of each k.

    ``lows``, ``shifts``: the least key of each cell, and how many low bits of what is above it are dropped. ``base``:
    where the cells of the other axis begin.
    """
    sign = np.uint64(1) << np.uint64(31) if raw.itemsize == 4 else SIGN
    mask = sign | (sign - np.uint64(1))
    tag = np.uint64(side) << np.uint64(bits)
    above = np.uint64(bits + SIDE_BITS)
    for k in range(len(rows)):
        i = rows[k]
        word = np.uint64(raw[i])
        key = word | sign if (word & sign) == ZERO or word == sign else (word ^ FULL) & mask
        cell = np.int64(own[i])
        cells[k] = cell
        off = (key - lows[cell]) >> np.uint64(shifts[cell])
        codes[k] = (off << above) | tag | np.uint64(np.int64(other[k]) - base)


@compiled(
    "int64(int32[::1], uint64[::1], float64[::1], int64, int64[::1], int32[::1], int32[::1], uint64[::1], float64[::1])"
)
def group(
    cells: Any, codes: Any, w: Any, start: Any, room: Any, names: Any, counts: Any, out: Any, out_w: Any
) -> Any:  # fmt: skip
    """Rows by cell, in their own order within one; how many cells there are, with ``names`` and ``counts``.

    ``room`` (cells of this pass,): zeros; the first of them is cell ``start``.
    """
    for i in range(len(cells)):
        room[cells[i] - start] += 1
    found: Any = 0
    at: Any = 0
    for c in range(len(room)):
        if room[c] > 0:
            names[found], counts[found] = start + c, room[c]
            found += 1
            room[c], at = at, at + room[c]
    weighted = len(w) > 0
    for i in range(len(cells)):
        k = room[cells[i] - start]
        room[cells[i] - start] = k + 1
        out[k] = codes[i]
        if weighted:
            out_w[k] = w[i]
    return found


@compiled(
    "void(int32[::1], int32[::1], Array(uint64, 1, 'C', readonly=True), Array(float64, 1, 'C', readonly=True), int64, "
    "int64[::1], uint64[::1], float64[::1])"
)
def place(names: Any, counts: Any, codes: Any, w: Any, start: Any, at: Any, out: Any, out_w: Any) -> Any:
    """Add the rows of a bundle, ``counts[k]`` of cell ``names[k]``, behind those that came before; see group."""
    i = 0
    for k in range(len(names)):
        cell = names[k] - start
        to = at[cell]
        at[cell] = to + counts[k]
        for j in range(counts[k]):
            out[to + j] = codes[i + j]
        if len(out_w) > 0:
            for j in range(counts[k]):
                out_w[to + j] = w[i + j] if len(w) > 0 else 1.0
        i += counts[k]


@compiled()
def _sort(codes: Any, w: Any, a: Any, b: Any, above: Any, width: Any, spare: Any, spare_w: Any, ends: Any) -> Any:
    """Rows a … b − 1 in rising order of the ``width`` bits from ``above`` on; equal ones keep their order."""
    weighted = len(w) > 0
    if b - a <= FEW:
        for i in range(a + 1, b):
            code, j = codes[i], i
            value = w[i] if weighted else 1.0
            while j > a and codes[j - 1] >> above > code >> above:
                codes[j] = codes[j - 1]
                if weighted:
                    w[j] = w[j - 1]
                j -= 1
            codes[j] = code
            if weighted:
                w[j] = value
        return
    n = b - a
    for start in range(0, width, DIGIT):
        shift = above + np.uint64(start)
        ends[:] = 0
        for i in range(a, b):
            ends[np.int64((codes[i] >> shift) & np.uint64(DIGITS - 1))] += 1
        at: Any = np.int64(0)
        for digit in range(DIGITS):
            count = ends[digit]
            ends[digit] = at
            at += count
        for i in range(a, b):
            own = np.int64((codes[i] >> shift) & np.uint64(DIGITS - 1))
            k = ends[own]
            ends[own] = k + 1
            spare[k] = codes[i]
            if weighted:
                spare_w[k] = w[i]
        for i in range(n):
            codes[a + i] = spare[i]
            if weighted:
                w[a + i] = spare_w[i]


@compiled()
def _halves(codes: Any, w: Any, a: Any, b: Any, bits: Any, ways: Any, half: Any) -> Any:
    """Half the weight of the rows a … b − 1, and for more than one way half that of each side behind it."""
    half[:] = 0.0
    for i in range(a, b):
        weight = w[i] / 2.0 if len(w) > 0 else 0.5
        half[0] += weight
        if ways > 1:
            half[1 + np.int64((codes[i] >> np.uint64(bits)) & np.uint64(3))] += weight


@compiled(
    "void(uint64[::1], float64[::1], int64[::1], uint8[::1], uint8[::1], int64, int64, int64, int64, float64[:,::1], "
    "float64[::1], uint64[::1], float64[::1], float64[:,::1])"
)
def order_cells(
    codes: Any, w: Any, begin: Any, widths: Any, shifts: Any, first: Any, start: Any, stop: Any, bits: Any, ranks: Any,
    totals: Any, spare: Any, spare_w: Any, out: Any,
) -> Any:  # fmt: skip
    """Put the rows of the cells start … stop − 1 of a pass in order and add up what their ranks tell.

    ``begin`` (cells + 1,): where the rows of each begin in ``codes`` and ``w`` (none: all weigh 1). ``widths``,
    ``shifts``, from ``first`` on: the bits that tell the rows of a cell apart, and those that were dropped. ``ranks``
    (k, cells of the other axis): centred mid-ranks among all rows, and, for k > 1, among those of each side;
    ``totals`` (k,): the weights of all. With d the centred rank of a row less the mid-rank of its cell, ``out`` (k, 3)
    becomes Σ w·d·(rank of its other cell), Σ w·d², and the mean square of what dropped bits may hide, times ``totals``.
    """
    mask, above = (np.uint64(1) << np.uint64(bits)) - np.uint64(1), np.uint64(bits + SIDE_BITS)
    weighted, ways = len(w) > 0, len(totals)
    ends = np.zeros(DIGITS, dtype=np.int64)
    half, seen, here, partner = np.zeros(4), np.zeros(4), np.zeros(4), np.zeros(4)
    moved, square, hidden = np.zeros(4), np.zeros(4), np.zeros(4)
    for c in range(start, stop):
        a, b = begin[c], begin[c + 1]
        if a == b:
            continue
        _sort(codes, w, a, b, above, np.int64(widths[first + c]), spare, spare_w, ends)
        _halves(codes, w, a, b, bits, ways, half)
        seen[:], moved[:], square[:] = 0.0, 0.0, 0.0
        i = a
        while i < b:
            key = codes[i] >> above
            j = i
            here[:], partner[:] = 0.0, 0.0
            while j < b and codes[j] >> above == key:
                weight = w[j] if weighted else 1.0
                other = np.int64(codes[j] & mask)
                here[0] += weight
                partner[0] += weight * ranks[0, other]
                if ways > 1:
                    side = 1 + np.int64((codes[j] >> np.uint64(bits)) & np.uint64(3))
                    here[side] += weight
                    partner[side] += weight * ranks[side, other]
                j += 1
            for k in range(ways):
                d = (seen[k] + here[k] / 2.0 - half[k]) / totals[k]
                moved[k] += d * partner[k]
                square[k] += here[k] * d * d
                seen[k] += here[k]
                if shifts[first + c] > 0 and j - i > 1:
                    hidden[k] += here[k] * (here[k] / totals[k]) ** 2 / 12.0
            i = j
        for k in range(ways):
            out[k, 0] += moved[k]
            out[k, 1] += square[k]
    for k in range(ways):
        out[k, 2] += hidden[k]
