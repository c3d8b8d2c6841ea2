"""Compiled loops of the raster reader: undoing TIFF's predictors, and one pass of checks over the cells.

Predictors as in libtiff's ``tif_predict.c``: 2, differences of neighbours; 3, differences of the bytes of floats after
they are sorted into planes (TIFF Technical Note 3). A tile's bytes lie in ``raw``, ``width`` cells a row; the first
``rows`` × ``cols`` cells go to ``out`` from column ``left`` on.
"""

import numpy as np

from datasets.canonical import Array
from datasets.kernels import compiled

LANES = np.uint64(0x00FF_00FF_00FF_00FF)
SPREAD = np.uint64(0x0001_0001_0001_0001)
EIGHT, LAST, LOW = np.uint64(8), np.uint64(48), np.uint64(0xFF)
A, B, C = np.uint64(48), np.uint64(32), np.uint64(16)  # places of the first three planes' sums in a word
HIGHEST, HIGH, LOWER = np.uint64(0xFF00_0000), np.uint64(0xFF_0000), np.uint64(0xFF00)
TOGETHER = 128  # cells whose sums cannot run out of 16 bits: at most 128 · 255 + 255


@compiled("void(u1[::1], i8, i8)")
def sum_bytes(raw: Array, width: int, rows: int) -> None:
    """Replace the bytes of each row by their running sums modulo 256."""
    for r in range(rows):
        row = raw[r * width : (r + 1) * width]
        total = np.uint8(0)
        for i in range(width):
            total = np.uint8(total + row[i])
            row[i] = total


@compiled("void(u8[::1], i8, i8)")
def sum_bytes_by_eight(words: Array, width: int, rows: int) -> None:
    """The same for rows of ``width`` words of eight bytes, the first byte lowest."""
    for r in range(rows):
        carry = np.uint64(0)
        for i in range(r * width, (r + 1) * width):
            word = words[i]
            odd = (word >> EIGHT) & LANES
            sums = ((word & LANES) + odd) * SPREAD  # running sums of pairs, 16 bits each
            base = (carry & LOW) * SPREAD
            words[i] = ((sums - odd + base) & LANES) | (((sums + base) & LANES) << EIGHT)
            carry += sums >> LAST


@compiled("void(u8[::1], i8, u8[:,::1], i8, i8, i8)")
def sum_cells_by_eight(words: Array, width: int, out: Array, left: int, rows: int, cols: int) -> None:
    """Running sums of 8-bit cells along each row, ``width`` words of eight cells a row; ``left``, ``cols`` in words.

    Each word's sums first, then where each word begins, then both together: no loop but the short one in the middle
    waits for the cell before.
    """
    starts = np.empty(width, dtype=np.uint64)
    for r in range(rows):
        row, to = words[r * width : (r + 1) * width], out[r, left : left + cols]
        for i in range(width):
            sums = (row[i] & LANES) + ((row[i] >> EIGHT) & LANES)
            sums += sums << C
            starts[i] = (sums + (sums << B)) >> A
        total = np.uint64(0)
        for i in range(width):
            own = starts[i]
            starts[i] = total
            total += own
        for i in range(cols):
            odd, start = (row[i] >> EIGHT) & LANES, starts[i] & LOW
            sums = (row[i] & LANES) + odd
            sums += sums << C
            sums += sums << B
            start |= start << C
            start |= start << B
            to[i] = ((sums - odd + start) & LANES) | (((sums + start) & LANES) << EIGHT)


@compiled(
    "void(u1[::1], i8, u1[:,::1], i8, i8, i8)",
    "void(u2[::1], i8, u2[:,::1], i8, i8, i8)",
    "void(u4[::1], i8, u4[:,::1], i8, i8, i8)",
    "void(u8[::1], i8, u8[:,::1], i8, i8, i8)",
)
def sum_words(raw: Array, width: int, out: Array, left: int, rows: int, cols: int) -> None:
    """Running sums of 8-, 16-, 32- or 64-bit cells along each row."""
    for r in range(rows):
        row, to = raw[r * width : r * width + cols], out[r, left : left + cols]
        total = row[0] - row[0]
        for i in range(cols):
            total += row[i]
            to[i] = total


@compiled("void(u1[::1], i8, u4[:,::1], i8, i8, i8)")
def undo_floats(raw: Array, width: int, out: Array, left: int, rows: int, cols: int) -> None:
    """float32 from the differences of four planes of bytes a row, the most significant plane first.

    The sums of all planes run side by side, 16 bits each; where a plane begins is the sum of those before.
    """
    lanes = np.empty(TOGETHER, dtype=np.uint64)
    for r in range(rows):
        start = 4 * r * width
        a, b = raw[start : start + width], raw[start + width : start + 2 * width]
        c, d = raw[start + 2 * width : start + 3 * width], raw[start + 3 * width : start + 4 * width]
        one, two, three = np.uint32(0), np.uint32(0), np.uint32(0)
        for i in range(width):
            one += np.uint32(a[i])
            two += np.uint32(b[i])
            three += np.uint32(c[i])
        two += one
        three += two
        total = ((np.uint64(one) & LOW) << B) | ((np.uint64(two) & LOW) << C) | (np.uint64(three) & LOW)
        for first in range(0, cols, TOGETHER):
            count = min(TOGETHER, cols - first)
            aa, bb, cc, dd = (a[first : first + count], b[first : first + count], c[first : first + count],
                              d[first : first + count])  # fmt: skip
            lane, to = lanes[:count], out[r, left + first : left + first + count]
            for i in range(count):
                lane[i] = (np.uint64(aa[i]) << A) | (np.uint64(bb[i]) << B) | (np.uint64(cc[i]) << C) | np.uint64(dd[i])
            for i in range(count):
                total += lane[i]
                lane[i] = total
            total &= LANES
            for i in range(count):
                sums = lane[i]
                high = ((sums >> np.uint64(24)) & HIGHEST) | ((sums >> np.uint64(16)) & HIGH)
                to[i] = np.uint32(high | ((sums >> np.uint64(8)) & LOWER) | (sums & LOW))


