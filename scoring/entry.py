"""One entry from its file to its report: intake against the template, scoring, receipt."""

import resource
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from datasets.canonical import Canonical
from datasets.errors import Finding, Rejected
from datasets.expect import Expectation
from datasets.intake import intake, remains
from datasets.spec import Spec
from datasets.threads import using
from scoring.contracts import Bounds, FileFacts, FindingModel, ScoreReport
from scoring.engine import Outcome, score
from scoring.hosts import Alone, Host, PartJob, attended
from scoring.kinds import KINDS
from scoring.kinds.pairing import TruthSet
from scoring.receipts import METRIC_VERSION, environment, spec_digest

ALONE: Host = Alone()
MAX_FINDINGS = 200
COVERAGE = frozenset(("missing-id", "extra-id", "missing-cells"))  # found even in a file intake refuses
MAX_TEXT = 500  # characters of a finding's message or hint


@dataclass(frozen=True)
class Upload:
    """An uploaded file and what is known of it."""

    path: Path
    format: str
    facts: FileFacts


@dataclass(frozen=True)
class Evaluation:
    """A report and, for a scored entry, what previews and block statistics are made from."""

    report: ScoreReport
    outcome: Outcome | None = None
    prediction: Canonical | None = None


@dataclass(frozen=True)
class Stopwatch:
    """Wall time since it was made."""

    started: float = field(default_factory=time.perf_counter)

    def seconds(self) -> float:
        return round(time.perf_counter() - self.started, 4)


def template_of(truth: TruthSet) -> Canonical:
    """What an entry's shape is compared with: the grid points are read through, else the truth."""
    return truth.truth if truth.grid is None else truth.grid


def read_entry(upload: Upload, spec: Spec, template: Canonical, out: Path, host: Host) -> Canonical:
    """The canonical form of an uploaded file, checked for shape against ``template``.

    Raises:
        Rejected: with every finding, those about coverage included.
        EngineFault: the reader failed, not the file.
    """
    expect = Expectation.tight(spec, template, "entry")
    try:
        return intake(
            upload.path, format=upload.format, expect=expect, out=out, threads=host.threads, attend=host.check
        )
    except Rejected as refused:
        rest = remains(out, expect)
        if rest is None:
            raise
        more = KINDS[spec.challenge.kind].check(rest, template, spec)
        raise Rejected([*refused.findings, *(f for f in more if f.code in COVERAGE)]) from refused


def evaluate(
    upload: Upload,
    spec: Spec,
    truth: TruthSet,
    *,
    out: Path,
    truth_digest: str | None = None,
    host: Host = ALONE,
    job: PartJob | None = None,
) -> Evaluation:
    """Score an uploaded file. A file that cannot be scored gives a report of status ``rejected``.

    ``out`` is where its canonical form is written; ``job`` lets other processes of ``host`` compute bundles.

    Raises:
        EngineFault: the platform failed, not the entry.
        Stopped: nobody wants the answer any more.
    """
    watch = Stopwatch()
    try:
        prediction = read_entry(upload, spec, template_of(truth), out, host)
        host.tell(0.0)
        with using(host.threads):
            outcome = score(spec, truth, prediction, run=attended(host.runner(job), host))
    except Rejected as refused:
        return Evaluation(report(upload.facts, spec, watch, truth_digest=truth_digest, findings=refused.findings))
    made = report(upload.facts, spec, watch, truth_digest=truth_digest, outcome=outcome)
    return Evaluation(made, outcome, prediction)


def check_entry(upload: Upload, spec: Spec, template: Canonical, *, out: Path) -> list[Finding]:
    """Every finding of a file that can be made without the truth; ``template`` is the sample or the grid."""
    try:
        prediction = read_entry(upload, spec, template, out, ALONE)
    except Rejected as refused:
        return list(refused.findings)
    return KINDS[spec.challenge.kind].check(prediction, template, spec)


def report(
    facts: FileFacts,
    spec: Spec,
    watch: Stopwatch,
    *,
    truth_digest: str | None = None,
    outcome: Outcome | None = None,
    findings: Iterable[Finding] = (),
) -> ScoreReport:
    """The report of a scored entry (with ``outcome``) or of a rejected one (with ``findings``)."""
    return ScoreReport(
        challenge=spec.challenge.slug,
        status="rejected" if outcome is None else "scored",
        file=facts,
        scores=None if outcome is None else outcome.scores,
        bounds=Bounds() if outcome is None else outcome.bounds,
        confusion=None if outcome is None else outcome.confusion,
        blocks=0 if outcome is None else outcome.blocks,
        findings=wire(findings),
        seconds=watch.seconds(),
        peak_rss_mib=tree_peak_mib(),
        truth=truth_digest,
        spec=spec_digest(spec.toml),
        metric_version=METRIC_VERSION,
        environment=environment(),
    )


def wire(findings: Iterable[Finding]) -> tuple[FindingModel, ...]:
    """Findings for a report: the first 200, with texts cut to size."""
    shown = list(findings)
    models = [
        FindingModel(
            code=f.code, message=_cut(f.message), where={k: _plain(v) for k, v in f.where.items()}, hint=_cut(f.hint)
        )
        for f in shown[:MAX_FINDINGS]
    ]
    if len(shown) > MAX_FINDINGS:
        more = len(shown) - MAX_FINDINGS
        models.append(
            FindingModel(code=shown[-1].code, message=f"{more} more findings are not shown.", where={"count": more})
        )
    return tuple(models)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _plain(value: object) -> object:
    return _cut(value) if isinstance(value, str) else value


def tree_peak_mib() -> float:
    """The peak resident memory of this process plus that of the largest child it has waited for, in MiB."""
    kib = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round(kib / 1024, 1)
