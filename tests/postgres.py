"""A real PostgreSQL for tests: one throw-away cluster a session (and xdist worker), one fresh database a test.

The server refuses to run as root, so it runs as the system's ``postgres`` user then. ``fsync`` is off: these tests kill
processes, not the machine.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from portal.store import migrate

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
OPTIONS = (
    "fsync=off",
    "full_page_writes=off",
    "listen_addresses=",
    "shared_buffers=16MB",
    "max_connections=120",
    "timezone=Asia/Kolkata",
)
START_SECONDS = 60


@dataclass(frozen=True)
class Cluster:
    """A running server, reached through a socket in ``folder``."""

    folder: Path

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def execute(self, statement: str) -> None:
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Start a server and end it. Skips the test when PostgreSQL is not installed."""
    if not BINARIES:
        pytest.skip("PostgreSQL is not installed; `./dev test` installs it")
    binaries, folder = BINARIES[-1], Path(tempfile.mkdtemp(prefix="motherlode-pg-", dir="/tmp"))
    user = _other_user(folder)
    password = folder / "password"
    password.write_text(uuid.uuid4().hex)
    if user:
        shutil.chown(password, "postgres", "postgres")
    data = folder / "data"
    initdb = [
        binaries / "initdb",
        "-D",
        data,
        "-U",
        "postgres",
        "-A",
        "trust",
        "--pwfile",
        password,
        "--no-sync",
        "-E",
        "UTF8",
        "--locale=C",
    ]
    subprocess.run([*user, *map(str, initdb)], check=True, capture_output=True, cwd=folder)
    settings = [part for option in (*OPTIONS, f"unix_socket_directories={folder}") for part in ("-c", option)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*user, str(binaries / "postgres"), "-D", str(data), *settings], stdout=log, stderr=log, cwd=folder
        )
    try:
        _wait(binaries, folder, server)
        yield Cluster(folder)
    finally:
        server.terminate()
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            server.send_signal(3)  # immediate shutdown
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _other_user(folder: Path) -> list[str]:
    """How to run a command as somebody but root; nothing when we are not root."""
    if os.geteuid() != 0:
        return []
    person = pwd.getpwnam("postgres")
    shutil.chown(folder, person.pw_uid, person.pw_gid)
    return [
        "setpriv",
        f"--reuid={person.pw_uid}",
        f"--regid={person.pw_gid}",
        "--clear-groups",
        "--pdeathsig=QUIT",
        "--",
    ]


def _wait(binaries: Path, folder: Path, server: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + START_SECONDS
    while subprocess.run([binaries / "pg_isready", "-q", "-h", folder], check=False).returncode != 0:
        if server.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"PostgreSQL does not start: {(folder / 'log').read_text()[-2000:]}")
        time.sleep(0.05)


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Cluster]:
    """The session's server, with a migrated database called ``template``."""
    with cluster() as running:
        running.execute("CREATE DATABASE template_motherlode")
        migrate.upgrade(running.url("template_motherlode"))
        yield running


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a fresh, migrated database: each test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield _copied(request.getfixturevalue("sqlite_template"), tmp_path)
    else:
        yield from _database(request.getfixturevalue("postgres_cluster"), "TEMPLATE template_motherlode")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        yield from _database(request.getfixturevalue("postgres_cluster"))


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh, migrated SQLite database alone, for what no database decides."""
    return _copied(sqlite_template, tmp_path)


def _database(running: Cluster, made_from: str = "") -> Iterator[str]:
    """The address of a database of its own, dropped afterwards."""
    name = f"t{uuid.uuid4().hex}"
    running.execute(f"CREATE DATABASE {name} {made_from}")
    yield running.url(name)
    running.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _copied(template: Path, folder: Path) -> str:
    for file in template.parent.glob(f"{template.name}*"):
        shutil.copy(file, folder / file.name.replace("template", "motherlode"))
    return f"sqlite:///{folder / 'motherlode.db'}"
