"""Scoring and checking without a portal or a database: a challenge directory and a file, nothing else."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from datasets.canonical import Canonical
from datasets.digest import digest_file
from datasets.errors import EngineFault, Fault, Finding, Rejected, SpecError
from datasets.examine import format_of_layout
from datasets.expect import Expectation, Role
from datasets.intake import intake
from datasets.sandbox import shared
from datasets.spec import TOML, Spec, format_of, load_spec, parse_spec, sample_file
from datasets.threads import cores
from scoring.contracts import FileFacts, FindingModel, ScoreReport
from scoring.entry import Stopwatch, Upload, check_entry, evaluate, report, tree_peak_mib, wire
from scoring.kinds.pairing import TruthSet
from scoring.rules import check_metrics
from scoring.truths import package_digest


@dataclass(frozen=True)
class CheckReport:
    """What validating a file without truth gave."""

    challenge: str
    file: FileFacts
    findings: tuple[FindingModel, ...]
    seconds: float
    peak_rss_mib: float

    @property
    def status(self) -> str:
        return "rejected" if self.findings else "valid"


def score_file(folder: Path, file: Path) -> ScoreReport:
    """Validate and score ``file`` against the truth of the challenge directory ``folder``.

    Raises:
        SpecError: the challenge directory has faults.
        EngineFault: the platform failed, not the file.
    """
    spec, watch = _spec(folder), Stopwatch()
    upload = _upload(file, spec)
    if isinstance(upload, Finding):
        return report(_facts(file), spec, watch, findings=[upload])
    with tempfile.TemporaryDirectory(prefix="motherlode-") as work:
        room = Path(work)
        truth = read_truth(folder, spec, room)
        made = evaluate(upload, spec, truth, out=room / "entry", truth_digest=package_digest(room)).report
    return made.model_copy(update={"seconds": watch.seconds(), "peak_rss_mib": tree_peak_mib()})


def check_file(folder: Path, file: Path) -> CheckReport:
    """Validate ``file`` without the truth: against the challenge's sample, or the grid points are read through.

    Raises:
        SpecError: challenge.toml or the sample has faults.
        EngineFault: the platform failed, not the file.
    """
    spec, watch = _public_spec(folder), Stopwatch()
    upload = _upload(file, spec)
    if isinstance(upload, Finding):
        findings = [upload]
    else:
        with tempfile.TemporaryDirectory(prefix="motherlode-") as work:
            template = _template(folder, spec, Path(work))
            findings = check_entry(upload, spec, template, out=Path(work) / "entry")
    return CheckReport(spec.challenge.slug, _facts(file), wire(findings), watch.seconds(), tree_peak_mib())


def settled_peak() -> float:
    """Peak memory in MiB of this process and its readers together; ends the reader so that it can be counted."""
    shared().close()
    return tree_peak_mib()


def read_truth(folder: Path, spec: Spec, out: Path) -> TruthSet:
    """The canonical truth of a challenge directory, written to ``out``/truth and ``out``/grid.

    Raises:
        SpecError: the files cannot stand for the truth.
    """
    grid = _read(folder / spec.truth.grid, spec, "grid", out / "grid") if spec.truth.grid else None
    return TruthSet(_read(folder / spec.truth.file, spec, "truth", out / "truth", grid), grid)


def _template(folder: Path, spec: Spec, out: Path) -> Canonical:
    if spec.truth.grid:
        return _read(folder / spec.truth.grid, spec, "grid", out / "grid")
    try:
        sample = sample_file(folder)
    except (ValueError, OSError) as error:
        message = "must hold exactly one file, a valid submission."
        raise SpecError([Fault("sample/", "", message, "Download the challenge's files again.")]) from error
    return _read(sample, spec, "entry", out / "sample")


def _read(path: Path, spec: Spec, role: Role, out: Path, template: Canonical | None = None) -> Canonical:
    """One of the challenge's own files in canonical form; what is wrong with it is a fault of the directory."""
    expect = Expectation.loose(spec, role) if template is None else Expectation.tight(spec, template, role)
    form = format_of_layout(path.name, expect.kind)
    if form is None:
        raise SpecError([Fault(path.name, "", f"is no file of {expect.kind} data.", "Mend its name or its format.")])
    try:
        return intake(path, format=form, expect=expect, out=out, threads=cores())
    except Rejected as refused:
        faults = [Fault(path.name, "", f"{f.code}: {f.message}", f.hint or "Mend the file.") for f in refused.findings]
        raise SpecError(faults) from refused
    except OSError as error:
        raise EngineFault(f"{path.name} cannot be read: {error}") from error


def _spec(folder: Path) -> Spec:
    spec = load_spec(folder)
    faults = check_metrics(spec)
    if faults:
        raise SpecError(faults)
    return spec


def _public_spec(folder: Path) -> Spec:
    """The challenge as experts have it: hidden/ need not be there."""
    try:
        return parse_spec((folder / TOML).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError([Fault(TOML, "", f"cannot be read: {error}.", "Name a challenge directory.")]) from error


def _facts(file: Path) -> FileFacts:
    return FileFacts(sha256=digest_file(file), bytes=file.stat().st_size)


def _upload(file: Path, spec: Spec) -> Upload | Finding:
    form = format_of(file.name, spec.challenge.kind)
    if form is None or form not in spec.submission.formats:
        formats = ", ".join(spec.submission.formats)
        return Finding(
            "wrong-format", f"{file.name} is not in a format of the challenge.", {}, f"Formats are {formats}."
        )
    return Upload(file, form, _facts(file))
