"""Waiting for a result on behalf of a client, so that it need not ask again and again."""

import time
from collections.abc import Callable
from threading import BoundedSemaphore
from typing import TypeVar

T = TypeVar("T")
FIRST_PAUSE = 0.04
LONGEST_PAUSE = 0.5
SHORT_PAUSE = 0.25


class Waiters:
    """At most ``places`` requests of this process wait at a time, so that readers always find a free thread; the rest
    look once more after a short pause."""

    def __init__(
        self,
        places: int = 4,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._places = BoundedSemaphore(places)
        self._clock = clock
        self._sleep = sleep

    def wait(self, look: Callable[[], T], *, done: Callable[[T], bool], seconds: float) -> T:
        """Look until ``done`` or ``seconds`` are over; the last look."""
        found = look()
        if done(found) or seconds <= 0:
            return found
        if not self._places.acquire(blocking=False):
            self._sleep(min(seconds, SHORT_PAUSE))
            return look()
        try:
            return self._look_again(look, done, found, self._clock() + seconds)
        finally:
            self._places.release()

    def _look_again(self, look: Callable[[], T], done: Callable[[T], bool], found: T, end: float) -> T:
        pause = FIRST_PAUSE
        while not done(found) and (left := end - self._clock()) > 0:
            self._sleep(min(pause, left))
            pause = min(LONGEST_PAUSE, pause * 1.4)
            found = look()
        return found