@compiled("void(u1[::1], i8, u8[:,::1], i8, i8, i8)")
def join_planes_8(raw: Array, width: int, out: Array, left: int, rows: int, cols: int) -> None:
    """float64 from eight planes of bytes a row."""
    for r in range(rows):
        start, to = 8 * r * width, out[r, left : left + cols]
        to[:] = 0
        for plane in range(8):
            bytes_ = raw[start + plane * width : start + plane * width + cols]
            for i in range(cols):
                to[i] = (to[i] << EIGHT) | np.uint64(bytes_[i])


SOME, GAP, BAD = np.uint8(1), np.uint8(2), np.uint8(4)
NODATA, NAN = np.uint8(1), np.uint8(2)
SMALL, FEW = np.uint64(63), np.uint32(31)
_NAMES = ("f4", "f8", "u1", "i2", "u2", "i4")


@compiled(*(f"u1({t}[:,::1], i8, i8, {t}, {t}, {t}, u1, u1[:,::1])" for t in _NAMES))
def check(
    values: Array, left: int, cols: int, nodata: float, low: float, high: float, without: int, valid: Array
) -> int:
    """Of the cells in columns ``left`` …: SOME hold a value, some hold none (GAP), a value is outside low … high (BAD).

    ``without``: cells hold none that are ``nodata`` (NODATA), that are NaN (NAN), or both. Which ones hold a value is
    marked in ``valid``, unless all have to because ``without`` is 0.
    """
    has_nodata, skip_nan = without & NODATA != 0, without & NAN != 0
    some, every, bad = np.uint8(0), np.uint8(1), np.uint8(0)
    for r in range(values.shape[0]):
        here, mark = values[r, left : left + cols], valid[r, left : left + cols]
        if without != 0:
            for i in range(cols):
                value = here[i]
                good = ((value != nodata) | (not has_nodata)) & ((value == value) | (not skip_nan))  # noqa: PLR0124
                mark[i] = good
            for i in range(cols):
                some |= mark[i]
                every &= mark[i]
            for i in range(cols):
                bad |= mark[i] & np.uint8(not ((here[i] >= low) & (here[i] <= high)))
        else:
            some = np.uint8(1)
            for i in range(cols):
                bad |= np.uint8(not ((here[i] >= low) & (here[i] <= high)))
    return int(SOME * some | GAP * (np.uint8(1) - every) | BAD * bad)


@compiled(*(f"i8({t}[:,::1], u1[:,::1], i8, i8, b1, b1[::1])" for t in _NAMES))
def mark_classes(values: Array, valid: Array, left: int, cols: int, every: bool, seen: Array) -> int:
    """Mark in ``seen`` every valid whole number from 0 on; how many valid cells hold anything else.

    ``every``: all cells are valid, whatever ``valid`` says.
    """
    strange = 0
    for r in range(values.shape[0]):
        for i in range(left, left + cols):
            value = values[r, i]
            if every or valid[r, i]:
                if value >= 0 and value < seen.size:
                    place = np.int64(value)
                    if place == value:
                        seen[place] = True
                    else:
                        strange += 1
                else:
                    strange += 1
    return strange


@compiled("Tuple((u4, u1))(u1[:,::1], u1[:,::1], i8, i8, b1)")
def few_classes(values: Array, valid: Array, left: int, cols: int, every: bool) -> tuple[int, int]:
    """A bit for every class below 32 that a valid cell holds, and the bits of all classes together.

    What is valid is marked with 1, anything else with 0; ``every`` as in ``mark_classes``.
    """
    found, bits = np.uint32(0), np.uint8(0)
    for r in range(values.shape[0]):
        here, mark = values[r, left : left + cols], valid[r, left : left + cols]
        if every:
            for i in range(cols):
                bits |= here[i]
            for i in range(cols):
                found |= np.uint32(1) << (np.uint32(here[i]) & FEW)
        else:
            for i in range(cols):
                bits |= np.uint8(here[i] * mark[i])
            for i in range(cols):
                found |= np.uint32(mark[i]) << (np.uint32(here[i]) & FEW)
    return int(found), int(bits)


@compiled("u8(u1[:,::1], u1[:,::1], i8, i8, b1)")
def some_classes(values: Array, valid: Array, left: int, cols: int, every: bool) -> int:
    """The same for classes below 64; none may be higher."""
    found = np.uint64(0)
    for r in range(values.shape[0]):
        here, mark = values[r, left : left + cols], valid[r, left : left + cols]
        for i in range(cols):
            found |= (np.uint64(mark[i] & SOME) | np.uint64(every)) << (np.uint64(here[i]) & SMALL)
    return int(found)
