"""kill -9 in the middle of the work, on both databases: nothing acknowledged is lost, nothing is scored twice."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from portal.domain.states import EntryState
from portal.services import submitting
from portal.store.tables import Score, Submission
from tests.portal.town import Town

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE_S = 90
pytestmark = pytest.mark.slow


@contextmanager
def process(town: Town, what: str) -> Iterator["subprocess.Popen[str]"]:
    """A process of ``tests.faults.actors`` that has said it is ready; killed at the end if it still runs."""
    settings = town.ctx.settings
    command = [sys.executable, "-m", "tests.faults.actors", what, str(settings.data), settings.url]
    started = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        lines(started, "ready", 1)
        yield started
    finally:
        started.kill()
        started.wait()
        if started.stdout:
            started.stdout.close()


def lines(running: "subprocess.Popen[str]", start: str, count: int) -> list[str]:
    """The next ``count`` lines that begin with ``start``."""
    found: list[str] = []
    assert running.stdout is not None
    while len(found) < count:
        line = running.stdout.readline()
        assert line, "the process ended by itself"
        if line.startswith(start):
            found.append(line.strip())
    return found


def wait_until_scored(town: Town, count: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        with town.ctx.reading() as session:
            states = Counter(state for (state,) in session.query(Submission.state))
        if states[EntryState.SCORED] == count:
            return
        time.sleep(0.1)
    pytest.fail(f"not everything was scored in {PATIENCE_S} s: {dict(states)}")


def test_a_dispatcher_killed_mid_score_loses_nothing_and_scores_nothing_twice(running: Town) -> None:
    chance = random.Random(20_260_301)
    experts = [running.expert(f"Expert {letter}") for letter in "ABC"]
    sent = [running.send(expert, str(number)).id for number in range(6) for expert in experts]
    for _ in range(3):
        with process(running, "dispatch") as victim:
            lines(victim, "handed over", chance.randint(1, 4))
            victim.send_signal(signal.SIGKILL)
            victim.wait()
    with process(running, "dispatch"), process(running, "dispatch"):
        wait_until_scored(running, len(sent))
    with running.ctx.reading() as session:
        scores = Counter(str(row.submission_id) for row in session.query(Score))
        rows = session.query(Submission).all()
    assert scores == dict.fromkeys(sent, 1)
    assert all(row.lease_until is None and row.fence == row.attempts for row in rows)
    assert max(row.attempts for row in rows) > 1  # the kills did hit entries in work


def test_a_dispatcher_told_to_stop_leaves_nothing_leased(running: Town) -> None:
    expert = running.expert("Expert A")
    for number in range(8):
        running.send(expert, str(number))
    with process(running, "dispatch") as stopped:
        lines(stopped, "handed over", 2)
        stopped.terminate()
        assert stopped.wait(PATIENCE_S) == 0
    with running.ctx.reading() as session:
        states = {state for (state,) in session.query(Submission.state)}
    assert states <= {EntryState.SCORED, EntryState.QUEUED}


def test_every_receipt_handed_out_before_a_kill_is_kept_with_its_file(running: Town) -> None:
    chance = random.Random(7)
    running.expert("Expert A")
    receipts: list[str] = []
    for _ in range(3):
        with process(running, "upload") as victim:
            receipts += lines(victim, "receipt", chance.randint(2, 6))
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            assert victim.stdout is not None
            receipts += [line.strip() for line in victim.stdout if line.startswith("receipt") and line.endswith("\n")]
    told = [submitting.verify_receipt(running.ctx, text=line.split()[1]) for line in receipts]
    with running.ctx.reading() as session:
        stored = {str(row.id): row for row in session.query(Submission)}
    for receipt in told:
        assert receipt is not None
        assert stored[receipt.id].file_digest == receipt.sha256
    for row in stored.values():
        running.ctx.blobs.verify(row.file_digest)
    numbers = sorted(row.number for row in stored.values())
    assert numbers == list(range(1, len(numbers) + 1))
