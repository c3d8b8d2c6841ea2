"""Pictures of an entry: names that tell who may see them, places on Earth, what judges are shown."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasets.blocks import placed_whole
from datasets.digest import digest_file
from datasets.spec import Spec, format_of, load_spec
from scoring import preview as preview_side
from scoring.contracts import JUDGE_ONLY, FileFacts
from scoring.engine import score
from scoring.entry import Upload, evaluate
from scoring.kinds.pairing import TruthSet
from scoring.kinds.table import Aligned
from scoring.offline import read_truth
from scoring.preview import artifacts
from scoring.samples import Numbers
from tests.challenges import BUILDERS
from tests.scoring.making import grid, raster, spec_of

PNG = b"\x89PNG"


def drawn(tmp_path: Path, name: str) -> tuple[Spec, dict[str, bytes], TruthSet]:
    example = BUILDERS[name](tmp_path / name)
    spec = load_spec(example.folder)
    truth = read_truth(example.folder, spec, tmp_path / "read")
    form = format_of(example.sample.name, spec.challenge.kind)
    assert form is not None
    facts = FileFacts(sha256=digest_file(example.sample), bytes=example.sample.stat().st_size)
    made = evaluate(Upload(example.sample, form, facts), spec, truth, out=tmp_path / "entry")
    assert made.outcome is not None
    assert made.prediction is not None
    return spec, artifacts(spec, truth, made.prediction, made.outcome), truth


def features(data: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(data)["features"]
    return found


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("points", {"entry.geojson", "judge-hits.geojson"}),
        ("polygons", {"entry.geojson", "judge-hits.geojson"}),
        ("raster-continuous", {"entry.png", "entry.json", "judge-errors.png", "judge-errors.json"}),
        ("raster-points", {"entry.png", "entry.json", "judge-points.geojson"}),
        ("table-classes", {"judge-residuals.json", "judge-confusion.json"}),
        ("grid-ensemble", {"entry.png", "entry.json"}),
    ],
)
def test_every_kind_is_drawn(tmp_path: Path, name: str, shown: set[str]) -> None:
    _, files, _ = drawn(tmp_path, name)
    assert set(files) == shown | {"judge-blocks.json"}
    for file, data in files.items():
        assert file.startswith((JUDGE_ONLY, "entry."))
        assert data.startswith(PNG) if file.endswith(".png") else json.loads(data)
    if "entry.json" in files:
        west, south, east, north = json.loads(files["entry.json"])["bounds"]
        assert -180 <= west < east <= 180
        assert -90 <= south < north <= 90


def test_judges_see_hits_and_what_was_found(tmp_path: Path) -> None:
    _, files, truth = drawn(tmp_path, "points")
    shapes = [feature["properties"] for feature in features(files["judge-hits.geojson"])]
    targets = [about for about in shapes if about["what"] == "target"]
    deposits = [about for about in shapes if about["what"] == "deposit"]
    assert len(deposits) == len(truth.truth.arrays["x"])
    assert sum(about["hit"] for about in targets) == sum(about["found"] for about in deposits) > 0
    assert [about["rank"] for about in targets] == list(range(1, len(targets) + 1))


def test_the_entry_alone_holds_no_truth(tmp_path: Path) -> None:
    _, files, truth = drawn(tmp_path, "points")
    own = features(files["entry.geojson"])
    assert len(own) < len(truth.truth.arrays["x"])
    assert not {key for feature in own for key in feature["properties"]} & {"hit", "found", "value", "distance"}


def test_residuals_start_with_the_worst(tmp_path: Path) -> None:
    _, files, _ = drawn(tmp_path, "table-numbers")
    rows = json.loads(files["judge-residuals.json"])["rows"]
    off = [row["off"] for row in rows]
    assert off == sorted(off, reverse=True)
    assert all(row["off"] == pytest.approx(abs(row["truth"] - row["prediction"])) for row in rows)
    assert rows[0]["id"].startswith(rows[0]["block"])


def test_the_worst_rows_are_the_same_however_they_are_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(3)
    truth, given = np.zeros(5000), chance.integers(0, 60, 5000).astype(float)  # many rows are off alike
    aligned = Aligned(np.arange(5000, dtype=np.int32), placed_whole(5000), lambda cut: Numbers(truth[cut], given[cut]))
    wanted = np.argsort(-given, kind="stable")[: preview_side.WORST]
    for piece in (1 << 20, 700, 90):
        monkeypatch.setattr(preview_side, "PIECE", piece)
        rows, off = preview_side._worst(aligned)
        assert rows.tolist() == wanted.tolist()
        assert off.tolist() == given[wanted].tolist()


def test_scores_by_block_stand_in_one_table(tmp_path: Path) -> None:
    spec, files, _ = drawn(tmp_path, "table-numbers")
    table = json.loads(files["judge-blocks.json"])
    assert table["metrics"] == list(spec.scoring.metrics)
    assert {row["side"] for row in table["rows"]} == {"public", "private"}


SIMPLE = """
[truth]
file = "hidden/truth.tif"
{truth}
[submission]
{submission}
[scoring]
primary = "rmse"
metrics = ["rmse"]
"""


def test_local_units_are_metres_around_zero() -> None:
    spec = spec_of("raster", SIMPLE.format(truth="", submission='meaning = "continuous"'))
    band = np.random.default_rng(0).normal(size=(30, 20))
    truth = TruthSet(raster(band))
    files = artifacts(spec, truth, raster(band + 1), score(spec, truth, raster(band + 1)))
    about = json.loads(files["entry.json"])
    assert about["local"]
    assert about["bounds"] == pytest.approx([0.0, -30 / 111_319.49, 20 / 111_319.49, 0.0], abs=1e-8)


def test_a_grid_without_a_map_has_no_picture() -> None:
    spec = spec_of("grid", SIMPLE.format(truth='variable = "v"', submission="").replace(".tif", ".nc"))
    canonical = grid(np.zeros((2, 3)), {"place": ["a", "b"], "step": [0.0, 1.0, 2.0]})
    files = artifacts(spec, TruthSet(canonical), canonical, score(spec, TruthSet(canonical), canonical))
    assert set(files) == {"judge-blocks.json"}
