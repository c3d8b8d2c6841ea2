"""A small in-process cache of derived views, keyed by what they were derived from."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

T = TypeVar("T")
SIZE = 64


class Cache:
    """Keeps the ``SIZE`` values used last. A key must name its content's version: nothing is ever invalidated."""

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._held: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of ``key``, made now when it is not held. Made outside the lock, so possibly twice."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return cast(T, self._held[key])
        value = make()
        with self._lock:
            self._held[key] = value
            while len(self._held) > self._size:
                self._held.popitem(last=False)
        return value
