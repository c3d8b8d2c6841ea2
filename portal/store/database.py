"""Connections and transactions, the same on SQLite and PostgreSQL.

Writers on SQLite begin with BEGIN IMMEDIATE, so two of them never meet half-way; on PostgreSQL they take an advisory
lock on whatever they count before they write (``lock``).
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import Session

BUSY_MS = 30_000
REVISION = "0006"  # the newest migration; a test compares
_WRITES = "motherlode_writes"
Unreachable = OperationalError


class Database:
    """One engine. ``reading()`` and ``writing()`` give a session for one transaction."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.engine = connect(url, pool_size=pool_size)
        self._writer = writer(self.engine)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that only reads; one snapshot on SQLite."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that writes: committed at the end, rolled back on any error."""
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def connect(url: str, *, pool_size: int = 10) -> Engine:
    """An engine with the settings that durability needs; makes the folder of a SQLite file."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_size=pool_size, pool_pre_ping=True)
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        parsed,
        pool_size=pool_size,
        max_overflow=20,
        connect_args={"timeout": BUSY_MS / 1000, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def writer(engine: Engine) -> Engine:
    """The same engine for transactions that write."""
    return engine.execution_options(**{_WRITES: True})


def now(session: Session) -> datetime:
    """The database's clock at this moment (not at the start of the transaction), aware UTC."""
    if session.get_bind().dialect.name == "sqlite":
        stamp: str = session.execute(text("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')")).scalar_one()
        return datetime.fromisoformat(stamp).replace(tzinfo=UTC)
    moment: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return moment.astimezone(UTC)


def lock(session: Session, *names: object) -> None:
    """Make every other transaction that locks the same names wait until this one ends.

    SQLite has one writer at a time, so there it costs nothing.
    """
    if session.get_bind().dialect.name == "postgresql":
        digest = hashlib.sha256("\0".join(map(str, names)).encode()).digest()
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": int.from_bytes(digest[:8], signed=True)})


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we emit BEGIN ourselves
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def revision(session: Session) -> str | None:
    """The schema the database is at, or None when it was never migrated."""
    try:
        return session.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    except (OperationalError, ProgrammingError):
        session.rollback()
        return None
