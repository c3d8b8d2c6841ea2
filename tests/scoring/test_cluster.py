"""Dask: the same answers as inline, large entries in bundles, a lost worker that costs nothing, cancelling."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from datasets.errors import EngineFault
from scoring import cluster as dask_side
from scoring.cluster import Cluster, Machine
from scoring.contracts import ScoreReport
from scoring.engine import Partials, PartTask, Runner
from scoring.hosts import PartJob, attended
from scoring.jobs import Inline
from scoring.kinds import raster as raster_kind
from scoring.settings import EngineSettings
from scoring.worker import PLANS, Plans, run_with
from tests.scoring import dying
from tests.scoring.works import Works, publish

CHANGING = {"seconds", "peak_rss_mib"}


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Works:
    return publish(tmp_path_factory.mktemp("works"), "raster-continuous")


@pytest.fixture(scope="module")
def threads(works: Works) -> Iterator[Cluster]:
    with Cluster.local(workers=2, settings=works.settings, processes=False) as made:
        yield made


def facts(answer: bytes) -> dict[str, Any]:
    return ScoreReport.model_validate_json(answer).model_dump(exclude=CHANGING)


def test_dask_answers_what_inline_answers(works: Works, threads: Cluster) -> None:
    payload = works.payload(works.example.sample)
    inline = Inline(works.settings).submit("score", payload)
    job = threads.submit("score", payload)
    assert facts(job.result(60)) == facts(inline.result())
    assert job.done()
    assert inline.done()


def until(ask: Callable[[], Any], patience: float = 60.0) -> None:
    """Wait until ``ask`` gives something true."""
    end = time.monotonic() + patience
    while not ask():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_bundles_of_a_large_entry_give_the_same_bits(
    works: Works, threads: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[PartJob] = []
    of = Plans.of
    monkeypatch.setattr(Plans, "of", lambda plans, job: asked.append(job) or of(plans, job))
    monkeypatch.setattr(raster_kind, "PART_BYTES", 1 << 10)
    payload = works.payload(works.example.sample)
    alone = facts(run_with(works.settings, "score", payload))
    assert asked == []
    monkeypatch.setattr(dask_side, "LARGE_BYTES", 0)
    assert facts(threads.submit("score", payload).result(60)) == alone
    assert len(asked) > 1, "bundles went through the cluster"
    until(lambda: PLANS._plans == {})


def endless(_count: int) -> Runner:
    """A runner whose bundles never end."""

    def run(_task: PartTask, _bundles: int) -> Iterator[Partials]:
        for number in itertools.count():
            DONE.append(number)
            time.sleep(0.01)
            yield {}

    return run


DONE: list[int] = []


def test_a_cancelled_task_stops_between_two_bundles_and_tells_how_far_it_is(
    works: Works, threads: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_side, "here", endless)
    monkeypatch.setattr(dask_side, "TOLD_S", 0.0)
    ended = threading.Event()
    monkeypatch.setattr(dask_side, "run_with", lambda *task, **host: (run_with(*task, **host), ended.set())[0])
    job = threads.submit("score", works.payload(works.example.sample))
    until(lambda: (job.progress() or 0) > 0)
    job.cancel()
    assert ended.wait(10)
    done = len(DONE)
    with pytest.raises(EngineFault):
        job.result(1)
    time.sleep(0.1)
    assert len(DONE) == done


def test_a_small_entry_does_not_wait_for_a_large_one(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, free = threading.Event(), threading.Event()

    def slow_when_large(settings: EngineSettings, task: str, payload: bytes, *, host: Any) -> bytes:
        if isinstance(host, Machine):
            begun.set()
            assert free.wait(60)
        return run_with(settings, task, payload, host=host)

    monkeypatch.setattr(dask_side, "run_with", slow_when_large)
    payload = works.payload(works.example.sample)
    with Cluster.local(workers=1, settings=works.settings, processes=False) as made:
        monkeypatch.setattr(dask_side, "LARGE_BYTES", 0)
        large = made.submit("score", payload)
        monkeypatch.setattr(dask_side, "LARGE_BYTES", 1 << 40)
        try:
            assert begun.wait(60)
            assert facts(made.submit("score", payload).result(60))["status"] == "scored"
            assert not large.done()
        finally:
            free.set()
        assert facts(large.result(60))["status"] == "scored"


def test_progress_rises_from_0_to_1_over_any_number_of_passes() -> None:
    class Host:
        def __init__(self) -> None:
            self.told: list[float] = []

        def check(self) -> None:
            return

        def tell(self, share: float) -> None:
            self.told.append(share)

    class Task:
        class plan:  # noqa: N801  what attended asks of a plan
            refined = ("ranks",)

    host = Host()
    run = attended(lambda _task, bundles: iter([{}] * bundles), host)  # type: ignore[arg-type]
    for _ in range(4):
        list(run(Task(), 8))  # type: ignore[arg-type]
    assert host.told == sorted(set(host.told))
    assert 0 < host.told[0] < host.told[-1] <= 1


def test_callbacks_and_facts(works: Works, threads: Cluster) -> None:
    called: list[bytes] = []
    job = threads.submit("score", works.payload(works.example.sample))
    job.result(60)
    job.add_done_callback(lambda done: called.append(done.result(1)))
    Inline(works.settings).submit("guess", b"").add_done_callback(lambda done: called.append(done.result()))
    assert b"bad-ticket" in called[-1]
    workers = threads.workers()
    assert [facts.threads for facts in workers] == [1, 1]


def test_a_scheduler_is_reached_over_tls_only(tmp_path: Path) -> None:
    with pytest.raises(EngineFault, match="TLS"):
        Cluster.connect("tcp://127.0.0.1:1", ca=tmp_path, cert=tmp_path, key=tmp_path)


@pytest.fixture(scope="module")
def processes(works: Works) -> Iterator[Cluster]:
    with Cluster.local(workers=2, settings=works.settings) as made:
        yield made


@pytest.mark.slow
def test_a_killed_worker_is_a_fault_and_the_next_try_scores(
    works: Works, processes: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload = works.payload(works.example.sample)
    monkeypatch.setattr(dask_side, "work", dying.kill_self)
    lost = processes.submit("score", payload)
    with pytest.raises(EngineFault, match="lost"):
        lost.result(120)
    monkeypatch.undo()
    again = [processes.submit("score", payload) for _ in range(2)]
    alone = facts(run_with(works.settings, "score", payload))
    assert [facts(job.result(120)) for job in again] == [alone] * 2
    until(lambda: len(processes.workers()) == 2)


@pytest.mark.slow
def test_a_worker_lost_in_the_middle_of_a_large_entry_costs_nothing(
    works: Works, processes: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raster_kind, "PART_BYTES", dying.PART_BYTES)
    payload = works.payload(works.example.sample)
    alone = facts(run_with(works.settings, "score", payload))
    monkeypatch.setattr(dask_side, "LARGE_BYTES", 0)
    until(lambda: [worker.busy for worker in processes.workers()] == [0, 0])
    monkeypatch.setattr(dask_side, "work", dying.work_with_losses)
    assert facts(processes.submit("score", payload).result(120)) == alone
    assert (works.settings.scratch / dying.MARK).exists()
