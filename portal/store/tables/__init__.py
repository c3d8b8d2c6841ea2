"""Every table, so that the metadata is complete for whoever imports this package."""

from portal.store.base import Base
from portal.store.tables.challenges import (
    INSIDE,
    OUTSIDE,
    Agreement,
    Challenge,
    ConflictNote,
    DownloadLine,
    Prize,
    Release,
    ReleaseFile,
    RoleGrant,
    Side,
    Signature,
    Team,
    TeamMember,
    TruthVersion,
)
from portal.store.tables.entries import Claimable, Draft, PrivateScore, Ruling, Score, Submission
from portal.store.tables.money import Account, Posting
from portal.store.tables.operations import Event, Worker
from portal.store.tables.people import ApiToken, Link, LoginSession, Mail, Throttle, User

__all__ = [
    "INSIDE",
    "OUTSIDE",
    "Account",
    "Agreement",
    "ApiToken",
    "Base",
    "Challenge",
    "Claimable",
    "ConflictNote",
    "DownloadLine",
    "Draft",
    "Event",
    "Link",
    "LoginSession",
    "Mail",
    "Posting",
    "PrivateScore",
    "Prize",
    "Release",
    "ReleaseFile",
    "RoleGrant",
    "Ruling",
    "Score",
    "Side",
    "Signature",
    "Submission",
    "Team",
    "TeamMember",
    "Throttle",
    "TruthVersion",
    "User",
    "Worker",
]
