"""Tasks on Dask: a local cluster or a remote scheduler over TLS. The only module that imports distributed.

Dask computes and never remembers: nothing here is the record of anything, and a lost worker is an EngineFault that the
portal answers by trying again. Tasks give bytes. A large entry goes to a worker near its truth, which works on
as many as it has threads and leaves its place in the line to small ones meanwhile. Its bundles are spread over the
workers of its machine, which share the scratch folder, where that is worth the messages: a small entry waits for one
stretch of bundles at most. A task looks at its own state on the worker between bundles and while its file is read, so
a cancelled one ends within a moment; what it tells of its progress travels as an event.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Self
from uuid import uuid4
from weakref import WeakValueDictionary

import dask
import distributed

from datasets.errors import EngineFault
from scoring.engine import Partials, PartTask, Runner
from scoring.hosts import AHEAD, PartJob, Stopped, Stretch, here, sent
from scoring.jobs import Done, WorkerFacts
from scoring.places import LOOK_S, Gate, host_of, nearest, outline, share
from scoring.settings import EngineSettings
from scoring.worker import PLANS, parts, run_with, unpacked, warm_up

_LOG = logging.getLogger(__name__)
DASK: Any = distributed  # it carries no types
PAIRED_ANEW = frozenset(("raster", "grid"))  # kinds whose pairing costs next to nothing on every worker
ENTRY, BUNDLE = 10, 5  # priorities; a large entry is off the line as soon as it has begun
LARGE, SMALL = "large", "small"  # what tasks are called
TOLD_S = 0.5  # between two events of a task about its progress
TOPIC = "motherlode-progress"
RUNNING = ("executing", "long-running")  # states of a task of a worker
MAX_BYTES = 1 << 20  # of any answer
FETCH_SECONDS = 30.0  # to bring a finished answer here
RECONNECT_SECONDS = 5.0
CONFIG = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.admin.low-level-log-length": 0,
    "distributed.worker.profile.enabled": False,
    "distributed.scheduler.http.routes": [],  # the server Dask insists on answers nothing
    "distributed.worker.http.routes": [],
    "distributed.comm.timeouts.connect": "20s",
}
# What Dask asks for whenever a worker is lost has to hold for the whole process.
LASTING = {
    # Dask closes a worker for good that is away for longer, and a busy machine needs time to start one again.
    "distributed.deploy.lost-worker-timeout": "60s",
    # Dask lets the C library give memory back at once (65536); every window of an array would then come anew from the
    # kernel, page by page, which costs a large entry half as much CPU again.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
}
SECRETS = ("MOTHERLODE_TRUTH_KEY",)


@dataclass(eq=False)
class DaskJob:
    """A task on a cluster. ``place``: the worker a large one was sent to; ``share``: how much of it is done."""

    future: Any
    place: str = ""
    share: float | None = None

    def progress(self) -> float | None:
        return self.share

    def done(self) -> bool:
        return bool(self.future.done())

    def result(self, timeout: float | None = None) -> bytes:
        # Dask fetches an answer over the network even when the task is done, which no timeout of 0 allows.
        patience = FETCH_SECONDS if self.future.done() else timeout
        try:
            answer = self.future.result(timeout=patience)
        except TimeoutError:
            raise
        except Exception as error:  # whatever Dask raises means that there is no answer
            raise EngineFault(f"the scoring worker was lost: {type(error).__name__}") from error
        if not isinstance(answer, bytes) or len(answer) > MAX_BYTES:
            raise EngineFault("the scoring worker's answer is not what it has to be")
        return answer

    def cancel(self) -> None:
        self.future.cancel(force=True)

    def add_done_callback(self, call: Done) -> None:
        self.future.add_done_callback(lambda _: call(self))


class Cluster:
    """Tasks on the workers of a Dask scheduler; made with ``local`` or ``connect``, closed with ``close``."""

    def __init__(
        self,
        client: Any,
        local: Any,
        settings: EngineSettings | None,
        *,
        size: int = 0,
        again: Callable[[], Any] | None = None,
    ) -> None:
        self._client, self._local, self._settings, self._size, self._again = client, local, settings, size, again
        self._scheduler = dask.config.get("scheduler", None)
        self._jobs: WeakValueDictionary[str, DaskJob] = WeakValueDictionary()
        self._listen()

    def _listen(self) -> None:
        """Hear what tasks tell of their progress."""
        self._client.subscribe_topic(TOPIC, self._heard)

    def _heard(self, event: tuple[float, Any]) -> None:
        about = event[1]
        job = self._jobs.get(str(about["key"]))
        if job is not None:
            job.share = float(about["share"])

    @classmethod
    def local(cls, *, workers: int = 2, settings: EngineSettings | None = None, processes: bool = True) -> Self:
        """Scoring processes on this machine, reachable from this machine alone.

        ``settings`` None: workers read them from the environment they inherit.
        """
        scratch = (settings or EngineSettings.from_env()).scratch / "dask"
        scratch.mkdir(parents=True, exist_ok=True)
        dask.config.set(LASTING)
        with dask.config.set(CONFIG):
            cluster = DASK.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=processes,
                dashboard_address=None,
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0", "dashboard": False},
                silence_logs=logging.CRITICAL,
                local_directory=str(scratch),
                **({"host": "127.0.0.1", "env": _environment()} if processes else {}),
            )
        made = cls(DASK.Client(cluster, set_as_default=False), cluster, settings, size=workers)
        made.warm()
        return made

    @classmethod
    def connect(cls, address: str, *, ca: Path, cert: Path, key: Path) -> Self:
        """The scheduler at ``address`` (tls://host:port); its workers read their settings from their environment.

        Raises:
            EngineFault: the address is not encrypted, or nobody answers there.
        """
        if not address.startswith("tls://"):
            raise EngineFault(f"{address} is not a tls:// address; a scheduler is reached over TLS only")
        security = DASK.Security(
            tls_ca_file=str(ca), tls_client_cert=str(cert), tls_client_key=str(key), require_encryption=True
        )
        call = partial(DASK.Client, address, security=security, set_as_default=False)
        try:
            client = call()
        except (OSError, TimeoutError) as error:
            raise EngineFault(f"no scheduler answers at {address}: {error}") from error
        return cls(client, None, None, again=partial(call, timeout=RECONNECT_SECONDS))

    def submit(self, task: str, payload: bytes) -> DaskJob:
        """Send one task; every call is computed anew, also for the same payload.

        Raises:
            EngineFault: the cluster is gone.
        """
        self._call_again()
        large, truth = outline(task, payload)
        name = f"{LARGE if large else SMALL}-{uuid4().hex}"
        send = partial(self._client.submit, key=name, pure=False, retries=0, priority=ENTRY)
        try:
            place = self._place(truth) if large else None
            there = {"workers": [place], "allow_other_workers": True} if place else {}
            future = send(work, self._settings, task, payload, large, **there)
        except Exception as error:  # a closed client raises whatever it was doing
            raise EngineFault(f"the cluster takes no work: {type(error).__name__}") from error
        job = DaskJob(future, place or "")
        self._jobs[name] = job
        return job

    def _place(self, truth: str) -> str | None:
        """A worker near the truth that has few large entries, of whatever scoring loop; None: let Dask choose."""
        ours = {key: job.place for key, job in list(self._jobs.items()) if job.place and not job.done()}
        with suppress(OSError, TimeoutError):  # the scheduler went away just now
            if self._client.status == "running":
                found = self._client.scheduler_info(n_workers=-1)["workers"]
                held = self._client.processing()
                all_ = ours | {key: name for name, keys in held.items() for key in keys if _is_large(key)}
                return nearest({name: int(about["nthreads"]) for name, about in found.items()}, all_.values(), truth)
        return None

    def warm(self) -> None:
        """Let every worker load the engine and start its reader, without waiting for them."""
        for facts in self.workers():
            DASK.fire_and_forget(self._client.submit(warm_up, workers=[facts.name], pure=False))

    def workers(self) -> list[WorkerFacts]:
        """The workers the scheduler knows now: none while it is away. Brings back what a local cluster has lost."""
        if self._local is not None:
            self._local.scale(self._size)
        self._call_again()
        if self._client.status != "running":
            return []
        found = self._client.scheduler_info(n_workers=-1)["workers"]
        return [_facts(address, about) for address, about in sorted(found.items())]

    def _call_again(self) -> None:
        """Dask gives a lost scheduler up after a while; whoever restarted it is found here."""
        if self._again is not None and self._client.status == "closed":
            with suppress(OSError, TimeoutError):
                self._client = self._again()
                self._listen()

    def close(self) -> None:
        self._client.close()
        if self._local is not None:
            self._local.close()
            dask.config.set(scheduler=self._scheduler)  # workers of this process have put themselves there

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def work(settings: EngineSettings | None, task: str, payload: bytes, large: bool = False) -> bytes:
    """What a Dask worker runs."""
    if not large:
        return run_with(settings, task, payload, host=Place())
    with machine(task) as host:
        return run_with(settings, task, payload, host=host)


@contextmanager
def machine(task: str) -> Iterator["Machine"]:
    """The host of a large task, once the worker has a place for it; small ones find the line free meanwhile."""
    DASK.secede()
    made = Machine(DASK.get_client())
    try:
        with gate(made.address, made.own, task == "score").through(made.check):
            made.look_around()
            yield made
    finally:
        made.close()


@cache
def gate(address: str, places: int, entries: bool) -> Gate:  # noqa: ARG001  what each gate is for
    """The gate of a worker: one for entries, one for drafts, for somebody waits in front of a form."""
    return Gate(places)


class Place:
    """A host of one thread of a Dask worker: see scoring.hosts.Host."""

    threads = 1

    def __init__(self) -> None:
        self._worker = DASK.get_worker()
        self._key = self._worker.get_current_task()
        self._told = time.monotonic()

    def runner(self, job: PartJob | None) -> Runner:  # noqa: ARG002  the face of a Host
        return here(1)

    def check(self) -> None:
        state = self._worker.state.tasks.get(self._key)
        if state is None or state.state not in RUNNING:
            raise Stopped("the task was cancelled")

    def tell(self, share: float) -> None:
        now = time.monotonic()
        if now >= self._told + TOLD_S:
            self._told = now
            self._worker.log_event(TOPIC, {"key": self._key, "share": share})


class Machine(Place):
    """A host of all the workers on this one's machine, for one large entry that shares them with other large ones."""

    def __init__(self, client: Any) -> None:
        super().__init__()
        self._client = client
        self.address: str = self._worker.address
        self.own = int(self._worker.state.nthreads)
        self._near = {self.address: self.own}
        self._share = self.own
        self._sent: PartJob | None = None

    def look_around(self) -> None:
        """See which workers are here now, and how many large entries they have."""
        self._near = neighbours(self._client, self.address)
        held = self._client.processing()
        entries = sum(_is_large(key) for name in self._near for key in held.get(name, ()))
        self._share = share(sum(self._near.values()), entries)

    @property
    def threads(self) -> int:  # type: ignore[override]
        return self._share

    def runner(self, job: PartJob | None) -> Runner:
        """The bundles go to the workers of this machine, or to threads of this process where pairing is dear."""
        self.look_around()
        if job is None or job.kind not in PAIRED_ANEW or len(self._near) == 1:
            return here(self.threads)
        return sent(partial(self._spread, job), threads=self.threads, places=sum(self._near.values()))

    def _spread(self, job: PartJob, task: PartTask, pieces: list[Stretch]) -> Iterator[Partials]:
        """Every stretch of bundles as a task of its own, few at a time, taken in order."""
        self._sent = job
        PLANS.keep(job, task.plan)
        near = list(self._near)
        send = partial(self._client.submit, parts, job, task.detail, pure=False, retries=0, priority=BUNDLE)
        waiting: deque[tuple[Stretch, Any]] = deque()
        try:
            for piece in pieces:
                waiting.append((piece, send(*piece, workers=near)))
                if len(waiting) >= AHEAD * sum(self._near.values()):
                    yield from self._taken(task, waiting)
            while waiting:
                yield from self._taken(task, waiting)
        finally:
            self._client.cancel([future for _, future in waiting])

    def _taken(self, task: PartTask, waiting: deque[tuple[Stretch, Any]]) -> Iterator[Partials]:
        """The partials of the stretch that was sent first; those of a lost one are computed here."""
        answer = self._result(waiting[0][1])
        (first, last), _ = waiting.popleft()
        yield from map(task, range(first, last)) if answer is None else unpacked(answer, last - first)

    def close(self) -> None:
        """Let every worker forget the entry whose bundles it computed; Dask would call a lost one for a long time."""
        if self._sent is not None:
            left = self._near.keys() & neighbours(self._client, self.address).keys()
            self._client.run(forget, self._sent, workers=sorted(left), wait=False, on_error="ignore")

    def _result(self, future: Any) -> bytes | None:
        """The bytes of a stretch, None when its worker was lost; looks meanwhile whether anybody still wants them.

        Waiting and fetching are two steps. Dask joins the fetches of all tasks of a worker into one, and whoever gave
        up on his own would take the answers from all of them (dask/distributed#8514).
        """
        there = threading.Event()
        future.add_done_callback(lambda _: there.set())
        while not there.wait(LOOK_S):
            self.check()
        try:
            answer: bytes = future.result(timeout=FETCH_SECONDS)
        except Exception as error:  # noqa: BLE001  whatever Dask raises: the bundles are computed here instead
            self.check()
            _LOG.warning("bundles came back without an answer", exc_info=error)
            return None
        return answer


def _is_large(key: object) -> bool:
    return str(key).startswith(f"{LARGE}-")


async def forget(job: PartJob) -> None:
    """Let this process go of an entry that is scored."""
    PLANS.forget(job)


def neighbours(client: Any, address: str) -> dict[str, int]:
    """The workers on the machine of ``address``, itself included, which see its scratch folder; threads of each."""
    here_ = host_of(address)
    found = client.scheduler_info(n_workers=-1)["workers"]
    return {name: int(about["nthreads"]) for name, about in found.items() if host_of(name) == here_}


def _environment() -> dict[str, str]:
    """What workers get besides what they inherit: one thread for every numeric library, and the truth key."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
    return one | {name: os.environ[name] for name in SECRETS if name in os.environ}


def _facts(address: str, about: dict[str, Any]) -> WorkerFacts:
    metrics = about.get("metrics", {})
    counts = metrics.get("task_counts", {})
    busy = sum(int(counts.get(state, 0)) for state in RUNNING)
    return WorkerFacts(address, int(about["nthreads"]), int(metrics.get("memory", 0)), busy)
