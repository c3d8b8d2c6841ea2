"""A town whose processes are killed for real."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from portal.adapters.clock import FixedClock
from portal.services import publishing
from portal.services.context import open_context
from tests.faults.actors import LEASE
from tests.portal.town import START, Town, challenge_toml, publication, settings_for
from tests.postgres import database_url, postgres_cluster, sqlite_template, sqlite_url

__all__ = ["database_url", "postgres_cluster", "sqlite_template", "sqlite_url"]


@pytest.fixture
def running(database_url: str, tmp_path: Path) -> Iterator[Town]:
    """A town with an open challenge that lives by the database's clock, as its processes do."""
    town = Town(open_context(settings_for(tmp_path, database_url, **LEASE)), FixedClock(START))
    now = datetime.now(UTC).replace(microsecond=0)
    spec = challenge_toml("grades", per_day=10_000, public=0.5)
    spec = spec.replace("2026-02-01T00:00:00Z", (now - timedelta(days=1)).isoformat())
    spec = spec.replace("2026-04-01T00:00:00Z", (now + timedelta(days=1)).isoformat())
    publishing.record_publication(town.ctx, actor=town.person("Sponsor"), answer=publication(town.ctx, spec, "grades"))
    yield town
    town.ctx.close()
