"""Compiled loops that look up where values stand among all values."""

from typing import Any

import numpy as np

from datasets.kernels import compiled

PIECE_BITS = 18
PIECE = 1 << PIECE_BITS  # rows looked up at a time: their number takes the place of the low bits of their keys
SUMMED = 1 << 10  # products added up by themselves first
_KEYS, _SUMS = "Array(int64, 1, 'C', readonly=True)", "Array(float64, 1, 'C', readonly=True)"


@compiled()
def _reach(among: Any, start: Any, key: Any) -> Any:
    """The first place from ``start`` on whose key is not below ``key``, found in growing steps."""
    size, step = len(among), 1
    low, high = start, start
    while high < size and among[high] < key:
        low = high + 1
        high += step
        step *= 2
    high = min(high, size)
    while low < high:
        middle = (low + high) >> 1
        if among[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@compiled(f"void(int64[::1], int64[::1], {_KEYS}, {_SUMS}, float64[::1])")
def find_ranks(keys: Any, order: Any, among: Any, sums: Any, ranks: Any) -> Any:
    """The centred mid-rank of each key (n,) as a share of all, to ``ranks``.

    ``order`` (n,): the keys with their number in the PIECE_BITS low bits, in rising order. ``among`` (m,): all keys in
    rising order; ``sums`` (m + 1,): the weight of those before each, or none where all weigh 1.
    """
    weighted, total = len(sums) > 0, np.float64(len(among))
    if weighted:
        total = sums[len(among)]
    low, left, right = np.int64(0), np.int64(0), np.int64(0)
    for k in range(len(order)):
        i = order[k] & (PIECE - 1)
        low = _reach(among, low, order[k] - i)
        key = keys[i]
        if k == 0 or among[left] != key:
            left = _reach(among, low, key)
            right = left + 1
            while right < len(among) and right < left + 8 and among[right] == key:
                right += 1
            if right == left + 8:
                right = _reach(among, right, key + 1)
        below, above = np.float64(left), np.float64(right)
        if weighted:
            below, above = sums[left], sums[right]
        ranks[i] = (below + above) / 2.0 / total - 0.5


@compiled("float64(float64[::1], float64[::1], float64[::1])")
def add_products(left: Any, right: Any, w: Any) -> Any:
    """Σ w·left·right over rows (n,); ``w`` none: all weigh 1."""
    whole = 0.0
    for start in range(0, len(left), SUMMED):
        part = 0.0
        for i in range(start, min(start + SUMMED, len(left))):
            part += (w[i] if len(w) > 0 else 1.0) * left[i] * right[i]
        whole += part
    return whole


@compiled("void(float64[::1], float64[::1], float64[::1], int64, float64[::1])")
def count_groups(left: Any, right: Any, w: Any, groups: Any, joint: Any) -> Any:
    """Add the rows to the groups of their ranks (groups · groups,), of which each is an equal share of all."""
    for i in range(len(left)):
        a = max(min(np.int64((left[i] + 0.5) * groups), groups - 1), 0)  # ranks of infinite weights are no numbers
        b = max(min(np.int64((right[i] + 0.5) * groups), groups - 1), 0)
        joint[a * groups + b] += w[i] if len(w) > 0 else 1.0
