"""Aligned samples: prediction and truth of one block side by side, ready for the metrics.

Every sample is a bundle of arrays with the same first length ``n``. ``w`` holds non-negative weights and may be
None, which means weight 1 for every row; a weight of 0 is the same as leaving the row out. Samples hold finite
numbers only: coverage and NaN are settled by intake and by the kinds before a sample is made. Arrays may be
memory-mapped and read-only; metrics never write into them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Truth ``y`` and prediction ``f``, both (n,), in the unit of the truth."""

    y: Array
    f: Array
    w: Array | None = None


@dataclass(frozen=True, slots=True)
class Classes:
    """Codes of the true class ``y`` and the predicted class ``f``, both (n,) in 0 … n_classes − 1.

    Codes count positions in the challenge's ``truth.classes``. ``spare``: rows whose ``y`` is n_classes do not count.
    """

    y: Array
    f: Array
    w: Array | None = None
    n_classes: int = 2
    spare: bool = False


@dataclass(frozen=True, slots=True)
class Probabilities:
    """Truth ``y`` (n,) against probabilities ``p``.

    Binary: ``p`` is (n,), the probability (or any score, for the rank metrics) of the positive class, ``y`` 0 or 1.
    Several classes: ``p`` is (n, k), its columns in the order of the classes, ``y`` codes 0 … k − 1.
    A raster read against points is binary: every point is a positive row, every valid cell without a point a negative.
    """

    y: Array
    p: Array
    w: Array | None = None


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Truth ``y`` (n,) against ``M`` members ``x`` (n, M), in the unit of the truth.

    ``group`` (n,), integers: rows of the same number make one vector for the energy score, e.g. the horizons of one
    location and date. A vector must lie inside one block. None: every row is a vector of its own.
    ``edges`` (n, K − 1): the rising edges between the categories of each row; None: the challenge's thresholds.
    Metrics are fastest where the members of ``x`` lie apart and its rows side by side: where ``x.T`` is C-contiguous.
    """

    y: Array
    x: Array
    w: Array | None = None
    group: Array | None = None
    edges: Array | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """When the true points of one block first came within reach of a target; not one to one.

    ``first`` (m,): rank in the whole submission, from 1, of the first target within the radius; 0 without one.
    ``value`` (m,) of the points; None counts each as 1. ``targets``: how many the whole submission has.
    """

    first: Array
    value: Array | None
    targets: int


@dataclass(frozen=True, slots=True)
class Matches:
    """Candidates of one block after one-to-one matching with the truth (points and polygons).

    ``rank`` (n,): place of the candidate in the whole submission, best first, counted from 1; equal numbers tie.
    ``hit`` (n, T): whether the candidate took a truth feature, at each of T thresholds. Points have T = 1 (the
    radius); polygons T = 10, IoU ≥ 0.50, 0.55 … 0.95, each threshold matched on its own. (n,) is read as (n, 1).
    The other arrays describe the match at the first threshold and are 0 where there is none:
    ``value`` of the truth taken, ``distance`` to it in CRS units, ``iou`` with it.
    ``n_truth``: truth features of the block (sum of their weights). ``value_total``: sum of all their values.
    ``w`` (n,): weights of the candidates. A candidate that hits belongs to the block of the truth it takes.
    Only hits read the ranks before them, so a kind may give the misses of a block between two successive hits of the
    whole submission as one candidate, with their number as its weight and a rank between those hits.
    ``reach``: for the metrics of first reach, where a challenge asks for one.
    """

    rank: Array
    hit: Array
    n_truth: float
    value: Array | None = None
    distance: Array | None = None
    iou: Array | None = None
    w: Array | None = None
    value_total: float = 0.0
    reach: Reach | None = None


Sample = Numbers | Classes | Probabilities | Ensemble | Matches


Rowed = TypeVar("Rowed", Numbers, Classes, Probabilities, Ensemble)


def pieces(sample: Rowed, size: int) -> Iterator[Rowed]:
    """The sample in consecutive slices of at most ``size`` rows; views, nothing is copied. None for an empty sample."""
    names = [field.name for field in fields(sample) if isinstance(getattr(sample, field.name), np.ndarray)]
    for start in range(0, len(sample.y), size):
        yield replace(sample, **{name: getattr(sample, name)[start : start + size] for name in names})


def without_weightless(sample: Rowed) -> Rowed:
    """The sample without its rows of weight 0, which count as absent; the sample itself when there are none."""
    if sample.w is None:
        return sample
    keep = np.asarray(sample.w) != 0
    if keep.all():
        return sample
    names = [field.name for field in fields(sample) if isinstance(getattr(sample, field.name), np.ndarray)]
    return replace(sample, **{name: getattr(sample, name)[keep] for name in names})
