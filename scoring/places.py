"""Places of large entries: each goes near its truth, and a worker lets as many begin as it has threads."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from urllib.parse import urlsplit

from scoring.contracts import LARGE_BYTES

HOMES = 2  # hosts that open a truth while they have places: one alone makes a fashionable challenge wait
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


def outline(task: str, payload: bytes) -> tuple[bool, str]:
    """Whether a task may take long (a draft, or an entry whose upload is large), and which truth it needs.

    Tickets that are none are small.
    """
    if task != "score":
        return True, ""
    try:
        ticket = json.loads(payload)
        return int(ticket["bytes"]) > LARGE_BYTES, str(ticket["truth"]["digest"])
    except (ValueError, KeyError, TypeError):
        return False, ""


def host_of(worker: str) -> str:
    """The machine of a worker's address; its workers share a disk, and so the truths that are open."""
    return urlsplit(worker).hostname or worker


def nearest(workers: Mapping[str, int], taken: Iterable[str], truth: str) -> str | None:
    """The emptiest worker of the truth's own hosts while one has a place; then the emptiest of all.

    Hosts are chosen by rendezvous hashing (Thaler and Ravishankar, 1998): when one comes or goes, only its own truths
    move. ``truth`` "": any host is as good.
    """
    held = Counter(taken)
    hosts = {host_of(name) for name in workers} if truth else set()
    homes = sorted(hosts, key=lambda host: blake2b(f"{truth} {host}".encode(), digest_size=8).digest())[:HOMES]
    free = {name: n for name, n in workers.items() if host_of(name) in homes and held[name] < n}
    return emptiest(free or workers, held.elements())


def emptiest(workers: Mapping[str, int], taken: Iterable[str]) -> str | None:
    """The worker with fewest entries for each of its threads; ``taken`` names the worker of every entry under way.

    The first by name among equals; None without workers.
    """
    held = Counter(taken)
    return min(workers, key=lambda name: (held[name] / max(1, workers[name]), name), default=None)


def share(threads: int, entries: int) -> int:
    """Threads of a machine for each of the large entries on it."""
    return max(1, threads // max(1, entries))
