"""Places of large entries: each goes where fewest are, and a worker lets only as many begin as it has threads."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

LOOK_S = 0.2  # between two looks of whoever waits whether it is still wanted


class Gate:
    """Lets ``places`` callers through at a time."""

    def __init__(self, places: int) -> None:
        self._free = threading.BoundedSemaphore(max(1, places))

    @contextmanager
    def through(self, check: Callable[[], None]) -> Iterator[None]:
        """Wait for a place and keep it in this block; an error of ``check``, called while waiting, is raised."""
        while not self._free.acquire(timeout=LOOK_S):
            check()
        try:
            yield
        finally:
            self._free.release()


def emptiest(workers: Mapping[str, int], taken: Iterable[str]) -> str | None:
    """The worker with fewest entries for each of its threads; ``taken`` names the worker of every entry under way.

    The first by name among equals; None without workers.
    """
    held = Counter(taken)
    return min(workers, key=lambda name: (held[name] / max(1, workers[name]), name), default=None)


def share(threads: int, entries: int) -> int:
    """Threads of a machine for each of the large entries on it."""
    return max(1, threads // max(1, entries))
