"""The demo is played through the real services and engine, once: a second time finds everything there."""

import io
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from datasets.sealing import generate_keys
from portal.demo import boards, play
from portal.demo.cast import PEOPLE, assemble
from portal.demo.challenges import sic2004
from portal.demo.entries.sic2004 import ENTRIES
from portal.demo.play import Stage
from portal.demo.programme import DemoChallenge
from portal.demo.runner import dispatching
from portal.services import accounts, paying, ranking, submitting
from portal.services.context import Context, open_context
from portal.settings import Settings
from portal.store.migrate import upgrade
from scoring.worker import EngineSettings, run_with

SMALL = DemoChallenge(
    "sic2004", sic2004.build, tuple(entry for entry in ENTRIES if entry.filename in {"nearest.csv", "kriging.csv"})
)


@dataclass(frozen=True)
class Answered:
    """A job that is done as soon as it is handed over."""

    answer: bytes

    def done(self) -> bool:
        return True

    def result(self, timeout: float | None = None) -> bytes:
        return self.answer

    def cancel(self) -> None:
        return

    def progress(self) -> float | None:
        return None

    def add_done_callback(self, call: Callable[[Any], None]) -> None:
        call(self)


@dataclass(frozen=True)
class InProcess:
    """The engine without a cluster."""

    settings: EngineSettings

    def submit(self, task: str, payload: bytes) -> Answered:
        return Answered(run_with(self.settings, task, payload))

    def workers(self) -> tuple[()]:
        return ()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    data = tmp_path_factory.mktemp("instance")
    identity, recipient = generate_keys()
    settings = Settings(
        data=data,
        secret_key="s" * 40,
        truth_recipient=recipient,
        argon2_memory_kib=8,
        argon2_time=1,  # type: ignore[arg-type]
    )
    upgrade(settings.url)
    settings.scratch_root.mkdir()
    engine = InProcess(
        EngineSettings(settings.store_root.absolute(), settings.scratch_root.absolute(), identity, recipient)
    )
    ctx = open_context(settings)
    with dispatching(ctx, engine):
        yield Stage(ctx, engine, assemble(ctx), settings.scratch_root, datetime.now(UTC), lambda line: None)
    ctx.close()


@pytest.fixture(scope="module")
def played(stage: Stage) -> Stage:
    play_all(stage)
    return stage


def play_all(stage: Stage) -> None:
    play.publish(stage, SMALL)
    play.enter_all(stage, SMALL)
    count = play.await_scores(stage, SMALL)
    play.close_and_judge(stage, SMALL)
    boards.remember(stage.ctx, {SMALL.slug: count})


def test_the_final_board_ranks_kriging_first_and_pays_it(played: Stage) -> None:
    board = ranking.board(played.ctx, actor=None, slug=SMALL.slug)
    assert board.stage == "final"
    assert [(row.rank, row.team, row.verdict) for row in board.rows] == [
        (1, "Expert D", "verified"),
        (2, "Expert B", "verified"),
    ]
    ledger = paying.ledger(played.ctx, actor=None, slug=SMALL.slug)
    assert ledger.paid_minor == 900_000  # EUR 6,000 and 3,000
    assert paying.check(played.ctx) == []


def test_playing_again_changes_nothing(played: Stage) -> None:
    before = facts(played.ctx, played)
    play_all(played)
    assert facts(played.ctx, played) == before


def facts(ctx: Context, stage: Stage) -> object:
    entries = [submitting.mine(ctx, actor=stage.cast.expert(letter), slug=SMALL.slug) for letter in "BD"]
    return entries, ranking.board(ctx, actor=None, slug=SMALL.slug), paying.ledger(ctx, actor=None, slug=SMALL.slug)


def test_a_played_demo_is_recognised_and_printed(played: Stage) -> None:
    assert boards.played(played.ctx) == (SMALL.slug,)
    paper = io.StringIO()
    boards.show(played.ctx, boards.played(played.ctx), Console(file=paper, width=110))
    text = paper.getvalue()
    for word in ("SIC2004", "Expert D", "verified", "9,000 posted", "final board", "lower is better"):
        assert word in text


def test_an_unplayed_instance_is_not_taken_for_a_played_one(played: Stage, tmp_path: Path) -> None:
    other = open_context(played.ctx.settings.model_copy(update={"data": tmp_path}))
    assert boards.played(other) == ()
    boards.remember(other, {SMALL.slug: 2})
    upgrade(other.settings.url)
    assert boards.played(other) == ()
    other.close()


def test_accounts_are_kept_for_their_owner_alone_and_open_the_door(played: Stage) -> None:
    file = played.cast.file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert len(lines) == len(PEOPLE)
    email, password = lines[0]
    session = accounts.login(played.ctx, email=email, password=password, agent="test", address="127.0.0.1")
    actor = accounts.actor_for_session(played.ctx, session_id=session)
    assert actor is not None
    assert actor.is_operator
    assert assemble(played.ctx).file.read_text(encoding="utf-8") == file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (None, "1", "–"),
        (14.0, "features", "14"),
        (0.00497, "1", "0.004970"),
        (145.87, "truth unit", "145.9"),
        (575000.0, "USD", "575,000"),
    ],
)
def test_numbers_on_a_board(value: float | None, unit: str, shown: str) -> None:
    assert boards.number(value, unit) == shown
