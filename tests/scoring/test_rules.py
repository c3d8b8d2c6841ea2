"""Metric cards, the checks of [scoring], and the page printed from them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.heads import head
from datasets import expect
from datasets.spec import Spec, parse_spec
from scoring.rules import (
    CARDS,
    CATEGORICAL,
    METRIC_VERSION,
    MetricCard,
    better,
    card_for,
    cards_of,
    check_metrics,
    option,
    render,
    sample_type,
)

ROOT = Path(__file__).resolve().parent.parent.parent
AT_POINTS = {"truth": 'grid = "public/g.tif"', "submission": 'meaning = "continuous"'}
MATRIX = "[scoring.options.penalty_matrix]\nmatrix = [[0, 1], [2, 0]]"
WRONG_OPTIONS = """
[scoring.options.pinball]
q = 1.5
quantile = 0.5
[scoring.options.rmse]
power = 3
[scoring.options.huber]
delta = 1
"""
CONTRACT = {
    "numbers": "rmse mae mse bias r2 pearson_r spearman_r nse kge smape mape median_ae max_error msle pinball huber",
    "classes": "accuracy balanced_accuracy f1_micro f1_macro f1_weighted cohen_kappa matthews_corrcoef mean_iou "
    "penalty_matrix",
    "probabilities": "log_loss brier roc_auc average_precision ece accuracy f1_macro f1 iou capture_curve capture_auc",
    "ensemble": "crps rps rpss spread_skill energy_score",
    "points": "hits precision recall f1 average_precision captured_value captured_value_at_k reach_at_k "
    "reached_value_at_k discovery_auc mean_distance",
    "polygons": "f1_iou50 precision recall average_precision map_iou mean_iou",
}  # fmt: skip


def spec_of(
    kind: str = "table", metrics: str = '["rmse"]', *, truth: str = "", submission: str = "", options: str = ""
) -> Spec:
    primary = metrics.strip("[]").split(",")[0].strip()
    keys = {
        "table": ('id = "id"\ntarget = "t"', 'prediction = "t"'),
        "points": ("radius = 50.0", ""),
        "polygons": ("", ""),
        "raster": ("", ""),
        "grid": ('variable = "v"', ""),
    }[kind]
    return parse_spec(f"""{head(kind)}
