"""Checking a file tells what intake finds and what coverage finds, together."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio

from scoring.offline import check_file, score_file
from tests.challenges import BUILDERS


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_bad_cells_and_duplicates_hide_no_ids(tmp_path: Path, form: str) -> None:
    example = BUILDERS["table-numbers"](tmp_path / "table")
    frame = pd.read_csv(example.perfect)
    gone = frame.iloc[[10]]
    frame = frame.drop(index=10).reset_index(drop=True)
    frame.loc[1, "porosity"] = None
    frame.loc[5, "porosity"] = 7.0
    frame.loc[7, "well"] = None
    lost = pd.read_csv(example.perfect).iloc[[7]]
    stray = pd.DataFrame({"well": ["W-99"], "depth": [1.0], "porosity": [0.1]})
    frame = pd.concat([frame, frame.iloc[[0]], stray], ignore_index=True)
    path = tmp_path / f"entry.{form}"
    frame.to_csv(path, index=False) if form == "csv" else frame.to_parquet(path, index=False)
    for findings in (check_file(example.folder, path).findings, score_file(example.folder, path).findings):
        rows = [(finding.code, finding.where.get("row")) for finding in findings if finding.code != "missing-id"]
        assert sorted(rows) == [
            ("duplicate-id", 72),
            ("extra-id", 73),
            ("missing-value", 2),
            ("missing-value", 8),
            ("out-of-range", 6),
        ]
        (missing,) = [finding for finding in findings if finding.code == "missing-id"]
        assert missing.where["ids"] == [f"{row.well}, {row.depth:g}" for row in pd.concat([lost, gone]).itertuples()]


def test_bad_cells_of_a_raster_hide_no_gaps(tmp_path: Path) -> None:
    name = next(name for name in BUILDERS if name.startswith("raster"))
    example = BUILDERS[name](tmp_path / "raster")
    path = tmp_path / "entry.tif"
    with rasterio.open(example.perfect) as source:
        values, profile = source.read(1).astype(np.float32), source.profile
    seen = np.argwhere(np.isfinite(values) if profile["nodata"] is None else values != profile["nodata"])
    (gap, bad) = (tuple(int(i) for i in seen[place]) for place in (3, 9))
    values[gap], values[bad] = -9999.0, np.inf
    with rasterio.open(path, "w", **{**profile, "dtype": "float32", "nodata": -9999.0}) as target:
        target.write(values, 1)
    found = {finding.code: finding.where for finding in check_file(example.folder, path).findings}
    assert found["not-finite"]["pixel"] == list(bad)
    assert (found["missing-cells"]["pixel"], found["missing-cells"]["count"]) == (list(gap), 1)
