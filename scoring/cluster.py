"""Tasks on Dask: a local cluster or a remote scheduler over TLS. The only module that imports distributed.

Dask computes and never remembers: nothing here is the record of anything, and a lost worker is an EngineFault that the
portal answers by trying again. Tasks give bytes. A large entry leaves its worker's place to small ones while it is
read and paired, and its bundles are spread over the workers of the machine that scores it, which share its scratch
folder: a small entry waits for one bundle at most. A task looks at its own state on the worker between bundles and
while its file is read, so a cancelled one ends within a moment; what it tells of its progress travels as an event.
"""

import json
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import dask
import distributed

from datasets.errors import EngineFault
from scoring.contracts import LARGE_BYTES
from scoring.engine import Partials, PartTask, Runner
from scoring.hosts import PartJob, Stopped, here
from scoring.jobs import Done, WorkerFacts
from scoring.settings import EngineSettings
from scoring.statistics import unpack
from scoring.worker import PLANS, part, run_with, warm_up

_LOG = logging.getLogger(__name__)
DASK: Any = distributed  # it carries no types
PAIRED_ANEW = frozenset(("raster", "grid"))  # kinds whose pairing costs next to nothing on every worker
AHEAD = 2  # bundles a worker has at a time, so that what is more urgent finds a place soon
SMALL_FIRST, BUNDLE, LARGE = 10, 5, 0  # priorities
LOOK_S = 0.2  # between two looks of a waiting task whether it is still wanted
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
# Dask closes a worker for good that is away for longer than this, and a busy machine needs time to start one again. It
# asks for this setting whenever a worker is lost, so it has to hold for the whole process.
LASTING = {"distributed.deploy.lost-worker-timeout": "60s"}
SECRETS = ("MOTHERLODE_TRUTH_KEY",)


@dataclass(eq=False)
class DaskJob:
    """A task on a cluster. ``share``: how much of its scoring is done, once it has said so."""

    future: Any
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
        self._client, self._local, self._settings = client, local, settings
        self._size, self._again = size, again
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
        large = is_large(task, payload)
        send = partial(self._client.submit, pure=False, retries=0, priority=LARGE if large else SMALL_FIRST)
        try:
            future = send(work, self._settings, task, payload, large)
        except Exception as error:  # a closed client raises whatever it was doing
            raise EngineFault(f"the cluster takes no work: {type(error).__name__}") from error
        job = DaskJob(future)
        self._jobs[str(future.key)] = job
        return job

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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_large(task: str, payload: bytes) -> bool:
    """Whether a task may take long: a draft, or an entry whose upload is large. Tickets that are none are small."""
    if task != "score":
        return True
    try:
        return int(json.loads(payload)["bytes"]) > LARGE_BYTES
    except (ValueError, KeyError, TypeError):
        return False


def work(settings: EngineSettings | None, task: str, payload: bytes, large: bool = False) -> bytes:
    """What a Dask worker runs."""
    if not large:
        return run_with(settings, task, payload, host=Place())
    with DASK.worker_client(separate_thread=True) as client:
        machine = Machine(client)
        try:
            return run_with(settings, task, payload, host=machine)
        finally:
            machine.close()


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
    """A host of all the workers on this one's machine, for one large entry."""

    def __init__(self, client: Any) -> None:
        super().__init__()
        self._client = client
        self._near = neighbours(client, self._worker.address)
        self._sent: PartJob | None = None

    @property
    def threads(self) -> int:  # type: ignore[override]
        return max(1, sum(self._near.values()))

    def runner(self, job: PartJob | None) -> Runner:
        """The bundles go to the workers of this machine, or to threads of this process where pairing is dear."""
        alone = here(self.threads)

        def run(task: PartTask, bundles: int) -> Iterable[Partials]:
            if job is None or job.kind not in PAIRED_ANEW or bundles == 1 or len(self._near) == 1:
                return alone(task, bundles)
            return self._spread(job, task, bundles)

        return run

    def _spread(self, job: PartJob, task: PartTask, bundles: int) -> Iterator[Partials]:
        """Every bundle as a task of its own, few at a time, taken in order."""
        self._sent = job
        PLANS.keep(job, task.plan)
        send = partial(self._client.submit, part, job, task.detail, pure=False, retries=0, priority=BUNDLE)
        waiting: deque[Any] = deque()
        numbers = iter(range(bundles))
        try:
            while True:
                for number in numbers:
                    waiting.append((number, send(number, workers=list(self._near))))
                    if len(waiting) >= AHEAD * self.threads:
                        break
                if not waiting:
                    return
                answer = self._result(waiting[0][1])
                number, _ = waiting.popleft()
                yield task(number) if answer is None else _partials(answer)
        finally:
            self._client.cancel([future for _, future in waiting])

    def close(self) -> None:
        """Let every worker forget the entry whose bundles it computed; Dask would call a lost one for a long time."""
        if self._sent is not None:
            left = self._near.keys() & neighbours(self._client, self._worker.address).keys()
            self._client.run(forget, self._sent, workers=sorted(left), wait=False, on_error="ignore")

    def _result(self, future: Any) -> bytes | None:
        """The bytes of a bundle, None when its worker was lost; looks meanwhile whether anybody still wants them."""
        while True:
            try:
                answer: bytes = future.result(timeout=LOOK_S)
            except TimeoutError:
                self.check()
            except Exception as error:  # noqa: BLE001  whatever Dask raises: the bundle is computed here instead
                self.check()
                _LOG.warning("a bundle came back without an answer", exc_info=error)
                return None
            else:
                return answer


def _partials(answer: bytes) -> Partials:
    return {place: dict(states) for place, states in unpack(answer).items()}


async def forget(job: PartJob) -> None:
    """Let this process go of an entry that is scored."""
    PLANS.forget(job)


def neighbours(client: Any, address: str) -> dict[str, int]:
    """The workers on the machine of ``address``, itself included, which see its scratch folder; threads of each."""
    here_ = urlsplit(address).hostname
    found = client.scheduler_info(n_workers=-1)["workers"]
    return {name: int(about["nthreads"]) for name, about in found.items() if urlsplit(name).hostname == here_}


def _environment() -> dict[str, str]:
    """What workers get besides what they inherit: one thread for every numeric library, and the truth key."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
    return one | {name: os.environ[name] for name in SECRETS if name in os.environ}


def _facts(address: str, about: dict[str, Any]) -> WorkerFacts:
    metrics = about.get("metrics", {})
    counts = metrics.get("task_counts", {})
    busy = sum(int(counts.get(state, 0)) for state in RUNNING)
    return WorkerFacts(address, int(about["nthreads"]), int(metrics.get("memory", 0)), busy)
