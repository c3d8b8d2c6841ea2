"""Dask: the same answers as inline, large entries in parts, a lost worker that costs nothing."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from datasets.errors import EngineFault
from scoring import cluster as dask_side
from scoring.cluster import FAN_PARTS, Cluster
from scoring.contracts import ScoreReport
from scoring.jobs import Inline
from scoring.kinds import raster as raster_kind
from scoring.worker import _plan, run_with
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


def test_the_parts_of_a_large_entry_give_the_same_bits(
    works: Works, threads: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raster_kind, "PART_BYTES", 1 << 10)
    payload = works.payload(works.example.sample)
    alone = facts(run_with(works.settings, "score", payload))
    before = _plan.cache_info()
    assert facts(threads.submit("score", payload).result(60)) == alone
    after = _plan.cache_info()
    assert after.hits + after.misses - before.hits - before.misses >= FAN_PARTS, "parts went through the cluster"


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


def kill_self(*_: object) -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


@pytest.mark.slow
def test_a_killed_worker_is_a_fault_and_the_next_try_scores(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    payload = works.payload(works.example.sample)
    with Cluster.local(workers=1, settings=works.settings) as made:
        alone = facts(run_with(works.settings, "score", payload))
        assert facts(made.submit("score", payload).result(120)) == alone
        monkeypatch.setattr(dask_side, "work", kill_self)
        lost = made.submit("score", payload)
        with pytest.raises(EngineFault, match="lost"):
            lost.result(120)
        monkeypatch.undo()
        again = [made.submit("score", payload) for _ in range(2)]
        assert [facts(job.result(120)) for job in again] == [alone] * 2
