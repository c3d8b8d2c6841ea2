"""A sponsor's data files become a challenge directory that needs little or no editing."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datasets.digest import digest_file
from datasets.errors import SpecError
from datasets.examine import examine
from datasets.scaffold import Scaffold, new
from datasets.spec import load_spec
from scoring.dryrun import CHECKS
from tests.challenges import BUILDERS

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
KINDS = {name: "table" if name.startswith("table") else name.split("-")[0] for name in BUILDERS}


def _bare(folder: Path, name: str) -> Path:
    """The data of a challenge, without the texts and the sample."""
    example = BUILDERS[name](folder / name)
    for text in ("challenge.toml", "overview.md", "agreement.md"):
        (example.folder / text).unlink()
    shutil.rmtree(example.folder / "sample")
    return example.folder


@pytest.mark.parametrize("name", BUILDERS)
def test_a_directory_of_data_becomes_a_challenge_without_faults(tmp_path: Path, name: str) -> None:
    folder = _bare(tmp_path, name)
    hidden = {digest_file(path) for path in (folder / "hidden").iterdir()}
    made = new(folder, now=NOW)
    assert (made.kind, made.faults) == (KINDS[name], ())
    assert examine(folder, tmp_path / "work", checks=CHECKS).faults == ()
    shown = [path for room in ("public", "sample") for path in (folder / room).rglob("*") if path.is_file()]
    assert not hidden & {digest_file(path) for path in shown}


def _tables(folder: Path, truth: pd.DataFrame, **public: pd.DataFrame) -> Scaffold:
    folder.mkdir(exist_ok=True)
    truth.to_csv(folder / "the_truth.csv", index=False)
    for name, table in public.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return new(folder, now=NOW)


def test_loose_files_are_put_where_their_names_say(tmp_path: Path) -> None:
    folder = tmp_path / "Gold Rush (2026)"
    truth = pd.DataFrame({"id": [1, 2, 3], "grade": [0.5, 1.5, 2.5]})
    folder.mkdir()
    truth.assign(grade=1.0).to_csv(folder / "sample_submission.csv", index=False)
    made = _tables(folder, truth, train=pd.DataFrame({"id": [7], "x": [1.0], "grade": [2.0]}))
    assert made.faults == ()
    places = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    texts = {"challenge.toml", "overview.md", "agreement.md"}
    assert places == texts | {"public/train.csv", "hidden/the_truth.csv", "sample/sample_submission.csv"}
    spec = load_spec(folder)
    assert spec.challenge.slug == "gold-rush-2026"
    assert (spec.truth.file, spec.truth.id, spec.truth.target) == ("hidden/the_truth.csv", ("id",), "grade")
    assert spec.schedule.opens == datetime(2026, 5, 2, tzinfo=UTC)


def test_the_target_is_the_column_that_the_public_rows_lack(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {"hole": ["A", "A", "B", "B"], "from": [0, 1, 0, 1], "lith": list("xyxy"), "cu": [1.0, 2, 3, 4]}
    )
    made = _tables(tmp_path / "c", rows[["hole", "from", "cu", "lith"]], test=rows[["hole", "from", "lith"]])
    spec = load_spec(made.folder)
    assert (spec.truth.id, spec.truth.target) == (("hole", "from"), "cu")
    assert spec.blocks is not None
    assert spec.blocks.by == "hole"


@pytest.mark.parametrize(
    ("answers", "classes"),
    [
        ([1, 2, 1, 2, 3, 3], ("1", "2", "3")),
        (["b", "a", "b", "a", "a", "a"], ("a", "b")),
        ([1, 2, 3, 4, 5, 6], None),
        ([0.5, 1.5, 0.5, 1.5, 1.5, 1.5], None),
    ],
)
def test_classes_are_told_from_numbers(tmp_path: Path, answers: list[object], classes: tuple[str, ...] | None) -> None:
    made = _tables(tmp_path / "c", pd.DataFrame({"id": list("abcdef"), "y": answers}), test=pd.DataFrame({"id": ["a"]}))
    spec = load_spec(made.folder)
    assert spec.truth.classes == classes
    assert spec.scoring.primary == ("f1_macro" if classes else "rmse")
    assert len(set(pd.read_csv(made.folder / "sample/sample.csv")["y"])) == 1


def test_the_sample_holds_one_average_and_nothing_else_of_the_truth(tmp_path: Path) -> None:
    truth = pd.DataFrame({"id": range(50), "y": np.random.default_rng(1).normal(size=50)})
    made = _tables(tmp_path / "c", truth, test=truth[["id"]])
    sample = pd.read_csv(made.folder / "sample/sample.csv")
    assert sample["id"].tolist() == list(range(50))
    assert sample["y"].nunique() == 1
    assert sample["y"][0] == pytest.approx(truth["y"].mean())


def test_what_was_not_detected_is_reported_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "logs.csv").write_text("a,b\n1,2\n")
    made = new(tmp_path / "c", now=NOW)
    assert made.kind is None
    assert {"hidden/", "sample/"} <= {fault.file for fault in made.faults}
    assert {"truth.id", "truth.target", "submission"} <= {fault.key for fault in made.faults}
    assert all(fault.remedy for fault in made.faults)


def test_an_unknown_format_is_reported(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "truth.xlsx").write_bytes(b"PK")
    made = new(tmp_path / "c", now=NOW)
    assert any(fault.file == "hidden/truth.xlsx" and "no format" in fault.message for fault in made.faults)


def test_files_given_by_name_are_copied(tmp_path: Path) -> None:
    source = tmp_path / "elsewhere_truth.csv"
    source.write_text("id,y\n1,0.5\n2,1.5\n")
    made = new(tmp_path / "c", [source], now=NOW)
    assert source.exists()
    assert (made.folder / "hidden/elsewhere_truth.csv").read_bytes() == source.read_bytes()
    assert list((made.folder / "public").iterdir()) == []


def test_an_existing_challenge_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "challenge.toml").write_text("mine")
    (tmp_path / "truth.csv").write_text("a")
    with pytest.raises(SpecError, match="already"):
        new(tmp_path, now=NOW)
    assert {path.name for path in tmp_path.iterdir()} == {"challenge.toml", "truth.csv"}


def test_degrees_are_told_to_need_a_projection(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    (folder / "hidden").mkdir(parents=True)
    (folder / "hidden/truth.geojson").write_text(
        '{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"ounces":5},'
        '"geometry":{"type":"Point","coordinates":[10.5,45.2]}},{"type":"Feature","properties":{"ounces":7},'
        '"geometry":{"type":"Point","coordinates":[10.7,45.3]}}]}'
    )
    made = new(folder, now=NOW)
    assert made.kind == "points"
    assert any("projected CRS" in note for note in made.notes)
