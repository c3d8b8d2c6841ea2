"""What an entry of the demo is: who hands it in, how it was made, and the function that makes it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Make = Callable[[Path, Path], Path]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. ``make(public, target)`` reads the published files under ``public`` and writes ``target``.

    ``expert`` names a demo account ("A" … "F"); ``filename`` gives the format by its ending.
    """

    expert: str
    filename: str
    note: str
    make: Make
