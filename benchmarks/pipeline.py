"""From an upload to its score: `python -m benchmarks.pipeline [--entries N]`, figures as one JSON line last.

``small``: a table of 1,000 rows through one warm engine, without a database. ``sustained``: such entries through the
whole embedded instance, from the queue (SQLite) over the dispatcher and two Dask workers to the recorded score.
``large``: rasters through one worker and through two, through Dask and in the calling process.
Seconds depend on what else the machine does; CPU seconds and ratios of runs that alternate less so.
"""

import argparse
import json
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
import rasterio
import structlog
from rasterio.transform import from_origin

from benchmarks.heads import head
from datasets.sealing import generate_keys
from datasets.store import LocalStore
from portal.dispatch import Dispatcher
from portal.domain.permissions import Actor
from portal.services import accounts, agreements, publishing, submitting
from portal.services.context import Context, open_context
from portal.settings import Settings
from portal.store import migrate
from scoring.cluster import Cluster
from scoring.contracts import ScoreReport, ScoreTicket, TruthRef
from scoring.settings import EngineSettings
from scoring.worker import run_with

TABLE = """[truth]
file = "hidden/truth.csv"
id = ["well", "depth"]
target = "porosity"
[submission]
prediction = "porosity"
formats = ["csv"]
per_day = 1000
[blocks]
by = "well"
public = 0.5
seed = 7
[scoring]
primary = "rmse"
metrics = ["rmse", "mae", "r2"]
"""
RASTER = """[truth]
file = "hidden/truth.tif"
[submission]
meaning = "continuous"
formats = ["geotiff"]
max_bytes = "2 GB"
per_day = 1000
[blocks]
size = {block}
public = 0.5
seed = 7
[scoring]
primary = "rmse"
metrics = ["rmse", "mae", "r2"]
"""
OPENS, CLOSES = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"
ROWS, WELLS, TEAMS = 1000, 20, 10
Writer = Callable[[Path, int], None]


def write_table(path: Path, seed: int) -> None:
    """A table of ``ROWS`` rows; ``seed`` tells its numbers."""
    values = np.random.default_rng(seed).uniform(0.02, 0.35, ROWS).round(4)
    lines = (f"W-{row % WELLS:02d},{1000 + 0.5 * (row // WELLS)},{value}" for row, value in enumerate(values))
    path.write_text("\n".join(["well,depth,porosity", *lines]) + "\n", encoding="utf-8")


def raster_writer(side: int) -> Writer:
    """Writes tiled, deflated float32 rasters of ``side``² cells."""

    def write(path: Path, seed: int) -> None:
        band = np.random.default_rng(seed).normal(size=(side, side)).astype(np.float32).round(2)
        shape = {"height": side, "width": side, "count": 1, "dtype": "float32", "crs": "EPSG:32633"}
        tiles = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
        place = from_origin(500_000, 5_000_000, 10, 10)
        with rasterio.open(path, "w", driver="GTiff", transform=place, **shape, **tiles) as target:
            target.write(band, 1)

    return write


def directory(folder: Path, kind: str, sections: str, write: Writer) -> Path:
    """A challenge directory whose truth and sample ``write`` makes."""
    ending = "csv" if kind == "table" else "tif"
    for name in ("public", "hidden", "sample"):
        (folder / name).mkdir(parents=True)
    text = head(kind, slug=folder.name, opens=OPENS, closes=CLOSES, prizes=(10,)) + sections
    (folder / "challenge.toml").write_text(text, encoding="utf-8")
    for name in ("overview.md", "agreement.md"):
        (folder / name).write_text(f"# {folder.name}\n", encoding="utf-8")
    (folder / "public" / "notes.csv").write_text("a\n1\n", encoding="utf-8")
    write(folder / "hidden" / f"truth.{ending}", 0)
    write(folder / "sample" / f"sample.{ending}", 1)
    return folder


