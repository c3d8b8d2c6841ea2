"""Compiled loops that count float32 in many equal cells, two small counters each: one increment a value.

Cells in rising order of values: ``FIRST_NEGATIVE`` for x < 0, 512 to an octave; one for 0; ``linear`` (a power of two)
of equal width for 0 < x < 1; one for 1; ``FIRST_ABOVE`` for x > 1, 512 to an octave. The counters of a cell (column 0
and column 1) are one byte each; how often one ran over stands in ``high``, which is hardly ever touched.
"""

from typing import Any

import numpy as np

from datasets.kernels import compiled
from scoring.metrics.cell_loops import FIRST_ABOVE, FIRST_NEGATIVE, LAST, OCTAVE

EXTRA = FIRST_NEGATIVE + FIRST_ABOVE + 2  # cells beside the linear ones
DROP = 14  # low bits of float32 that 512 cells to an octave leave out
TOP = 1 << 31  # the key of 0.0
INFINITE_BITS = 255 << 23
ONE_BITS = 127 << 23
ONE_STEP = 127 * OCTAVE


@compiled()
def _cell(x: Any, bits: Any, linear: Any) -> Any:
    if np.uint32(bits - np.uint32(1)) < np.uint32(ONE_BITS - 1):  # 0 < x < 1
        return FIRST_NEGATIVE + 1 + np.int64(x * np.float32(linear))
    if bits == np.uint32(0) or bits == np.uint32(TOP):
        return np.int64(FIRST_NEGATIVE)
    if bits < np.uint32(TOP):
        above = (np.int64(bits) >> DROP) - ONE_STEP + 1 if bits > np.uint32(ONE_BITS) else np.int64(0)
        return FIRST_NEGATIVE + linear + 1 + above
    return LAST - ((np.int64(bits) - TOP) >> DROP)


@compiled("int64(float32[::1], uint32[::1], uint8[::1], int64, int64, uint8[::1], uint32[::1])")
def count_plain(values: Any, raw: Any, column: Any, linear: Any, base: Any, low: Any, high: Any) -> Any:
    """Count values (n,) with columns 0 or 1 from cell ``base`` on; how often a counter ran over.

    ``raw``: the bits of the values. ``low`` and ``high`` (2 · cells): the counters of both columns side by side.
    """
    over = 0
    for i in range(len(values)):
        cell = base + _cell(values[i], raw[i], linear)
        k = 2 * cell + np.int64(column[i])
        count = np.int64(low[k]) + 1
        low[k] = np.uint8(count)
        if count == 256:
            high[k] += np.uint32(1)
            over += 1
    return over


@compiled("void(float32[::1], uint32[::1], uint32[:,::1], int64, int64, uint32[::1])")
def add_values(values: Any, raw: Any, times: Any, linear: Any, base: Any, counts: Any) -> Any:
    """Add values (n,) that were seen ``times`` (n, 2) with each column to ``counts``; otherwise as count_plain."""
    for i in range(len(values)):
        cell = base + _cell(values[i], raw[i], linear)
        counts[2 * cell] += times[i, 0]
        counts[2 * cell + 1] += times[i, 1]


@compiled("void(uint8[::1], int64[::1], uint32[::1], uint32[::1])")
def add_plain(low: Any, at: Any, high: Any, counts: Any) -> Any:
    """Add counters to ``counts``: ``low`` of all cells, and ``high`` times 256 where they stand ``at``."""
    for i in range(len(low)):
        counts[i] += np.uint32(low[i])
    for i in range(len(at)):
        counts[at[i]] += high[i] << np.uint32(8)


@compiled("int64(uint32[::1], int64, int64)")
def occupied(counts: Any, start: Any, stop: Any) -> Any:
    """How many of the cells saw anything."""
    found: Any = 0
    for i in range(start, stop):
        found += np.int64((counts[2 * i] | counts[2 * i + 1]) != np.uint32(0))
    return found


@compiled("void(uint32[::1], int64, int64, uint32[::1], uint32[:,::1], int64[::1])")
def cells_of(counts: Any, base: Any, linear: Any, edges: Any, out: Any, places: Any) -> Any:
    """The cells of a stream that saw anything, as rows of cell_loops with the ends they could hold, and where.

    ``edges`` (linear + 1): the bits of k / linear.
    """
    n = 0
    least: Any = np.int64(0)
    greatest: Any = np.int64(0)
    for i in range(linear + EXTRA):
        zero, one = counts[2 * (base + i)], counts[2 * (base + i) + 1]
        if zero == np.uint32(0) and one == np.uint32(0):
            continue
        j = i - FIRST_NEGATIVE
        if j < 0:
            greatest = np.int64(TOP - 1 - ((LAST - i) << DROP))
            least = max(np.int64(greatest - (1 << DROP) + 1), np.int64(TOP - 1 - INFINITE_BITS))
            greatest = min(greatest, np.int64(TOP - 2))  # -0.0 is 0.0
        elif j == 0:
            least, greatest = np.int64(TOP), np.int64(TOP)
        elif j <= linear:
            least = np.int64(TOP) + max(np.int64(edges[j - 1]), np.int64(1))
            greatest = np.int64(TOP) + np.int64(edges[j]) - np.int64(1)
        elif j == linear + 1:
            least, greatest = np.int64(TOP + ONE_BITS), np.int64(TOP + ONE_BITS)
        else:
            least = np.int64(TOP + ((ONE_STEP + j - linear - 2) << DROP))
            greatest = min(np.int64(least + (1 << DROP) - 1), np.int64(TOP + INFINITE_BITS))
            least = max(least, np.int64(TOP + ONE_BITS + 1))
        out[n, 0] = np.uint32(greatest)
        out[n, 1] = ~np.uint32(least)
        out[n, 2] = zero
        out[n, 3] = one
        places[n] = i
        n += 1
