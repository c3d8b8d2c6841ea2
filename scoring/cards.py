"""The cards of all metrics: what each is called, means, costs and ranges over. Plain data, no numpy.

In formulas y is the truth, f the prediction, e = f − y, w the weight; a mean is Σw·… / Σw. ``docs/metrics.md`` is
printed from these cards.
"""

# ruff: noqa: E501 - a card is one row of a table and reads best on one line

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

Direction = Literal["higher", "lower", "zero"]
SampleType = Literal["numbers", "classes", "probabilities", "ensemble", "points", "polygons"]

METRIC_VERSION = "2026.1"  # changes whenever a formula below changes a value

SAMPLE_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "numbers": "Numbers: table, raster and grid challenges whose truth is a quantity.",
        "classes": "Classes: table and raster challenges whose truth is a category.",
        "probabilities": "Probabilities: of a class in a table, of an event in a raster, or a raster read at points.",
        "ensemble": "Ensembles: grid challenges whose entries carry a member dimension.",
        "points": "Points: ranked targets matched one to one with true points within `truth.radius`.",
        "polygons": "Polygons: footprints matched one to one with true footprints by IoU.",
    }
)
KINDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "numbers": ("table", "raster", "grid"),
        "classes": ("table", "raster"),
        "probabilities": ("table", "raster"),
        "ensemble": ("grid",),
        "points": ("points",),
        "polygons": ("polygons",),
    }
)


@dataclass(frozen=True, slots=True)
class OptionCard:
    """One option of a metric: ``[scoring.options.METRIC] name = …``. ``low`` and ``high`` are inclusive."""

    name: str
    default: Any
    meaning: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    type: Literal["number", "integer", "choice", "numbers", "matrix", "dimensions", "variable"] = "number"
    required: bool = False


