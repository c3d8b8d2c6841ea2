"""Intervals of a score by resampling blocks: cells of a map or rows of a well are not independent, blocks nearly are.

A replicate takes as many blocks as there are, with replacement; only how often each is taken matters, so a replicate
is one merge with counts and no sample is read again. Families whose merge is linear do all replicates in one matrix
product; its rounding (1e-15) is far below what resampling tells.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from scoring.metrics.registry import Metric
from scoring.state import Options, Replicated, Resampled, State

NO_OPTIONS: Options = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Interval:
    """Percentile interval of a score. ``defined`` of ``replicates`` resamples gave a finite value."""

    low: float
    high: float
    replicates: int
    defined: int


def multiplicities(blocks: int, *, replicates: int, seed: int) -> npt.NDArray[np.int64]:
    """How often each block is taken in each replicate (replicates, blocks); rows sum to ``blocks``.

    The same seed gives the same resamples, so entries of one challenge can be compared replicate by replicate.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    picks = rng.integers(0, blocks, size=(replicates, blocks))
    rows = np.arange(replicates)[:, None] * blocks
    return np.bincount((picks + rows).ravel(), minlength=replicates * blocks).reshape(replicates, blocks)


def replicate_values(
    metric: Metric, block_states: Sequence[State], counts: npt.NDArray[np.int64], options: Options = NO_OPTIONS
) -> npt.NDArray[np.float64]:
    """The metric's value in each replicate (replicates,); nan where it is undefined."""
    family = metric.family
    if isinstance(family, Replicated):
        return family.replicates(metric.card.name, block_states, counts, options)
    if isinstance(family, Resampled):
        merged = family.resampler(block_states)(counts)
    else:
        merged = (family.merge(list(block_states), row) for row in counts)
    return np.array([metric.finish(state, options) for state in merged], dtype=np.float64)


def interval(
    metric: Metric,
    block_states: Sequence[State],
    *,
    seed: int,
    replicates: int = 1000,
    level: float = 0.95,
    options: Options = NO_OPTIONS,
) -> Interval:
    """The central ``level`` percentile interval of the metric over resampled blocks.

    ``block_states`` are states of ``metric.family``, one a block, in a fixed order. With fewer than two blocks, or
    when less than half of the replicates are defined, there is no interval: both ends are nan.

    Source: Efron & Tibshirani (1993), An Introduction to the Bootstrap, ch. 13; blocks: Künsch (1989).
    """
    if len(block_states) < 2:
        return Interval(math.nan, math.nan, replicates, 0)
    values = replicate_values(
        metric, block_states, multiplicities(len(block_states), replicates=replicates, seed=seed), options
    )
    finite = values[np.isfinite(values)]
    if 2 * len(finite) < replicates:
        return Interval(math.nan, math.nan, replicates, len(finite))
    low, high = np.quantile(finite, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(float(low), float(high), replicates, len(finite))
