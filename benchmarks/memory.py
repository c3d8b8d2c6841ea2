"""Memory of an entry and of one four times larger: `python -m benchmarks.memory [--kinds raster,grid] [--side 8192]`.

Every bench runs in a fresh process on files of both sizes: truth and prediction through intake in their walled
children, then the engine with all cores. Meanwhile the proportional set size of every process of the tree is read about
every 20 ms: the engine, its fork server, the child that reads. A page that two processes share counts once in the sum.

Printed per size: the tree at rest (libraries loaded, loops compiled, small files scored), its peak, the peak of each
process, and how the larger peak compares with the smaller one. Ends with 1 when the larger entry takes more than
a tenth more. Files are written tile by tile and chunk by chunk, a function of their size alone.
"""

import argparse
import itertools
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import h5netcdf
import numpy as np
import rasterio
import zarr
from rasterio.transform import from_origin
from rasterio.windows import Window

from benchmarks.measure import OURS
from benchmarks.run import chosen_benches
from benchmarks.specs import BENCHES

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("raster", "grid")
MIB = 1 << 20
MOST = 1.10  # times the peak of the smaller entry
PAUSE = 0.02
TILE = 512
MEMBERS, CHUNK = 50, (10, 1, 91, 180)
ROLES = ("engine", "server", "reader")  # by their depth in the tree
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Size:
    """Bytes of one or more processes.

    ``shared``: proportional set size, a page counts once among all processes of the machine. ``own``: the same of
    memory that has no file, and the whole of mapped files: what strangers have loaded as well changes nothing.
    """

    shared: int = 0
    own: int = 0

    def __add__(self, other: "Size") -> "Size":
        return Size(self.shared + other.shared, self.own + other.own)


@dataclass
class Peaks:
    """Bytes: the tree at rest, its peak while an entry is scored, and the peak of each process by its role.

    ``own``: the peak of what strangers cannot change; see ``Size``.
    """

    rest: int = 0
    tree: int = 0
    own: int = 0
    looks: int = 0
    each: dict[str, int] = field(default_factory=dict)

    @property
    def grown(self) -> int:
        return self.tree - self.rest

    def __str__(self) -> str:
        each = ", ".join(f"{role} {size / MIB:.0f}" for role, size in self.each.items())
        return (
            f"rest {self.rest / MIB:4.0f}  peak {self.tree / MIB:4.0f} MiB ({each}); "
            f"own {self.own / MIB:.0f} MiB; {self.looks} looks"
        )

    def look(self, root: int) -> None:
        found = by_role(root)
        whole = sum(found.values(), Size())
        self.tree, self.own = max(self.tree, whole.shared), max(self.own, whole.own)
        self.looks += 1
        for role, size in found.items():
            self.each[role] = max(self.each.get(role, 0), size.shared)


