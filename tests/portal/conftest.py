"""Fixtures of the portal's tests: databases, and a small town on each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.portal.town import Town, town
from tests.postgres import database_url, empty_database_url, postgres_cluster, sqlite_template, sqlite_url

__all__ = ["database_url", "empty_database_url", "postgres_cluster", "sqlite_template", "sqlite_url"]


@pytest.fixture
def both(database_url: str, tmp_path: Path) -> Iterator[Town]:
    """A town on SQLite and one on PostgreSQL."""
    made = town(tmp_path, database_url)
    yield made
    made.ctx.close()


@pytest.fixture
def lite(sqlite_url: str, tmp_path: Path) -> Iterator[Town]:
    """A town on SQLite alone, where the database makes no difference."""
    made = town(tmp_path, sqlite_url)
    yield made
    made.ctx.close()
