"""Scratch folders: one for each task, gone when it ends."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scoring.settings import EngineSettings


@contextmanager
def room_of(settings: EngineSettings) -> Iterator[Path]:
    """A folder of its own for one task."""
    with tempfile.TemporaryDirectory(dir=settings.scratch, prefix="task-", ignore_cleanup_errors=True) as name:
        yield Path(name)
