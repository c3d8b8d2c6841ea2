"""Tallies: weight by distinct value, the mergeable form of everything that depends on order.

State of ``K`` cells with ``d`` keys and ``c`` weight columns, in lexicographic order of the keys:

- ``level`` (1,): how many low bits of the ordered integers tell nothing; 0 as long as the tally is exact;
- ``lo``, ``hi`` (K, d) int64: least and greatest ordered integer seen in the cell, equal where one value was seen;
- ``w`` (K, c) float64: weight of the cell.

The ordered integer of a float64 is its bits, flipped so that integers compare like the floats do. A tally of more
than ``cap`` cells drops the fewest low bits that bring it to ``cap``. That number depends only on the values, never
on how they were cut into blocks: distinct values of a part are never more than those of the whole. Leading ``fixed``
keys (class codes) are never coarsened. ``lo`` and ``hi`` make the loss exactly known, so bounds can be certified.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from scoring.samples import Array
from scoring.state import Counts, Floats, Resampler, State

Keys = npt.NDArray[np.int64]
Places = npt.NDArray[np.intp]
NOWHERE: Places = np.zeros(0, dtype=np.intp)
MIXER = np.uint64(0x9E37_79B9_7F4A_7C15)
MANTISSA = np.int64(0x7FFF_FFFF_FFFF_FFFF)
CAP = 1 << 20
RESAMPLING_CAP = 1 << 11  # sampling error is far above what this loses
RESAMPLING_VALUES = 1 << 22  # blocks × cells held while resampling
HALF = 2.0**24  # whole numbers up to here are exact in float32
REPLICATES = 128  # resamples whose cells are held at once
BATCH = 1 << 22  # cells joined at a time, so that many states need no more memory than a few


def ordered(values: Array) -> Keys:
    """Integers that compare as the floats do; −0.0 and 0.0 are one value."""
    bits = (np.ascontiguousarray(values, dtype=np.float64) + 0.0).view(np.int64)
    return bits ^ ((bits >> 63) & MANTISSA)


def unordered(keys: Keys) -> Floats:
    """The floats of ordered integers."""
    bits = np.ascontiguousarray(keys)
    return (bits ^ ((bits >> 63) & MANTISSA)).view(np.float64)


def empty(keys: int, columns: int) -> State:
    """The tally of nothing."""
    none = np.zeros((0, keys), dtype=np.int64)
    return {"level": np.zeros(1, dtype=np.int64), "lo": none, "hi": none, "w": np.zeros((0, columns))}


def tally(keys: Keys, w: Floats, *, cap: int = CAP, fixed: int = 0) -> State:
    """The tally of rows with ordered keys (n, d) and weights (n, c)."""
    if not len(keys):
        return empty(keys.shape[1], w.shape[1])
    return coarsened(_grouped(keys, keys, w, 0, fixed), cap=cap, fixed=fixed)


def counted(keys: Keys, *, cap: int = CAP) -> State:
    """The tally of rows of one key (n,) and weight 1: counting sorted values is faster than carrying weights along."""
    values, times = np.unique(keys, return_counts=True)
    cells = values[:, None]
    return coarsened({"level": _level(0), "lo": cells, "hi": cells, "w": times[:, None].astype(np.float64)}, cap=cap)


def celled(places: Keys, lo: Keys, hi: Keys, w: Floats) -> State:
    """A tally over cells that several states share: ``cell`` (K,) names them, in rising order."""
    return {"level": _level(0), "cell": places, "lo": lo, "hi": hi, "w": w}


def _cells_joined(chosen: Sequence[tuple[State, int]]) -> State:
    cell = np.unique(np.concatenate([state["cell"] for state, _ in chosen]))
    keys, columns = chosen[0][0]["lo"].shape[1], chosen[0][0]["w"].shape[1]
    least, most = np.full((len(cell), keys), MANTISSA), np.full((len(cell), keys), ~MANTISSA)
    w = np.zeros((len(cell), columns))
    for state, time in chosen:  # a state names each cell once
        at = slice(None) if len(state["cell"]) == len(cell) else np.searchsorted(cell, state["cell"])
        least[at] = np.minimum(least[at], state["lo"])
        most[at] = np.maximum(most[at], state["hi"])
        w[at] += state["w"] * time
    return celled(cell, least, most, w)


def merged(states: Sequence[State], counts: Counts | None = None, *, cap: int = CAP, fixed: int = 0) -> State:
    """The tally of all states together, each taken ``counts[i]`` times."""
    times = [1] * len(states) if counts is None else [int(count) for count in counts]
    chosen = [(state, time) for state, time in zip(states, times, strict=True) if time and len(state["w"])]
    if not chosen:
        return empty(states[0]["lo"].shape[1], states[0]["w"].shape[1]) if states else empty(1, 1)
    if len(chosen) == 1 and chosen[0][1] == 1:
        return chosen[0][0]
    if "cell" in chosen[0][0]:
        return _cells_joined(chosen)
    batch: list[tuple[State, int]] = []
    cells = 0
    for state, time in chosen:
        cells += len(state["w"])
        if cells > BATCH and batch:
            batch = [(_joined(batch, cap, fixed), 1)]
            cells = len(batch[0][0]["w"]) + len(state["w"])
        batch.append((state, time))
    return _joined(batch, cap, fixed)


def _joined(chosen: Sequence[tuple[State, int]], cap: int, fixed: int) -> State:
    level = max(int(state["level"][0]) for state, _ in chosen)
    lo = np.concatenate([state["lo"] for state, _ in chosen])
    hi = np.concatenate([state["hi"] for state, _ in chosen])
    w = np.concatenate([state["w"] * time for state, time in chosen])
    return coarsened(_grouped(lo, hi, w, level, fixed), cap=cap, fixed=fixed)


def resampler(states: Sequence[State], *, cap: int = CAP, fixed: int = 0) -> Resampler:
    """``merged(states, counts)`` for many counts: cells are aligned once, then all resamples are one matrix product.

    Cells are those of all states together, coarsened to RESAMPLING_CAP where the states do not share theirs already.
    """
    full, dense = aligned(states, cap=cap, fixed=fixed)
    columns = full["w"].shape[1]
    if not len(full["w"]):
        return lambda counts: (full for _ in counts)

    def resample(counts: npt.NDArray[np.integer]) -> Iterator[State]:
        for weights in products(counts, dense):
            for weight in weights:
                seen = weight[:, 0] > 0 if columns == 1 else weight[:, 0] + weight[:, 1] > 0
                own = {"lo": full["lo"], "hi": full["hi"], "w": weight}
                yield {"level": full["level"]} | (own if seen.all() else {k: v[seen] for k, v in own.items()})

    return resample


def aligned(states: Sequence[State], *, cap: int = CAP, fixed: int = 0) -> tuple[State, Floats]:
    """All states together, in as many cells as resampling needs, and the weight of each in them (states, cells, c)."""
    limit = min(cap, RESAMPLING_CAP, max(64, RESAMPLING_VALUES // max(1, len(states))))
    full = merged(states, cap=limit, fixed=fixed)
    dense = np.zeros((len(states), *full["w"].shape))
    if len(full["w"]):
        places = _shared_places(states, full) if "cell" in full else _aligned_places(states, full, fixed)
        for number, (place, w) in enumerate(places):
            dense[number, place] = w
    return full, dense


def products(counts: npt.NDArray[np.integer], dense: Floats) -> Iterator[Floats]:
    """The weights of some resamples at a time (r, cells, c)."""
    flat = dense.reshape(len(dense), -1)
    most = float(counts.max(initial=0)) * float(flat.sum(axis=0).max(initial=0.0))
    if most < HALF and bool((flat == np.trunc(flat)).all()):  # sums of such whole numbers are exact in float32
        flat = flat.astype(np.float32)
    for start in range(0, len(counts), REPLICATES):
        weights = (np.asarray(counts[start : start + REPLICATES], dtype=flat.dtype) @ flat).astype(np.float64)
        yield weights.reshape(len(weights), *dense.shape[1:])


def _shared_places(states: Sequence[State], full: State) -> Iterator[tuple[Places, Floats]]:
    for state in states:
        yield (np.searchsorted(full["cell"], state["cell"]), state["w"]) if len(state["w"]) else (NOWHERE, state["w"])


def _aligned_places(states: Sequence[State], full: State, fixed: int) -> Iterator[tuple[Places, Floats]]:
    """Each state's cells at the level of all of them together, and where they stand there."""
    level, cells = int(full["level"][0]), len(full["w"])
    own = [_grouped(s["lo"], s["hi"], s["w"], level, fixed) if len(s["w"]) else s for s in states]
    found = _places(np.concatenate([full["lo"], *(state["lo"] for state in own)]), level, fixed)[cells:]
    ends = np.cumsum([len(state["w"]) for state in own])
    for state, stop in zip(own, ends.tolist(), strict=True):
        yield found[stop - len(state["w"]) : stop], state["w"]


