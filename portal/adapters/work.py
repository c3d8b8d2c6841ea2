"""Work handed to the engine, as the scoring loop sees it. ``adapters.engine`` gives the real one."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol


class Job(Protocol):
    """A task that was handed over."""

    def done(self) -> bool: ...

    def result(self, timeout: float | None = None) -> bytes:
        """The answer (JSON). Raises EngineFault when there is none and will be none."""

    def cancel(self) -> None:
        """Nobody wants the answer any more; a task that runs ends within about a second."""

    def progress(self) -> float | None:
        """The share of the scoring that is done; None before it begins and for short tasks."""

    def add_done_callback(self, call: Callable[[Any], None]) -> Any:
        """Call ``call`` once the job is done, from any thread."""


class Facts(Protocol):
    """A scoring process as the engine reports it; ``memory`` in bytes."""

    @property
    def name(self) -> str: ...

    @property
    def threads(self) -> int: ...

    @property
    def memory(self) -> int: ...

    @property
    def busy(self) -> int: ...


class Engine(Protocol):
    """Where tasks are sent: ``score``, ``inspect`` or ``publish`` with a ticket as JSON."""

    def submit(self, task: str, payload: bytes) -> Job: ...

    def workers(self) -> Sequence[Facts]: ...
