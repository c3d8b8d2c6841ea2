"""Every demo challenge is a publishable directory, made the same way each time, and keeps its secret."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from datasets.spec import load_spec
from portal.demo.folder import season
from portal.demo.programme import PROGRAMME, DemoChallenge
from scoring.rules import check_metrics

NOW = datetime(2026, 3, 14, 15, 9, tzinfo=UTC)
ALL = pytest.mark.parametrize("challenge", PROGRAMME, ids=[challenge.slug for challenge in PROGRAMME])
TABLES = [challenge for challenge in PROGRAMME if challenge.slug in {"jura-cobalt", "sic2004", "sic2004-joker"}]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All directories, built once."""
    root = tmp_path_factory.mktemp("challenges")
    for challenge in PROGRAMME:
        challenge.build(root / challenge.slug, NOW)
    return {challenge.slug: root / challenge.slug for challenge in PROGRAMME}


def digests(folder: Path) -> dict[str, str]:
    paths = (
        path for path in folder.rglob("*") if path.is_file() and path.suffix != ".nc"
    )  # HDF5 keeps times of its own
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@ALL
def test_the_directory_is_publishable_and_open(challenge: DemoChallenge, built: dict[str, Path]) -> None:
    spec = load_spec(built[challenge.slug])
    assert spec.challenge.slug == challenge.slug
    assert check_metrics(spec) == []
    assert spec.schedule.opens < NOW < spec.schedule.closes
    assert spec.blocks is not None


@ALL
def test_the_same_content_gives_the_same_bytes(
    challenge: DemoChallenge, built: dict[str, Path], tmp_path: Path
) -> None:
    challenge.build(tmp_path, NOW)
    assert digests(tmp_path) == digests(built[challenge.slug])


@ALL
def test_every_text_states_source_licence_and_scoring(challenge: DemoChallenge, built: dict[str, Path]) -> None:
    folder = built[challenge.slug]
    overview = (folder / "overview.md").read_text(encoding="utf-8")
    assert "## How it is scored" in overview
    assert "GPL-2" in overview or "Apache-2.0" in overview
    assert "{" not in overview
    assert (folder / "public" / "ORIGIN.txt").is_file()


@pytest.mark.parametrize("challenge", TABLES, ids=[challenge.slug for challenge in TABLES])
def test_hidden_columns_are_in_no_public_table_of_the_wanted_rows(
    challenge: DemoChallenge, built: dict[str, Path]
) -> None:
    folder = built[challenge.slug]
    target = load_spec(folder).truth.target
    assert target not in pd.read_csv(folder / "public" / "places.csv").columns
    assert target in pd.read_csv(folder / "hidden" / "truth.csv").columns


def test_slugs_are_distinct_and_all_kinds_are_there(built: dict[str, Path]) -> None:
    kinds = {load_spec(folder).challenge.kind for folder in built.values()}
    assert kinds == {"table", "points", "polygons", "raster", "grid"}
    assert len({challenge.slug for challenge in PROGRAMME}) == len(PROGRAMME)


def test_seasons_begin_and_end_on_the_first_of_a_month() -> None:
    when = season(datetime(2026, 1, 31, 23, tzinfo=UTC), months=2)
    assert (when.opens, when.closes) == (datetime(2025, 11, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
    assert season(datetime(2026, 12, 1, tzinfo=UTC), months=1).closes == datetime(2027, 1, 1, tzinfo=UTC)
