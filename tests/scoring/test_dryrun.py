"""The dry run: five entries of known outcome through the real intake and engine, for every kind and format."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr

from datasets.errors import SpecError
from datasets.publish import inspect
from datasets.spec import FORMATS, load_spec
from scoring.cards import CARDS
from scoring.dryrun import CHECKS, best_value, dry_run, inspect_and_prove, is_best
from tests.challenges import BUILDERS, Example, write_grid

ROWS = ("perfect", "baseline", "empty", "nan", "shifted")
CASES = [
    (name, form)
    for name in BUILDERS
    for form in FORMATS[name.split("-")[0]]
    if form == FORMATS[name.split("-")[0]][0] or name in {"table-numbers", "points", "polygons", "grid"}
]


def _first_format(folder: Path, form: str) -> None:
    """Puts ``form`` first among the formats of a challenge."""
    path = folder / "challenge.toml"
    kept = [line for line in path.read_text().splitlines() if not line.startswith("formats =")]
    place = kept.index("[submission]") + 1
    others = [other for other in FORMATS[load_spec(folder).challenge.kind] if other != form]
    kept.insert(place, f"formats = {json.dumps([form, *others])}")
    path.write_text("\n".join(kept) + "\n")


@pytest.mark.parametrize(("name", "form"), CASES)
def test_a_good_challenge_passes(tmp_path: Path, name: str, form: str) -> None:
    example = BUILDERS[name](tmp_path / name)
    _first_format(example.folder, form)
    result = dry_run(example.folder)
    assert [row.entry for row in result.rows] == list(ROWS)
    assert [(row.entry, row.status, row.findings) for row in result.rows if not row.ok] == []
    by_name = {row.entry: row for row in result.rows}
    assert [by_name[entry].status for entry in ROWS[:4]] == ["scored", "scored", "rejected", "rejected"]
    assert by_name["empty"].findings
    assert result.ok
    assert json.loads(json.dumps(result.to_dict()))["rows"][0]["entry"] == "perfect"


def test_cells_that_the_truth_leaves_open_are_not_asked_for(tmp_path: Path) -> None:
    example = BUILDERS["grid"](tmp_path / "c")
    path = example.folder / "hidden/truth.nc"
    with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as opened:
        truth = opened["tp"].load()
    truth[0, 0, :3] = float("nan")
    path.unlink()
    write_grid(path, truth)
    assert dry_run(example.folder).ok


def test_inspection_and_dry_run_come_together(tmp_path: Path) -> None:
    example = BUILDERS["table-numbers"](tmp_path / "c")
    inspection, proof = inspect_and_prove(example.folder)
    assert inspection == inspect(example.folder, checks=CHECKS)
    assert proof == dry_run(example.folder)
    example.sample.write_text("well,depth\n")
    inspection, proof = inspect_and_prove(example.folder)
    assert proof is None
    assert {fault.file for fault in inspection.faults} == {"sample/sample.csv"}


def test_the_directory_is_left_as_it_was(tmp_path: Path) -> None:
    example = BUILDERS["table-numbers"](tmp_path / "c")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    dry_run(example.folder)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_faults_come_before_anything_is_run(tmp_path: Path) -> None:
    example = BUILDERS["table-numbers"](tmp_path / "c")
    example.sample.write_text("well,depth\n")
    with pytest.raises(SpecError, match=r"sample/sample\.csv"):
        dry_run(example.folder)


def _truth_as_sample(example: Example) -> None:
    truth = pd.read_csv(example.folder / "hidden/truth.csv")
    truth.drop(columns="w").iloc[::-1].to_csv(example.sample, index=False)


def _narrow_range(example: Example) -> None:
    path = example.folder / "challenge.toml"
    path.write_text(path.read_text().replace("range = [0.0, 1.0]", "range = [0.1, 0.25]"))


def _undefined_primary(example: Example) -> None:
    path = example.folder / "challenge.toml"
    path.write_text(path.read_text().replace('primary = "rmse"', 'primary = "r2"'))
    truth = pd.read_csv(example.folder / "hidden/truth.csv")
    truth.assign(porosity=0.2).to_csv(example.folder / "hidden/truth.csv", index=False)


@pytest.mark.parametrize(
    ("spoil", "fails"),
    [
        (_truth_as_sample, {"baseline"}),
        (_narrow_range, {"perfect", "baseline"}),
        (_undefined_primary, {"perfect", "baseline"}),
    ],
)
def test_a_challenge_that_scores_wrongly_fails_where_it_does(
    tmp_path: Path, spoil: Callable[[Example], None], fails: set[str]
) -> None:
    example = BUILDERS["table-numbers"](tmp_path / "c")
    spoil(example)
    result = dry_run(example.folder)
    assert {row.entry for row in result.rows if not row.ok} == fails
    assert not result.ok


@pytest.mark.parametrize("card", CARDS.values(), ids=lambda card: f"{card.sample}-{card.name}")
def test_every_metric_has_a_best_value_or_is_known_to_have_none(card: object) -> None:
    best = best_value(card)  # type: ignore[arg-type]
    assert best in {0.0, 1.0, None}
    assert is_best(card, best if best is not None else 0.3)  # type: ignore[arg-type]
    assert not is_best(card, None)  # type: ignore[arg-type]
    if best is not None:
        assert not is_best(card, best + 0.01)  # type: ignore[arg-type]
