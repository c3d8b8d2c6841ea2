"""One figure: one contender on one bench in a fresh process, its processor time and memory with all its children.

The child imports, runs once on the small data and opens what it may have open beforehand; then it says ``ready`` and
waits for a line. The parent reads the tree's processor time, says ``go``, samples the tree's memory until the answer
comes and reads processor time again. Imports and compilation are thus outside the clock, readers' children inside it.
"""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.peers import Values, of_bench, shown

HERE = Path(__file__).resolve().parent
OURS, CACHED = "Motherlode", "Motherlode, truth cached"
PAUSE = 0.02  # seconds between two looks at memory, and at least this many times what a look costs:
SHARE = 20
Job = Callable[[], Values]


@dataclass
class Told:
    """What a run tells of itself."""

    seconds: float = 0.0
    values: Values = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)
    bounds: Values = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """One run. ``note`` says why there are no seconds; ``bounds`` how far a value may be from the exact one.

    CPU seconds and peak are those of the process with its children.
    """

    seconds: float | None = None
    cpu_s: float = 0.0
    peak_mib: float = 0.0
    values: Values = field(default_factory=dict)
    stages: Mapping[str, float] = field(default_factory=dict)
    bounds: Values = field(default_factory=dict)
    note: str = ""

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def contenders(bench: str) -> list[tuple[str, str]]:
    """(name, role) of everybody who runs on a bench."""
    return [(OURS, "ours"), (CACHED, "ours"), *((one.name, one.role) for one in of_bench(bench))]


def prepare(bench: str, name: str, folder: Path, room: Path, told: Told) -> Job:
    """What is timed; everything before it is done here. A peer's process loads nothing of ours."""
    if name not in (OURS, CACHED):
        (call,) = (one.call for one in of_bench(bench) if one.name == name)
        return lambda: call(bench.split("-")[1], folder)
    from benchmarks.engine import Run, Stages
    from benchmarks.specs import BENCHES, specs_of

    run, specs = Run(BENCHES[bench], folder, room, Stages(told.stages), told.bounds), specs_of(BENCHES[bench])
    truth, entry = run.files()
    if name == OURS:
        return lambda: run.values(entry, specs, run.truth(truth, specs))
    kept = run.truth(truth, specs)
    return lambda: run.values(entry, specs, kept)


def once(bench: str, name: str, folder: Path) -> Told:
    """One run in this process."""
    with tempfile.TemporaryDirectory(prefix="motherlode-bench-") as room:
        told = Told()
        job = prepare(bench, name, folder, Path(room), told)
        _meet()
        told.stages.clear()
        started = time.perf_counter()
        values = job()
        told.seconds, told.values = time.perf_counter() - started, dict(shown(values))
        return told


def _meet() -> None:
    """In a measured child: tell the parent that the clock may start."""
    if os.environ.get("MOTHERLODE_MEASURED") == "ready":
        print("ready", flush=True)
        sys.stdin.readline()


def child(bench: str, name: str, folder: Path, warm: Path) -> None:
    """Run in a process of its own by ``measure``."""
    warnings.filterwarnings("ignore")
    try:
        once(bench, name, warm)
        os.environ["MOTHERLODE_MEASURED"] = "ready"
        answer = asdict(once(bench, name, folder))
    except ModuleNotFoundError as error:
        answer = {"note": f"not installed: {error.name}"} if name not in (OURS, CACHED) else _failed(error)
    except Exception as error:  # noqa: BLE001  whatever a library raises is the figure's note
        answer = _failed(error)
    print(json.dumps(answer), flush=True)
    sys.stdin.readline()


def _failed(error: Exception) -> dict[str, Any]:
    return {"note": f"failed: {type(error).__name__}: {error}"[:300].replace("\n", " ")}


def measure(bench: str, name: str, folder: Path, warm: Path, limit: float) -> Figure:
    """One figure; a child that takes longer than ``limit`` seconds is stopped."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.measure", bench, name, str(folder), str(warm)]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command,
            cwd=HERE.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        try:
            figure = _watched(process, limit)
        finally:
            _end(process)
        if figure.note == "died":
            errors.seek(0)
            last = errors.read().strip().splitlines()[-1:] or ["without a word"]
            return Figure(note=f"died: {last[0][:200]}")
        return figure


def _watched(process: subprocess.Popen[bytes], limit: float) -> Figure:
    end, peak, before, tree = time.monotonic() + limit, 0, 0.0, psutil.Process(process.pid)
    line = _line(process, end)
    if line == "ready":
        before = _cpu(tree)
        _say(process, "go")
        pause = 0.0
        while not select.select([process.stdout], [], [], pause)[0]:
            if time.monotonic() > end:
                return Figure(note=f"stopped after {limit:.0f} s")
            looked = time.perf_counter()
            peak = max(peak, _memory(tree))
            pause = max(PAUSE, SHARE * (time.perf_counter() - looked))
        line = _line(process, end)
    if line is None:
        return Figure(note=f"stopped after {limit:.0f} s" if time.monotonic() > end else "died")
    answer = json.loads(line)
    peak, after = max(peak, _memory(tree)), _cpu(tree)
    _say(process, "thanks")
    return Figure(**answer, **({} if "note" in answer else {"cpu_s": after - before, "peak_mib": peak / 2**20}))


def _line(process: subprocess.Popen[bytes], end: float) -> str | None:
    """The child's next word, None when it ended or the time is over."""
    while time.monotonic() < end and process.stdout:
        if select.select([process.stdout], [], [], 0.5)[0]:
            line = process.stdout.readline().decode().strip()
            if line.startswith(("ready", "{")):
                return line
            if not line:
                return None
    return None


def _say(process: subprocess.Popen[bytes], word: str) -> None:
    if process.stdin:
        process.stdin.write(f"{word}\n".encode())
        process.stdin.flush()


def _family(tree: psutil.Process) -> list[psutil.Process]:
    try:
        return [tree, *tree.children(recursive=True)]
    except psutil.Error:
        return []


def _memory(tree: psutil.Process) -> int:
    """Proportional set size of the tree in bytes: a page shared by two processes counts once."""
    total = 0
    for process in _family(tree):
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue  # it ended while we were looking
    return total


def _cpu(tree: psutil.Process) -> float:
    """Processor seconds of the tree so far, ended children included."""
    total = 0.0
    for process in _family(tree):
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.Error:
            continue
    return total


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it started, all of its own session."""
    try:
        process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


if __name__ == "__main__":
    child(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
