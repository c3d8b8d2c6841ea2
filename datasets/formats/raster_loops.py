"""Compiled loops of the raster reader: undoing TIFF's predictors, and one pass of checks over the cells.

Predictors as in libtiff's ``tif_predict.c``: 2, differences of neighbours; 3, differences of the bytes of floats after
they are sorted into planes (TIFF Technical Note 3). A tile's bytes lie in ``raw``, ``width`` cells a row; the first
``rows`` × ``cols`` cells go to ``out`` from column ``left`` on.
"""

import numpy as np

from datasets.canonical import Array
from datasets.kernels import compiled

STEP = 4096  # cells counted in 32 bits at a time
LANES = np.uint64(0x00FF_00FF_00FF_00FF)
SPREAD = np.uint64(0x0001_0001_0001_0001)
EIGHT, LAST, LOW = np.uint64(8), np.uint64(48), np.uint64(0xFF)


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


@compiled(
    "void(u2[::1], i8, u2[:,::1], i8, i8, i8)",
    "void(u4[::1], i8, u4[:,::1], i8, i8, i8)",
    "void(u8[::1], i8, u8[:,::1], i8, i8, i8)",
)
def sum_words(raw: Array, width: int, out: Array, left: int, rows: int, cols: int) -> None:
    """Running sums of 16-, 32- or 64-bit cells along each row."""
    for r in range(rows):
        row, to = raw[r * width : r * width + cols], out[r, left : left + cols]
        total = row[0] - row[0]
        for i in range(cols):
            total += row[i]
            to[i] = total


@compiled("void(u1[::1], i8, u4[:,::1], i8, i8, i8)")
def join_planes_4(raw: Array, width: int, out: Array, left: int, rows: int, cols: int) -> None:
    """float32 from four planes of bytes a row, the most significant first."""
    for r in range(rows):
        start, to = 4 * r * width, out[r, left : left + cols]
        a, b = raw[start : start + cols], raw[start + width : start + width + cols]
        c, d = raw[start + 2 * width : start + 2 * width + cols], raw[start + 3 * width : start + 3 * width + cols]
        for i in range(cols):
            high = (np.uint32(a[i]) << np.uint32(24)) | (np.uint32(b[i]) << np.uint32(16))
            to[i] = high | (np.uint32(c[i]) << np.uint32(8)) | np.uint32(d[i])


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


@compiled(
    "UniTuple(i8, 2)(f4[::1], f4, f4, f4, b1, b1, b1[::1])",
    "UniTuple(i8, 2)(f8[::1], f8, f8, f8, b1, b1, b1[::1])",
    "UniTuple(i8, 2)(u1[::1], u1, u1, u1, b1, b1, b1[::1])",
    "UniTuple(i8, 2)(i2[::1], i2, i2, i2, b1, b1, b1[::1])",
    "UniTuple(i8, 2)(u2[::1], u2, u2, u2, b1, b1, b1[::1])",
    "UniTuple(i8, 2)(i4[::1], i4, i4, i4, b1, b1, b1[::1])",
)
def check(
    values: Array, nodata: float, low: float, high: float, has_nodata: bool, skip_nan: bool, valid: Array
) -> tuple[int, int]:
    """Mark in ``valid`` which cells hold a value; how many do, and how many of these are not in low … high (or NaN)."""
    count, bad = 0, 0
    for start in range(0, values.size, STEP):
        stop = min(start + STEP, values.size)
        here, mark = values[start:stop], valid[start:stop]
        held, wrong = np.int32(0), np.int32(0)
        for i in range(stop - start):
            value = here[i]
            good = ((value != nodata) | (not has_nodata)) & ((value == value) | (not skip_nan))  # noqa: PLR0124
            held = np.int32(held + np.int32(good))
            wrong = np.int32(wrong + np.int32(good & (not ((value >= low) & (value <= high)))))
            mark[i] = good
        count += int(held)
        bad += int(wrong)
    return count, bad


@compiled(
    "i8(f4[::1], b1[::1], b1[::1])",
    "i8(f8[::1], b1[::1], b1[::1])",
    "i8(u1[::1], b1[::1], b1[::1])",
    "i8(i2[::1], b1[::1], b1[::1])",
    "i8(u2[::1], b1[::1], b1[::1])",
    "i8(i4[::1], b1[::1], b1[::1])",
)
def mark_classes(values: Array, valid: Array, seen: Array) -> int:
    """Mark in ``seen`` every valid whole number from 0 on; how many valid cells hold anything else."""
    strange = 0
    for i in range(values.size):
        value = values[i]
        if valid[i]:
            if value >= 0 and value < seen.size:
                place = np.int64(value)
                if place == value:
                    seen[place] = True
                else:
                    strange += 1
            else:
                strange += 1
    return strange
