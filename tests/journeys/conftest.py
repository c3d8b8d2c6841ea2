"""Fixtures of the journeys: an instance with the real engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.river import River
from tests.journeys.river import river as running_river
from tests.postgres import sqlite_template, sqlite_url

__all__ = ["sqlite_template", "sqlite_url"]


@pytest.fixture
def river(sqlite_url: str, tmp_path: Path) -> Iterator[River]:
    with running_river(tmp_path / "instance", sqlite_url) as made:
        yield made
