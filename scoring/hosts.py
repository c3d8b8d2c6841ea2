"""Where a task is done: who computes its parts, who is told how far it is, and whether anybody still wants it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from datasets.errors import EngineFault
from datasets.threads import cores
from scoring.engine import Partials, PartTask, Runner, inline, threads

FEW_ROWS = 1 << 17  # that one thread scores soonest
FIRST_PASS = 0.6  # share of the first pass where others may follow; each of those takes half of what is left


class Stopped(EngineFault):
    """Nobody wants the answer any more: the entry was withdrawn, its lease was lost, or the dispatcher stops."""


@dataclass(frozen=True)
class PartJob:
    """What another process needs to compute bundles of a plan: the spec and the folders of the canonical forms."""

    kind: str
    spec: str
    truth: str
    index: str
    prediction: str


class Host(Protocol):
    """The process a task runs in, and what it can draw on."""

    @property
    def threads(self) -> int:
        """Threads that may read a large file."""

    def runner(self, job: PartJob | None) -> Runner:
        """Who computes the bundles; ``job`` None: they cannot be computed elsewhere."""

    def check(self) -> None:
        """Raises Stopped when the task is not wanted any more."""

    def tell(self, share: float) -> None:
        """Take note that this share of the scoring is done."""


class Alone:
    """A process without a cluster: all its cores read and score, and whoever asked waits for the answer."""

    @property
    def threads(self) -> int:
        return cores()

    def runner(self, job: PartJob | None) -> Runner:  # noqa: ARG002  the face of a Host
        return here(cores())

    def check(self) -> None:
        """Whoever asked is still there: they wait in this thread."""

    def tell(self, share: float) -> None:
        """Nobody asks."""


def here(count: int) -> Runner:
    """A runner with ``count`` threads of this process, or with the caller's own where few rows are scored."""

    def run(task: PartTask, bundles: int) -> Iterable[Partials]:
        few = bundles == 1 or 0 < task.plan.pairing.rows <= FEW_ROWS
        return (inline if few else threads(count))(task, bundles)

    return run


def attended(run: Runner, host: Host) -> Runner:
    """``run``, telling the host about every bundle that is done and stopping between two when told to."""
    passes = 0

    def go(task: PartTask, bundles: int) -> Iterator[Partials]:
        nonlocal passes
        start, width = span(passes, several=bool(task.plan.refined))
        passes += 1
        host.check()
        for number, partials in enumerate(run(task, bundles), start=1):
            yield partials
            host.check()
            host.tell(start + width * number / bundles)

    return go


def span(passes: int, *, several: bool) -> tuple[float, float]:
    """Where a pass begins on the way from 0 to 1, and how far it goes; ``passes`` came before it."""
    if passes == 0:
        return 0.0, FIRST_PASS if several else 1.0
    left = (1 - FIRST_PASS) / 2**passes
    return 1 - 2 * left, left
