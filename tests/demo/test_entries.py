"""Entries are made from the public files alone, the same each time, and better methods score better."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from portal.demo.programme import PROGRAMME, DemoChallenge
from scoring.contracts import ScoreReport
from scoring.offline import score_file

NOW = datetime(2026, 3, 14, tzinfo=UTC)
ALL = pytest.mark.parametrize("challenge", PROGRAMME, ids=[challenge.slug for challenge in PROGRAMME])
# (challenge, metric, entries from worse to better); a gap between neighbours is a real one, not a tie.
LADDERS = [
    ("goldfield", "captured_value", ("lattice.geojson", "around_known.csv", "anomalies.geojson", "structure.parquet")),
    ("walker-lake", "rmse", ("declustered_mean.tif", "nearest.tif", "inverse_distance.tif", "ordinary_kriging.tif")),
    ("prospectivity", "roc_auc", ("geochemistry.tif", "near_known.tif", "weights_of_evidence.tif", "logistic.tif")),
    ("jura-rocks", "f1_iou50", ("neighbours.geojson", "nearest.geojson", "extra_trees.parquet")),
    ("jura-cobalt", "rmse", ("mean.csv", "inverse_distance.csv", "kriging.parquet", "regression_kriging.parquet")),
    ("jura-parent-rock", "log_loss", ("frequencies.csv", "metals.csv", "neighbours.parquet", "extra_trees.csv")),
    ("sic2004", "mae", ("mean.csv", "nearest.csv", "inverse_distance.parquet", "kriging.csv")),
    ("sic2004-joker", "rmse", ("nearest.csv", "median.csv", "kriging.csv")),
    ("walker-panels", "crps", ("quantiles.nc", "neighbours.nc", "trees.zarr.zip", "root_simulation.nc")),
]
FALLING = {"rmse", "mae", "log_loss", "crps"}


def by_slug(slug: str) -> DemoChallenge:
    return next(challenge for challenge in PROGRAMME if challenge.slug == slug)


@ALL
def test_entries_name_distinct_files_within_the_daily_quota(challenge: DemoChallenge) -> None:
    names = [entry.filename for entry in challenge.entries]
    experts = [entry.expert for entry in challenge.entries]
    assert len(set(names)) == len(names) >= 4
    assert all(experts.count(expert) <= 2 for expert in experts)
    assert all(entry.note for entry in challenge.entries)


@pytest.mark.slow
@pytest.mark.parametrize(("slug", "metric", "ladder"), LADDERS, ids=[ladder[0] for ladder in LADDERS])
def test_better_methods_score_better(slug: str, metric: str, ladder: tuple[str, ...], tmp_path: Path) -> None:
    """Made where the truth is out of reach, scored where it is."""
    challenge = by_slug(slug)
    challenge.build(tmp_path / "whole", NOW)
    shutil.copytree(tmp_path / "whole" / "public", tmp_path / "download" / "public")
    made = {entry.filename: entry.make for entry in challenge.entries}
    scores = []
    for name in ladder:
        file = made[name](tmp_path / "download" / "public", tmp_path / "entries" / name)
        scores.append(value(score_file(tmp_path / "whole", file), metric))
    assert scores == sorted(scores, reverse=metric in FALLING)
    assert len(set(scores)) == len(scores)


def value(report: ScoreReport, metric: str) -> float:
    assert report.status == "scored", report.findings
    assert report.scores is not None
    found = report.scores.overall[metric]
    assert found is not None
    return found


def test_a_method_gives_the_same_file_again(tmp_path: Path) -> None:
    challenge = by_slug("jura-cobalt")
    challenge.build(tmp_path, NOW)
    entry = next(entry for entry in challenge.entries if entry.filename == "extra_trees.csv")
    first, second = (entry.make(tmp_path / "public", tmp_path / name / entry.filename) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