[truth]
file = "hidden/truth.x"
{keys[0]}
{truth}
[submission]
{submission or keys[1]}
[scoring]
primary = {primary}
metrics = {metrics}
{options}
""")


@pytest.mark.parametrize("sample", sorted(CONTRACT))
def test_every_metric_name_that_is_promised_has_a_card(sample: str) -> None:
    names = {card.name for card in cards_of(sample)}
    assert set(CONTRACT[sample].split()) <= names
    extra = names - set(CONTRACT[sample].split())
    assert extra == (set(CONTRACT["numbers"].split()) if sample == "ensemble" else set())


@pytest.mark.parametrize("card", CARDS.values(), ids=lambda card: f"{card.sample}-{card.name}")
def test_cards_are_complete(card: MetricCard) -> None:
    assert card.formula
    assert card.reference
    assert card.unit
    assert card.range
    assert card.kinds
    for o in card.options:
        assert o.meaning
        assert option({}, card.name, o.name) == o.default
        assert option({card.name: {o.name: 7}}, card.name, o.name) == 7


@pytest.mark.parametrize(
    ("kind", "metrics", "more", "expected"),
    [
        ("table", '["rmse"]', {}, "numbers"),
        ("table", '["accuracy"]', {"truth": 'classes = ["a", "b"]'}, "classes"),
        ("table", '["f1_micro"]', {}, "classes"),
        ("table", '["log_loss"]', {"submission": 'probabilities = {"a" = "p"}'}, "probabilities"),
        ("raster", '["rmse"]', {"submission": 'meaning = "continuous"'}, "numbers"),
        ("raster", '["accuracy"]', {"submission": 'meaning = "categorical"'}, "classes"),
        ("raster", '["brier"]', {"submission": 'meaning = "probability"'}, "probabilities"),
        ("raster", '["roc_auc"]', AT_POINTS, "probabilities"),
        ("grid", '["rmse"]', {}, "numbers"),
        ("grid", '["crps", "rmse"]', {"truth": 'member = "member"'}, "ensemble"),
        ("grid", '["crps"]', {"submission": 'member = "m"'}, "ensemble"),
        ("points", '["hits"]', {}, "points"),
        ("polygons", '["map_iou"]', {}, "polygons"),
    ],
)  # fmt: skip
def test_the_spec_decides_the_sample(kind: str, metrics: str, more: dict[str, str], expected: str) -> None:
    spec = spec_of(kind, metrics, **more)
    assert sample_type(spec) == expected
    assert check_metrics(spec) == []
    assert card_for(spec, spec.scoring.primary).sample == expected


def faults(**more: Any) -> list[str]:
    found = check_metrics(spec_of(**more))
    assert all(fault.file == "challenge.toml" and fault.remedy for fault in found)
    return [str(fault) for fault in found]


def test_an_unknown_metric_gets_a_suggestion() -> None:
    (fault,) = faults(metrics='["rsme"]')
    assert "'rsme' is not a metric" in fault
    assert "Did you mean 'rmse'?" in fault


def test_a_metric_of_another_kind_is_explained() -> None:
    (fault,) = faults(metrics='["rmse", "log_loss"]')
    assert "a metric of probabilities; this challenge is scored as numbers" in fault
    with pytest.raises(KeyError):
        card_for(spec_of(), "log_loss")


def test_all_faults_are_reported_at_once() -> None:
    found = faults(
        metrics='["rmse", "mae", "mae", "pinball", "auc"]',
        options=WRONG_OPTIONS,
    )  # fmt: skip
    assert [text.split(": ")[1].split(" ")[0] for text in found] == [
        "scoring.metrics",
        "scoring.metrics",
        "scoring.options.huber",
        "scoring.options.rmse.power",
        "scoring.options.pinball.quantile",
        "scoring.options.pinball.q",
    ]


@pytest.mark.parametrize(
    ("metric", "line", "says"),
    [
        ("pinball", "q = true", "must be a number"),
        ("pinball", "q = nan", "must be a number"),
        ("huber", "delta = -1", "must lie in 0.0 … ∞"),
        ("pinball", 'q = "half"', "must be a number"),
    ],
)
def test_wrong_numbers(metric: str, line: str, says: str) -> None:
    (fault,) = faults(metrics=f'["{metric}"]', options=f"[scoring.options.{metric}]\n{line}")
    assert says in fault


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("matrix = [[0, 1], [1, 0]]", "3 classes need 3 rows of 3"),
        ("matrix = [[0, 1, 1], [1, 0], [1, 1, 0]]", "3 classes need 3 rows of 3"),
        ('matrix = [["a"]]', "rows of numbers"),
        ("", "is missing"),
    ],
)
def test_a_penalty_matrix_must_fit_the_classes(line: str, says: str) -> None:
    given = f"[scoring.options.penalty_matrix]\n{line}" if line else ""
    (fault,) = faults(metrics='["penalty_matrix"]', truth='classes = ["a", "b", "c"]', options=given)
    assert says in fault


def test_a_penalty_matrix_needs_the_order_of_classes() -> None:
    (fault,) = faults(metrics='["penalty_matrix"]', options=MATRIX)
    assert "needs truth.classes" in fault


@pytest.mark.parametrize(
    ("metric", "line", "says"),
    [
        ("rpss", "thresholds = [1, 1]", "rising numbers"),
        ("rpss", "", "is missing"),
        ("rps", "", "is missing"),
        ("rps", "edges = 3", "name of a variable"),
        ("rpss", 'thresholds = [1]\nedges = "terciles"', "together with thresholds"),
        ("crps", 'estimator = "best"', "must be one of standard, fair"),
        ("energy_score", "over = []", "name of a dimension"),
    ],
)
def test_wrong_options_of_ensembles(metric: str, line: str, says: str) -> None:
    given = f"[scoring.options.{metric}]\n{line}" if line else ""
    (fault,) = faults(kind="grid", metrics=f'["{metric}"]', truth='member = "m"', options=given)
    assert says in fault


def test_intake_knows_the_metrics_of_categories() -> None:
    assert expect.CATEGORY_METRICS == CATEGORICAL
    owners = {card.name for card in CARDS.values() if {o.name for o in card.options} >= {"thresholds", "edges"}}
    assert owners == set(CATEGORICAL)


def test_rps_and_rpss_share_their_categories() -> None:
    apart = "[scoring.options.rps]\nthresholds = [1]\n[scoring.options.rpss]\nthresholds = [2]"
    (fault,) = faults(kind="grid", metrics='["rps", "rpss"]', truth='member = "m"', options=apart)
    assert "differs from that of rpss" in fault
    for name in ("rps", "rpss"):
        once = f'[scoring.options.{name}]\nedges = "terciles"'
        assert faults(kind="grid", metrics='["rps", "rpss"]', truth='member = "m"', options=once) == []


def test_right_options_are_no_fault() -> None:
    assert faults(metrics='["penalty_matrix"]', truth='classes = ["a", "b"]', options=MATRIX) == []
    options = '[scoring.options.rpss]\nthresholds = [0, 1.5]\n[scoring.options.energy_score]\nover = "horizon"'
    assert faults(kind="grid", metrics='["rpss", "energy_score"]', truth='member = "m"', options=options) == []
    options = "[scoring.options.captured_value_at_k]\nk = 5"
    assert faults(kind="points", metrics='["captured_value_at_k"]', truth='value = "ounces"', options=options) == []


def test_scores_that_are_no_probabilities_have_no_log_loss() -> None:
    (fault,) = faults(kind="raster", metrics='["roc_auc", "log_loss"]', **AT_POINTS)
    assert "log_loss needs probabilities" in fault


@pytest.mark.parametrize("name", ["f1", "iou"])
def test_metrics_of_one_class_need_one(name: str) -> None:
    (fault,) = faults(metrics=f'["{name}"]', submission='probabilities = {a = "pa", b = "pb"}')
    assert f"{name} is of one class" in fault
    assert faults(metrics=f'["{name}"]', submission='probabilities = {a = "pa"}') == []
    options = f"[scoring.options.{name}]\nthreshold = 0.7"
    assert faults(kind="raster", metrics=f'["{name}"]', submission='meaning = "probability"', options=options) == []


@pytest.mark.parametrize("name", ["captured_value", "captured_value_at_k", "reached_value_at_k", "discovery_auc"])
def test_captured_value_needs_values(name: str) -> None:
    (fault,) = faults(kind="points", metrics=f'["{name}"]')
    assert "truth.value" in fault


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("name", "a", "b", "expected"),
    [
        ("rmse", 1.0, 2.0, True),
        ("rmse", 2.0, 1.0, False),
        ("r2", 0.9, 0.1, True),
        ("bias", -0.1, 0.2, True),
        ("bias", -0.3, 0.2, False),
        ("rmse", 1.0, 1.0, False),
        ("rmse", None, 1.0, False),
        ("rmse", NAN, None, False),
        ("rmse", 0.0, None, True),
        ("r2", INF, 0.1, False),
        ("r2", 0.1, INF, True),
    ],
)
def test_better(name: str, a: float | None, b: float | None, expected: bool) -> None:
    assert better(CARDS["numbers", name], a, b) is expected


def test_the_page_of_metrics_is_current() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == render(), (
        "run python -m scoring.rules > docs/metrics.md"
    )


def test_the_page_names_every_metric_and_option() -> None:
    page = render()
    assert METRIC_VERSION in page
    for card in CARDS.values():
        assert f"| `{card.name}` | {card.direction} |" in page
        assert all(f"`options.{card.name}.{o.name}`" in page for o in card.options)


def test_intake_and_rules_agree_on_what_reads_classes() -> None:
    assert {name for sample, name in CARDS if sample == "classes"} == expect.CLASS_METRICS


def test_rules_and_ranking_load_no_numpy() -> None:
    code = "import sys, scoring.rules, scoring.ranking; print([m for m in ('numpy', 'dask') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
