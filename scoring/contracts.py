"""What passes between portal and engine: frozen, JSON in and out, safe to keep for ever.

The portal writes tickets and reads reports; it never sees the truth or a block statistic of the private side.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from datasets.edits import Edits
from datasets.errors import EngineFault, Finding, Rejected
from datasets.release import FaultModel, Inspection, Publication

__all__ = [
    "JUDGE_ONLY", "LARGE_BYTES", "Bounds", "Confusion", "DraftTicket", "Edits", "EngineFault", "FaultReport",
    "FileFacts", "Finding", "FindingModel", "InspectReport", "Matrix", "PublishReport", "Rejected", "ScoreReport",
    "ScoreTicket", "Scores", "TruthRef",
]  # fmt: skip


LARGE_BYTES = 4 << 20  # of an upload: larger ones are read and scored by several threads, and wait behind small ones
JUDGE_ONLY = "judge-"  # artifacts whose name starts so show truth: for judges, never for experts


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TruthRef(_Frozen):
    """One sealed truth version. ``digest`` names the sealed blob; ``commitment`` is public since publication."""

    version: int
    digest: str
    commitment: str


class ScoreTicket(_Frozen):
    """One entry to score: everything the engine needs besides its own settings (store, scratch, key)."""

    submission: str
    challenge: str
    file: str = Field(description="sha256 of the uploaded file, its name in the blob store")
    bytes: int
    format: str = Field(description="one of the challenge's formats, from the upload's extension")
    spec: str = Field(description="challenge.toml as published")
    truth: TruthRef


class FileFacts(_Frozen):
    sha256: str
    bytes: int


class FindingModel(_Frozen):
    """A Finding on the wire; same fields."""

    code: str
    message: str
    where: dict[str, Any] = Field(default_factory=dict)
    hint: str = ""


MetricValues = dict[str, float | None]


class Scores(_Frozen):
    """Metric values over all blocks, the public and the private ones; None where a value is undefined."""

    overall: MetricValues
    public: MetricValues
    private: MetricValues


class Bounds(_Frozen):
    """Certified errors by metric of the values in Scores that are not exact."""

    overall: dict[str, float] = Field(default_factory=dict)
    public: dict[str, float] = Field(default_factory=dict)
    private: dict[str, float] = Field(default_factory=dict)


Matrix = tuple[tuple[float, ...], ...]


class Confusion(_Frozen):
    """Weight of the rows of each true class (down) by the class that was given (across), over the sides of Scores."""

    classes: tuple[str, ...]
    overall: Matrix
    public: Matrix
    private: Matrix


class ScoreReport(_Frozen):
    """What scoring one file against one truth version gave. The same inputs give the same report but for
    ``seconds`` and ``peak_rss_mib``; ``digest_of_inputs`` names those inputs."""

    challenge: str
    status: Literal["scored", "rejected"]
    file: FileFacts
    scores: Scores | None
    bounds: Bounds = Bounds()
    confusion: Confusion | None = Field(default=None, description="of classes, where there are 64 of them at most")
    blocks: int
    findings: tuple[FindingModel, ...] = ()
    seconds: float
    peak_rss_mib: float
    truth: str | None = Field(
        default=None, description="names the truth: its public commitment; offline, the digest of its package"
    )
    spec: str | None = Field(default=None, description="sha256 of challenge.toml")
    metric_version: str = ""
    environment: dict[str, str] = Field(default_factory=dict)
    block_statistics: str | None = Field(default=None, description="blob digest of the block statistics")
    artifacts: dict[str, str] = Field(default_factory=dict, description="preview files by name: blob digests")


class DraftTicket(_Frozen):
    """A sponsor's uploaded challenge directory to inspect or to publish. ``archive``: digest of its sealed zip."""

    draft: str
    archive: str
    edits: Edits | None = None


class InspectReport(_Frozen):
    """What looking at a draft gave. ``dry_run``: {"ok", "rows"} of five entries; None while there are faults."""

    inspection: Inspection
    dry_run: dict[str, Any] | None = None


class PublishReport(_Frozen):
    """A publication, or every fault that kept the draft from being published."""

    publication: Publication | None = None
    faults: tuple[FaultModel, ...] = ()


class FaultReport(_Frozen):
    """The engine failed; the work is retried. ``fault`` is a stable code, ``message`` is for the operator."""

    fault: str
    message: str
