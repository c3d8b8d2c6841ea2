"""Where a task is done: who computes its parts, who is told how far it is, and whether anybody still wants it."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from datasets.errors import EngineFault
from datasets.threads import cores, each
from scoring.engine import Partials, PartTask, Runner, inline, threads

FEW_ROWS = 1 << 17  # that one thread scores soonest
AHEAD = 2  # stretches a worker has at a time, so that what is more urgent finds a place soon
STRETCH_S = 0.1  # of work that travels as one task
WORTH_S = 0.5  # of work that is left for other processes; less is done sooner by threads of this one
BYTE_S = 4e-9  # that a byte of a state or a question costs on its way between processes: packing, sending, unpacking
HEAVY = 0.25  # share of a stretch's work that its way may cost
Stretch = tuple[int, int]  # numbers of bundles: the first, and the one after the last
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


def sent(away: Callable[[PartTask, list[Stretch]], Iterator[Partials]], *, threads: int, places: int) -> Runner:
    """A runner that lets ``away`` compute on ``places`` threads elsewhere where that is worth the messages.

    The first bundle is computed here and tells what the others will take and weigh. ``threads`` of this process do
    the rest where that is little, or where the way is heavy: states of metrics of order have megabytes, and so have
    the questions of their later passes, which every stretch takes along.
    """

    def run(task: PartTask, bundles: int) -> Iterator[Partials]:
        started = time.thread_time()  # of work: a busy machine makes it last longer, not more
        first = task(0)
        took = max(time.thread_time() - started, 1e-6)
        most = bundles // (AHEAD * places)  # so that all places have something to do
        size = max(1, min(int(STRETCH_S / took), most))
        heavy = (size * weight(first) + len(task.detail)) * BYTE_S > size * took * HEAVY
        yield first
        if heavy or took * (bundles - 1) < WORTH_S:
            yield from each(task, range(1, bundles), threads=threads)
        else:
            yield from away(task, stretches(1, bundles, size))

    return run


def weight(partials: Partials) -> int:
    """Bytes of all states."""
    return sum(array.nbytes for states in partials.values() for state in states.values() for array in state.values())


def stretches(first: int, last: int, size: int) -> list[Stretch]:
    """The bundles from ``first`` to before ``last``, ``size`` together or one by one."""
    step = max(1, size)
    return [(start, min(start + step, last)) for start in range(first, last, step)]


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
