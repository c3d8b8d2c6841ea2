"""Dask: the same answers as inline, large entries in bundles, a lost worker that costs nothing, cancelling."""

import asyncio
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import distributed
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.blocks import Side
from datasets.errors import EngineFault
from scoring import cluster as dask_side
from scoring import hosts, places
from scoring.cluster import Cluster, Machine
from scoring.contracts import ScoreReport
from scoring.engine import Partials, PartTask, Runner
from scoring.hosts import PartJob, attended
from scoring.jobs import Inline
from scoring.kinds import raster as raster_kind
from scoring.places import HOMES, LOOK_S, Gate, emptiest, host_of, nearest, share
from scoring.settings import EngineSettings
from scoring.worker import PLANS, Plans, packed, run_with, unpacked
from tests.scoring import dying
from tests.scoring.works import Works, publish

CHANGING = {"seconds", "peak_rss_mib"}
ENVIRON = "distributed.nanny.pre-spawn-environ"


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


@pytest.mark.parametrize("stretch", [0.0, 60.0])
def test_the_bundles_of_a_large_entry_give_the_same_bits(
    works: Works, threads: Cluster, monkeypatch: pytest.MonkeyPatch, stretch: float
) -> None:
    asked: list[PartJob] = []
    of = Plans.of
    monkeypatch.setattr(Plans, "of", lambda plans, job: asked.append(job) or of(plans, job))
    monkeypatch.setattr(raster_kind, "PART_BYTES", 1 << 10)
    monkeypatch.setattr(hosts, "WORTH_S", 0.0)
    monkeypatch.setattr(hosts, "STRETCH_S", stretch)
    monkeypatch.setattr(hosts, "BYTE_S", 0.0)
    payload = works.payload(works.example.sample)
    alone = facts(run_with(works.settings, "score", payload))
    assert asked == []
    monkeypatch.setattr(places, "LARGE_BYTES", 0)
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
        monkeypatch.setattr(places, "LARGE_BYTES", 0)
        large = made.submit("score", payload)
        monkeypatch.setattr(places, "LARGE_BYTES", 1 << 40)
        try:
            assert begun.wait(60)
            assert facts(made.submit("score", payload).result(60))["status"] == "scored"
            assert not large.done()
        finally:
            free.set()
        assert facts(large.result(60))["status"] == "scored"


