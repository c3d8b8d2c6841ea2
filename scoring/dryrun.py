"""The dry run of a challenge: five entries through the real intake and engine, each with a known outcome.

A perfect entry must get the best possible score, the sample a score, an empty one and one with a NaN must be
rejected with findings, and one that is a step off must be rejected or score worse. Whoever passes all five has a
challenge that scores what it means to score.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from datasets.canonical import Canonical
from datasets.digest import digest_file
from datasets.errors import EngineFault, Finding, SpecError
from datasets.examine import Checks, Examined, examine
from datasets.publish import inspection_of
from datasets.release import Inspection
from datasets.spec import Spec, format_of, sample_file
from scoring.contracts import FileFacts, FindingModel, MetricValues
from scoring.entries import write_entries
from scoring.entry import Upload, evaluate
from scoring.kinds import KINDS
from scoring.kinds.pairing import TruthSet
from scoring.rules import MetricCard, better, card_for, check_metrics

TOLERANCE = 1e-6
# Even a perfect map does not hold every positive in a share of its area, nor all value in its first k targets.
BEST_UNKNOWN = frozenset({"capture_curve", "capture_auc", "captured_value_at_k", "spread_skill"})


def coverage(prediction: Canonical, template: Canonical, spec: Spec) -> Sequence[Finding]:
    """Findings of an entry against the truth, grid or sample that it must cover."""
    return KINDS[spec.challenge.kind].check(prediction, template, spec)


CHECKS = Checks(metrics=check_metrics, coverage=coverage)


@dataclass(frozen=True)
class DryRunRow:
    """One entry of the dry run; ``scores`` over all blocks, None when it was rejected; ``expected`` in words."""

    entry: Literal["perfect", "baseline", "empty", "nan", "shifted"]
    status: Literal["scored", "rejected"]
    scores: MetricValues | None
    findings: tuple[FindingModel, ...]
    expected: str
    ok: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; findings as in a report."""
        return {**asdict(self), "findings": [finding.model_dump() for finding in self.findings]}


@dataclass(frozen=True)
class DryRun:
    """Rows in the order perfect, baseline, empty, nan, shifted."""

    rows: tuple[DryRunRow, ...]

    @property
    def ok(self) -> bool:
        return all(row.ok for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        return {"ok": self.ok, "rows": [row.to_dict() for row in self.rows]}


@dataclass(frozen=True)
class _Attempt:
    scores: MetricValues | None
    findings: tuple[FindingModel, ...] = ()

    def primary(self, spec: Spec) -> float | None:
        return None if self.scores is None else self.scores[spec.scoring.primary]


def dry_run(folder: Path, *, scratch: Path | None = None) -> DryRun:
    """Prove the challenge directory ``folder``.

    Raises:
        SpecError: the directory has faults, all of them listed; there is nothing to run yet.
        EngineFault: the engine failed.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        work = Path(name)
        examined = examine(folder, work, checks=CHECKS)
        if examined.faults:
            raise SpecError(examined.faults)
        return prove(folder, examined, work)


def inspect_and_prove(folder: Path, *, scratch: Path | None = None) -> tuple[Inspection, DryRun | None]:
    """What is in a challenge directory and, when it has no faults, its dry run; the files are read once for both.

    Raises:
        EngineFault: the engine failed.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        work = Path(name)
        examined = examine(folder, work, checks=CHECKS)
        inspection = inspection_of(folder, examined)
        return inspection, prove(folder, examined, work) if inspection.ok else None


def prove(folder: Path, examined: Examined, work: Path) -> DryRun:
    """The dry run of a directory that was examined without faults; files go to ``work``."""
    spec, truth = examined.spec, examined.truth
    if spec is None or truth is None:
        raise EngineFault("a directory without faults has no truth; examine it first")
    files = work / "entries"
    files.mkdir()
    paths = {**write_entries(spec, TruthSet(truth, examined.grid), files), "baseline": sample_file(folder)}
    tried = {
        name: _attempt(spec, TruthSet(truth, examined.grid), path, work / f"read-{name}")
        for name, path in paths.items()
    }
    card = card_for(spec, spec.scoring.primary)
    return DryRun(tuple(_row(name, tried, spec, card) for name in ("perfect", "baseline", "empty", "nan", "shifted")))


def is_best(card: MetricCard, value: float | None) -> bool:
    """Whether ``value`` is the best that the metric's card allows, within 1e-6; unknown limits allow any score."""
    if value is None:
        return False
    best = best_value(card)
    return best is None or abs(value - best) <= TOLERANCE


def best_value(card: MetricCard) -> float | None:
    """The best possible value after the card's range; None where the range does not tell."""
    if card.direction == "zero":
        return 0.0
    if card.name in BEST_UNKNOWN:
        return None
    low, _, high = card.range.partition(" … ")
    try:
        return float(high if card.direction == "higher" else low)
    except ValueError:
        return None


def _attempt(spec: Spec, truth: TruthSet, path: Path, out: Path) -> _Attempt:
    form = format_of(path.name, spec.challenge.kind) or spec.submission.formats[0]
    facts = FileFacts(sha256=digest_file(path), bytes=path.stat().st_size)
    report = evaluate(Upload(path, form, facts), spec, truth, out=out).report
    return _Attempt(report.scores.overall if report.scores else None, report.findings)


def _row(name: Any, tried: Mapping[str, _Attempt], spec: Spec, card: MetricCard) -> DryRunRow:
    own, perfect = tried[name], tried["perfect"].primary(spec)
    value = own.primary(spec)
    if name == "perfect":
        limited = spec.submission.max_features is not None
        best = best_value(card)
        expected = f"the best possible {card.name}{'' if best is None else f', {best:g}'}"
        ok = is_best(card, value) or (limited and value is not None)
    elif name == "baseline":
        expected, ok = (
            f"a score that is worse than the perfect entry's {card.name}",
            better(card, perfect, value) and value is not None,
        )
    elif name == "shifted":
        expected = f"rejected, or a {card.name} worse than the perfect entry's"
        ok = bool(own.findings) if own.scores is None else better(card, perfect, value)
    else:
        expected, ok = "rejected with findings", own.scores is None and bool(own.findings)
    return DryRunRow(name, "rejected" if own.scores is None else "scored", own.scores, own.findings, expected, ok)
