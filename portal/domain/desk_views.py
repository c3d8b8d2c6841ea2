"""What is shown on desks: of judges, sponsors, operators, and of the own account. See ``portal.domain.views``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from portal.domain.sheet_views import ChallengeCard, EntryView, FindingView, MetricValues, RulesView, Stage
from portal.domain.states import DraftState, Verdict


@dataclass(frozen=True, slots=True)
class RulingView:
    at: datetime
    judge: str
    verdict: Verdict
    reason: str
    entry_id: str


@dataclass(frozen=True, slots=True)
class JudgeRow:
    rank: int | None
    alias: str
    score_public: float | None
    score_private: float | None
    entry_id: str
    verdict: Verdict | None
    prize_minor: int | None
    rank_label: str = ""


@dataclass(frozen=True, slots=True)
class JudgeDesk:
    slug: str
    title: str
    stage: Stage
    metric: str
    rows: tuple[JudgeRow, ...]
    conflict_declared: bool
    currency: str = ""


@dataclass(frozen=True, slots=True)
class JudgedChallenge:
    """A challenge on a judge's list. ``to_rule``: teams in the final standing without a ruling; None before the
    close, and while the judge has declared a conflict."""

    card: ChallengeCard
    stage: Stage
    to_rule: int | None
    conflict_declared: bool


@dataclass(frozen=True, slots=True)
class JudgeEntry:
    """One entry on the judge's desk; ``alias`` hides the team. Private scores are None before the close."""

    entry: EntryView
    alias: str
    rank: int | None
    scores_overall: MetricValues | None
    scores_public: MetricValues | None
    scores_private: MetricValues | None
    rules: RulesView
    stage: Stage
    rulings: tuple[RulingView, ...]
    prize_minor: int | None
    currency: str
    file_sha256: str
    artifacts: tuple[str, ...]
    map: tuple[str, ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class PostingView:
    """One transfer: ``amount_minor`` moves from ``credit`` to ``debit`` (double entry); each names who holds it:
    "sponsor", "pool" or a team."""

    at: datetime
    kind: str
    amount_minor: int
    memo: str
    debit: str
    credit: str
    entry_id: str | None


@dataclass(frozen=True, slots=True)
class LedgerView:
    currency: str
    pool_minor: int
    paid_minor: int
    promised_minor: int
    rows: tuple[PostingView, ...]


@dataclass(frozen=True, slots=True)
class FaultView:
    file: str
    key: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class DryRunRow:
    entry: Literal["perfect", "baseline", "empty", "nan", "shifted"]
    status: str
    score: MetricValues | None
    findings: tuple[FindingView, ...]
    expected: str
    ok: bool


@dataclass(frozen=True, slots=True)
class PrizeEdit:
    rank: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class DraftEdit:
    """What a sponsor may change without a new upload."""

    title: str
    summary: str
    overview_md: str
    agreement_md: str
    opens: datetime
    closes: datetime
    pool: Decimal
    prizes: tuple[PrizeEdit, ...]
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class DraftView:
    """A challenge on its way to publication. ``edit`` is None until the upload was read without faults in its file."""

    id: str
    slug: str
    title: str
    state: DraftState
    faults: tuple[FaultView, ...]
    dry_run: tuple[DryRunRow, ...]
    edit: DraftEdit | None
    uploaded_at: datetime
    report_text: str
    filename: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class QueueRow:
    id: str
    kind: str
    state: str
    attempts: int
    age_s: float
    lease_until: datetime | None


@dataclass(frozen=True, slots=True)
class WorkerView:
    name: str
    last_seen: datetime
    busy: int
    threads: int
    memory: int


@dataclass(frozen=True, slots=True)
class HealthCheck:
    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Health:
    ok: bool
    checks: tuple[HealthCheck, ...]


@dataclass(frozen=True, slots=True)
class MailView:
    to: str
    subject: str
    body: str
    at: datetime


@dataclass(frozen=True, slots=True)
class OperatorView:
    queue: tuple[QueueRow, ...]
    counts: Mapping[str, int]
    workers: tuple[WorkerView, ...]
    health: Health
    outbox: tuple[MailView, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class SessionView:
    id: str
    created_at: datetime
    last_seen_at: datetime
    agent: str
    current: bool


@dataclass(frozen=True, slots=True)
class TokenView:
    id: str
    name: str
    scopes: tuple[str, ...]
    expires_at: datetime
    last_used_at: datetime | None
    created_at: datetime
    prefix: str = ""
