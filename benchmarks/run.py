"""Ours beside what a user would pick today: `./dev bench [small|medium|large] [--kinds table,raster]`.

Both read the same files in turn, each figure in a fresh process; the least of the repeats counts. Values must agree.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.data import make
from benchmarks.peers import PEERS
from scoring.offline import score_file

HERE = Path(__file__).resolve().parent


def timed(contender: str, kind: str, size: str, root: Path) -> dict[str, object]:
    """Seconds, peak memory (MiB, the largest process) and values of one run in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.run", "--one", contender, "--kinds", kind, "--folder", str(root), size]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE.parent)
    out, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{contender} failed on {kind}")
    return dict(json.loads(out.splitlines()[-1]))


def one(contender: str, kind: str, folder: Path, warm: Path) -> None:
    """One timed call; imports and a run on the small data come before the clock."""
    call = score_ours if contender == "ours" else PEERS[kind]
    call(warm)
    started = time.perf_counter()
    values = call(folder)
    seconds = time.perf_counter() - started
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    print(json.dumps({"seconds": seconds, "peak_mib": peak, "values": values}))


def score_ours(folder: Path) -> dict[str, float | None]:
    """Through intake and engine, as `motherlode score` does."""
    report = score_file(folder, folder / (folder / "entry.txt").read_text(encoding="utf-8"))
    if report.scores is None:
        raise SystemExit(f"the entry was rejected: {report.findings}")
    return report.scores.overall


def compare(ours: dict[str, float], peer: dict[str, float]) -> list[str]:
    """Names of the metrics on which the two disagree by more than 1e-9 relative."""
    return [name for name, value in peer.items() if not math.isclose(value, ours[name], rel_tol=1e-9, abs_tol=1e-12)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", nargs="?", default="small", choices=["small", "medium", "large"])
    parser.add_argument("--kinds", default="table,points,polygons,raster,grid")
    parser.add_argument("--folder", type=Path, default=None, help="where the data is kept; default var/bench")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    root = chosen.folder or HERE.parent / "var" / "bench"
    if chosen.one:
        one(chosen.one, chosen.kinds, root / chosen.size / chosen.kinds, root / "small" / chosen.kinds)
        return
    print(f"| {'kind':<9} | ours s | peer s | peer / ours | ours MiB | peer MiB | values |")
    print("|---|---|---|---|---|---|---|")
    wrong = 0
    for kind in chosen.kinds.split(","):
        for size in {"small", chosen.size}:
            make(kind, size, root / size / kind)
        runs: dict[str, list[dict]] = {"ours": [], "peer": []}
        for _ in range(chosen.repeats):
            for contender, taken in runs.items():
                taken.append(timed(contender, kind, chosen.size, root))
        ours, peer = (min(taken, key=lambda run: run["seconds"]) for taken in runs.values())
        differ = compare(ours["values"], peer["values"])
        verdict = f"differ: {', '.join(differ)}" if differ else "equal"
        wrong += bool(differ)
        print(
            f"| {kind:<9} | {ours['seconds']:.3f} | {peer['seconds']:.3f} | {peer['seconds'] / ours['seconds']:.2f} "
            f"| {ours['peak_mib']:.0f} | {peer['peak_mib']:.0f} | {verdict} |",
            flush=True,
        )
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
