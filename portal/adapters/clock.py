"""The clock of tests and demos; without one the database tells the time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time, aware UTC."""

    def now(self) -> datetime: ...


@dataclass(slots=True)
class FixedClock:
    """Stands still until told otherwise."""

    at: datetime

    def now(self) -> datetime:
        return self.at

    def advance(self, **parts: float) -> None:
        """Go on by ``timedelta(**parts)``."""
        self.at += timedelta(**parts)
