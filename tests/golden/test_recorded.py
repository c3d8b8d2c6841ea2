"""What peers that are no dependencies gave, written down: xskillscore 0.0.29 and pycocotools 2.0.11 (COCOeval, bbox).

Both were installed apart from this project and called on the numbers below, which a formula makes.
"""

import numpy as np
import pytest
import shapely

from scoring.engine import score
from scoring.kinds import polygons as kind
from scoring.kinds.pairing import TruthSet
from scoring.metrics.registry import METRICS
from scoring.samples import Ensemble, Numbers
from tests.scoring.making import polygons, spec_of

I, J = np.arange(60), np.arange(7)
Y = 10 + 3 * np.sin(I)
X = Y[:, None] + 2 * np.cos(3 * I[:, None] + 7 * J) - 0.3
F = np.round(Y + np.cos(5 * I), 1)
W = 1 + np.cos(I) ** 2
CELLS = np.stack([Y.mean() - 1 + 0.5 * np.sin(2 * I), Y.mean() + 1 + 0.5 * np.sin(2 * I)], axis=1)
EDGES = {"rps": {"thresholds": [8.0, 10.0, 12.5]}}

# a function of xskillscore over all 60, without and with weights=W; its smape is of 1 where ours is of 200
XSKILLSCORE = {
    "rmse": (0.7108204955156315, 0.7134022745769442),
    "mae": (0.6432170927694244, 0.6474069610544958),
    "mse": (0.5052657768450879, 0.5089428053715577),
    "bias": (0.014699701430062407, 0.015967315437946016),  # me(F, Y)
    "r2": (0.8869562730770651, 0.8632462755122134),
    "pearson_r": (0.9459370033703952, 0.9357555692264462),
    "spearman_r": (0.9376827942642307, None),  # its weights leave the ranks as they are
    "smape": (200 * 0.03320238951125484, 200 * 0.03325357177875955),
    "mape": (0.06640680987483222, 0.06650093742176759),
    "median_ae": (0.7237460088827374, None),
    "crps": (0.5311815649022712, 0.5311921036165577),  # crps_ensemble
    "rps": (0.19115646258503402, 0.20550534749700064),  # category_edges = EDGES, as a DataArray and as an array
}
RPS_BY_CELL = 0.14149659863945577  # category_edges = (CELLS, CELLS)


def value(name: str, sample: Numbers | Ensemble) -> float:
    metric = METRICS["numbers" if isinstance(sample, Numbers) else "ensemble", name]
    return metric.finish(metric.family.partial(sample, EDGES), EDGES)


@pytest.mark.parametrize("name", XSKILLSCORE)
def test_xskillscore(name: str) -> None:
    for w, wanted in zip((None, W), XSKILLSCORE[name], strict=True):
        sample = Ensemble(Y, X, w) if name in {"crps", "rps"} else Numbers(Y, F, w)
        if wanted is not None:
            assert value(name, sample) == pytest.approx(wanted, rel=1e-9)


def test_xskillscore_by_edges_of_every_cell() -> None:
    assert value("rps", Ensemble(Y, X, edges=CELLS)) == pytest.approx(RPS_BY_CELL, rel=1e-9)


# pycocotools: dtMatches of every threshold, best score first (1: the detection took a true box), and recall of each
COCO_HITS = (
    "111001111011000110000100000000",
    "111001111011000110000100000000",
    "111001111011000110000100000000",
    "111001100011000110001100000000",
    "110001100011000110001100001000",
    "110001100011000110001100001000",
    "110001100011000110001000000000",
    "100001000010000100001000010000",
    "100001000010000100001000010000",
    "100001000010000100001000010000",
)
COCO_RECALL = (1, 1, 1, 11 / 12, 11 / 12, 11 / 12, 9 / 12, 6 / 12, 6 / 12, 6 / 12)
COCO_MEAN_IOU = 0.8352334124317428  # of the twelve pairs at IoU ≥ 0.5
SPEC = spec_of(
    "polygons",
    """
[truth]
file = "hidden/truth.gpkg"
[submission]
confidence = "score"
[scoring]
primary = "map_iou"
metrics = ["map_iou", "average_precision", "recall", "precision", "mean_iou"]
""",
)


def boxes() -> tuple[np.ndarray, np.ndarray]:
    """Twelve true boxes and thirty detections near them: x, y, width, height."""
    k = np.arange(12)
    columns = (
        40 * (k % 4) + 3 * np.sin(k),
        30 * (k // 4) + 2 * np.cos(k),
        12 + 4 * np.sin(2 * k),
        10 + 3 * np.cos(3 * k),
    )
    truth, n = np.stack(columns, axis=1), np.arange(30)
    near, far = truth[7 * n % 12], n % 5
    shift = np.stack([0.9 * far * np.sin(n), 0.7 * far * np.cos(n)], axis=1)
    size = np.stack([1 + 0.05 * far * np.sin(3 * n), 1 - 0.04 * far * np.cos(2 * n)], axis=1)
    return np.round(truth, 2), np.round(np.concatenate([near[:, :2] + shift, near[:, 2:] * size], axis=1), 2)


def test_pycocotools() -> None:
    """The same pairs at every threshold; values without COCO's interpolation follow from its matches."""
    truth, found = ([shapely.box(x, y, x + w, y + h) for x, y, w, h in own] for own in boxes())
    entry, hidden = polygons(found, confidence=1 - 0.03 * np.arange(30)), polygons(truth)
    match = kind.match(entry, hidden, SPEC)
    assert ["".join("01"[hit] for hit in row) for row in match.hit.T.astype(int)] == list(COCO_HITS)
    scores = score(SPEC, TruthSet(hidden), entry).scores.overall
    hits = np.array([[mark == "1" for mark in row] for row in COCO_HITS])
    precision = hits.cumsum(axis=1) / np.arange(1, 31)
    each = (precision * hits).sum(axis=1) / 12
    assert hits.sum(axis=1).tolist() == [round(12 * share) for share in COCO_RECALL]
    assert scores["recall"] == pytest.approx(COCO_RECALL[0], rel=1e-9)
    assert scores["precision"] == pytest.approx(12 / 30, rel=1e-9)
    assert scores["average_precision"] == pytest.approx(each[0], rel=1e-9)
    assert scores["map_iou"] == pytest.approx(each.mean(), rel=1e-9)
    assert scores["mean_iou"] == pytest.approx(COCO_MEAN_IOU, rel=1e-9)
