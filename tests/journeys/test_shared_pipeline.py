"""Real contests of every other kind from publication to the judge's page: the values are those known beforehand."""

import json
from pathlib import Path

import numpy as np
import pytest

from portal.domain.states import EntryState
from portal.services import ranking
from tests.golden import contests
from tests.golden import test_real_contests as golden
from tests.journeys.river import River, overall

pytestmark = pytest.mark.slow
PUBLISHED = 1e-6


def test_cloncurry_maps(shared_data: Path, tmp_path: Path, river: River) -> None:
    data = shared_data / "cloncurry_iocg"
    closeness = contests.negated(data / "public" / "dist_to_breccia_m.tif", tmp_path / "closeness.tif")
    folder = contests.directory(
        tmp_path / "cloncurry-maps",
        kind="raster",
        sections=golden.CLONCURRY,
        truth=data / "truth" / "deposits_hidden.geojson",
        sample=closeness,
        grid=data / "public" / "dist_to_breccia_m.tif",
    )
    files = {"minus_dist_to_breccia": closeness, "fault_density_class": data / "public" / "fault_density_class.tif"}
    judged = river.play(folder, files)
    wanted = json.loads((data / "truth" / "baseline_scores.json").read_text(encoding="utf-8"))["baseline_auc"]
    for team in files:
        assert overall(judged[team])["roc_auc"] == pytest.approx(wanted[team], abs=PUBLISHED), team
    board = ranking.board(river.ctx, actor=None, slug="cloncurry-maps")
    assert [row.team for row in board.rows] == sorted(files, key=lambda team: -wanted[team])


def point_file(path: Path, places: list[tuple[float, float]]) -> Path:
    """Points of EPSG:7845 as GeoJSON, each with its rank."""
    shapes = [
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": place}, "properties": {"rank": number}}
        for number, place in enumerate(places, start=1)
    ]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::7845"}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": shapes}), encoding="utf-8")
    return path


def test_cloncurry_targets(shared_data: Path, tmp_path: Path, river: River) -> None:
    data, radius = shared_data / "cloncurry_iocg", 5000.0
    known = golden.deposits(data / "public" / "deposits_public.csv")
    hidden = golden.deposits(data / "truth" / "deposits_hidden.csv")
    sections = f"""
[truth]
file = "hidden/deposits.geojson"
radius = {radius}
[submission]
rank = "rank"
[blocks]
size = 20000.0
public = 0.5
[scoring]
primary = "hits"
metrics = ["hits", "precision", "recall", "average_precision"]
"""
    entry = point_file(tmp_path / "targets.geojson", known)
    truth = point_file(tmp_path / "deposits.geojson", hidden)
    folder = contests.directory(
        tmp_path / "cloncurry-targets", kind="points", sections=sections, truth=truth, sample=entry
    )
    judged = river.play(folder, {"Expert A": entry})["Expert A"]
    hit = np.array(golden.plain_matching(known, hidden, radius))
    found = overall(judged)
    assert found["hits"] == hit.sum() > 0
    assert found["precision"] == pytest.approx(hit.mean(), rel=1e-9)
    assert found["recall"] == pytest.approx(hit.sum() / len(hidden), rel=1e-9)
    assert judged.scores_public is not None
    assert judged.scores_private is not None
    assert (judged.scores_public["hits"] or 0) + (judged.scores_private["hits"] or 0) == hit.sum()


def test_babbitt_copper(shared_data: Path, tmp_path: Path, river: River) -> None:
    data = shared_data / "babbitt_drillholes"
    holes = contests.column_of(data / "public" / "intervals_to_predict.csv", "id", "BHID")
    samples = data / "sample_submission"
    folder = contests.table(
        tmp_path / "babbitt",
        truth=contests.with_column(data / "truth" / "truth.csv", tmp_path / "truth.csv", "BHID", holes),
        id_column="id",
        target="CU",
        prediction="CU",
        sample=samples / "global_mean.csv",
        blocks='[blocks]\nby = "BHID"\npublic = 0.5\nseed = 3\n',
    )
    wanted = json.loads((data / "truth" / "baseline_scores.json").read_text(encoding="utf-8"))["baselines"]
    judged = river.play(folder, {name: samples / f"{name}.csv" for name in wanted})
    for name, row in wanted.items():
        found = overall(judged[name])
        assert found["rmse"] == pytest.approx(row["rmse_CU"], abs=PUBLISHED), name
        assert found["mae"] == pytest.approx(row["mae_CU"], abs=PUBLISHED), name


def test_flusight_ensembles(shared_data: Path, tmp_path: Path, river: River) -> None:
    folder, submissions = golden.flusight(shared_data, tmp_path)
    known = (shared_data / "flusight_nd" / "baseline_scores.json").read_text(encoding="utf-8")
    scores = json.loads(known)["recomputed"]
    whole, gaps = ("Flusight-baseline", "PSI-DICE"), "MOBS-GLEAM_FLUH"
    judged = river.play(folder, {name: submissions / f"{name}_samples.nc" for name in (*whole, gaps)})
    for name in whole:
        found, wanted = overall(judged[name]), scores[name]["recomputed"]
        assert found["crps"] == pytest.approx(wanted["crps"], rel=PUBLISHED), name
        assert found["energy_score"] == pytest.approx(wanted["energy_score"], rel=PUBLISHED), name
    assert judged[gaps].entry.state is EntryState.REJECTED
    assert judged[gaps].scores_overall is None
