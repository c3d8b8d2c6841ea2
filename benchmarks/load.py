"""The load `scaling` simulates and what work costs, each number with where it was measured or that it is assumed."""

import hashlib
import heapq
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

GB, TB = 1000.0, 1_000_000.0  # in MB


@dataclass(frozen=True)
class Kind:
    """``share`` of the entries and ``truth_mb`` (median of a truth's decoded size) are assumptions.

    ``entry``: MB of an uploaded file per MB of truth; ``intake_s`` and ``score_s``: processor seconds per MB of it.
    """

    share: float
    truth_mb: float
    entry: float
    intake_s: float
    score_s: float


# Measured: `benchmarks.measure` at size medium, "truth cached", one run each on two busy cores: CPU seconds of the
# tree, split as the stages "read prediction" and the rest were; sizes of files as they are uploaded (CSV, GeoJSON,
# float32 GeoTIFF with ZSTD, NetCDF-4 with zlib).
KINDS: Mapping[str, Kind] = {
    "table": Kind(0.40, 100, 2.8, 0.0083, 0.0130),
    "points": Kind(0.15, 1, 20.0, 0.0280, 0.0140),
    "polygons": Kind(0.10, 50, 3.0, 0.0180, 0.0180),
    "raster": Kind(0.25, 2 * GB, 0.78, 0.0090, 0.0120),
    "grid": Kind(0.10, 200, 15.0, 0.0144, 0.0067),
}


@dataclass(frozen=True)
class Town:
    """The engine and its load. Times in seconds, sizes in MB."""

    workers: int = 100
    per_host: int = 4  # workers of one host share its cache of truths
    per_hour: float = 10_000.0
    hours: float = 1.0  # simulated after half an hour of warming up
    truth_total: float = 10 * TB
    spread: float = 1.0  # assumption: sigma of the log-normal truth sizes
    fashion: float = 0.9  # assumption: exponent of how unequally entries fall on the challenges (Zipf)
    largest_entry: float = 4 * GB  # assumption: submission.max_bytes of the largest challenges
    part_mb: float = 64.0  # decoded MB of a part that goes to a worker of its own
    most_parts: int = 64  # of one entry, as scoring.engine bundles them: larger ones have larger parts
    cache_mb: float = 800 * GB  # a host's MOTHERLODE_TRUTH_CACHE_BYTES; assumption: one NVMe disk
    copies: int = 2  # hosts that are asked first for a challenge
    spill_s: float = 20.0  # they may begin so much later than the emptiest host would
    placed: bool = True  # by rendezvous hashing; False: the emptiest host
    fetch_mbps: float = 1.0 * GB  # assumption: what one host gets from the blob store
    store_mbps: float = 10.0 * GB  # assumption: what the blob store gives to all together
    open_s: float = 0.003  # a MB of sealed truth, one core; measured: benchmarks.costs
    task_s: float = 0.0032  # the Dask scheduler, a task; measured: benchmarks.costs
    entry_s: float = 0.0097  # claim, ticket and record, one dispatcher; measured: benchmarks.costs
    dispatchers: int = 1
    seed: int = 1

    @property
    def hosts(self) -> int:
        return max(1, self.workers // self.per_host)


@dataclass(frozen=True)
class Challenge:
    name: str
    kind: Kind
    truth_mb: float


def challenges(town: Town) -> Iterator[Challenge]:
    """Challenges of all kinds until their truths add up to the whole; sizes are a function of the seed alone."""
    sizes, total = random.Random(town.seed + 1), 0.0
    for number in itertools.count():
        for name, kind in KINDS.items():
            size = kind.truth_mb * sizes.lognormvariate(0, town.spread)
            total += size
            if total > town.truth_total:
                return
            yield Challenge(f"{name}-{number}", kind, size)


def by_fashion(found: Sequence[Challenge]) -> Iterator[tuple[int, Challenge]]:
    """Every challenge with its place among those of its kind."""
    return ((int(challenge.name.split("-")[1]) + 1, challenge) for challenge in found)


def rendezvous(name: str, hosts: int, copies: int) -> list[int]:
    """The hosts with the highest hash of (challenge, host): when one goes, only its own challenges move."""

    def score(host: int) -> bytes:
        return hashlib.blake2b(f"{name}|{host}".encode(), digest_size=8).digest()

    return heapq.nlargest(copies, range(hosts), key=score)
