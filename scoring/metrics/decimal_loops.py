"""Compiled loops over float64 that stand for short decimals: k / LIMIT with k from 0 to LIMIT."""

from typing import Any

import numpy as np

from datasets.kernels import compiled

LIMIT = 1_000_000  # six digits behind the point
STRIP = 512  # values looked at before they are counted


@compiled("int64(float64[::1], uint8[::1], float64[::1], int64, uint8[::1], uint32[::1], float64[::1])")
def count_decimals(values: Any, column: Any, w: Any, base: Any, low: Any, high: Any, sums: Any) -> Any:
    """Count values (n,) with columns 0 or 1 from cell ``base`` on; how many were counted before one was no k / LIMIT.

    The division is rounded as the decimal itself was when it was read, so equality is exact. ``low`` and ``high``
    (2 · cells) as in plain_loops; ``w`` (n,) is added to ``sums`` (2 · cells), or both are none.
    """
    weighted = len(w) > 0
    cells = np.empty(STRIP, dtype=np.int32)
    for start in range(0, len(values), STRIP):
        length = min(STRIP, len(values) - start)
        bad: Any = np.int32(0)
        for i in range(length):
            x = values[start + i]
            k = np.int32(min(max(x, 0.0), 1.0) * LIMIT + 0.5)
            cells[i] = k
            bad |= np.int32(np.float64(k) / LIMIT != x)
        if bad:
            return start
        for i in range(length):
            at = 2 * (base + np.int64(cells[i])) + np.int64(column[start + i])
            count = np.int64(low[at]) + 1
            low[at] = np.uint8(count)
            if count == 256:
                high[at] += np.uint32(1)
            if weighted:
                sums[at] += w[start + i]
    return len(values)
