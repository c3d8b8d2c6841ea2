"""The figures of a run as a Markdown table, as a picture and inside a page between its marks."""

import math
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.measure import CACHED, OURS, Figure

EXACT = 1e-9  # relative
LIBRARIES = ("numpy", "numba", "pyarrow", "pandas", "scikit-learn", "scipy", "rasterio", "xarray", "dask", "zarr",
             "h5netcdf", "geopandas", "shapely", "pyogrio", "scores", "properscoring")  # fmt: skip
BEGIN, END = "<!-- figures: written by ./dev bench --write -->", "<!-- end of figures -->"


@dataclass
class Row:
    """All runs of one contender on one bench."""

    name: str
    role: str
    runs: list[Figure] = field(default_factory=list)

    @property
    def good(self) -> list[Figure]:
        return [run for run in self.runs if run.seconds is not None]

    @property
    def seconds(self) -> float:
        return min((run.seconds for run in self.good if run.seconds is not None), default=math.nan)

    @property
    def cpu_s(self) -> float:
        return min((run.cpu_s for run in self.good), default=math.nan)

    @property
    def peak_mib(self) -> float:
        return max((run.peak_mib for run in self.good), default=math.nan)


Bench = Sequence[Row]


def named(rows: Bench, name: str) -> Row:
    return next((row for row in rows if row.name == name), Row(name, "ours"))


def best(rows: Bench, role: str) -> Row | None:
    """The contender of that role with the least seconds."""
    return min((row for row in rows if row.role == role and row.good), key=lambda row: row.seconds, default=None)


def deviation(rows: Bench) -> tuple[float, str]:
    """The largest relative difference between a value of ours and the nearest peer's, and the metric's name.

    What lies inside a certified bound is no difference.
    """
    peers = [row.good[0].values for row in rows if row.role == "peer" and row.good]
    found = (0.0, "")
    for run in _own(rows):
        for name, value in run.values.items():
            apart = [max(0.0, abs(value - peer[name]) - run.bounds.get(name, 0.0)) for peer in peers if name in peer]
            found = max(found, (min(apart, default=0.0) / max(abs(value), 1e-12), name))
    return found


def _own(rows: Bench) -> list[Figure]:
    return [run for name in (OURS, CACHED) for run in named(rows, name).good]


def agreement(rows: Bench) -> str:
    if not named(rows, OURS).good or best(rows, "peer") is None:
        return "–"
    apart, name = deviation(rows)
    if apart > EXACT:
        return f"{name} by {apart:.1e}"
    bounds = {name: bound for run in _own(rows) for name, bound in run.bounds.items()}
    return "; ".join(["yes", *(f"{name} ± {bound:.1e}" for name, bound in bounds.items())])


def _ratio(a: float, b: float) -> str:
    return "–" if math.isnan(a / b) else f"{a / b:.2f}" if a / b < 10 else f"{a / b:.0f}"


def _plain(value: float, form: str = ".3g") -> str:
    return "–" if math.isnan(value) else f"{value:{form}}"


def summary(results: Mapping[str, Bench]) -> Iterator[str]:
    """One row a bench."""
    yield (
        "| bench | decode limit s | best peer | s | ours s | truth cached s | peer / ours | the same in CPU s "
        "| ours / limit | cached / limit | MiB peer | MiB ours | values agree |"
    )
    yield "|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|"
    nobody = Row("–", "peer")
    for bench, rows in results.items():
        limit, peer = best(rows, "limit") or nobody, best(rows, "peer") or nobody
        ours, cached = named(rows, OURS), named(rows, CACHED)
        yield (
            f"| {bench} | {_plain(limit.seconds)} | {peer.name} | {_plain(peer.seconds)} | {_plain(ours.seconds)} "
            f"| {_plain(cached.seconds)} | {_ratio(peer.seconds, ours.seconds)} | {_ratio(peer.cpu_s, ours.cpu_s)} "
            f"| {_ratio(ours.seconds, limit.seconds)} | {_ratio(cached.seconds, limit.seconds)} "
            f"| {_plain(peer.peak_mib, '.0f')} | {_plain(ours.peak_mib, '.0f')} | {agreement(rows)} |"
        )


def everything(results: Mapping[str, Bench]) -> Iterator[str]:
    """One row a contender, with all its runs."""
    yield "| bench | contender | role | s | all runs, s | CPU s | peak MiB | × best peer | × limit | note |"
    yield "|---|---|---|--:|---|--:|--:|--:|--:|---|"
    nobody = Row("–", "peer")
    for bench, rows in results.items():
        limit, peer = best(rows, "limit") or nobody, best(rows, "peer") or nobody
        for row in sorted(rows, key=lambda row: (math.isnan(row.seconds), row.seconds)):
            runs = " ".join(f"{run.seconds:.3g}" for run in row.good)
            notes = "; ".join(dict.fromkeys(run.note for run in row.runs if run.note))
            yield (
                f"| {bench} | {row.name} | {row.role} | {_plain(row.seconds)} | {runs} | {_plain(row.cpu_s)} "
                f"| {_plain(row.peak_mib, '.0f')} | {_ratio(row.seconds, peer.seconds)} "
                f"| {_ratio(row.seconds, limit.seconds)} | {notes} |"
            )