def coarsened(state: State, *, cap: int, fixed: int = 0) -> State:
    """The same tally with the fewest low bits dropped that leave at most ``cap`` cells."""
    if len(state["w"]) <= cap:
        return state
    low, high = int(state["level"][0]), 63
    while high - low > 1:  # more than cap cells at ``low``, at most cap at ``high``
        middle = (low + high) // 2
        low, high = (middle, high) if _distinct(state["lo"], middle, fixed) > cap else (low, middle)
    return _grouped(state["lo"], state["hi"], state["w"], high, fixed)


def exact_cells(state: State) -> npt.NDArray[np.bool_]:
    """Which cells saw a single value (K,)."""
    same = np.ones(len(state["w"]), dtype=np.bool_)
    for i in range(state["lo"].shape[1]):  # column by column: many times faster than along short rows
        same &= state["lo"][:, i] == state["hi"][:, i]
    return same


def _level(level: int) -> Keys:
    return np.array([level], dtype=np.int64)


def _columns(keys: Keys, level: int, fixed: int) -> list[Keys]:
    """The keys of each axis as they are told apart at ``level``."""
    return [keys[:, i] if i < fixed or not level else keys[:, i] >> level for i in range(keys.shape[1])]


def _order(columns: Sequence[Keys]) -> npt.NDArray[np.intp] | slice:
    """The lexicographic order; a slice when the rows stand in it already."""
    telling = [
        np.ascontiguousarray(column) for column in columns if column[0] != column[-1] or (column != column[0]).any()
    ]
    if not telling:
        return slice(None)
    if len(telling) == 1:
        only = telling[0]
        return slice(None) if (only[1:] >= only[:-1]).all() else np.argsort(only, kind="stable")
    return np.lexsort(telling[::-1])


