"""Pearson's r of mid-ranks whose cells may have merged several values, with the certified bound of its error."""

import math

Spread = tuple[float, float]  # mean square of what merged cells hide, variance


def correlation(y: Spread, f: Spread, cov: float, apart: float = 0.0) -> tuple[float, float]:
    """r and the bound of |r − r of the values themselves|; nan and 0 where either side is constant.

    ``apart``: how far ``cov`` itself may be off.

    Within a cell of one axis true ranks differ from the mid-rank by d with mean 0 and mean square at most s² (the
    spread of evenly spaced ranks). Then the variance grows by at most s², and by Cauchy and Schwarz the covariance
    moves by at most s_y·σ_f + s_f·σ_y + s_y·s_f.
    """
    (sy, vy), (sf, vf) = y, f
    if not (vy > 0 and vf > 0):
        return math.nan, 0.0 if sy == sf == 0 else 2.0
    r = max(-1.0, min(1.0, cov / math.sqrt(vy * vf)))
    if sy == sf == apart == 0:
        return r, 0.0
    move = math.sqrt(sy * vf) + math.sqrt(sf * vy) + math.sqrt(sy * sf) + apart
    shrink = math.sqrt(vy * vf / ((vy + sy) * (vf + sf)))
    reach = move / math.sqrt(vy * vf)
    at = [(r + sign * reach) * factor for sign in (-1.0, 1.0) for factor in (1.0, shrink)]
    return r, min(2.0, max(abs(max(-1.0, min(1.0, end)) - r) for end in at))
