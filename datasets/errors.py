"""The error tree of the platform, and what is told to people.

MotherlodeError
├── SpecError        a challenge directory is not publishable; carries every Fault at once
├── Rejected         an uploaded file is not a valid entry; carries every Finding at once (theirs)
├── IntegrityError   stored bytes are not the bytes that were stored (digest differs)
├── BlobNotFound     no blob of that digest
├── TooLarge         a stream holds more bytes than allowed; nothing of it was kept
├── VaultError       the truth cannot be sealed or opened (wrong key, damaged seal)
└── EngineFault      the platform failed, not the entry (ours); the work is retried

Errors know no HTTP; the portal has one table that gives status and wording.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a challenge directory: where it stands and how to mend it."""

    file: str
    key: str
    message: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.file}: {self.key}" if self.key else self.file
        return f"{place}: {self.message} {self.remedy}".rstrip()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong in an uploaded file. Never holds a value of the truth.

    ``code`` is stable and documented in docs/formats.md; ``message`` is for people;
    ``where`` points at the place, e.g. ``{"row": 17}``, ``{"feature": 3}``, ``{"pixel": [row, col]}``.
    """

    code: str
    message: str
    where: Mapping[str, Any] = field(default_factory=dict)
    hint: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "where": dict(self.where)}


class MotherlodeError(Exception):
    """Base of every error the platform raises on purpose."""


class SpecError(MotherlodeError):
    """A challenge directory has faults; ``faults`` lists all of them."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


class Rejected(MotherlodeError):
    """An uploaded file is not a valid entry; ``findings`` lists everything found."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(f"{f.code}: {f.message}" for f in self.findings))


class IntegrityError(MotherlodeError):
    """Bytes read are not the bytes that were stored."""


class BlobNotFound(MotherlodeError):
    """No blob of that digest is stored."""


class TooLarge(MotherlodeError):
    """A stream holds more than ``limit`` bytes; nothing of it was kept."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"the file is larger than the {limit:,} bytes allowed here")


class VaultError(MotherlodeError):
    """The truth cannot be sealed or opened."""


class EngineFault(MotherlodeError):
    """The platform failed while scoring; the entry is not to blame and keeps its quota."""