def size_of(pid: int) -> Size:
    """The size of a process; nothing when it has just ended."""
    try:
        lines = Path("/proc", str(pid), "smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return Size()
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    if not kib:
        return Size()
    return Size(1024 * kib["Pss"], 1024 * (kib["Pss_Anon"] + kib["Rss"] - kib["Anonymous"]))


def parents() -> dict[int, int]:
    """The parent of every process."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            found[int(stat.parent.name)] = int(fields[1])
    return found


def by_role(root: int) -> dict[str, Size]:
    """Sizes of ``root`` and of the processes below it, by their depth; readers at the same time add up."""
    above = parents()
    found: dict[str, Size] = {}
    level = [root]
    for role in ROLES:
        found[role] = sum(map(size_of, level), Size())
        level = [pid for pid, parent in above.items() if parent in level]
    return found


def watch(bench: str, folder: Path, warm: Path) -> Peaks:
    """Peaks of one entry in a fresh process of its own."""
    command = [sys.executable, "-m", "benchmarks.measure", bench, OURS, str(folder), str(warm)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    peaks = Peaks()
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        said, asked = process.stdout, process.stdin
        assert said is not None
        assert asked is not None
        answer = ""
        try:
            if said.readline().strip() == "ready":
                peaks.rest = sum(by_role(process.pid).values(), Size()).shared
                print("go", file=asked, flush=True)
                while not select.select([said], [], [], PAUSE)[0]:
                    peaks.look(process.pid)
                answer = said.readline()
                peaks.look(process.pid)
                print("thanks", file=asked, flush=True)
        finally:
            process.stdin = None  # closed here, so that the child ends whatever happened
            asked.close()
    told = json.loads(answer or '{"note": "it ended without a word"}')
    if "note" in told:
        raise SystemExit(f"{bench}: {told['note']}")
    return peaks


def tiles(side: int) -> Iterator[tuple[Window, np.random.Generator]]:
    for row, col in itertools.product(range(0, side, TILE), repeat=2):
        size = min(TILE, side - row), min(TILE, side - col)
        yield Window(col, row, size[1], size[0]), np.random.default_rng([row, col])


def make_rasters(folder: Path, side: int, layer: str) -> None:
    """Truth and prediction (cont, prob or cat), a tenth of the truth nodata."""
    form = {
        "driver": "GTiff", "height": side, "width": side, "count": 1, "crs": "EPSG:32615", "tiled": True,
        "transform": from_origin(4e5, 5.7e6, 10, 10), "blockxsize": TILE, "blockysize": TILE, "compress": "zstd",
        "zstd_level": 1,
    }  # fmt: skip
    folder.mkdir(parents=True)
    kinds = ("float32", "float32") if layer == "cont" else ("uint8", "float32" if layer == "prob" else "uint8")
    files = []
    for name, kind in zip(("truth", "pred"), kinds, strict=True):
        void = 255 if kind == "uint8" else -9999
        files.append(rasterio.open(folder / f"{name}_{layer}.tif", "w", dtype=kind, nodata=void, **form))
    truth, entry = files
    with truth, entry:
        for window, rng in tiles(side):
            wanted, given = _layer(layer, rng, (window.height, window.width))
            void = rng.random(wanted.shape, np.float32) < 0.1
            truth.write(np.where(void, truth.nodata, wanted).astype(kinds[0]), 1, window=window)
            entry.write(given.astype(kinds[1]), 1, window=window)


def _layer(layer: str, rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    hidden, noise = rng.standard_normal((2, *shape), np.float32)
    guess = hidden + np.float32(0.5) * noise
    if layer == "cont":
        return np.round(hidden, 3), np.round(guess, 3)
    if layer == "prob":
        return hidden > 1, 1 / (1 + np.exp(2 - 2 * guess))
    return np.clip(5 + 2 * hidden, 0, 9), np.clip(5 + 2 * guess, 0, 9)


def make_grids(folder: Path, shape: Shape, form: str) -> None:
    """Truth (time, lat, lon) with its edges and an ensemble of 50 members, as NetCDF or as Zarr."""
    folder.mkdir(parents=True)
    for name, members in (("truth", 0), ("pred", MEMBERS)):
        if form == "zarr":
            fill(partial(_zarr_array, zarr.open_group(folder / f"{name}.zarr", mode="w")), shape, members)
        else:
            with h5netcdf.File(folder / f"{name}.nc", "w") as file:
                fill(partial(_netcdf_array, file), shape, members)


def _zarr_array(group: Any, name: str, sizes: Mapping[str, int], dtype: str, chunks: tuple[int, ...] | None) -> Any:
    return group.create_array(
        name, shape=tuple(sizes.values()), dtype=dtype, chunks=chunks or tuple(sizes.values()),
        dimension_names=tuple(sizes), config={"write_empty_chunks": True},
    )  # fmt: skip


def _netcdf_array(file: Any, name: str, sizes: Mapping[str, int], dtype: str, chunks: tuple[int, ...] | None) -> Any:
    for dim in sizes.keys() - set(file.dimensions):
        file.dimensions[dim] = sizes[dim]
    packing = {"chunks": chunks, "compression": "gzip", "compression_opts": 1, "shuffle": True} if chunks else {}
    return file.create_variable(name, tuple(sizes), dtype, **packing)


def fill(create: Callable[..., Any], shape: Shape, members: int) -> None:
    """Coordinates and values of a truth, or of its forecast where there are members; step by step along time."""
    steps, lat, lon = shape
    labels = {"time": np.arange(steps), "lat": np.linspace(90, -90, lat), "lon": np.arange(lon) * 360 / lon}
    if members:
        labels = {"member": np.arange(members), **labels}
    for dim, values in labels.items():
        create(dim, {dim: len(values)}, "f8", None)[...] = values
    if not members:
        create("edge", {"edge": 2}, "f8", None)[...] = np.arange(2)
        edges = create("edges", {"edge": 2, "lat": lat, "lon": lon}, "f4", None)
        edges[...] = np.broadcast_to(np.array([-0.5, 0.5], np.float32)[:, None, None], (2, lat, lon))
    kept = create("tas", {dim: len(values) for dim, values in labels.items()}, "f4", CHUNK[0 if members else 1 :])
    for step in range(steps):
        kept[(slice(None), step) if members else (step,)] = _slab(shape, members, step)


def _slab(shape: Shape, members: int, step: int) -> np.ndarray:
    """The truth of one step, or what its members forecast; rounded as archives round before they compress."""
    truth = np.random.default_rng(step).standard_normal(shape[1:], np.float32)
    if not members:
        return np.round(truth, 2)
    noise = np.random.default_rng([step, 1]).standard_normal((members, *shape[1:]), np.float32)
    return np.round(np.float32(0.8) * truth + np.float32(0.6) * noise, 2)


@dataclass(frozen=True)
class Sizes:
    """The larger of the two sizes and the one the process is warmed up with; the smaller has half of two sides."""

    side: int = 8192
    grid: Shape = (20, 360, 720)

    def files(self, bench: str, room: Path) -> tuple[Path, Path, Path]:
        """Folders with the files of a bench: for warming up, smaller, larger."""
        kind, layer = bench.split("-")
        steps, lat, lon = self.grid
        made = []
        for name, side, grid in (
            ("warm", TILE, (2, CHUNK[2], CHUNK[3])),
            ("smaller", self.side // 2, (steps // 2, lat // 2, lon)),
            ("larger", self.side, self.grid),
        ):
            folder = room / name
            if kind == "raster":
                make_rasters(folder, side, layer)
            else:
                make_grids(folder, grid, layer)
            made.append(folder)
        return made[0], made[1], made[2]


@dataclass(frozen=True)
class Pair:
    """Peaks of the smaller and of the larger entry."""

    smaller: Peaks
    larger: Peaks

    @classmethod
    def of(cls, bench: str, sizes: Sizes) -> "Pair":
        with tempfile.TemporaryDirectory(prefix="motherlode-memory-") as room:
            warm, *folders = sizes.files(bench, Path(room))
            return cls(*(watch(bench, folder, warm) for folder in folders))

    @property
    def ratio(self) -> float:
        """What the larger entry takes beyond the smaller one, as far as strangers cannot change it, beside its peak."""
        return 1 + (self.larger.own - self.smaller.own) / self.smaller.tree


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", default="raster,grid", help="kinds or benches, with commas between them")
    parser.add_argument("--side", type=int, default=Sizes.side, help="pixels along a side of the larger raster")
    parser.add_argument("--steps", type=int, default=Sizes.grid[0], help="times of the larger grid")
    chosen = parser.parse_args()
    sizes = Sizes(chosen.side, (chosen.steps, *Sizes.grid[1:]))
    grew = False
    for bench in chosen_benches(chosen.kinds):
        if BENCHES[bench].kind not in KINDS:
            raise SystemExit(f"{bench}: only {' and '.join(KINDS)} have to take the same memory at every size")
        pair = Pair.of(bench, sizes)
        grew |= pair.ratio > MOST
        print(f"{bench:12} smaller  {pair.smaller}\n{bench:12} 4 x      {pair.larger}")
        print(f"{bench:12} 4 x takes {pair.ratio:.3f} times the memory of smaller", flush=True)
    sys.exit(grew)


if __name__ == "__main__":
    main()
