"""Which metrics a challenge may use, and which way they are better. Light: imports no numpy.

``python -m scoring.rules`` prints docs/metrics.md from the cards.
"""

import difflib
import itertools
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from datasets.errors import Fault
from datasets.spec import TOML, Spec
from scoring.cards import CARDS, METRIC_VERSION, SAMPLE_TYPES, MetricCard, OptionCard, SampleType

__all__ = [
    "CARDS",
    "METRIC_VERSION",
    "MetricCard",
    "OptionCard",
    "better",
    "card_for",
    "cards_of",
    "category_owner",
    "check_metrics",
    "option",
    "render",
    "sample_type",
]

CLASS_METRICS = frozenset(name for sample, name in CARDS if sample == "classes")
NEEDS_REACH = frozenset({"reach_at_k", "reached_value_at_k", "discovery_auc"})
NEEDS_VALUE = frozenset({"captured_value", "captured_value_at_k", "reached_value_at_k", "discovery_auc"})
CATEGORICAL = ("rps", "rpss")
NEEDS_ONE_CLASS = frozenset({"f1", "iou"})
NEEDS_UNIT_INTERVAL = frozenset({"log_loss", "brier", "ece"})


def sample_type(spec: Spec) -> SampleType:
    """The kind of aligned sample a challenge is scored on; with a metric's name it keys CARDS and METRICS.

    Points and polygons both use ``Matches`` samples, under their own names because their metrics differ.
    """
    kind, truth, submission = spec.challenge.kind, spec.truth, spec.submission
    if kind in {"points", "polygons"}:
        return cast(SampleType, kind)
    if kind == "grid":
        return "ensemble" if truth.member or submission.member else "numbers"
    if kind == "raster":
        if truth.grid or submission.meaning == "probability":
            return "probabilities"
        return "classes" if submission.meaning == "categorical" else "numbers"
    if submission.probabilities:
        return "probabilities"
    return "classes" if truth.classes or spec.scoring.primary in CLASS_METRICS else "numbers"


def cards_of(sample: str) -> tuple[MetricCard, ...]:
    """All metrics of a sample type, in the order of the documentation."""
    return tuple(card for card in CARDS.values() if card.sample == sample)


def card_for(spec: Spec, name: str) -> MetricCard:
    """The card of a metric in this challenge.

    Raises:
        KeyError: the challenge cannot use it; ``check_metrics`` says so beforehand.
    """
    return CARDS[sample_type(spec), name]


def option(options: Mapping[str, Mapping[str, Any]], metric: str, name: str) -> Any:
    """An option's value in ``spec.scoring.options``, else its default.

    Raises:
        KeyError: the metric has no such option.
    """
    default = next(o.default for card in CARDS.values() if card.name == metric for o in card.options if o.name == name)
    return options.get(metric, {}).get(name, default)


def category_owner(options: Mapping[str, Mapping[str, Any]]) -> str:
    """The metric under whose name the categories of both rps and rpss are given."""
    return "rps" if options.get("rps") else "rpss"


def better(card: MetricCard, a: float | None, b: float | None) -> bool:
    """Whether score ``a`` is strictly better than ``b``. A missing or non-finite score never is."""
    if a is None or not math.isfinite(a):
        return False
    if b is None or not math.isfinite(b):
        return True
    if card.direction == "zero":
        return abs(a) < abs(b)
    return a > b if card.direction == "higher" else a < b


def check_metrics(spec: Spec) -> list[Fault]:
    """Every fault of the [scoring] section that needs knowledge of the metrics."""
    known = {card.name: card for card in cards_of(sample_type(spec))}
    names = spec.scoring.metrics
    faults = [*_name_faults(spec, list(known))]
    twice = sorted({name for name in names if names.count(name) > 1})
    faults += [Fault(TOML, "scoring.metrics", f"{name!r} is listed twice.", "Keep it once.") for name in twice]
    for name in [name for name in spec.scoring.options if name not in names]:
        remedy = f"Add {name!r} to scoring.metrics or take it out."
        faults += [Fault(TOML, f"scoring.options.{name}", "belongs to no metric of the list.", remedy)]
    for name in dict.fromkeys(names):
        faults.extend(_option_faults(spec, known[name]) if name in known else ())
    faults += _category_faults(spec, [name for name in CATEGORICAL if name in names and name in known])
    return faults


