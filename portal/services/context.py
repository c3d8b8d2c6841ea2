"""What every service is handed first: settings, database, blobs, clock, mailer, password hasher, board cache."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from datasets.store import BlobStore, LocalStore
from portal.adapters.cache import Cache
from portal.adapters.clock import Clock
from portal.adapters.mail import Mailer, SmtpMailer
from portal.adapters.passwords import Passwords
from portal.settings import Settings
from portal.store.database import Database
from portal.store.database import now as database_now


@dataclass(frozen=True, slots=True)
class Context:
    """Made once a process by ``open_context``. ``clock`` None: the database tells the time; ``mailer`` None: mail stays
    in the outbox."""

    settings: Settings
    sessions: Database
    blobs: BlobStore
    passwords: Passwords
    cache: Cache
    mailer: Mailer | None = None
    clock: Clock | None = None

    def now(self, session: Session) -> datetime:
        """The time, aware UTC: the database's own unless a clock was passed."""
        return self.clock.now() if self.clock else database_now(session)

    def reading(self) -> AbstractContextManager[Session]:
        """A transaction that only reads."""
        return self.sessions.reading()

    def writing(self) -> AbstractContextManager[Session]:
        """A transaction that writes, committed at the end."""
        return self.sessions.writing()

    def close(self) -> None:
        """Close the database's connections."""
        self.sessions.dispose()


def open_context(settings: Settings, *, clock: Clock | None = None) -> Context:
    """Connect database, blob store and mailer as ``settings`` say. Does not migrate: ``portal.store.migrate`` does."""
    return Context(
        settings=settings,
        sessions=Database(settings.url),
        blobs=LocalStore(settings.store_root),
        passwords=Passwords(
            memory_kib=settings.argon2_memory_kib,
            time=settings.argon2_time,
            lanes=settings.argon2_lanes,
            at_once=settings.logins_at_once,
        ),
        cache=Cache(),
        mailer=SmtpMailer(settings.smtp_url, settings.mail_from) if settings.smtp_url else None,
        clock=clock,
    )
