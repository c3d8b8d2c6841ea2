"""Real contests as challenge directories: made from the shared data at test time, never kept in the repository."""

import csv
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio

from benchmarks.heads import head


@dataclass(frozen=True)
class Contest:
    """A challenge directory and entries to score against it, by name."""

    folder: Path
    entries: Mapping[str, Path]


def directory(folder: Path, *, kind: str, sections: str, truth: Path, sample: Path, grid: Path | None = None) -> Path:
    """Write a challenge directory; ``truth`` keeps its file name under hidden/."""
    for name in ("public", "hidden", "sample"):
        (folder / name).mkdir(parents=True)
    slug = folder.name.replace("_", "-").lower()
    (folder / "challenge.toml").write_text(head(kind, slug=slug) + sections, encoding="utf-8")
    (folder / "overview.md").write_text("What is hidden?\n", encoding="utf-8")
    (folder / "agreement.md").write_text("For this contest only.\n", encoding="utf-8")
    shutil.copy(truth, folder / "hidden" / truth.name)
    shutil.copy(sample, folder / "sample" / sample.name)
    if grid is None:
        (folder / "public" / "readme.txt").write_text("Data lie elsewhere.\n", encoding="utf-8")
    else:
        shutil.copy(grid, folder / "public" / "grid.tif")
    return folder


def table(
    folder: Path, *, truth: Path, id_column: str, target: str, prediction: str, sample: Path, blocks: str = ""
) -> Path:
    """A table of numbers with the usual errors."""
    sections = f"""
[truth]
file = "hidden/{truth.name}"
id = "{id_column}"
target = "{target}"
[submission]
prediction = "{prediction}"
{blocks}
[scoring]
primary = "rmse"
metrics = ["rmse", "mae", "bias", "pearson_r"]
"""
    return directory(folder, kind="table", sections=sections, truth=truth, sample=sample)


def sampl6(folder: Path, data: Path) -> Path:
    """The logP contest of SAMPL6 as a challenge directory."""
    return table(
        folder / "sampl6",
        truth=data / "truth.csv",
        id_column="Molecule ID",
        target="logP mean",
        prediction="logP",
        sample=data / "submissions" / "NULL0.csv",
    )


def with_column(source: Path, target: Path, name: str, values: Mapping[str, str]) -> Path:
    """A copy of a CSV with one more column, looked up by the first column."""
    with source.open(newline="", encoding="utf-8") as stream, target.open("w", newline="", encoding="utf-8") as out:
        rows, writer = csv.reader(stream), csv.writer(out)
        writer.writerow([*next(rows), name])
        writer.writerows([*row, values[row[0]]] for row in rows)
    return target


def column_of(path: Path, key: str, name: str) -> dict[str, str]:
    with path.open(newline="", encoding="utf-8") as stream:
        return {row[key]: row[name] for row in csv.DictReader(stream)}


def negated(source: Path, target: Path) -> Path:
    """The map of a distance as a map of closeness: minus the value, nodata kept apart."""
    with rasterio.open(source) as layer:
        band, profile, nodata = layer.read(1), layer.profile, layer.nodata
    closeness = np.where(band == nodata, np.float32(-1e9), -band.astype(np.float32))
    profile.update(dtype="float32", nodata=-1e9)
    with rasterio.open(target, "w", **profile) as out:
        out.write(closeness, 1)
    return target
