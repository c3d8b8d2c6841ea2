"""Entries of real contests through the real pipeline: intake, engine, report. Published or independent values."""

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from scoring.contracts import ScoreReport
from scoring.offline import score_file
from tests.golden import contests

EXACT = 1e-9
PUBLISHED = 1e-6


def overall(report: ScoreReport) -> dict[str, float | None]:
    assert report.status == "scored", report.findings
    assert report.scores is not None
    return report.scores.overall


def agree(found: Mapping[str, float | None], wanted: Mapping[str, float | None], *, rel: float = PUBLISHED) -> None:
    for name, value in wanted.items():
        assert found[name] is None if value is None else found[name] == pytest.approx(value, rel=rel, abs=1e-12), name


def baseline(row: Mapping[str, float | None]) -> dict[str, float | None]:
    return {"rmse": row["RMSE"], "mae": row["MAE"], "bias": row["ME"], "pearson_r": row["pearson"]}


def test_sampl6_gives_the_published_board(shared_data: Path, tmp_path: Path) -> None:
    data = shared_data / "sampl6_logp"
    expected = json.loads((data / "expected.json").read_text(encoding="utf-8"))
    folder = contests.sampl6(tmp_path, data)
    board = {}
    for name, about in expected["submissions"].items():
        found = overall(score_file(folder, data / about["file"]))
        published = about["published"]
        agree(found, {"rmse": published["RMSE"], "mae": published["MAE"]})
        assert found["bias"] == pytest.approx(about["recomputed"]["ME_pred_minus_exp"], abs=EXACT)
        if name == "NULL0":
            assert found["pearson_r"] is None, "a constant prediction has no correlation"
        else:
            assert (found["pearson_r"] or 0.0) ** 2 == pytest.approx(published["R2"], abs=1e-9)
        board[name] = found["rmse"] or math.inf
    assert len(board) == 105
    values = [board[name] for name in expected["ranking_by_RMSE"]]
    assert values == sorted(values)


@pytest.mark.parametrize("metal", ["CU", "NI"])
def test_babbitt_drillholes(shared_data: Path, tmp_path: Path, metal: str) -> None:
    data = shared_data / "babbitt_drillholes"
    holes = contests.column_of(data / "public" / "intervals_to_predict.csv", "id", "BHID")
    truth = contests.with_column(data / "truth" / "truth.csv", tmp_path / "truth.csv", "BHID", holes)
    samples = data / "sample_submission"
    folder = contests.table(
        tmp_path / "babbitt",
        truth=truth,
        id_column="id",
        target=metal,
        prediction=metal,
        sample=samples / "global_mean.csv",
        blocks='[blocks]\nby = "BHID"\npublic = 0.5\nseed = 3\n',
    )
    wanted = json.loads((data / "truth" / "baseline_scores.json").read_text(encoding="utf-8"))["baselines"]
    for name, row in wanted.items():
        report = score_file(folder, samples / f"{name}.csv")
        agree(overall(report), {"rmse": row[f"rmse_{metal}"], "mae": row[f"mae_{metal}"]})
        assert report.blocks == 86
        assert report.scores is not None
        low, high = sorted((report.scores.public["rmse"] or 0.0, report.scores.private["rmse"] or 0.0))
        assert low < (report.scores.overall["rmse"] or 0.0) < high


@pytest.mark.parametrize("metal", ["Cd", "Co", "Cr", "Cu", "Pb"])
def test_jura_metals(shared_data: Path, tmp_path: Path, metal: str) -> None:
    data = shared_data / "jura_metals"
    samples = data / "sample_submission"
    folder = contests.table(
        tmp_path / "jura",
        truth=data / "truth" / "truth.csv",
        id_column="id",
        target=metal,
        prediction=metal,
        sample=samples / "mean.csv",
    )
    wanted = json.loads((data / "truth" / "baseline_scores.json").read_text(encoding="utf-8"))[metal]
    for name, row in wanted.items():
        agree(overall(score_file(folder, samples / f"{name}.csv")), baseline(row))


@pytest.mark.parametrize("variant", ["dayx", "joker"])
def test_sic2004(shared_data: Path, tmp_path: Path, variant: str) -> None:
    data = shared_data / "sic2004_radioactivity"
    samples = data / "sample_submission"
    folder = contests.table(
        tmp_path / "sic2004",
        truth=data / "truth" / "truth.csv",
        id_column="record",
        target=variant,
        prediction=variant,
        sample=samples / "mean.csv",
    )
    wanted = json.loads((data / "truth" / "baseline_scores.json").read_text(encoding="utf-8"))
    for name, row in wanted.items():
        agree(overall(score_file(folder, samples / f"{name}.csv")), baseline(row[variant]))


def test_walker_lake(shared_data: Path, tmp_path: Path) -> None:
    data = shared_data / "walker_lake"
    samples = data / "sample_submission"
    sections = """
[truth]
file = "hidden/V_exhaustive.tif"
band = 1
[submission]
meaning = "continuous"
[blocks]
size = 50.0
public = 0.5
seed = 1
buffer = 3.0
[scoring]
primary = "rmse"
metrics = ["rmse", "mae", "bias", "pearson_r"]
"""
    folder = contests.directory(
        tmp_path / "walker",
        kind="raster",
        sections=sections,
        truth=data / "truth" / "V_exhaustive.tif",
        sample=samples / "mean_V.tif",
    )
    wanted = json.loads((data / "truth" / "baseline_scores.json").read_text(encoding="utf-8"))
    for name, row in wanted.items():
        found = overall(score_file(folder, samples / f"{name}.tif"))
        agree(found, {key: value for key, value in baseline(row).items() if value is not None})


