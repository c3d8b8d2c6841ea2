"""Compiled loops over ensembles: members in rows, cells in columns, so that neighbouring cells are worked on together.

Every loop copies a few cells of all members into a small buffer, where they stay in the processor's cache, and keeps
its sums per column of the buffer: the order of all sums depends on the number of cells alone.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

from datasets.canonical import Array
from datasets.kernels import compiled

LANES = 128  # cells worked on together where the members are sorted in place
WIDE = 512  # where they are only read
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@cache
def comparators(count: int) -> tuple[Ints, Ints]:
    """Which two places to put in order, one pair after the other, so that ``count`` values end up sorted.

    Batcher's merge exchange: Knuth, The Art of Computer Programming 3, 5.2.2, algorithm M.
    """
    pairs: list[tuple[int, int]] = []
    top = 1 << max(0, (count - 1).bit_length() - 1)
    p = top if count > 1 else 0
    while p:
        q, r, d = top, 0, p
        while True:
            pairs += [(i, i + d) for i in range(count - d) if i & p == r]
            if q == p:
                break
            d, q, r = q - p, q // 2, p
        p //= 2
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1])


@compiled()
def _moments(buffer: Array, truth: Floats, away: Floats, mean: Floats) -> None:
    """Σ|x−y| and x̄ of each column; the mean is exact where all members agree."""
    members, lanes = buffer.shape
    first = buffer[0]
    away[:], mean[:] = 0.0, 0.0
    if members % 2:
        row = buffer[members // 2]
        for lane in range(lanes):
            value = np.float64(row[lane])
            away[lane] = abs(value - truth[lane])
            mean[lane] = value - np.float64(first[lane])
    for m in range(members // 2):
        least, greatest = buffer[m], buffer[members - 1 - m]
        for lane in range(lanes):
            a, b = np.float64(least[lane]), np.float64(greatest[lane])
            y, base = truth[lane], np.float64(first[lane])
            away[lane] += abs(a - y) + abs(b - y)
            mean[lane] += (a - base) + (b - base)
    for lane in range(lanes):
        mean[lane] = np.float64(first[lane]) + mean[lane] / members


@compiled()
def _spreads(buffer: Array, mean: Floats, pairs: Floats, square: Floats) -> None:
    """Σ|x−x'| over ordered pairs and Σ(x−x̄)² of each column of sorted members.

    The first is 2·Σ (2i − M − 1)·x₍ᵢ₎, i = 1 … M, here from the outside in, so that equal members cancel exactly.
    """
    members, lanes = buffer.shape
    pairs[:], square[:] = 0.0, 0.0
    if members % 2:
        row = buffer[members // 2]
        for lane in range(lanes):
            off = np.float64(row[lane]) - mean[lane]
            square[lane] = off * off
    for m in range(members // 2):
        least, greatest = buffer[m], buffer[members - 1 - m]
        times = 2.0 * (members - 1 - 2 * m)
        for lane in range(lanes):
            a, b, middle = np.float64(least[lane]), np.float64(greatest[lane]), mean[lane]
            pairs[lane] += times * (b - a)
            a -= middle
            b -= middle
            square[lane] += a * a + b * b


@compiled(
    "f8[:, ::1](f4[:, ::1], f8[::1], f8[::1], i8[::1], i8[::1])",
    "f8[:, ::1](f8[:, ::1], f8[::1], f8[::1], i8[::1], i8[::1])",
)
def member_sums(x: Array, y: Floats, w: Floats, low: Ints, high: Ints) -> Floats:
    """(5, LANES) sums of w times 1, Σ|x−y|, Σ|x−x'| over ordered pairs, Σ(x−x̄)², (x̄−y)² of x (M, n).

    ``low``, ``high``: comparators that sort the members; none when they are sorted already.
    """
    members, cells = x.shape
    sums = np.zeros((5, LANES))
    buffer = np.zeros((members, LANES), x.dtype)
    truth, weight = np.zeros(LANES), np.zeros(LANES)
    away, pairs, mean, square = np.zeros(LANES), np.zeros(LANES), np.zeros(LANES), np.zeros(LANES)
    for start in range(0, cells, LANES):
        length = min(LANES, cells - start)
        for m in range(members):
            row, into = x[m, start : start + length], buffer[m]
            for lane in range(length):
                into[lane] = row[lane]
        for lane in range(length):
            truth[lane], weight[lane] = y[start + lane], w[start + lane]
        for k in range(low.size):
            less, more = buffer[low[k]], buffer[high[k]]
            for lane in range(LANES):
                a, b = less[lane], more[lane]
                less[lane] = a if a < b else b
                more[lane] = b if a < b else a
        _moments(buffer, truth, away, mean)
        _spreads(buffer, mean, pairs, square)
        for lane in range(length):
            v = weight[lane]
            error = mean[lane] - truth[lane]
            sums[0, lane] += v
            sums[1, lane] += v * away[lane]
            sums[2, lane] += v * pairs[lane]
            sums[3, lane] += v * square[lane]
            sums[4, lane] += v * (error * error)
    return sums


@compiled("f8[::1](f4[:, ::1])", "f8[::1](f8[:, ::1])")
def member_means(x: Array) -> Floats:
    """(n,) the mean of the members of x (M, n), exact where all members agree."""
    members, cells = x.shape
    means = np.zeros(cells)
    for start in range(0, cells, WIDE):
        length = min(WIDE, cells - start)
        total, first = means[start : start + length], x[0, start : start + length]
        if members % 2 == 0:
            row = x[members - 1, start : start + length]
            for lane in range(length):
                total[lane] = np.float64(row[lane]) - np.float64(first[lane])
        for m in range(1, members - 1, 2):
            row, other = x[m, start : start + length], x[m + 1, start : start + length]
            for lane in range(length):
                base = np.float64(first[lane])
                total[lane] += (np.float64(row[lane]) - base) + (np.float64(other[lane]) - base)
        for lane in range(length):
            total[lane] = np.float64(first[lane]) + total[lane] / members
    return means


@compiled()
def _count_below(x: Array, start: int, length: int, cut: Array, below: Array) -> None:
    """Add to ``below`` (K − 1, WIDE) how many members of each cell from ``start`` on are below its ``cut``."""
    members, between = x.shape[0], cut.shape[0]
    for m in range(0, members - 3, 4):
        row0, row1 = x[m, start : start + length], x[m + 1, start : start + length]
        row2, row3 = x[m + 2, start : start + length], x[m + 3, start : start + length]
        for k in range(between):
            count, bound = below[k], cut[k]
            for lane in range(length):
                b = bound[lane]
                pair = np.int32(row0[lane] < b) + np.int32(row1[lane] < b)
                count[lane] += pair + np.int32(row2[lane] < b) + np.int32(row3[lane] < b)
    for m in range(members // 4 * 4, members):
        row0 = x[m, start : start + length]
        for k in range(between):
            count, bound = below[k], cut[k]
            for lane in range(length):
                count[lane] += np.int32(row0[lane] < bound[lane])


@compiled(
    "f8[:, ::1](f4[:, ::1], f8[::1], f8[::1], f4[:, ::1], f8[:, ::1], i8)",
    "f8[:, ::1](f8[:, ::1], f8[::1], f8[::1], f8[:, ::1], f8[:, ::1], i8)",
)
def category_sums(x: Array, y: Floats, w: Floats, cuts: Array, edges: Floats, step: int) -> Floats:
    """(3, WIDE) sums of w times 1, RPS, RPS of the forecast 1/K, with x (M, n) below ``cuts`` and y below ``edges``.

    Both are (K − 1, n) for ``step`` 1, and (K − 1, 1) with ``step`` 0 where all cells have the same.
    """
    members, cells = x.shape
    between = edges.shape[0]
    sums = np.zeros((3, WIDE))
    below = np.zeros((between, WIDE), np.int32)
    cut = np.zeros((between, WIDE), x.dtype)
    for start in range(0, cells, WIDE):
        length = min(WIDE, cells - start)
        below[:] = 0
        for k in range(between):
            for lane in range(length):
                cut[k, lane] = cuts[k, (start + lane) * step]
        _count_below(x, start, length, cut, below)
        for lane in range(length):
            cell = start + lane
            forecast, climate = 0.0, 0.0
            for k in range(between):
                observed = 1.0 if y[cell] < edges[k, cell * step] else 0.0
                miss = below[k, lane] / members - observed
                forecast += miss * miss
                miss = (k + 1) / (between + 1) - observed
                climate += miss * miss
            sums[0, lane] += w[cell]
            sums[1, lane] += w[cell] * forecast
            sums[2, lane] += w[cell] * climate
    return sums


@compiled("f8[::1](f8[:, ::1], f8[:, :, ::1])")
def energy_scores(y: Floats, x: Floats) -> Floats:
    """(g,) mean‖x − y‖ − Σ‖x − x'‖ / (2M²) of vectors y (g, d) and their members x (g, d, M).

    Members are compared one with all behind it, so that the distances of M² pairs are never held at once.
    """
    vectors, length, members = x.shape
    found = np.empty(vectors)
    away, apart = np.empty(members), np.empty(members)
    for g in range(vectors):
        away[:] = 0.0
        for d in range(length):
            row = x[g, d]
            truth = y[g, d]
            for j in range(members):
                off = row[j] - truth
                away[j] += off * off
        total, between = 0.0, 0.0
        for i in range(members):
            total += np.sqrt(away[i])
            line = apart[i + 1 :]
            line[:] = 0.0
            for d in range(length):
                value = x[g, d, i]
                others = x[g, d, i + 1 :]
                for j in range(members - 1 - i):
                    off = others[j] - value
                    line[j] += off * off
            for j in range(members - 1 - i):  # pairs i < j once; the double sum counts them twice
                between += np.sqrt(line[j])
        found[g] = total / members - between / members / members
    return found


@compiled("b1(f4[::1])", "b1(f8[::1])")
def all_finite(values: Array) -> bool:
    """Whether no value is nan or infinite."""
    bad = np.uint32(0)
    for i in range(values.size):
        value = values[i]
        bad |= np.uint32(value - value != 0)  # 0 for finite numbers alone
    return bool(bad == 0)
