"""Compiled sums for ``moments`` and ``confusion``: one pass over a piece in the processor's nearest cache.

A chunk is laid out as ``DEPTH`` rows side by side: each column of it is summed down, then the columns pairwise, which
the processor does several at a time. Chunks are joined by the formulas of Chan, Golub & LeVeque (1983). Every order is
fixed by the number of values alone, so the same piece gives the same bits.
"""

import numpy as np

from datasets.kernels import compiled
from scoring.samples import Array

DEPTH, WIDTH = 8, 512
CHUNK = DEPTH * WIDTH
NEAR = 1024  # pairs whose places in the tables are worked out together
_GIVEN = "Array({}, 1, 'C', readonly=True)"
_F4, _F8, _U1, _I8 = (_GIVEN.format(name) for name in ("float32", "float64", "uint8", "int64"))


@compiled("void(float64[::1], int64, int64)")
def fold(sums: Array, rows: int, width: int) -> None:
    """Add up each of ``rows`` rows of WIDTH sums, pairwise, into its first."""
    while width > 1:
        half = (width + 1) // 2
        for row in range(rows):
            low = sums[row * WIDTH : row * WIDTH + width - half]
            high = sums[row * WIDTH + half : row * WIDTH + width]
            for i in range(width - half):
                low[i] += high[i]
        width = half


@compiled(
    f"void({_F4}, {_F4}, none, int64, float64[::1])",
    f"void({_F8}, {_F8}, none, int64, float64[::1])",
    f"void({_F8}, {_F8}, {_F8}, int64, float64[::1])",
)
def sum_errors(y: Array, f: Array, w: Array | None, width: int, sums: Array) -> None:
    """Rows of Σ|e|, Σe², Σe, Σy, Σf (and Σw) of ``DEPTH`` × ``width`` values, each times its weight."""
    for i in range(width):
        far, square, error, first, second, total = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for k in range(DEPTH):
            a, b = np.float64(y[k * width + i]), np.float64(f[k * width + i])
            e = b - a
            if w is None:
                far += abs(e)
                square += e * e
                error += e
                first += a
                second += b
            else:
                weight = w[k * width + i]
                far += weight * abs(e)
                square += weight * (e * e)
                error += weight * e
                first += weight * a
                second += weight * b
                total += weight
        sums[i], sums[WIDTH + i], sums[2 * WIDTH + i] = far, square, error
        sums[3 * WIDTH + i], sums[4 * WIDTH + i], sums[5 * WIDTH + i] = first, second, total


@compiled(
    f"void({_F4}, {_F4}, none, int64, float64, float64, float64[::1])",
    f"void({_F8}, {_F8}, none, int64, float64, float64, float64[::1])",
    f"void({_F8}, {_F8}, {_F8}, int64, float64, float64, float64[::1])",
)
def sum_centred(y: Array, f: Array, w: Array | None, width: int, mean_y: float, mean_f: float, sums: Array) -> None:
    """Rows of Σdy, Σdf, Σdy², Σdf², Σdy·df of the same values less their means."""
    for i in range(width):
        first, second, yy, ff, yf = 0.0, 0.0, 0.0, 0.0, 0.0
        for k in range(DEPTH):
            a, b = np.float64(y[k * width + i]) - mean_y, np.float64(f[k * width + i]) - mean_f
            if w is None:
                first += a
                second += b
                yy += a * a
                ff += b * b
                yf += a * b
            else:
                weight = w[k * width + i]
                first += weight * a
                second += weight * b
                yy += weight * (a * a)
                ff += weight * (b * b)
                yf += weight * (a * b)
        sums[i], sums[WIDTH + i], sums[2 * WIDTH + i] = first, second, yy
        sums[3 * WIDTH + i], sums[4 * WIDTH + i] = ff, yf


@compiled(f"void({_F4}, {_F4}, int64, float64[::1])", f"void({_F8}, {_F8}, int64, float64[::1])")
def raise_peaks(y: Array, f: Array, width: int, peaks: Array) -> None:
    """Rows of the greatest −y, y, −f, f and |e| so far, raised by the same values."""
    for i in range(width):
        low_y, high_y, low_f, high_f = peaks[i], peaks[WIDTH + i], peaks[2 * WIDTH + i], peaks[3 * WIDTH + i]
        far = peaks[4 * WIDTH + i]
        for k in range(DEPTH):
            a, b = np.float64(y[k * width + i]), np.float64(f[k * width + i])
            e = abs(b - a)
            low_y = -a if -a > low_y else low_y
            high_y = a if a > high_y else high_y
            low_f = -b if -b > low_f else low_f
            high_f = b if b > high_f else high_f
            far = e if e > far else far
        peaks[i], peaks[WIDTH + i], peaks[2 * WIDTH + i], peaks[3 * WIDTH + i] = low_y, high_y, low_f, high_f
        peaks[4 * WIDTH + i] = far