@dataclass
class Instance:
    """An embedded instance in ``folder`` and its engine's settings."""

    folder: Path
    ctx: Context
    engine: EngineSettings
    people: dict[str, Actor]

    def person(self, name: str) -> Actor:
        if name not in self.people:
            email = f"{name}@example.org"
            self.people[name] = accounts.create_verified(self.ctx, name=name, email=email, password="long enough 123")
        return self.people[name]

    def publish(self, folder: Path) -> str:
        run = lambda task, payload: run_with(self.engine, task, payload)  # noqa: E731
        return publishing.publish_directory(self.ctx, actor=self.person("sponsor"), folder=folder, run=run)

    def send(self, slug: str, file: Path, number: int) -> None:
        """One entry of one of the teams."""
        expert = self.person(f"expert{number % TEAMS}")
        digest = agreements.page(self.ctx, actor=expert, slug=slug).digest
        agreements.sign(self.ctx, actor=expert, slug=slug, digest=digest)
        with file.open("rb") as stream:
            submitting.submit(self.ctx, actor=expert, slug=slug, stream=stream, filename=file.name, note="")

    def payload(self, folder: Path, file: Path, form: str) -> bytes:
        """The ticket of a file for a published challenge, as the dispatcher writes it."""
        with file.open("rb") as stream:
            blob = LocalStore(self.engine.store).put(stream)
        truth = self.truths[folder.name]
        text = (folder / "challenge.toml").read_text(encoding="utf-8")
        about: dict[str, Any] = {"submission": "s", "challenge": folder.name, "format": form, "spec": text}
        return ScoreTicket(file=blob.digest, bytes=blob.size, truth=truth, **about).model_dump_json().encode()

    @property
    def truths(self) -> dict[str, TruthRef]:
        with self.ctx.reading() as session:
            rows = session.connection().exec_driver_sql(
                "SELECT slug, sealed_digest, commitment FROM truth_version t JOIN challenge c ON c.id = t.challenge_id"
            )
            return {slug: TruthRef(version=1, digest=digest, commitment=given) for slug, digest, given in rows}


@contextmanager
def instance(folder: Path) -> Iterator[Instance]:
    """An empty instance with keys of its own."""
    identity, recipient = generate_keys()
    settings = Settings(data=folder, secret_key="s" * 40, truth_recipient=recipient, argon2_memory_kib=64)
    migrate.upgrade(settings.url)
    engine = EngineSettings(settings.store_root.absolute(), settings.scratch_root.absolute(), identity, recipient)
    ctx = open_context(settings)
    try:
        yield Instance(folder, ctx, engine, {})
    finally:
        ctx.close()


