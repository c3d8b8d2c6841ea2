"""What is shown of challenges, entries and boards. See ``portal.domain.views`` for the conventions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from portal.domain.states import EntryState, Phase, Verdict

RoleName = Literal["operator", "sponsor", "judge", "expert", "none"]
Stage = Literal["public", "final"]
MetricValues = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class ChallengeCard:
    slug: str
    title: str
    sponsor: str
    summary: str
    kind: str
    phase: Phase
    opens: datetime
    closes: datetime
    pool_minor: int
    currency: str
    entries: int
    experts: int
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MetricLine:
    name: str
    direction: str
    unit: str
    range: str
    formula: str
    primary: bool = False


@dataclass(frozen=True, slots=True)
class RulesView:
    kind: str
    primary: str
    metrics: tuple[MetricLine, ...]
    formats: tuple[str, ...]
    max_bytes: int
    per_day: int
    finals: int
    blocks_text: str
    range: tuple[float, float] | None
    expects_text: str = ""


@dataclass(frozen=True, slots=True)
class PrizeView:
    rank: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class FileView:
    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ReleaseView:
    """One immutable release. Names and sizes are public; the bytes follow the signature."""

    version: int
    published_at: datetime
    manifest_digest: str
    total_bytes: int
    files: tuple[FileView, ...]
    zip_bytes: int
    zip_sha256: str


@dataclass(frozen=True, slots=True)
class Quota:
    """How many entries a team has left, and when the next may be sent (None: now, or never while ``left`` is 0 and
    the challenge is over)."""

    per_day: int
    used: int
    left: int
    next_at: datetime | None
    window: str = "rolling 24 h"


@dataclass(frozen=True, slots=True)
class MyState:
    """Where the reader stands in one challenge. ``role`` is the strongest one held here."""

    signed_in: bool
    role: RoleName
    agreement_digest: str
    agreement_signed: bool
    quota: Quota | None = None
    affiliated: bool | None = None
    best_rank: int | None = None
    team_name: str | None = None
    may_submit: bool = False
    may_judge: bool = False
    may_manage: bool = False


@dataclass(frozen=True, slots=True)
class LayerView:
    """A public layer to draw. ``artifact_url_name`` is the name ``downloading.layer`` takes."""

    name: str
    kind: Literal["raster", "vector", "series"]
    artifact_url_name: str
    bounds: tuple[float, float, float, float] | None
    description: str = ""
    local: bool = False  # bounds stand for local units around 0, 0, not for a place on Earth


@dataclass(frozen=True, slots=True)
class TimelineItem:
    at: datetime
    label: str
    done: bool


@dataclass(frozen=True, slots=True)
class ChallengePage:
    card: ChallengeCard
    overview_md: str
    rules: RulesView
    prizes: tuple[PrizeView, ...]
    release: ReleaseView | None
    me: MyState
    layers: tuple[LayerView, ...]
    commitment: str
    timeline: tuple[TimelineItem, ...]


@dataclass(frozen=True, slots=True)
class PersonRole:
    """``email`` is empty unless the reader may manage the challenge."""

    name: str
    email: str
    role: RoleName


@dataclass(frozen=True, slots=True)
class AgreementView:
    digest: str
    text_md: str
    signed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Download:
    """A file to send. ``local_path`` is None when the store keeps no local file: then open the blob by digest."""

    blob_digest: str
    local_path: Path | None
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class FindingView:
    code: str
    message: str
    where: Mapping[str, Any]
    hint: str = ""


@dataclass(frozen=True, slots=True)
class EntryView:
    """One entry as its own team sees it: never a private or overall score before the close.

    ``progress`` is a share 0–1 while scoring, else None; ``receipt`` is the signed receipt text.
    """

    id: str
    challenge_slug: str
    number: int
    received_at: datetime
    file_sha256: str
    file_bytes: int
    filename: str
    note: str
    state: EntryState
    position: int | None
    progress: float | None
    public_scores: MetricValues | None
    findings: tuple[FindingView, ...]
    attempts: int
    scored_at: datetime | None
    artifacts: tuple[str, ...]
    receipt: str
    final_scores: MetricValues | None = None
    is_final_pick: bool = False


@dataclass(frozen=True, slots=True)
class BoardRow:
    """``rank`` None means unranked (no finite score). ``rank_label`` shows ties, e.g. ``=2``."""

    rank: int | None
    rank_label: str
    team: str
    affiliated: bool
    score: float | None
    scores: MetricValues
    entries: int
    last_at: datetime
    is_me: bool = False
    entry_id: str | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Board:
    slug: str
    metric: str
    direction: str
    rows: tuple[BoardRow, ...]
    updated_at: datetime | None
    etag: str
    stage: Stage
    total_entries: int
    title: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class ProgressPoint:
    """The best public score so far, from this moment on."""

    at: datetime
    score: float
    team: str