@compiled("void(float64[::1], float64, float64, float64[::1])")
def join(out: Array, mean_y: float, mean_f: float, sums: Array) -> None:
    """Join the centred sums of a chunk, with its weight in ``sums[5 * WIDTH]``, to those of the chunks before."""
    total = sums[5 * WIDTH]
    off_y, off_f = sums[0], sums[WIDTH]  # what rounding of the means left over
    before = out[0]
    whole = before + total
    dy, df = (mean_y - out[4], mean_f - out[5]) if before > 0.0 else (0.0, 0.0)
    between = before * (total / whole)
    out[0] = whole
    out[4] = out[4] + dy * (total / whole) if before > 0.0 else mean_y
    out[5] = out[5] + df * (total / whole) if before > 0.0 else mean_f
    out[6] += sums[2 * WIDTH] - off_y * off_y / total + between * dy * dy
    out[7] += sums[3 * WIDTH] - off_f * off_f / total + between * df * df
    out[8] += sums[4 * WIDTH] - off_y * off_f / total + between * dy * df


@compiled(
    f"void({_F4}, {_F4}, none, float64[::1], float64[::1])",
    f"void({_F8}, {_F8}, none, float64[::1], float64[::1])",
    f"void({_F8}, {_F8}, {_F8}, float64[::1], float64[::1])",
)
def add_moments(y: Array, f: Array, w: Array | None, out: Array, peaks: Array) -> None:
    """``out`` (9,): Σw, Σw·|e|, Σw·e², Σw·e, the means of y and f, and their centred moments; zeros before.

    ``peaks`` (5 · WIDTH,): as in ``raise_peaks``; −inf before. The number of values is a multiple of DEPTH.
    """
    sums, lost = np.zeros(6 * WIDTH), np.zeros(3)
    for start in range(0, y.size, CHUNK):
        stop = min(start + CHUNK, y.size)
        yy, ff, width = y[start:stop], f[start:stop], (stop - start) // DEPTH
        raise_peaks(yy, ff, width, peaks)
        if w is None:
            sum_errors(yy, ff, None, width, sums)
        else:
            sum_errors(yy, ff, w[start:stop], width, sums)
        fold(sums, 6, width)
        total = np.float64(stop - start) if w is None else sums[5 * WIDTH]
        for row in range(3):
            was, add = out[1 + row], sums[row * WIDTH]
            out[1 + row] = was + add
            big, small = (was, add) if abs(was) >= abs(add) else (add, was)
            lost[row] += (big - out[1 + row]) + small  # Neumaier: what rounding left out
        mean_y, mean_f = sums[3 * WIDTH] / total, sums[4 * WIDTH] / total
        if w is None:
            sum_centred(yy, ff, None, width, mean_y, mean_f, sums)
        else:
            sum_centred(yy, ff, w[start:stop], width, mean_y, mean_f, sums)
        fold(sums, 5, width)
        sums[5 * WIDTH] = total
        join(out, mean_y, mean_f, sums)
    for row in range(3):
        out[1 + row] += lost[row] if np.isfinite(lost[row]) else 0.0


@compiled(f"void({_U1}, {_U1}, int64, int64[:, ::1])", f"void({_I8}, {_I8}, int64, int64[:, ::1])")
def count_pairs(y: Array, f: Array, classes: int, counts: Array) -> None:
    """Count pairs of codes below ``classes`` into (4, classes²), four tables: equal neighbours need not wait."""
    places = np.empty(NEAR, dtype=np.uint32)
    a, b, c, d = counts[0], counts[1], counts[2], counts[3]
    for start in range(0, y.size, NEAR):
        count = min(NEAR, y.size - start)
        yy, ff = y[start : start + count], f[start : start + count]
        for i in range(count):
            places[i] = np.uint32(yy[i]) * np.uint32(classes) + np.uint32(ff[i])
        whole = count // 4 * 4
        for i in range(0, whole, 4):
            a[places[i]] += 1
            b[places[i + 1]] += 1
            c[places[i + 2]] += 1
            d[places[i + 3]] += 1
        for i in range(whole, count):
            a[places[i]] += 1


@compiled(f"void({_U1}, {_U1}, int64[::1])")
def count_nibbles(y: Array, f: Array, counts: Array) -> None:
    """Add to ``counts`` (256,) at 16·y + f how often each pair of codes below 15 occurs; 15 stands for any other code.

    Pairs are counted two at a time, neighbours together: half as many counts to raise, in two tables so that equal
    ones need not wait for each other.
    """
    tables = np.zeros((2, 1 << 16), dtype=np.uint32)
    one, other, most = tables[0], tables[1], np.uint8(15)
    places = np.empty(NEAR // 2, dtype=np.uint16)
    pairs = places.view(np.uint8)
    for start in range(0, y.size, NEAR):
        count = min(NEAR, y.size - start)
        yy, ff = y[start : start + count], f[start : start + count]
        for i in range(count):
            pairs[i] = np.uint8(min(yy[i], most) << np.uint8(4)) | min(ff[i], most)
        whole = count // 4 * 2
        for i in range(0, whole, 2):
            one[places[i]] += np.uint32(1)
            other[places[i + 1]] += np.uint32(1)
        for i in range(2 * whole, count):
            counts[pairs[i]] += 1
    for place in range(1 << 16):
        held = np.int64(one[place]) + np.int64(other[place])
        counts[place & 255] += held
        counts[place >> 8] += held
