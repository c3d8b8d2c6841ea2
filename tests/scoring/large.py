"""Data whose order matters, read in several passes however small it is: samples, the engine's outcome, exact values."""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from scoring import engine
from scoring.kinds.pairing import Pairing
from scoring.metrics.registry import families
from scoring.samples import Ensemble, Numbers, Probabilities

ORDER = ("roc_auc", "average_precision", "capture_curve", "capture_auc")
SIDES = ("public", "private", "neither")


def scored(
    samples: list[Any], names: tuple[str, ...], *, parts: int = 3, blocks: int = 1, run: Any = engine.inline
) -> Any:
    """What the engine makes of samples; with several blocks they take turns on the three sides."""
    kind = {Probabilities: "probabilities", Numbers: "numbers", Ensemble: "ensemble"}[type(samples[0])]
    spec: Any = SimpleNamespace(scoring=SimpleNamespace(metrics=names, options={}))
    placed = [(f"b{i % blocks}", SIDES[i % blocks % 3] if blocks > 1 else "public", s) for i, s in enumerate(samples)]
    cut = [placed[len(placed) * k // parts : len(placed) * (k + 1) // parts] for k in range(parts)]
    pairing = Pairing(parts, lambda part: iter(cut[part]), blocks, sum(len(s.y) for s in samples))
    plan = engine.Plan(pairing, families(kind, names), {}, names)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "sample_type", lambda _: kind)
        patch.setattr(engine.Plan, "of", classmethod(lambda cls, *_: plan))
        made = engine.score(spec, None, None, run=run)  # type: ignore[arg-type]
        return SimpleNamespace(made=made, rows=engine.by_block(spec, made))


def cut_up(sample: Any, pieces: int) -> list[Any]:
    """The sample in pieces, one of them empty."""
    edges = [0, 0, *(len(sample.y) * (k + 1) // pieces for k in range(pieces))]
    names = ("y", "f", "w") if isinstance(sample, Numbers) else ("y", "p", "w")
    columns = [getattr(sample, name) for name in names]
    spans = pairwise(edges)
    return [type(sample)(*(None if c is None else c[a:b] for c in columns)) for a, b in spans]


def values(kind: str, rng: np.random.Generator, n: int) -> np.ndarray:
    """Scores that make trouble for cells."""
    found = {
        "probabilities": lambda: rng.random(n),
        "few": lambda: np.round(rng.random(n), 2),
        "constant": lambda: np.full(n, 0.25),
        "denormal": lambda: rng.integers(0, 40, n) * 5e-324,
        "huge": lambda: rng.normal(size=n) * 10.0 ** rng.integers(-300, 300, n),
        "clustered": lambda: 1000.0 + rng.integers(0, 1000, n) * 2.0**-40,
        "signed zero": lambda: rng.choice([0.0, -0.0, 0.5, -0.5], n),
        "negative": lambda: -np.exp(rng.normal(size=n)),
        "ends": lambda: rng.choice([0.0, 1.0, 1.0 - 2.0**-53, 2.0**-30, -1e-310], n),
    }
    return np.asarray(found[kind]())


KINDS = ("probabilities", "few", "constant", "denormal", "huge", "clustered", "signed zero", "negative", "ends")


def truth_of(p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A truth that goes a little with the scores, with both classes."""
    order = np.argsort(np.argsort(p)) / len(p)
    y = (rng.random(len(p)) < 0.2 + 0.6 * order).astype(np.int64)
    y[:2] = [0, 1]
    return y


def exact(y: np.ndarray, p: np.ndarray, w: Any = None) -> dict[str, float]:
    wide = p.astype(np.float64)
    area = sk.roc_auc_score(y, wide, sample_weight=w)
    share = np.average(y, weights=w)
    return {
        "roc_auc": area,
        "average_precision": sk.average_precision_score(y, wide, sample_weight=w),
        "capture_auc": (1 - share) * area + share / 2,
    }