class Crowd:
    """Stands in for run_with: large entries stay inside until they are let go."""

    def __init__(self) -> None:
        self.free, self.places, self.most = threading.Event(), Counter[str](), Counter[str]()
        self._lock = threading.Lock()

    def __call__(self, settings: EngineSettings, task: str, payload: bytes, *, host: Any) -> bytes:
        if not isinstance(host, Machine):
            return run_with(settings, task, payload, host=host)
        with self._lock:
            self.places[host.address] += 1
            self.most[host.address] = max(self.most[host.address], self.places[host.address])
        assert self.free.wait(60)
        with self._lock:
            self.places[host.address] -= 1
        return run_with(settings, task, payload, host=host)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_has_one_large_entry_for_each_thread(
    works: Works, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    crowd, payload = Crowd(), works.payload(works.example.sample)
    monkeypatch.setattr(dask_side, "run_with", crowd)
    with Cluster.local(workers=workers, settings=works.settings, processes=False) as made:
        monkeypatch.setattr(places, "LARGE_BYTES", 0)
        large = [made.submit("score", payload) for _ in range(2 * workers + 1)]
        monkeypatch.setattr(places, "LARGE_BYTES", 1 << 40)
        try:
            until(lambda: len(crowd.places) == workers)
            for _ in range(4 * workers):
                assert facts(made.submit("score", payload).result(60))["status"] == "scored"
            assert not any(job.done() for job in large)
        finally:
            crowd.free.set()
        assert {facts(job.result(60))["status"] for job in large} == {"scored"}
    assert len(crowd.most) == workers, "every worker had its share"
    assert set(crowd.most.values()) == {1}


def test_an_entry_that_waits_for_its_place_can_be_cancelled(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd, payload = Crowd(), works.payload(works.example.sample)
    waiting, through = threading.Event(), Gate.through

    def seen(gate: Gate, check: Callable[[], None]) -> Any:
        return through(gate, lambda: (waiting.set(), check())[1])

    monkeypatch.setattr(Gate, "through", seen)
    monkeypatch.setattr(dask_side, "run_with", crowd)
    monkeypatch.setattr(places, "LARGE_BYTES", 0)
    with Cluster.local(workers=1, settings=works.settings, processes=False) as made:
        first, second = (made.submit("score", payload) for _ in range(2))
        try:
            assert waiting.wait(60)
            second.cancel()
            until(lambda: [worker.busy for worker in made.workers()] == [1])
        finally:
            crowd.free.set()
        assert facts(first.result(60))["status"] == "scored"
        with pytest.raises(EngineFault):
            second.result(10)
    assert crowd.most.total() == 1


def test_whoever_stops_waiting_takes_no_answer_from_others(threads: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask joins the fetches of one client; a fetch that is slow must not be given up half-way."""
    client_side: Any = distributed.client
    slow = client_side.retry_operation

    async def slowly(*task: Any, **more: Any) -> Any:
        await asyncio.sleep(4 * LOOK_S)
        return await slow(*task, **more)

    monkeypatch.setattr(client_side, "retry_operation", slowly)
    host, end = object.__new__(Machine), time.monotonic() + 60

    def check() -> None:
        assert time.monotonic() < end

    host.check = check  # type: ignore[method-assign]
    futures = [threads._client.submit(lambda: b"answer", pure=False) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        waits = []
        for future in futures:
            waits.append(pool.submit(host._result, future))
            time.sleep(LOOK_S / 4)
        assert [wait.result(60) for wait in waits] == [b"answer"] * 4


@given(st.dictionaries(st.text(), st.integers(1, 8)), st.lists(st.text()))
def test_the_next_entry_goes_where_fewest_are(workers: dict[str, int], lost: list[str]) -> None:
    places = sum(workers.values())
    taken = [name for name in lost if name not in workers]
    for _ in range(places):
        name = emptiest(workers, taken)
        assert name is not None
        taken.append(name)
    assert all(taken.count(name) == threads for name, threads in workers.items()), "every place is taken once"
    assert workers or emptiest(workers, lost) is None


HOSTS = st.integers(1, 6)


@given(HOSTS, st.integers(1, 3), st.text(min_size=1))
def test_a_truth_is_opened_on_two_hosts_until_they_are_full(hosts: int, each: int, truth: str) -> None:
    workers = {f"tls://10.0.0.{host}:{4000 + own}": 2 for host in range(hosts) for own in range(each)}
    taken: list[str] = []
    for count in range(2 * len(workers)):
        name = nearest(workers, taken, truth)
        assert name is not None
        taken.append(name)
        used = {host_of(one) for one in taken}
        assert count >= 2 * each * min(hosts, HOMES) or len(used) <= HOMES, "others only when its own have no place"
    assert Counter(taken) == dict.fromkeys(workers, 2), "every place is taken once"


@given(st.integers(2, 6), st.text(min_size=1))
def test_a_lost_host_moves_its_own_truths_only(hosts: int, truth: str) -> None:
    workers = {f"tls://10.0.0.{host}:4000": 9 for host in range(hosts)}
    before = nearest(workers, [], truth)
    for lost in workers:
        left = {name: n for name, n in workers.items() if name != lost}
        homes = {nearest(left, [], truth), nearest(left, [nearest(left, [], truth) or ""], truth)}
        assert lost == before or before in homes


def of_bundle(number: int) -> Partials:
    """Partials of odd shapes: none, several places, keys with blanks, a heavy one."""
    places: list[tuple[str, Side]] = [("", "public"), (f"{number} block of 7", "private"), ("0 0", "neither")]
    state = {"sums": np.arange(float(number)), "more": np.full((2, number), number, dtype=np.int64)}
    return {place: {"plain": state, "other": {"sums": np.zeros(0)}} for place in places[: number % 4]}


@dataclass(frozen=True)
class Asking:
    """A pass over such bundles that asks ``detail``."""

    detail: bytes = b""

    def __call__(self, number: int) -> Partials:
        return of_bundle(number)


def flat(found: Iterable[Partials]) -> list[Any]:
    return [
        (place, family, name, array.tolist(), array.dtype.str, array.shape)
        for partials in found
        for place, states in [*partials.items(), ("end", {})]
        for family, state in sorted(states.items())
        for name, array in sorted(state.items())
    ]


@given(st.integers(1, 40), st.integers(1, 9), st.floats(0, 1), st.floats(0, 1), st.integers(1, 4), st.booleans())
def test_bundles_come_in_order_wherever_they_are_computed(
    bundles: int, places: int, worth: float, stretch: float, threads: int, heavy: bool
) -> None:
    def away(task: Any, pieces: list[hosts.Stretch]) -> Iterator[Partials]:
        assert len(pieces) >= min(bundles - 1, places)
        for first, last in pieces:
            yield from unpacked(packed(map(task, range(first, last))), last - first)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hosts, "WORTH_S", worth * 1e-5)
        patch.setattr(hosts, "STRETCH_S", stretch * 1e-3)
        patch.setattr(hosts, "BYTE_S", 1.0 if heavy else 0.0)
        run: Any = hosts.sent(away, threads=threads, places=places)
        assert flat(run(Asking(), bundles)) == flat(map(of_bundle, range(bundles)))


@pytest.mark.parametrize(("asked", "sent"), [(0, True), (1 << 10, True), (1 << 24, False)])
def test_what_asks_much_stays_where_it_is(asked: int, sent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stretch takes the question along: where that is heavier than the work, threads of this process do it."""
    monkeypatch.setattr(hosts, "WORTH_S", 0.0)
    monkeypatch.setattr(hosts, "HEAVY", 1.0)
    gone: list[hosts.Stretch] = []

    def away(task: Any, pieces: list[hosts.Stretch]) -> Iterator[Partials]:
        gone.extend(pieces)
        for first, last in pieces:
            yield from map(task, range(first, last))

    ticks = iter([0.0, 1e-3])
    monkeypatch.setattr(hosts.time, "thread_time", lambda: next(ticks))  # type: ignore[attr-defined]
    run: Any = hosts.sent(away, threads=1, places=2)
    assert len(list(run(Asking(bytes(asked)), 16))) == 16
    assert bool(gone) == sent


@given(st.integers(0, 64), st.integers(0, 200))
def test_large_entries_share_the_threads_of_a_machine(threads: int, entries: int) -> None:
    each = share(threads, entries)
    assert each >= 1
    assert each * max(1, entries) <= max(threads, entries, 1)


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
    monkeypatch.setattr(places, "LARGE_BYTES", 0)
    until(lambda: [worker.busy for worker in processes.workers()] == [0, 0])
    monkeypatch.setattr(dask_side, "work", dying.work_with_losses)
    assert facts(processes.submit("score", payload).result(120)) == alone
    assert (works.settings.scratch / dying.MARK).exists()


def _with_a_client_of_the_worker() -> Any:
    distributed.get_client()
    return dask.config.get("scheduler")


def test_a_cluster_in_this_process_leaves_dask_as_it_was(works: Works) -> None:
    with dask.config.set(scheduler="threads"):
        with Cluster.local(workers=2, settings=works.settings, processes=False) as made:
            for worker in made.workers():
                asked = made._client.submit(_with_a_client_of_the_worker, pure=False, workers=[worker.name])
                assert asked.result(30) == "dask.distributed"
        assert dask.config.get("scheduler") == "threads"


def test_workers_keep_the_memory_they_use_again() -> None:
    """Dask knows the variable by this name, and hands on none that is None."""
    name = "MALLOC_TRIM_THRESHOLD_"
    with dask.config.set({f"{ENVIRON}.{name}": 1}), dask.config.set(dask_side.LASTING):
        assert dask.config.get(ENVIRON)[name] is None
