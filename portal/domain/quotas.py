"""How many entries are left, and when the next may be sent: the one function page, API and command line ask.

Only a released score counts. Waiting entries count as if they had one, failed ones (the platform's fault) never,
and rejected or withdrawn ones only against a second, larger cap that keeps uploads from being free.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from portal.domain.states import EntryState
from portal.domain.views import Quota

WINDOW = timedelta(hours=24)
UNSCORED_FACTOR = 5
COUNTED = frozenset({EntryState.QUEUED, EntryState.SCORING, EntryState.SCORED})
UNSCORED = frozenset({EntryState.REJECTED, EntryState.WITHDRAWN})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One entry a team has sent, as the quota sees it."""

    received_at: datetime
    state: EntryState


def quota(attempts: Iterable[Attempt], per_day: int, now: datetime) -> Quota:
    """What a team has left at ``now``. An attempt leaves the window exactly 24 hours after it was received."""
    recent = [attempt for attempt in attempts if attempt.received_at > now - WINDOW]
    counted = sorted(attempt.received_at for attempt in recent if attempt.state in COUNTED)
    unscored = sorted(attempt.received_at for attempt in recent if attempt.state in UNSCORED)
    free_at = [at for at in (_free_at(counted, per_day), _free_at(unscored, per_day * UNSCORED_FACTOR)) if at]
    left = 0 if free_at else per_day - len(counted)
    return Quota(per_day=per_day, used=len(counted), left=left, next_at=max(free_at, default=None))


def _free_at(times: list[datetime], limit: int) -> datetime | None:
    """When fewer than ``limit`` of the sorted ``times`` are in the window; None when that is so already."""
    return times[len(times) - limit] + WINDOW if len(times) >= limit else None