def _starts(columns: Sequence[Keys]) -> npt.NDArray[np.intp]:
    """Where a new cell begins in sorted keys."""
    fresh = np.zeros(len(columns[0]), dtype=bool)
    fresh[0] = True
    for column in columns:
        fresh[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(fresh)


def _places(keys: Keys, level: int, fixed: int) -> npt.NDArray[np.intp]:
    """The number of the cell each row falls into, cells counted in lexicographic order."""
    columns = _columns(keys, level, fixed)
    order = _order(columns)
    fresh = np.zeros(len(keys), dtype=np.intp)
    fresh[_starts([column[order] for column in columns])] = 1
    places = np.empty(len(keys), dtype=np.intp)
    places[order] = np.cumsum(fresh) - 1
    return places


def _distinct(keys: Keys, level: int, fixed: int) -> int:
    columns = _columns(keys, level, fixed)
    if len(columns) - fixed == 1 and isinstance(_order(columns), slice):
        return len(_starts(columns))
    mixed = columns[0].astype(np.uint64)
    for column in columns[1:]:  # a 64-bit hash of the pair; sorting one column is several times faster than two
        mixed = (mixed ^ (mixed >> np.uint64(29))) * MIXER + column.astype(np.uint64)
    mixed.sort()
    return 1 + int(np.count_nonzero(mixed[1:] != mixed[:-1]))


def _grouped(lo: Keys, hi: Keys, w: Floats, level: int, fixed: int) -> State:
    columns = _columns(lo, level, fixed)
    order = _order(columns)
    starts = _starts([column[order] for column in columns])
    axes = range(lo.shape[1])
    return {
        "level": _level(level),
        "lo": np.stack([np.minimum.reduceat(lo[:, i][order], starts) for i in axes], axis=1),
        "hi": np.stack([np.maximum.reduceat(hi[:, i][order], starts) for i in axes], axis=1),
        "w": np.stack([np.add.reduceat(w[:, i][order], starts) for i in range(w.shape[1])], axis=1),
    }
