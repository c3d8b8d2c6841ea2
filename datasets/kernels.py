"""Compiled loops: one decorator for all of them, so that every kernel is cached, frees the GIL and has fixed types.

Signatures are given in full. A kernel is then compiled when its module is imported (once; the machine code is kept in
``__pycache__`` or in ``NUMBA_CACHE_DIR``), never in the middle of a score or inside a reader's walls. Kernels check
no bounds: whoever calls one hands it arrays whose shapes and index values are settled.

Processes compile one after the other: numba numbers the files of its cache without asking who else writes, and two at
once may give one name to the code of two signatures, which then crashes whoever loads it.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
# Freed once, an array of this size makes glibc keep smaller ones for reuse (mallopt(3), "dynamic mmap threshold": at
# most 32 MiB); otherwise each window's arrays are fetched from the kernel and zeroed page by page, again and again.
np.empty(31 << 20, dtype=np.uint8)


def compiled(*signatures: str) -> Callable[[F], F]:
    """Compile a function of arrays and numbers for each of ``signatures``, in numba's notation.

    Division by zero gives inf or nan as in numpy; sums are done in the order written (no fast-math), so results are
    the same bits on every run. Without signatures the function is one that other kernels call.
    """
    made: Any = numba.njit(list(signatures) or None, cache=True, nogil=True, error_model="numpy", fastmath=False)

    def decorate(function: F) -> F:
        with _alone():
            return made(function)  # type: ignore[no-any-return]

    return decorate


@contextmanager
def _alone() -> Iterator[None]:
    """A block that one process at a time runs; any number where the file system knows no locks."""
    lock = os.open(__file__, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
