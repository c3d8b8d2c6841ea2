"""Work handed to the engine and not yet answered: the same face inline and on a cluster."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from scoring.settings import EngineSettings
from scoring.worker import run_with

Done = Callable[["Job"], None]


class Job(Protocol):
    """A submitted task. Its answer is JSON bytes, a report or a FaultReport; see scoring.worker."""

    def done(self) -> bool: ...

    def result(self, timeout: float | None = None) -> bytes:
        """The answer, waiting for it at most ``timeout`` seconds.

        Raises:
            EngineFault: the worker was lost, or the job was cancelled; the work can be tried again.
            TimeoutError: there is no answer yet.
        """
        ...

    def cancel(self) -> None:
        """Stop caring: a task that has not started never will, and a running one ends within about a second."""
        ...

    def progress(self) -> float | None:
        """The share of the scoring that is done, from 0 to 1; None before it begins and for short tasks."""
        ...

    def add_done_callback(self, call: Done) -> None:
        """Call ``call(job)`` once it is done, in another thread, or at once when it is done already."""
        ...


class Engine(Protocol):
    """Where tasks are sent."""

    def submit(self, task: str, payload: bytes) -> Job: ...

    def workers(self) -> list["WorkerFacts"]: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class WorkerFacts:
    """A scoring process as the operator sees it: address, threads, memory in bytes, tasks it has now."""

    name: str
    threads: int
    memory: int
    busy: int


@dataclass(frozen=True)
class Answered:
    """A job that was done the moment it was submitted."""

    answer: bytes

    def done(self) -> bool:
        return True

    def result(self, timeout: float | None = None) -> bytes:  # noqa: ARG002  the face of a Job
        return self.answer

    def cancel(self) -> None:
        """Nothing is left to stop."""

    def progress(self) -> float | None:
        return None

    def add_done_callback(self, call: Done) -> None:
        call(self)


@dataclass(frozen=True)
class Inline:
    """The engine without a cluster: every task is done in the calling thread."""

    settings: EngineSettings | None = None

    def submit(self, task: str, payload: bytes) -> Job:
        return Answered(run_with(self.settings, task, payload))

    def workers(self) -> list[WorkerFacts]:
        return []

    def close(self) -> None:
        """Nothing is held open."""
