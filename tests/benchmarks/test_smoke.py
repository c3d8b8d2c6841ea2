"""Every bench at its smallest: ours and every peer that is installed give the same values."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from benchmarks.data import KINDS, SIZES, make
from benchmarks.measure import CACHED, OURS, Figure, contenders, once
from benchmarks.report import BEGIN, END, Row, agreement, page, plot, write_into
from benchmarks.run import chosen_benches, folder_of, options
from benchmarks.specs import BENCHES

EXACT = 1e-9  # relative, in float64
LOOSE = {"scores + dask": 1e-6}  # sums float32 in float32


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bench")
    for kind in KINDS:
        make(kind, "tiny", root)
    return root


@cache
def own_values(bench: str, data: Path) -> dict[str, float]:
    return once(bench, OURS, folder_of(bench, "tiny", data)).values


@pytest.mark.parametrize("bench", BENCHES)
@pytest.mark.filterwarnings("ignore")
def test_everybody_agrees(bench: str, data: Path) -> None:
    folder = folder_of(bench, "tiny", data)
    ours = own_values(bench, data)
    assert ours
    assert once(bench, CACHED, folder).values == ours, "a kept truth gives the same bits"
    compared = 0
    for name, role in contenders(bench):
        if role == "ours":
            continue
        try:
            values = once(bench, name, folder).values
        except ModuleNotFoundError:
            continue
        if role == "limit":
            assert all(value > 0 for value in values.values())
            continue
        compared += 1
        assert values.keys() == ours.keys(), name
        for metric, value in values.items():
            near = math.isclose(value, ours[metric], rel_tol=LOOSE.get(name, EXACT), abs_tol=1e-12)
            assert near, f"{metric} of {name}: {value}, ours {ours[metric]}"
    assert compared, "no peer is installed"


def test_the_formats_of_a_kind_hold_the_same_numbers(data: Path) -> None:
    for kind, forms in {"table": ("csv", "parquet"), "points": ("csv", "parquet"), "grid": ("netcdf", "zarr")}.items():
        first, second = (own_values(f"{kind}-{form}", data) for form in forms)
        assert first == second, kind


def test_data_is_a_function_of_size_and_kind(data: Path, tmp_path: Path) -> None:
    again = make("points", "tiny", tmp_path)
    assert (again / "pred.csv").read_bytes() == (data / "tiny/points/pred.csv").read_bytes()
    assert make("points", "tiny", tmp_path) == again, "made once"
    assert set(SIZES) >= {"small", "medium", "large"}


def test_benches_are_chosen_by_kind_or_name() -> None:
    assert chosen_benches("raster") == ["raster-cont", "raster-prob", "raster-cat"]
    assert chosen_benches("grid-zarr,points-csv") == ["points-csv", "grid-zarr"]
    assert chosen_benches("") == list(BENCHES)
    with pytest.raises(SystemExit, match="no bench is called audio; there are table-csv"):
        chosen_benches("raster,audio")
    assert options().parse_args(["tiny", "--repeats", "2"]).repeats == 2
    for wrong in (["huge"], ["--repeats", "0"]):
        with pytest.raises(SystemExit):
            options().parse_args(wrong)


def figures(ours: float, peer: float) -> Iterator[Row]:
    yield Row(OURS, "ours", [Figure(2.0, 3.0, 100.0, {"rmse": ours}), Figure(1.0, 2.0, 120.0, {"rmse": ours})])
    yield Row("pandas", "peer", [Figure(10.0, 9.0, 900.0, {"rmse": peer})])
    yield Row("xskillscore", "peer", [Figure(note="not installed: xskillscore")])
    yield Row("pyarrow read", "limit", [Figure(0.5, 1.0, 50.0, {"rows": 3.0})])


def test_the_page_holds_ratios_notes_and_disagreement(tmp_path: Path) -> None:
    rows = list(figures(0.5, 0.5))
    assert agreement(rows) == "yes"
    assert agreement(list(figures(0.5, 0.5 * (1 + 1e-8)))) == "rmse by 1.0e-08"
    near = list(figures(0.5, 0.5 + 1e-6))
    near[0].runs = [replace(run, bounds={"rmse": 2e-6}) for run in near[0].runs]
    assert agreement(near) == "yes; rmse ± 2.0e-06", "a certified bound is no disagreement"
    text = page({"table-csv": rows}, "tiny", 2)
    assert "| table-csv | 0.5 | pandas | 10 | 1 | – | 10 |" in text
    assert "not installed: xskillscore" in text
    target = tmp_path / "page.md"
    target.write_text(f"# Page\n{BEGIN}\nold\n{END}\nrest\n", encoding="utf-8")
    write_into(target, text)
    written = target.read_text(encoding="utf-8")
    assert "old" not in written
    assert written.endswith(f"{END}\nrest\n")
    for page_without in (Path(__file__), tmp_path / "none.md"):
        with pytest.raises(SystemExit, match="no place"):
            write_into(page_without, text)


def test_the_picture_has_a_bar_for_everybody_who_ran() -> None:
    drawn = plot({"table-csv": list(figures(0.5, 0.5))}, "tiny")
    assert drawn.startswith("<svg")
    assert drawn.rstrip().endswith("</svg>")
    assert drawn.count("<rect") == 1 + 4 + 3, "the ground, the key, and three of four bars"
    assert "table-csv" in drawn
    assert "10 s pandas, 900 MiB" in drawn
