"""Compiled loops over matched features: sums that are rounded once, and the precision at each hit."""

import numpy as np
import numpy.typing as npt

from datasets.kernels import compiled

Floats = npt.NDArray[np.float64]

PARTIALS = 64  # floats that do not overlap: no float64 sum needs as many (Shewchuk 1997)
_F1 = "Array(float64, 1, 'C', True)"


@compiled()
def _rounded(partials: Floats, count: int) -> float:
    """The sum of floats that do not overlap, least first, rounded to the nearest, ties to even."""
    count -= 1
    total: float = partials[count]
    while count > 0:
        count -= 1
        before = total
        total = before + partials[count]
        lost = partials[count] - (total - before)
        if lost != 0.0:
            if count > 0 and ((lost < 0.0) == (partials[count - 1] < 0.0)) and partials[count - 1] != 0.0:
                twice = 2.0 * lost  # half-way: what is left decides
                if twice == (total + twice) - total:
                    total += twice
            return total
    return total


@compiled(f"float64({_F1})")
def exact_total(values: Floats) -> float:
    """The sum rounded once, as math.fsum gives it; inf or NaN where it is not finite."""
    partials, count = np.zeros(PARTIALS), 0
    for value in values:
        x, kept = value, 0
        for k in range(count):
            y = partials[k]
            high = x + y
            part = high - x
            low = (x - (high - part)) + (y - part)
            if low != 0.0:
                partials[kept] = low
                kept += 1
            x = high
        if not np.isfinite(x):
            return float(x)
        partials[kept] = x
        count = kept + 1
    return _rounded(partials, count) if count else 0.0


@compiled(f"void({_F1}, {_F1}, {_F1}, {_F1}, {_F1}, float64[::1])")
def precisions(rank: Floats, w: Floats, hit: Floats, place: Floats, missed: Floats, out: Floats) -> None:
    """At each rank with a hit (h,): weight ``hit`` there · share of hits among the candidates up to there.

    ``w`` (h,) of the candidates at ``rank``, ``missed`` (g,) of the others at ``place``; both rise.
    """
    before = seen = hits = 0.0
    k = 0
    for i in range(len(rank)):
        while k < len(place) and place[k] <= rank[i]:
            before += missed[k]
            k += 1
        seen += w[i]
        hits += hit[i]
        out[i] = hit[i] * (hits / (seen + before)) if hit[i] != 0.0 else 0.0