def machine(repeats: int) -> str:
    """What the figures were taken on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {len(os.sched_getaffinity(0))} cores of {model}, {memory:.0f} GiB, Linux "
        f"{platform.release()}, Python {platform.python_version()}; least of {repeats} runs, contenders taking turns."
        f"\n\n{', '.join(_versions())}."
    )


def _versions() -> Iterator[str]:
    for name in LIBRARIES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            yield f"{name} not installed"


def page(results: Mapping[str, Bench], size: str, repeats: int) -> str:
    parts = [f"Size `{size}`. {machine(repeats)}", "\n".join(summary(results)), "Every contender:"]
    return "\n\n".join([*parts, "\n".join(everything(results))]) + "\n"


def tear(path: Path) -> tuple[str, str]:
    """What stands before and behind the place for figures of a page.

    Raises:
        SystemExit: there is no such page, or it has no marks.
    """
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    head, begin, rest = old.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{path} has no place for figures: a line {BEGIN} and below it a line {END}")
    return head, tail


def write_into(path: Path, text: str) -> None:
    """Replace what stands between the marks of a page."""
    head, tail = tear(path)
    path.write_text(f"{head}{BEGIN}\n{text}{END}{tail}", encoding="utf-8")


# The picture: seconds on a logarithmic scale, a group of bars for each bench; the peak of memory in words.
COLOURS = {"decode limit": "#8a8f98", "best peer": "#c26a1c", "ours": "#1d6f8a", "ours, truth cached": "#7cc3d8"}
LEFT, WIDTH, BAR, GAP, TOP = 130, 840, 13, 14, 58


def plot(results: Mapping[str, Bench], size: str) -> str:
    """An SVG that needs nothing else."""
    groups = {bench: _bars(rows) for bench, rows in results.items()}
    found = [seconds for bars in groups.values() for _, seconds, _ in bars if not math.isnan(seconds)]
    low = 10.0 ** math.floor(math.log10(min(found, default=0.1)))
    high = 10.0 ** math.ceil(math.log10(max(found, default=1.0) * 1.3))
    span = WIDTH - LEFT - 250

    def x(seconds: float) -> float:
        return LEFT + span * math.log10(max(seconds, low) / low) / math.log10(high / low)

    height = TOP + len(groups) * (4 * BAR + GAP) + 30
    parts = [*_frame(height, size, low, high, x)]
    y = TOP
    for bench, bars in groups.items():
        parts.append(f'<text x="{LEFT - 8}" y="{y + 2.4 * BAR}" text-anchor="end">{escape(bench)}</text>')
        for name, seconds, label in bars:
            if not math.isnan(seconds):
                wide = max(x(seconds) - LEFT, 1)
                parts.append(f'<rect x="{LEFT}" y="{y}" width="{wide:.1f}" height="{BAR - 2}" fill="{COLOURS[name]}"/>')
                parts.append(f'<text x="{LEFT + wide + 4:.1f}" y="{y + BAR - 4}" class="small">{escape(label)}</text>')
            y += BAR
        y += GAP
    return "\n".join([*parts, "</svg>", ""])


def _bars(rows: Bench) -> list[tuple[str, float, str]]:
    nobody = Row("", "peer")
    limit, peer = best(rows, "limit") or nobody, best(rows, "peer") or nobody
    chosen = zip(COLOURS, (limit, peer, named(rows, OURS), named(rows, CACHED)), strict=True)
    return [
        (name, row.seconds, f"{row.seconds:.3g} s{f' {peer.name}' * (row is peer)}, {row.peak_mib:.0f} MiB")
        for name, row in chosen
    ]


def _frame(height: int, size: str, low: float, high: float, x: Callable[[float], float]) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="12"><style>.small{font-size:10px;fill:#444}</style>'
    )
    yield f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
    yield f'<text x="{LEFT}" y="18" font-size="14">From files to values (size {escape(size)})</text>'
    for place, (name, colour) in enumerate(COLOURS.items()):
        yield f'<rect x="{LEFT + 150 * place}" y="28" width="11" height="11" fill="{colour}"/>'
        yield f'<text x="{LEFT + 150 * place + 16}" y="38">{name}</text>'
    decade = low
    while decade <= high * 1.001:
        yield f'<line x1="{x(decade):.1f}" x2="{x(decade):.1f}" y1="{TOP - 8}" y2="{height - 22}" stroke="#ddd"/>'
        yield f'<text x="{x(decade):.1f}" y="{height - 8}" text-anchor="middle" class="small">{decade:g} s</text>'
        decade *= 10
