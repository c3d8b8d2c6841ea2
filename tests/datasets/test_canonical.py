"""Writing a canonical form in any order and reading it in windows."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.canonical import Canonical, CanonicalWriter, release, rows
from datasets.threads import each


def written(folder: Path, fill) -> Canonical:
    writer = CanonicalWriter(folder, "raster")
    with writer.placed("band", np.float32, (40, 30)) as placed:
        fill(placed)
    writer.finish({})
    return Canonical.read(folder)


WANTED = np.arange(1200, dtype=np.float32).reshape(40, 30)


@given(st.permutations(range(0, 40, 7)), st.integers(1, 4))
def test_rows_may_come_in_any_order_from_any_thread(tmp_path_factory, order, threads):
    def fill(placed):
        list(each(lambda row: placed.put(row, WANTED[row : row + 7]), order, threads=threads))

    got = written(tmp_path_factory.mktemp("any"), fill)
    assert np.array_equal(got.arrays["band"], WANTED)


def test_windows_may_be_put_side_by_side(tmp_path):
    def fill(placed):
        for row in (16, 0, 32):
            for col in (20, 0, 10):
                placed.put_tile(row, col, WANTED[row : row + 16, col : col + 10].astype(np.float64))

    assert np.array_equal(written(tmp_path, fill).arrays["band"], WANTED)


def test_rows_left_out_and_rows_beside_the_array_are_refused(tmp_path):
    with pytest.raises(ValueError, match="bytes"):
        written(tmp_path / "short", lambda placed: placed.put(0, WANTED[:39]))
    for number, place in enumerate(((30, 0, WANTED[:16]), (0, 25, WANTED[:, :10]), (-1, 0, WANTED[:5]))):
        with pytest.raises(IndexError, match="fit"):
            written(tmp_path / f"out{number}", lambda placed, place=place: placed.put_tile(*place))


def resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


def test_reading_in_windows_keeps_resident_memory_flat(tmp_path):
    big = np.ones((64, 1 << 17))
    Canonical("raster", {"band": big}).write(tmp_path)
    del big
    band = Canonical.read(tmp_path).arrays["band"]
    before, total = resident(), 0.0
    for start in range(0, 64, 4):
        with rows(band, start, start + 4) as window:
            total += float(window.sum())
    assert total == 64 << 17
    assert resident() - before < 24 << 20
    assert float(band[63].sum()) == 1 << 17  # what was let go can be read again


def test_only_mapped_read_only_windows_are_let_go():
    plain = np.arange(10.0)
    release(plain[2:5])
    release(plain[::2])
    with rows(plain, 3, 6) as window:
        assert window.tolist() == [3, 4, 5]
    assert plain.sum() == 45
