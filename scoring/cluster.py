"""Tasks on Dask: a local cluster or a remote scheduler over TLS. The only module that imports distributed.

Dask computes and never remembers: nothing here is the record of anything, and a lost worker is an EngineFault that the
portal answers by trying again. Tasks give bytes; a large entry's parts are spread over the workers of the machine that
scores it, which share its scratch folder.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import dask
import distributed

from datasets.errors import EngineFault
from scoring.engine import Partials, PartTask, Runner, inline
from scoring.jobs import Done, WorkerFacts
from scoring.statistics import unpack
from scoring.worker import EngineSettings, PartJob, part, run_with, warm_up

DASK: Any = distributed  # it carries no types
FAN_PARTS = 4  # entries of fewer parts stay on one worker
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


@dataclass(frozen=True)
class DaskJob:
    """A task on a cluster."""

    future: Any

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
        try:
            future = self._client.submit(work, self._settings, task, payload, pure=False, retries=0)
        except Exception as error:  # a closed client raises whatever it was doing
            raise EngineFault(f"the cluster takes no work: {type(error).__name__}") from error
        return DaskJob(future)

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

    def close(self) -> None:
        self._client.close()
        if self._local is not None:
            self._local.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def work(settings: EngineSettings | None, task: str, payload: bytes) -> bytes:
    """What a Dask worker runs; the parts of a large entry go to all workers that see this one's scratch folder."""
    return run_with(settings, task, payload, spread=fan_out)


def fan_out(job: PartJob) -> Runner:
    """A runner that sends the parts of a large entry to the cluster this worker belongs to."""

    def spread(task: PartTask, parts: int) -> Iterator[Partials]:
        if parts < FAN_PARTS:
            yield from inline(task, parts)
            return
        packed = job.to_json()
        with DASK.worker_client(separate_thread=True) as client:
            near = _neighbours(client)
            futures = client.map(part, [packed] * parts, range(parts), pure=False, retries=0, priority=1, workers=near)
            for future in futures:
                yield {place: dict(states) for place, states in unpack(future.result()).items()}

    return spread


def _neighbours(client: Any) -> list[str]:
    """The workers on this worker's machine, itself included: those that see its scratch folder."""
    here = urlsplit(DASK.get_worker().address).hostname
    return [address for address in client.scheduler_info(n_workers=-1)["workers"] if urlsplit(address).hostname == here]


def _environment() -> dict[str, str]:
    """What workers get besides what they inherit: one thread for every numeric library, and the truth key."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
    return one | {name: os.environ[name] for name in SECRETS if name in os.environ}


def _facts(address: str, about: dict[str, Any]) -> WorkerFacts:
    metrics = about.get("metrics", {})
    counts = metrics.get("task_counts", {})
    return WorkerFacts(address, int(about["nthreads"]), int(metrics.get("memory", 0)), int(counts.get("executing", 0)))
