"""Memory does not grow with a raster or a grid: the whole process tree, an entry beside one four times larger."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.memory import MIB, Pair, Peaks, Size, Sizes, by_role, size_of

SIZES = Sizes(side=4096, grid=(8, 182, 360))  # 67 and 105 MB of predicted values, the smaller a quarter of that
ROOM = 32 * MIB  # what chance adds (how many parts lie about at once); held whole, 50 and 79 MB would be added


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bench", ["raster-cont", "grid-zarr"])
def test_four_times_the_cells_take_the_same_memory(bench: str) -> None:
    pair = Pair.of(bench, SIZES)
    assert pair.smaller.looks > 3, "too quick to be seen"
    assert set(pair.smaller.each) == {"engine", "server", "reader"}
    assert pair.larger.own < pair.smaller.own + ROOM, f"{pair.smaller} → {pair.larger}"
    assert pair.larger.tree < 1024 * MIB


def test_the_tree_is_this_process_and_those_below_it() -> None:
    child = "import sys; kept = bytearray(48 << 20); print('there', flush=True); sys.stdin.readline()"
    before = by_role(os.getpid())
    with subprocess.Popen(
        [sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        during = by_role(os.getpid())
        process.communicate("go\n")
    grown = {role: size.own - before.get(role, Size()).own for role, size in during.items()}
    assert grown["server"] > 48 * MIB
    assert grown["engine"] < 24 * MIB
    assert size_of(process.pid) == Size(), "it has ended"


def test_peaks_are_compared_by_what_strangers_cannot_change() -> None:
    smaller, larger = Peaks(rest=300, tree=400, own=500), Peaks(rest=220, tree=402, own=520)
    assert Pair(smaller, larger).ratio == pytest.approx(1.05)
    assert larger.grown == 182


def test_files_are_a_function_of_their_size(tmp_path: Path) -> None:
    sizes = Sizes(side=1024, grid=(4, 182, 180))
    for bench in ("raster-prob", "grid-netcdf"):
        made = [sizes.files(bench, tmp_path / f"{bench}{again}") for again in range(2)]
        for one, other in zip(*made, strict=True):
            names = {path.name for path in one.iterdir()}
            assert len(names) == 2
            for name in names:
                assert (one / name).stat().st_size == (other / name).stat().st_size
    smaller, larger = ((folder / "pred_prob.tif").stat().st_size for folder in made_of(tmp_path / "raster-prob0"))
    assert 3.5 < larger / smaller < 4.5


def made_of(room: Path) -> tuple[Path, Path]:
    return room / "smaller", room / "larger"
