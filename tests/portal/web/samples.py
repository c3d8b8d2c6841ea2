"""Made-up views of one challenge in each of its states: what services would hand to the pages."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from portal.domain.views import (
    AgreementView,
    Board,
    BoardRow,
    ChallengeCard,
    ChallengePage,
    EntryView,
    FileView,
    FindingView,
    LayerView,
    LedgerView,
    MetricLine,
    MyState,
    PostingView,
    PrizeView,
    ProgressPoint,
    Quota,
    ReleaseView,
    RulesView,
    TimelineItem,
)

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
HOSTILE = '<script>alert("x")</script>\'"&'

RULES = RulesView(
    kind="points",
    primary="captured_value",
    metrics=(
        MetricLine("captured_value", "higher", "oz", "0 to total", "sum of captured value", primary=True),
        MetricLine("mean_distance", "lower", "m", "0 to 50", "mean distance of pairs"),
    ),
    formats=("geojson", "csv"),
    max_bytes=200_000,
    per_day=5,
    finals=2,
    blocks_text="Tiles of 2,000 m; half of them are public.",
    range=(0.0, 100.0),
    expects_text="One point a target.",
)
RELEASE = ReleaseView(
    version=1,
    published_at=NOW - 30 * DAY,
    manifest_digest=DIGEST,
    total_bytes=1_234_567,
    files=(FileView("public/assays.csv", 1_204_331, DIGEST), FileView("public/a b/mag.tif", 30_236, DIGEST)),
    zip_bytes=998_000,
    zip_sha256=DIGEST,
)
LAYERS = (
    LayerView("magnetics", "raster", "magnetics.png", (-94.2, 50.8, -93.2, 51.3), "Magnetics"),
    LayerView("holes", "vector", "holes.geojson", (-94.0, 50.5, -93.4, 51.2), "Drill holes"),
    LayerView("log", "series", "log.json", None, "A log"),
)
QUOTA = Quota(per_day=5, used=2, left=3, next_at=None)
STRANGER = MyState(signed_in=False, role="none", agreement_digest=DIGEST, agreement_signed=False)
NEWCOMER = MyState(signed_in=True, role="expert", agreement_digest=DIGEST, agreement_signed=False)
EXPERT = MyState(
    signed_in=True, role="expert", agreement_digest=DIGEST, agreement_signed=True, quota=QUOTA, affiliated=False,
    best_rank=3, team_name="Expert A", may_submit=True,
)  # fmt: skip


def card(**changes: Any) -> ChallengeCard:
    made = ChallengeCard(
        slug="red-lake", title="Where to drill next", sponsor="Survey", summary="Name the targets.", kind="points",
        phase="open", opens=NOW - 30 * DAY, closes=NOW + 12 * DAY, pool_minor=57_500_000, currency="USD", entries=1204,
        experts=143, tags=("geology",),
    )  # fmt: skip
    return replace(made, **changes)


def page(me: MyState = EXPERT, *, release: ReleaseView | None = RELEASE, **changes: Any) -> ChallengePage:
    facts = card(**changes)
    return ChallengePage(
        card=facts,
        overview_md="# What we know\n\nEverything.",
        rules=RULES,
        prizes=(PrizeView(1, 10_500_000), PrizeView(2, 8_500_000)),
        release=release,
        me=me,
        layers=LAYERS,
        commitment=DIGEST,
        timeline=(TimelineItem(facts.opens, "Opens", True), TimelineItem(facts.closes, "Closes", False)),
    )


def entry(state: str = "scored", **changes: Any) -> EntryView:
    made = EntryView(
        id="e-1", challenge_slug="red-lake", number=7, received_at=NOW, file_sha256=DIGEST, file_bytes=48_123,
        filename="targets.geojson", note="kriged", state="queued", position=3, progress=None, public_scores=None,
        findings=(), attempts=1, scored_at=None, artifacts=(), receipt="receipt",
    )  # fmt: skip
    finding = FindingView("duplicate-rank", "Two features have the rank 17.", {"feature": 41}, "Give each its own.")
    by_state: Mapping[str, Mapping[str, Any]] = {
        "scoring": {"progress": 0.5, "attempts": 2},
        "scored": {
            "public_scores": {"captured_value": 0.5732, "mean_distance": None},
            "scored_at": NOW,
            "artifacts": ("entry.geojson", "entry.json", "entry.png"),
        },
        "rejected": {"findings": (finding,)},
        "failed": {"attempts": 3},
    }
    return replace(made, **{"state": state, **by_state.get(state, {}), **changes})


def board(count: int = 8, **changes: Any) -> Board:
    rows = tuple(
        BoardRow(
            rank=i + 1, rank_label=str(i + 1), team=f"Team {i}", affiliated=i == 3, score=1 - i / 10, scores={},
            entries=i + 1, last_at=NOW, is_me=i == 1, entry_id="e-1" if i == 1 else None,
        )
        for i in range(count)
    )  # fmt: skip
    unranked = BoardRow(None, "", "No score yet", False, None, {}, 1, NOW)
    made = Board(
        slug="red-lake", metric="captured_value", direction="higher", rows=(*rows, unranked) if rows else (),
        updated_at=NOW, etag="abc123", stage="public", total_entries=1204,
    )  # fmt: skip
    return replace(made, **changes)


PROGRESS = [ProgressPoint(NOW + i * DAY, 0.1 * i, "Team 1") for i in range(4)]
AGREEMENT = AgreementView(DIGEST, "# Agreement\n\nUse it here only.", None)
LEDGER = LedgerView(
    "USD",
    57_500_000,
    10_500_000,
    8_500_000,
    (PostingView(NOW, "prize", 10_500_000, "Rank 1", "Expert A", "Pool", "e-1"),),
)
