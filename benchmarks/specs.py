"""The benches: which files, and the challenge each target of them would be."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from benchmarks.heads import head
from datasets.canonical import Canonical
from datasets.spec import Spec, parse_spec

Values = dict[str, float]
ALL_OF_THEM = 1 << 40
SECTIONS = """
[truth]
file = "hidden/{truth}"
{truth_keys}
[submission]
max_bytes = "100 GB"
{entry_keys}
[scoring]
primary = "{primary}"
metrics = {metrics}
"""


@dataclass(frozen=True)
class Target:
    """One challenge over the files: our metric names with the name each has in the bench.

    ``budgets``: for metrics read at several k, the options of each reading and its names.
    """

    truth: str
    entry: str
    metrics: Mapping[str, str]
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    budgets: tuple[int, ...] = ()
    at_k: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> list[str]:
        return [*self.metrics, *self.at_k]

    def readings(self) -> Iterator[tuple[Mapping[str, str], Mapping[str, Any]]]:
        """(bench names by metric, options) for every k."""
        for k in self.budgets:
            names = {name: f"{key}@{k}" for name, key in self.at_k.items()}
            yield names, {**self.options, **{name: {"k": k} for name in self.at_k}}
        if self.budgets:
            yield {"reach_at_k": "hits"}, {**self.options, "reach_at_k": {"k": ALL_OF_THEM}}


def nothing(_found: Values, _truth: Canonical, _prediction: Canonical) -> Values:
    return {}


def counts(found: Values, truth: Canonical, prediction: Canonical) -> Values:
    """Matched, unmatched and missed polygons from the shares."""
    wanted, given = (len(form.arrays["features"]) - 1 for form in (truth, prediction))
    hits = float(round(found["recall"] * wanted))
    return {"tp": hits, "fp": given - hits, "fn": wanted - hits}


@dataclass(frozen=True)
class Bench:
    kind: str
    truth: str
    prediction: str
    targets: tuple[Target, ...]
    derived: Callable[[Values, Canonical, Canonical], Values] = nothing


TABLE = (
    Target('id = "id"\ntarget = "y"', 'prediction = "y"', {"rmse": "rmse", "mae": "mae", "r2": "r2"}),
    Target(
        'id = "id"\ntarget = "label"',
        'probabilities = {"1" = "prob"}',
        {"roc_auc": "auc", "average_precision": "ap", "log_loss": "logloss", "brier": "brier"},
    ),
    Target(
        'id = "id"\ntarget = "cls"\nclasses = ["0", "1", "2", "3", "4"]',
        'probabilities = {"0" = "p0", "1" = "p1", "2" = "p2", "3" = "p3", "4" = "p4"}',
        {"log_loss": "mc_logloss", "accuracy": "accuracy", "f1_macro": "macro_f1"},
    ),
)
POINTS = Target(
    'value = "value"\nradius = 250.0',
    'confidence = "confidence"\nmax_features = 2000000',
    {"average_precision": "ap", "hits": "tp", "discovery_auc": "value_auc"},
    budgets=(100, 1000, 10_000),
    at_k={"reach_at_k": "hits", "reached_value_at_k": "value"},
)
POLYGONS = Target(
    "",
    'confidence = "confidence"\nmax_features = 2000000',
    {
        "f1_iou50": "f1", "precision": "precision", "recall": "recall",
        "average_precision": "ap50", "mean_iou": "mean_iou",
    },
)  # fmt: skip
RASTERS = {
    "cont": ("continuous", {"rmse": "rmse", "mae": "mae", "r2": "r2", "bias": "bias", "pearson_r": "pearson"}),
    "prob": (
        "probability",
        {
            "roc_auc": "auc", "average_precision": "ap", "log_loss": "logloss", "brier": "brier",
            "f1": "f1", "iou": "iou",
        },
    ),
    "cat": (
        "categorical",
        {"accuracy": "accuracy", "f1_macro": "macro_f1", "mean_iou": "miou", "cohen_kappa": "kappa"},
    ),
}  # fmt: skip
GRID = Target(
    'variable = "tas"\nweight = "cos_lat"',
    'member = "member"',
    {"crps": "crps", "rmse": "rmse", "rps": "rps", "rpss": "rpss"},
    {"rps": {"edges": "edges"}, "rpss": {"edges": "edges"}},
)


def _benches() -> Mapping[str, Bench]:
    found = {f"table-{form}": Bench("table", f"truth.{form}", f"pred.{form}", TABLE) for form in ("csv", "parquet")}
    for form in ("csv", "parquet"):
        found[f"points-{form}"] = Bench("points", f"truth.{form}", f"pred.{form}", (POINTS,))
    for form in ("geojson", "parquet"):
        found[f"polygons-{form}"] = Bench("polygons", f"truth.{form}", f"pred.{form}", (POLYGONS,), counts)
    for name, (meaning, metrics) in RASTERS.items():
        target = Target("", f'meaning = "{meaning}"', metrics)
        found[f"raster-{name}"] = Bench("raster", f"truth_{name}.tif", f"pred_{name}.tif", (target,))
    for name, suffix in (("netcdf", "nc"), ("zarr", "zarr")):
        found[f"grid-{name}"] = Bench("grid", f"truth.{suffix}", f"pred.{suffix}", (GRID,))
    return MappingProxyType(found)


BENCHES = _benches()


def specs_of(bench: Bench) -> list[Spec]:
    """One challenge per target."""
    return [_spec(bench, target) for target in bench.targets]


def _spec(bench: Bench, target: Target) -> Spec:
    names = target.names()
    text = head(bench.kind, slug="bench") + SECTIONS.format(
        truth=bench.truth,
        truth_keys=target.truth,
        entry_keys=target.entry,
        primary=names[0],
        metrics=str(names).replace("'", '"'),
    )
    for name, values in target.options.items():
        text += f"[scoring.options.{name}]\n" + "".join(f'{key} = "{value}"\n' for key, value in values.items())
    for name in target.at_k:
        text += f"[scoring.options.{name}]\nk = {target.budgets[0]}\n"
    return parse_spec(text)
