"""Scratch folders: one for each task, gone when it ends; those of killed tasks are swept by the ones after them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datasets.scratch import own_folder, sweep
from scoring.settings import EngineSettings

PREFIX = "task-"
SWEEP_S = 600.0  # between two sweeps of a process; the first is before its first task
_SWEPT: dict[Path, float] = {}


@contextmanager
def room_of(settings: EngineSettings) -> Iterator[Path]:
    """A folder of its own for one task."""
    now = time.monotonic()
    if now - _SWEPT.get(settings.scratch, -SWEEP_S) >= SWEEP_S:
        _SWEPT[settings.scratch] = now
        sweep(settings.scratch, PREFIX)
    with own_folder(settings.scratch, PREFIX) as room:
        yield room
