"""``kill -9`` of every process of a real instance in the middle of its work, on SQLite and on PostgreSQL.

A lost scheduler is a lost try like a lost worker's, which both databases are tried with: one of them is enough there.
Afterwards every acknowledged entry has one final state and one score, the one that offline scoring gives.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from portal.dispatch import Dispatcher
from portal.domain.states import EntryState
from portal.domain.views import EntryView
from portal.services import submitting
from scoring.jobs import Inline
from tests import challenges
from tests.faults.audit import audit, await_final
from tests.faults.authority import Certificates, issue
from tests.faults.stack import Receipt, Stack, free_port, stack, until

pytestmark = pytest.mark.slow
STRICT = {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True", "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "60s"}


@dataclass(frozen=True)
class Ground:
    """A running database with a published challenge of wells, its directory, and files to send."""

    stack: Stack
    slug: str
    example: challenges.Example

    def file(self, shift: float) -> bytes:
        """An entry whose every value lies ``shift`` beside the truth."""
        head, *lines = self.example.perfect.read_text(encoding="utf-8").splitlines()
        rows = [line.rsplit(",", 1) for line in lines]
        return "\n".join([head, *(f"{left},{float(value) + shift:.6f}" for left, value in rows), ""]).encode()

    def seen(self, receipt: Receipt) -> EntryView:
        return submitting.entry(self.stack.ctx, actor=self.stack.person(receipt.name), entry_id=receipt.id)

    def audit(self) -> dict[str, EntryState]:
        await_final(self.stack)
        return audit(self.stack, self.example.folder)


@pytest.fixture
def ground(database_url: str, tmp_path: Path) -> Iterator[Ground]:
    with stack(tmp_path, database_url) as made:
        example = challenges.table_numbers(tmp_path / "challenge")
        yield Ground(made, made.publish(example.folder), example)


def test_the_web_killed_in_an_upload_and_after_a_receipt(ground: Ground) -> None:
    instance, content = ground.stack, ground.file(0.01)
    instance.start_web()
    line = instance.begin_upload("Expert A", ground.slug, content, key="first")
    line.send(content[: len(content) // 2])
    until(instance.arriving, "the first half to arrive")
    instance.kill_group("web")
    line.close()
    expert = instance.person("Expert A")
    assert submitting.mine(instance.ctx, actor=expert, slug=ground.slug) == [], "half a file is no entry"
    assert submitting.quota(instance.ctx, actor=expert, slug=ground.slug).used == 0

    instance.start_web()
    told = instance.upload("Expert A", ground.slug, content, key="first")
    instance.kill_group("web")
    assert ground.seen(told).state is EntryState.QUEUED

    instance.start_web()
    assert instance.upload("Expert A", ground.slug, content, key="first") == told, "the key finds the first receipt"
    doubt = ground.file(0.02)
    line = instance.begin_upload("Expert B", ground.slug, doubt, key="doubt")
    line.send(doubt)
    instance.kill_group("web")
    line.close()
    instance.start_web()
    instance.upload("Expert B", ground.slug, doubt, key="doubt")
    assert len(submitting.mine(instance.ctx, actor=instance.person("Expert B"), slug=ground.slug)) == 1

    dispatcher = Dispatcher(instance.ctx, Inline(instance.engine), slots=2)
    while dispatcher.step():
        pass
    assert set(ground.audit().values()) == {EntryState.SCORED}


def test_reader_worker_and_dispatcher_killed_in_the_middle_of_scoring(ground: Ground) -> None:
    instance = ground.stack
    instance.start_scorer()
    calm = instance.send("Expert D", ground.slug, ground.file(0.04))
    await_final(instance)
    with instance.held() as readers:
        first = instance.send("Expert A", ground.slug, ground.file(0.01))
        instance.await_reading()
        for reader in readers:
            reader.kill()
        await_final(instance)
        assert ground.seen(first).attempts == 1, "another reader takes the file up within the same try"

    with instance.held() as readers:
        twice = instance.send("Expert B", ground.slug, ground.file(0.02))
        instance.await_reading()
        worker = readers[0].parent()
        assert worker is not None
        worker.kill()
        until(lambda: ground.seen(twice).state is EntryState.QUEUED, "the lost try to be noticed")
    gone = {process.pid for process in readers}
    with instance.held() as others:
        assert not gone & {process.pid for process in others}, "a new worker has a reader of its own"
        until(lambda: ground.seen(twice).attempts == 2, "the second try")
        instance.await_reading()
        once = instance.send("Expert C", ground.slug, ground.file(0.03))
        until(lambda: ground.seen(once).state is EntryState.SCORING, "the other entry to be handed over")
        instance.kill("scorer")
    until(lambda: not instance.leftovers(), "the workers of a dead scorer to end by themselves")

    instance.start_scorer(more={"MOTHERLODE_SCORE_ATTEMPTS": "2"})
    states = ground.audit()
    assert states.pop(twice.id) is EntryState.FAILED, "two tries were all this scorer allows"
    assert set(states) == {calm.id, first.id, once.id}
    assert set(states.values()) == {EntryState.SCORED}
    assert ground.seen(once).attempts == 2
    assert psutil.pid_exists(instance.running["scorer"].pid)


def start_cluster(instance: Stack, address: str, known: Certificates) -> None:
    """A scheduler and a worker with certificates of one authority, as docs/operations.md describes."""
    host, port = address.removeprefix("tls://").split(":")
    binding = ("--host", host, "--port", port, "--protocol", "tls", "--no-dashboard")
    instance.start("scheduler", ["distributed.cli.dask_scheduler", *binding, *known.for_dask()], key=False, more=STRICT)
    start_worker(instance, address, known)


def start_worker(instance: Stack, address: str, known: Certificates) -> None:
    room = ("--local-directory", str(instance.folder / "dask"), "--nthreads", "1", "--no-dashboard")
    instance.start("worker", ["distributed.cli.dask_worker", address, *room, *known.for_dask()], key=True, more=STRICT)


@pytest.mark.parametrize("database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
def test_a_scheduler_behind_tls_killed_in_the_middle_of_scoring(ground: Ground, tmp_path: Path) -> None:
    instance = ground.stack
    known = issue(tmp_path / "ours")
    address = f"tls://127.0.0.1:{free_port()}"
    start_cluster(instance, address, known)
    instance.start_scorer("--scheduler", address, *known.for_scorer(), more=STRICT)
    calm = instance.send("Expert A", ground.slug, ground.file(0.01))
    await_final(instance)

    with instance.held("worker"):
        lost = instance.send("Expert B", ground.slug, ground.file(0.02))
        instance.await_reading()
        instance.kill_group("scheduler")
        instance.kill_group("worker")
        until(lambda: ground.seen(lost).state is EntryState.QUEUED, "the lost scheduler to be noticed")
    waiting = instance.send("Expert C", ground.slug, ground.file(0.03))
    assert ground.seen(waiting).state in {EntryState.QUEUED, EntryState.SCORING}

    start_cluster(instance, address, known)
    states = ground.audit()
    assert set(states) == {calm.id, lost.id, waiting.id}
    assert set(states.values()) == {EntryState.SCORED}
    assert instance.running["scorer"].poll() is None, "the scorer found the new scheduler by itself"