def _name_faults(spec: Spec, known: Sequence[str]) -> Iterator[Fault]:
    scores_only = spec.challenge.kind == "raster" and spec.submission.meaning != "probability"
    for name in dict.fromkeys((*spec.scoring.metrics, spec.scoring.primary)):
        if name not in known:
            yield _unknown_metric(name, sample_type(spec), known)
        elif name in NEEDS_UNIT_INTERVAL and scores_only:
            message = f"{name} needs probabilities, but the submission's meaning is {spec.submission.meaning}."
            remedy = 'Write meaning = "probability", or use roc_auc or capture_auc.'
            yield Fault(TOML, "scoring.metrics", message, remedy)
        elif name in NEEDS_ONE_CLASS and len(spec.submission.probabilities or ()) > 1:
            remedy = "Use f1_macro, or give the probability of one class alone."
            yield Fault(TOML, "scoring.metrics", f"{name} is of one class; the submission has several.", remedy)
        elif name in NEEDS_VALUE and spec.truth.value is None:
            yield Fault(
                TOML, "truth.value", f"is missing; {name} needs it.", "Name the column of the true points' values."
            )


def _unknown_metric(name: str, sample: str, known: Sequence[str]) -> Fault:
    homes = [SAMPLE_TYPES[home].split(":")[0].lower() for home, other in CARDS if other == name]
    close = difflib.get_close_matches(name.lower(), known, n=1)
    if homes:
        message = f"{name!r} is a metric of {' and '.join(homes)}; this challenge is scored as {sample}."
    else:
        message = f"{name!r} is not a metric."
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return Fault(TOML, "scoring.metrics", message, f"{hint}Metrics of {sample} are {', '.join(known)}.")


def _option_faults(spec: Spec, card: MetricCard) -> Iterator[Fault]:
    given = spec.scoring.options.get(card.name, {})
    names = [o.name for o in card.options]
    for key in given:
        if key not in names:
            allowed = (
                f"Options of {card.name} are {', '.join(names)}."
                if names
                else f"{card.name} has no options; take it out."
            )
            close = difflib.get_close_matches(key, names, n=1)
            hint = f"Did you mean {close[0]!r}? " if close else ""
            yield Fault(TOML, f"scoring.options.{card.name}.{key}", "is not an option.", hint + allowed)
    for o in card.options:
        key = f"scoring.options.{card.name}.{o.name}"
        if o.name in given:
            message = _wrong_value(o, given[o.name], spec)
            if message:
                yield Fault(TOML, key, message, f"It is {o.meaning}.")
        elif o.required:
            yield Fault(TOML, key, "is missing.", f"Add it: {o.meaning}.")


def _category_faults(spec: Spec, names: Sequence[str]) -> Iterator[Fault]:
    """rps and rpss need thresholds or edges, once for both."""
    given = {name: dict(spec.scoring.options[name]) for name in names if spec.scoring.options.get(name)}
    if names and not given:
        remedy = "Add thresholds (numbers, the same everywhere) or edges (a variable of the truth file)."
        yield Fault(TOML, f"scoring.options.{names[-1]}.thresholds", "is missing.", remedy)
    for name, options in given.items():
        if {"thresholds", "edges"} <= options.keys():
            message = "cannot be given together with thresholds."
            yield Fault(TOML, f"scoring.options.{name}.edges", message, "Keep one of the two.")
    if len(given) > 1 and given["rps"] != given["rpss"]:
        message = "differs from that of rpss; both are scored by the same categories."
        yield Fault(TOML, "scoring.options.rps", message, "Give it under one of the two names.")


