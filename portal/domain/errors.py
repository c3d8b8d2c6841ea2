"""What the portal refuses, and why. Errors know no HTTP; the web has one table that gives status and wording.

MotherlodeError (datasets.errors)
├── TooLarge             a file is larger than ``limit`` bytes (datasets.errors)
└── PortalError
    ├── NotFound         no such thing, or not yours to know about
    ├── NotSignedIn      nobody is signed in, or the session or token has ended
    ├── Forbidden        you are known and may not do this; ``reason`` says why
    ├── Invalid          fields do not hold what they must; ``field_errors`` names each
    ├── QuotaExceeded    no entries are left; ``next_at`` is when the next one may be sent
    ├── Closed           the challenge takes no entries now (not open yet, or closed)
    ├── AgreementNeeded  the data agreement of this digest is to be signed first
    ├── Conflict         the thing is not in a state that allows this, or a key was used for something else
    └── RateLimited      too many tries; again after ``retry_after`` seconds
"""

from collections.abc import Mapping
from datetime import datetime

from datasets.errors import MotherlodeError, TooLarge

__all__ = [
    "AgreementNeeded",
    "Closed",
    "Conflict",
    "Forbidden",
    "Invalid",
    "NotFound",
    "NotSignedIn",
    "PortalError",
    "QuotaExceeded",
    "RateLimited",
    "TooLarge",
]


class PortalError(MotherlodeError):
    """Base of every refusal of the portal."""


class NotFound(PortalError):
    """No such thing, or not yours to know about."""

    def __init__(self, what: str = "page") -> None:
        self.what = what
        super().__init__(f"There is no such {what}, or it is not yours to see. Check the address, or sign in.")


class NotSignedIn(PortalError):
    """Nobody is signed in."""

    def __init__(self, message: str = "Sign in to go on.") -> None:
        super().__init__(message)


class Forbidden(PortalError):
    """A known person may not do this."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Invalid(PortalError):
    """Fields do not hold what they must; ``field_errors`` maps a field's name to what is wrong and how to mend it."""

    def __init__(self, field_errors: Mapping[str, str]) -> None:
        self.field_errors = dict(field_errors)
        super().__init__("; ".join(f"{name}: {text}" for name, text in self.field_errors.items()))


class QuotaExceeded(PortalError):
    """No entries are left in the window; the next may be sent at ``next_at`` (aware UTC)."""

    def __init__(self, next_at: datetime, message: str = "") -> None:
        self.next_at = next_at
        text = message or "All entries of the last 24 hours are used."
        super().__init__(f"{text} The next one may be sent at {next_at:%Y-%m-%d %H:%M:%S} UTC.")


class Closed(PortalError):
    """The challenge takes no entries at this time."""


class AgreementNeeded(PortalError):
    """The data agreement with this digest is to be read and signed first."""

    def __init__(self, digest: str) -> None:
        self.digest = digest
        super().__init__("Read and sign the data agreement first.")


class Conflict(PortalError):
    """The thing is not in a state that allows this."""


class RateLimited(PortalError):
    """Too many tries; ``retry_after`` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"Too many tries. Try again in {retry_after} seconds.")