CLONCURRY = """
[truth]
file = "hidden/deposits_hidden.geojson"
grid = "public/grid.tif"
[submission]
meaning = "continuous"
[scoring]
primary = "roc_auc"
metrics = ["roc_auc", "average_precision", "capture_auc"]
"""


@pytest.mark.parametrize(
    ("layer", "baseline_name"),
    [("dist_to_breccia_m", "minus_dist_to_breccia"), ("fault_density_class", "fault_density_class")],
)
def test_cloncurry_maps_read_at_deposits(shared_data: Path, tmp_path: Path, layer: str, baseline_name: str) -> None:
    data = shared_data / "cloncurry_iocg"
    source = data / "public" / f"{layer}.tif"
    entry = contests.negated(source, tmp_path / "entry.tif") if baseline_name.startswith("minus") else source
    folder = contests.directory(
        tmp_path / "cloncurry",
        kind="raster",
        sections=CLONCURRY,
        truth=data / "truth" / "deposits_hidden.geojson",
        sample=entry,
        grid=data / "public" / "dist_to_breccia_m.tif",
    )
    wanted = json.loads((data / "truth" / "baseline_scores.json").read_text(encoding="utf-8"))["baseline_auc"]
    found = overall(score_file(folder, entry))
    assert found["roc_auc"] == pytest.approx(wanted[baseline_name], abs=PUBLISHED)


def deposits(path: Path) -> list[tuple[float, float]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return [(float(row["x"]), float(row["y"])) for row in csv.DictReader(stream)]


def plain_matching(targets: list[tuple[float, float]], truths: list[tuple[float, float]], radius: float) -> list[bool]:
    """One target after the other takes the nearest deposit that is free: written out, no tree, no arrays."""
    free, hits = set(range(len(truths))), []
    for x, y in targets:
        near = sorted((math.hypot(x - truths[i][0], y - truths[i][1]), i) for i in free)
        hits.append(bool(near) and near[0][0] <= radius)
        if hits[-1]:
            free.remove(near[0][1])
    return hits


@pytest.mark.parametrize("radius", [1000.0, 5000.0])
def test_cloncurry_ranked_targets(shared_data: Path, tmp_path: Path, radius: float) -> None:
    data = shared_data / "cloncurry_iocg"
    targets = deposits(data / "public" / "deposits_public.csv")
    hidden = deposits(data / "truth" / "deposits_hidden.csv")
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": list(place)},
            "properties": {"rank": number + 1},
        }
        for number, place in enumerate(targets)
    ]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::7845"}}
    entry = tmp_path / "targets.geojson"
    entry.write_text(
        json.dumps({"type": "FeatureCollection", "crs": crs, "features": features[::-1]}), encoding="utf-8"
    )
    sections = f"""
[truth]
file = "hidden/deposits_hidden.geojson"
radius = {radius}
[submission]
rank = "rank"
[blocks]
size = 20000.0
public = 0.5
[scoring]
primary = "hits"
metrics = ["hits", "precision", "recall", "f1", "average_precision", "mean_distance"]
"""
    truth = tmp_path / "deposits_hidden.geojson"
    shapes = [
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": list(p)}, "properties": {}} for p in hidden
    ]
    truth.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": shapes}), encoding="utf-8")
    folder = contests.directory(tmp_path / "targets", kind="points", sections=sections, truth=truth, sample=entry)
    report = score_file(folder, entry)
    hit = np.array(plain_matching(targets, hidden, radius))
    precisions = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    wanted = {
        "hits": float(hit.sum()),
        "precision": hit.mean(),
        "recall": hit.sum() / len(hidden),
        "average_precision": precisions[hit].sum() / len(hidden),
    }
    agree(overall(report), wanted, rel=EXACT)
    assert report.scores is not None
    assert (report.scores.public["hits"] or 0) + (report.scores.private["hits"] or 0) == hit.sum()


def flusight(shared_data: Path, tmp_path: Path, estimator: str = "standard") -> tuple[Path, Path]:
    data = shared_data / "flusight_nd" / "demo_2x53x4"
    sections = f"""
[truth]
file = "hidden/truth.nc"
variable = "hosp"
[submission]
variable = "hosp"
member = "sample"
[blocks]
by = "location"
public = 0.5
[scoring]
primary = "crps"
metrics = ["crps", "energy_score", "spread_skill"]
[scoring.options.crps]
estimator = "{estimator}"
[scoring.options.energy_score]
over = "horizon"
"""
    sample = data / "submissions" / "Flusight-baseline_samples.nc"
    folder = tmp_path / "flusight"
    contests.directory(folder, kind="grid", sections=sections, truth=data / "truth.nc", sample=sample)
    return folder, data / "submissions"


@pytest.mark.parametrize("model", ["Flusight-baseline", "PSI-DICE"])
@pytest.mark.parametrize(("estimator", "key"), [("standard", "crps"), ("fair", "crps_fair")])
def test_flusight_ensembles(shared_data: Path, tmp_path: Path, model: str, estimator: str, key: str) -> None:
    folder, submissions = flusight(shared_data, tmp_path, estimator)
    scores = json.loads((shared_data / "flusight_nd" / "baseline_scores.json").read_text(encoding="utf-8"))
    wanted = scores["recomputed"][model]["recomputed"]
    found = overall(score_file(folder, submissions / f"{model}_samples.nc"))
    agree(found, {"crps": wanted[key], "energy_score": wanted["energy_score"]})


def test_flusight_entry_with_gaps_is_rejected(shared_data: Path, tmp_path: Path) -> None:
    folder, submissions = flusight(shared_data, tmp_path)
    report = score_file(folder, submissions / "MOBS-GLEAM_FLUH_samples.nc")
    assert (report.status, report.scores) == ("rejected", None)
    assert {finding.code for finding in report.findings} <= {"not-finite", "missing-cells"}
