"""Migrations up, down, with data, and without drift, on both databases."""

import subprocess
import sys

import pytest
from sqlalchemy import inspect, text

from portal.store import database, migrate
from portal.store.database import Database, connect
from tests.portal.town import Town


def tables(url: str) -> set[str]:
    engine = connect(url)
    try:
        return set(inspect(engine).get_table_names()) - {"alembic_version"}
    finally:
        engine.dispose()


def test_up_down_and_up_again(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url)
    made = tables(empty_database_url)
    assert "submission" in made
    assert migrate.drift(empty_database_url) == []
    migrate.downgrade(empty_database_url)
    assert tables(empty_database_url) == set()
    migrate.upgrade(empty_database_url)
    assert tables(empty_database_url) == made


def test_every_step_goes_down_and_up_with_data(both: Town) -> None:
    both.publish()
    both.send(both.expert("Expert A"))
    both.score_all()
    url = both.ctx.settings.url
    both.ctx.close()
    migrate.downgrade(url, "0004")
    migrate.upgrade(url)
    assert migrate.drift(url) == []
    store = Database(url)
    with store.reading() as session:
        assert session.execute(text("SELECT count(*) FROM score")).scalar_one() == 1
        assert database.revision(session) == database.REVISION
    store.dispose()


def test_the_code_knows_the_newest_revision() -> None:
    assert migrate.newest() == database.REVISION


def test_a_database_never_migrated_has_no_revision(empty_database_url: str) -> None:
    store = Database(empty_database_url)
    with store.reading() as session:
        assert database.revision(session) is None
    store.dispose()


def test_two_processes_may_upgrade_at_once(empty_database_url: str) -> None:
    code = f"from portal.store import migrate; migrate.upgrade({empty_database_url!r})"
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    assert migrate.drift(empty_database_url) == []


def test_the_output_of_migrations_is_quiet(empty_database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    migrate.upgrade(empty_database_url)
    assert capsys.readouterr() == ("", "")
