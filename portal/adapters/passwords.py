"""Password hashing by argon2id, with a bound on how many hashes are computed at once."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from portal.domain.errors import RateLimited

WAIT_S = 10


class Passwords:
    """Hashes and checks. A check against no hash takes as long as any other."""

    def __init__(self, *, memory_kib: int, time: int, lanes: int, at_once: int) -> None:
        self._hasher = PasswordHasher(time_cost=time, memory_cost=memory_kib, parallelism=lanes, type=Type.ID)
        self._gate = threading.BoundedSemaphore(at_once)
        self._nobody = self._hasher.hash(secrets.token_urlsafe(16))

    def hash(self, password: str) -> str:
        with self._turn():
            return self._hasher.hash(password)

    def check(self, password: str, stored: str | None) -> bool:
        """Whether ``password`` is the one of ``stored``; False for None, in the same time."""
        with self._turn():
            try:
                self._hasher.verify(stored or self._nobody, password)
            except (VerificationError, InvalidHashError):
                return False
        return stored is not None

    def outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters."""
        return self._hasher.check_needs_rehash(stored)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._gate.acquire(timeout=WAIT_S):
            raise RateLimited(WAIT_S)
        try:
            yield
        finally:
            self._gate.release()
