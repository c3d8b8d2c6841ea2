"""A few threads for loops that free the GIL: decoding, compiled kernels. Results keep the order of the items."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_ALLOWED: ContextVar[int] = ContextVar("allowed", default=1)  # every thread has its own


def cores() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0))


def allow(count: int) -> None:
    """How many threads the caller's thread may use from now on: a reading child does one thing and ends."""
    _ALLOWED.set(max(1, count))


@contextmanager
def using(count: int) -> Iterator[None]:
    """How many threads the caller's thread may use in this block."""
    before = _ALLOWED.set(max(1, count))
    try:
        yield
    finally:
        _ALLOWED.reset(before)


def allowed() -> int:
    """What ``allow`` or ``using`` said in this thread; 1 before, and in the threads of ``each``."""
    return _ALLOWED.get()


def each(task: Callable[[Item], Result], items: Iterable[Item], *, threads: int | None = None) -> Iterator[Result]:
    """``map(task, items)`` on ``threads`` threads (None: as many as allowed), at most two items each ahead.

    One thread means the caller's own. The first error is raised where its result would have come.
    """
    count = allowed() if threads is None else threads
    if count <= 1:
        yield from map(task, items)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(count) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(task, item))
                if len(waiting) >= 2 * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