@dataclass(frozen=True, slots=True)
class MetricCard:
    """What a metric is. ``range`` is (worst or least possible, greatest possible) as text; ``unit`` "1" has no unit."""

    name: str
    sample: SampleType
    direction: Direction
    unit: str
    range: str
    formula: str
    reference: str
    options: tuple[OptionCard, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of challenge it can be used in."""
        return KINDS[self.sample]


_SK = "scikit-learn: sklearn.metrics."
_Q = OptionCard("q", 0.5, "the quantile forecast", low=0.0, high=1.0)
_DELTA = OptionCard("delta", 1.0, "where squared turns into linear, in the unit of the truth", low=0.0)
_KAPPA = OptionCard(
    "weights", "none", "disagreement counts 1, |i−j| or (i−j)²", choices=("none", "linear", "quadratic"), type="choice"
)
_MATRIX = OptionCard(
    "matrix", None, "K rows of K penalties, in the order of truth.classes", type="matrix", required=True
)
_BINS = OptionCard("bins", 15, "number of bins of equal width", low=1, high=1000, type="integer")
_THRESHOLD = OptionCard("threshold", 0.5, "with one class: the probability from which on it is decided for")
_AREA = OptionCard("area", 10.0, "the best share of the area, in %", low=0.0, high=100.0)
_ESTIMATOR = OptionCard(
    "estimator", "standard", "pairs count 1/(2M²) or, fair, 1/(2M(M−1))", choices=("standard", "fair"), type="choice"
)
_THRESHOLDS = OptionCard(
    "thresholds",
    None,
    "rising edges between the categories, the same everywhere, in the unit of the truth",
    type="numbers",
)
_EDGES = OptionCard(
    "edges",
    None,
    "in place of thresholds: the variable of the truth file that holds the edges of every cell, its first dimension "
    "the edge, the others dimensions of the truth",
    type="variable",
)
_OVER = OptionCard(
    "over", None, "the dimension(s) that make up a vector; without it every value is its own vector", type="dimensions"
)
_K = OptionCard("k", 10, "number of best-ranked targets", low=1, type="integer")

_NUMBERS = (
    MetricCard("rmse", "numbers", "lower", "truth unit", "0 … ∞", "√(mean e²)", _SK + "root_mean_squared_error"),
    MetricCard("mae", "numbers", "lower", "truth unit", "0 … ∞", "mean |e|", _SK + "mean_absolute_error"),
    MetricCard("mse", "numbers", "lower", "truth unit²", "0 … ∞", "mean e²", _SK + "mean_squared_error"),
    MetricCard("bias", "numbers", "zero", "truth unit", "−∞ … ∞", "mean (f − y)", "scores: additive_bias"),
    MetricCard("r2", "numbers", "higher", "1", "−∞ … 1", "1 − Σw·e² / Σw·(y − ȳ)²; undefined for a constant truth", _SK + "r2_score"),
    MetricCard("pearson_r", "numbers", "higher", "1", "−1 … 1", "cov(y, f) / (σy·σf); undefined if either is constant", "scipy.stats.pearsonr"),
    MetricCard("spearman_r", "numbers", "higher", "1", "−1 … 1", "Pearson's r of the ranks, ties sharing their mean rank", "scipy.stats.spearmanr"),
    MetricCard("nse", "numbers", "higher", "1", "−∞ … 1", "1 − Σw·e² / Σw·(y − ȳ)²; hydrology's name for r2", "Nash & Sutcliffe (1970), J. Hydrol. 10, 282–290"),
    MetricCard("kge", "numbers", "higher", "1", "−∞ … 1", "1 − √((r − 1)² + (σf/σy − 1)² + (f̄/ȳ − 1)²)", "Gupta et al. (2009), J. Hydrol. 377, 80–91"),
    MetricCard("smape", "numbers", "lower", "%", "0 … 200", "mean 200·|y − f| / (|y| + |f|), 0/0 = 0", "M4 competition, Makridakis et al. (2020)"),
    MetricCard("mape", "numbers", "lower", "1", "0 … ∞", "mean |e| / max(|y|, 2.2e-16), a fraction", _SK + "mean_absolute_percentage_error"),
    MetricCard("median_ae", "numbers", "lower", "truth unit", "0 … ∞", "median |e|, the mean of the middle two", _SK + "median_absolute_error"),
    MetricCard("max_error", "numbers", "lower", "truth unit", "0 … ∞", "max |e|", _SK + "max_error"),
    MetricCard("msle", "numbers", "lower", "1", "0 … ∞", "mean (ln(1 + f) − ln(1 + y))²; undefined at values ≤ −1", _SK + "mean_squared_log_error"),
    MetricCard("pinball", "numbers", "lower", "truth unit", "0 … ∞", "mean max(q·(y − f), (q − 1)·(y − f))", _SK + "mean_pinball_loss", (_Q,)),
    MetricCard("huber", "numbers", "lower", "truth unit²", "0 … ∞", "mean of e²/2 where |e| ≤ δ, else δ·(|e| − δ/2)", "Huber (1964), Ann. Math. Stat. 35, 73–101", (_DELTA,)),
)  # fmt: skip
_PRESENT = "classes in neither truth nor prediction left out"
_CLASSES = (
    MetricCard("accuracy", "classes", "higher", "1", "0 … 1", "share of rows whose class is right", _SK + "accuracy_score"),
    MetricCard("balanced_accuracy", "classes", "higher", "1", "0 … 1", "mean recall over the classes of the truth", _SK + "balanced_accuracy_score"),
    MetricCard("f1_micro", "classes", "higher", "1", "0 … 1", "2·TP / (2·TP + FP + FN), all classes together", _SK + "f1_score(average='micro')"),
    MetricCard("f1_macro", "classes", "higher", "1", "0 … 1", f"mean over classes of 2·TP / (2·TP + FP + FN); {_PRESENT}", _SK + "f1_score(average='macro')"),
    MetricCard("f1_weighted", "classes", "higher", "1", "0 … 1", "mean F1, classes weighted by their share of the truth", _SK + "f1_score(average='weighted')"),
    MetricCard("cohen_kappa", "classes", "higher", "1", "−1 … 1", "1 − Σ v·observed / Σ v·expected by the margins", _SK + "cohen_kappa_score", (_KAPPA,)),
    MetricCard("matthews_corrcoef", "classes", "higher", "1", "−1 … 1", "R_K = cov(Y, F) / √(cov(Y, Y)·cov(F, F)); 0 if either has one class", _SK + "matthews_corrcoef"),
    MetricCard("mean_iou", "classes", "higher", "1", "0 … 1", f"mean over classes of TP / (TP + FP + FN); {_PRESENT}", _SK + "jaccard_score(average='macro')"),
    MetricCard("penalty_matrix", "classes", "lower", "penalty", "min … max of the matrix", "mean matrix[truth][prediction]", "FORCE 2020 lithology competition", (_MATRIX,)),
)  # fmt: skip
_RARE = "macro mean over classes that have positives and negatives"
_DECIDED = "most probable class (one class: p ≥ threshold)"
_PROBABILITIES = (
    MetricCard("log_loss", "probabilities", "lower", "nat", "0 … 36", "mean −ln p(true class), p clipped to [ε, 1 − ε], ε of its float type", _SK + "log_loss"),
    MetricCard("brier", "probabilities", "lower", "1", "0 … 1 (2 for several classes)", "binary: mean (p − y)²; several classes: mean Σₖ (pₖ − yₖ)²", _SK + "brier_score_loss"),
    MetricCard("roc_auc", "probabilities", "higher", "1", "0 … 1", f"P(positive above negative) + ½ P(tie); {_RARE}", _SK + "roc_auc_score(multi_class='ovr')"),
    MetricCard("average_precision", "probabilities", "higher", "1", "0 … 1", f"Σ (Rₙ − Rₙ₋₁)·Pₙ over distinct scores, best first; {_RARE}", _SK + "average_precision_score"),
    MetricCard("ece", "probabilities", "lower", "1", "0 … 1", "Σ bins share·|mean outcome − mean p|, bins (a, b]; several classes: p and outcome of the top class", "Guo et al. (2017), ICML; torchmetrics CalibrationError", (_BINS,)),
    MetricCard("accuracy", "probabilities", "higher", "1", "0 … 1", f"share of rows whose {_DECIDED} is right", _SK + "accuracy_score", (_THRESHOLD,)),
    MetricCard("f1_macro", "probabilities", "higher", "1", "0 … 1", f"of the {_DECIDED}: mean over classes of 2·TP / (2·TP + FP + FN); {_PRESENT}", _SK + "f1_score(average='macro')", (_THRESHOLD,)),
    MetricCard("f1", "probabilities", "higher", "1", "0 … 1", "one class only: 2·TP / (2·TP + FP + FN) where it is decided for; 0/0 = 0", _SK + "f1_score", (_THRESHOLD,)),
    MetricCard("iou", "probabilities", "higher", "1", "0 … 1", "one class only: TP / (TP + FP + FN) where it is decided for; 0/0 = 0", _SK + "jaccard_score", (_THRESHOLD,)),
    MetricCard("capture_curve", "probabilities", "higher", "1", "0 … 1", f"share of positives inside the best x % of the area, ties shared linearly; {_RARE}", "Chung & Fabbri (2003), success-rate curve", (_AREA,)),
    MetricCard("capture_auc", "probabilities", "higher", "1", "0 … 1", f"area under the capture curve over 0 … 100 %; {_RARE}", "Chung & Fabbri (2003)"),
)  # fmt: skip
_MEAN = "of the ensemble mean: "
_ENSEMBLE = (
    MetricCard("crps", "ensemble", "lower", "truth unit", "0 … ∞", "mean of mean|x − y| − Σ|x − x'| / (2M²)", "Gneiting & Raftery (2007); Ferro (2014) for fair", (_ESTIMATOR,)),
    MetricCard("rps", "ensemble", "lower", "1", "0 … K − 1", "mean of Σ edges (share of members below − [y below])²; options as for rpss, given under either", "Wilks (2019), ch. 9; xskillscore.rps", (_THRESHOLDS, _EDGES)),
    MetricCard("rpss", "ensemble", "higher", "1", "−∞ … 1", "1 − mean RPS / mean RPS of the forecast 1/K; RPS = Σ edges (share of members below − [y below])²", "Wilks (2019), ch. 9; xskillscore.rps", (_THRESHOLDS, _EDGES)),
    MetricCard("spread_skill", "ensemble", "higher", "1", "0 … ∞", "√((M + 1)/M · mean variance of members (M − 1)) / rmse of the mean; 1 is calibrated", "Fortin et al. (2014), J. Hydromet. 15, 1708–1713"),
    MetricCard("energy_score", "ensemble", "lower", "truth unit", "0 … ∞", "mean over vectors of mean‖x − y‖ − Σ‖x − x'‖ / (2M²)", "Gneiting & Raftery (2007)", (_OVER,)),
    *(MetricCard(c.name, "ensemble", c.direction, c.unit, c.range, _MEAN + c.formula, c.reference, c.options) for c in _NUMBERS),
)  # fmt: skip
_POINTS = (
    MetricCard("hits", "points", "higher", "features", "0 … n truth", "number of true points taken by a target", "one-to-one matching in rank order"),
    MetricCard("precision", "points", "higher", "1", "0 … 1", "hits / targets", _SK + "precision_score"),
    MetricCard("recall", "points", "higher", "1", "0 … 1", "hits / true points", _SK + "recall_score"),
    MetricCard("f1", "points", "higher", "1", "0 … 1", "2·hits / (targets + true points)", _SK + "f1_score"),
    MetricCard("average_precision", "points", "higher", "1", "0 … 1", "Σ precision at each hit / true points", "Zhu (2004); no interpolation"),
    MetricCard("captured_value", "points", "higher", "1", "0 … 1", "value of the points taken / value of all", "Goldcorp Challenge"),
    MetricCard("captured_value_at_k", "points", "higher", "1", "0 … 1", "the same for the k best-ranked targets of the entry", "Goldcorp Challenge", (_K,)),
    MetricCard("reach_at_k", "points", "higher", "features", "0 … n truth", "number of true points within the radius of any of the k best-ranked targets of the entry", "first reach, not one to one", (_K,)),
    MetricCard("reached_value_at_k", "points", "higher", "1", "0 … 1", "value of the points within the radius of any of the k best-ranked targets / value of all", "first reach, not one to one", (_K,)),
    MetricCard("discovery_auc", "points", "higher", "1", "0 … 1", "mean over the n ranks of the entry of the value share reached so far: Σ value·(n + 1 − first rank in reach) / (n·Σ value)", "area under the discovery curve; first reach, not one to one"),
    MetricCard("mean_distance", "points", "lower", "map unit", "0 … radius", "mean distance of hits to the point taken; undefined without hits", "one-to-one matching in rank order"),
)  # fmt: skip
_POLYGONS = (
    MetricCard("f1_iou50", "polygons", "higher", "1", "0 … 1", "2·TP / (footprints + true footprints), TP at IoU ≥ 0.5", "SpaceNet; Van Etten et al. (2018)"),
    MetricCard("precision", "polygons", "higher", "1", "0 … 1", "TP / footprints, IoU ≥ 0.5", _SK + "precision_score"),
    MetricCard("recall", "polygons", "higher", "1", "0 … 1", "TP / true footprints, IoU ≥ 0.5", _SK + "recall_score"),
    MetricCard("average_precision", "polygons", "higher", "1", "0 … 1", "Σ precision at each TP / true footprints, IoU ≥ 0.5", "Zhu (2004); no interpolation"),
    MetricCard("map_iou", "polygons", "higher", "1", "0 … 1", "mean of average_precision at IoU ≥ 0.50, 0.55 … 0.95", "after COCO; no interpolation"),
    MetricCard("mean_iou", "polygons", "higher", "1", "0 … 1", "mean IoU of the pairs at IoU ≥ 0.5, 0 without pairs", "SpaceNet; Van Etten et al. (2018)"),
)  # fmt: skip

CARDS: Mapping[tuple[str, str], MetricCard] = MappingProxyType(
    {
        (card.sample, card.name): card
        for card in (*_NUMBERS, *_CLASSES, *_PROBABILITIES, *_ENSEMBLE, *_POINTS, *_POLYGONS)
    }
)