def _wrong_value(o: OptionCard, value: Any, spec: Spec) -> str:
    """What is wrong with an option's value; empty when nothing is."""
    if o.type == "choice":
        return "" if value in o.choices else f"must be one of {', '.join(o.choices)}."
    if o.type == "dimensions":
        names = [value] if isinstance(value, str) else value
        fine = isinstance(names, list | tuple) and bool(names) and all(isinstance(name, str) for name in names)
        return "" if fine else "must be the name of a dimension, or a list of names."
    if o.type == "variable":
        return "" if isinstance(value, str) and value else "must be the name of a variable."
    if o.type == "numbers":
        fine = isinstance(value, list | tuple) and bool(value) and all(map(_is_number, value))
        return "" if fine and all(a < b for a, b in itertools.pairwise(value)) else "must be a list of rising numbers."
    if o.type == "matrix":
        return _wrong_matrix(value, spec)
    if not _is_number(value) or (o.type == "integer" and int(value) != value):
        return f"must be {'a whole number' if o.type == 'integer' else 'a number'}."
    if (o.low is not None and value < o.low) or (o.high is not None and value > o.high):
        return f"must lie in {o.low if o.low is not None else '−∞'} … {o.high if o.high is not None else '∞'}."
    return ""


def _wrong_matrix(value: Any, spec: Spec) -> str:
    if not isinstance(value, list | tuple) or not all(
        isinstance(row, list | tuple) and all(map(_is_number, row)) for row in value
    ):
        return "must be a list of rows of numbers."
    if spec.truth.classes is None:
        return "needs truth.classes, which fixes the order of its rows and columns."
    k = len(spec.truth.classes)
    widths = sorted({len(row) for row in value})
    return (
        ""
        if len(value) == k and widths == [k]
        else f"has {len(value)} rows of {widths} numbers; {k} classes need {k} rows of {k}."
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def render() -> str:
    """docs/metrics.md: one table for each sample type, then the options."""
    lines = [
        "# Metrics", "",
        f"Printed by `python -m scoring.rules` from the metric cards, version {METRIC_VERSION}.", "",
        "y is the truth, f the prediction, e = f − y, w the weight (1 where a challenge has none); a mean is",
        "Σw·… / Σw. A whole-number weight is the same as repeating the row. Where a value is undefined the score",
        "is empty and does not rank. Where scikit-learn, scipy, scores or properscoring define a metric, values",
        "agree with theirs to 1e-9 relative in float64.", "",
        "`roc_auc`, `average_precision`, `capture_curve`, `capture_auc`, `spearman_r` and `median_ae` go by order. Up",
        "to 131,072 rows are sorted, for `spearman_r` up to 1,048,576; more rows are never sorted as a whole.",
        "Beyond that the first four are exact for decimals of up to six digits in [0, 1] and, unless they spread over",
        "very many magnitudes, for up to 2²⁹ unweighted float32 values. `spearman_r` puts rows in order cell by cell,",
        "in memory that does not grow with them, and is certified to about 1e-9 up to 2³⁰ rows (2²⁹ with weights).",
        "Other data is counted in ever finer cells, and the report carries a certified bound of what is left. Values",
        "of single blocks of such data come from coarse cells (64 × 64 for `spearman_r`), with their bounds.",
    ]  # fmt: skip
    for sample, title in SAMPLE_TYPES.items():
        lines += ["", f"## {title.split(':')[0]}", "", title.split(": ", 1)[1], ""]
        lines += ["| metric | better | unit | range | formula | after |", "|---|---|---|---|---|---|"]
        for c in cards_of(sample):
            formula = c.formula.replace("|", "\\|")
            lines.append(f"| `{c.name}` | {c.direction} | {c.unit} | {c.range} | {formula} | {c.reference} |")
        for c in cards_of(sample):
            lines += [_option_line(c.name, o) for o in c.options]
    return "\n".join(lines) + "\n"


def _option_line(metric: str, o: OptionCard) -> str:
    default = "required" if o.required else f"default `{o.default}`" if o.default is not None else "optional"
    return f"\n`options.{metric}.{o.name}`: {o.meaning.replace('|', chr(92) + '|')} ({default})."


if __name__ == "__main__":
    sys.stdout.write(render())