def cpu() -> float:
    """CPU seconds of this process and everything it has started, living or not."""
    own = psutil.Process()
    found = 0.0
    for process in (own, *own.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        found += times.user + times.system + times.children_user + times.children_system
    return found


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    before, started = cpu(), time.perf_counter()
    work()
    wall = time.perf_counter() - started
    return wall, cpu() - before


def scored(answer: bytes) -> None:
    if ScoreReport.model_validate_json(answer).status != "scored":
        raise SystemExit(f"an entry was not scored: {answer[:300]!r}")


def small(made: Instance, folder: Path, entries: int) -> dict[str, float]:
    """Milliseconds of one small entry in a warm engine."""
    payloads = [made.payload(folder, file_of(made, write_table, number, "csv"), "csv") for number in range(entries)]
    for payload in payloads[:3]:
        scored(run_with(made.engine, "score", payload))
    walls: list[float] = []
    before = cpu()
    for payload in payloads:
        started = time.perf_counter()
        answer = run_with(made.engine, "score", payload)
        walls.append(time.perf_counter() - started)
        scored(answer)
    each = (cpu() - before) / entries
    return {"median_ms": 1e3 * median(walls), "least_ms": 1e3 * min(walls), "cpu_ms": 1e3 * each}


def sustained(made: Instance, slug: str, entries: int, workers: int = 2) -> dict[str, float]:
    """Entries a second through the queue, the workers and back into the database."""
    with Cluster.local(workers=workers, settings=made.engine) as cluster:
        dispatcher = Dispatcher(made.ctx, cluster)
        for count, timing in ((4 * workers, False), (entries, True)):
            for number in range(count):
                made.send(slug, file_of(made, write_table, (10_000 if timing else 20_000) + number, "csv"), number)
            wall, used = timed(lambda: drain(dispatcher))
    return {"entries_per_s": entries / wall, "cpu_ms_per_entry": 1e3 * used / entries}


def drain(dispatcher: Dispatcher) -> None:
    """Work until the queue is empty and nothing is under way, without mail."""
    idle = 0
    while idle < 3:
        if dispatcher.step():
            idle = 0
        elif dispatcher.busy:
            dispatcher.pause()
        else:
            idle += 1


def large(made: Instance, folder: Path, side: int, entries: int) -> dict[str, float]:
    """Seconds for a batch of rasters on one worker and on two, and of one of them on two workers and inline."""
    write = raster_writer(side)
    payloads = [made.payload(folder, file_of(made, write, number, "tif"), "geotiff") for number in range(entries)]
    found: dict[str, list[float]] = {"one": [], "two": [], "dask": [], "inline": []}
    with (
        Cluster.local(workers=1, settings=replace(made.engine, scratch=made.folder / "one")) as one,
        Cluster.local(workers=2, settings=replace(made.engine, scratch=made.folder / "two")) as two,
    ):
        for cluster in (one, two):
            batch(cluster, payloads[:2])
        for _ in range(3):
            found["one"].append(timed(lambda: batch(one, payloads))[0])
            found["two"].append(timed(lambda: batch(two, payloads))[0])
            found["dask"].append(timed(lambda: batch(two, payloads[:1]))[0])
            found["inline"].append(timed(lambda: scored(run_with(made.engine, "score", payloads[0])))[0])
    best = {name: min(seconds) for name, seconds in found.items()}
    ratios = {"two_over_one": best["one"] / best["two"], "dask_over_inline": best["dask"] / best["inline"]}
    return {**{f"{name}_s": seconds for name, seconds in best.items()}, **ratios}


def batch(cluster: Cluster, payloads: Sequence[bytes]) -> None:
    jobs = [cluster.submit("score", payload) for payload in payloads]
    for job in jobs:
        scored(job.result(600))


def file_of(made: Instance, write: Writer, seed: int, ending: str) -> Path:
    path = made.folder / "files" / f"{seed}.{ending}"
    path.parent.mkdir(exist_ok=True)
    write(path, seed)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=200, help="small entries sent through the queue")
    parser.add_argument("--side", type=int, default=4096, help="cells along a side of the large rasters")
    parser.add_argument("--batch", type=int, default=6, help="large rasters scored together")
    parser.add_argument("--only", choices=("small", "sustained", "large"), help="one part")
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="motherlode-bench-") as name, instance(Path(name) / "data") as made:
        table = directory(Path(name) / "small-table", "table", TABLE, write_table)
        sections = RASTER.format(block=chosen.side * 10 // 8)
        if chosen.only != "large":
            made.publish(table)
        if chosen.only in {None, "small"}:
            figures["small"] = small(made, table, 60)
            print("small", figures["small"], file=sys.stderr)
        if chosen.only in {None, "sustained"}:
            figures["sustained"] = sustained(made, table.name, chosen.entries)
            print("sustained", figures["sustained"], file=sys.stderr)
        if chosen.only in {None, "large"}:
            map_ = directory(Path(name) / "large-raster", "raster", sections, raster_writer(chosen.side))
            made.publish(map_)
            figures["large"] = large(made, map_, chosen.side, chosen.batch)
            print("large", figures["large"], file=sys.stderr)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
