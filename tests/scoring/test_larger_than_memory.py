"""A grid of more bytes than the memory of whoever reads and scores it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.engine import packed
from benchmarks.memory import MEMBERS, make_grids
from benchmarks.specs import BENCHES, specs_of
from datasets.canonical import Canonical
from datasets.expect import Expectation
from datasets.intake import intake
from datasets.sandbox import Task, shared
from datasets.spec import Spec
from scoring.engine import Plan, carry_out
from scoring.kinds.pairing import TruthSet

SHAPE = (5, 182, 360)
BYTES = 4 * MEMBERS * SHAPE[0] * SHAPE[1] * SHAPE[2]  # 66 MB
WALL = 32 << 20
SCORE = """
import json, resource, sys
from pathlib import Path
import numpy as np
from benchmarks.specs import BENCHES, specs_of
from datasets.canonical import Canonical
from scoring.engine import Plan, carry_out
from scoring.kinds.pairing import TruthSet
spec = specs_of(BENCHES["grid-zarr"])[0]
truth, entry = (Canonical.read(Path(name)) for name in sys.argv[1:3])
used = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData:"))
resource.setrlimit(resource.RLIMIT_DATA, ((used << 10) + int(sys.argv[3]),) * 2)
try:
    held = bool(np.array(entry.arrays["data"]).size)
except MemoryError:
    held = False
outcome = carry_out(spec, Plan.of(spec, TruthSet(truth, None, {}), entry))
print(json.dumps({"held": held, "values": dict(outcome.scores.overall)}))
"""


def spec() -> Spec:
    return specs_of(BENCHES["grid-zarr"])[0]


def answer(path: Path, form: str, expect: Expectation, out: Path) -> dict[str, object]:
    """What a child says that may use ``WALL`` bytes beyond its start."""
    out.mkdir()
    task = Task(path.resolve(), form, expect.to_json(), out.resolve(), WALL, cpu=60, wall=240.0, output=1 << 32)
    return shared().run(task)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_grid_larger_than_the_wall_is_read_and_scored(tmp_path: Path) -> None:
    assert BYTES > 1.9 * WALL
    wanted = {}
    for form, name, ending in (("netcdf", "netcdf", "nc"), ("zarr-zip", "zarr", "zarr")):
        room = tmp_path / name
        make_grids(room, SHAPE, name)
        loose = Expectation.loose(spec(), "truth")
        truth = intake(packed(room / f"truth.{ending}", tmp_path), format=form, expect=loose, out=room / "t")
        tight = Expectation.tight(spec(), truth)
        said = answer(packed(room / f"pred.{ending}", tmp_path), form, tight, room / "p")
        assert said["status"] == "ok", said
        entry = Canonical.read(room / "p")
        assert entry.arrays["data"].nbytes == BYTES
        wanted[name] = carry_out(spec(), Plan.of(spec(), TruthSet(truth, None, {}), entry)).scores.overall
    assert wanted["netcdf"] == wanted["zarr"]
    command = [sys.executable, "-c", SCORE, str(tmp_path / "zarr/t"), str(tmp_path / "zarr/p"), str(WALL)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout.splitlines()[-1])
    assert not told["held"], "the limit would let the whole array in"
    assert told["values"] == wanted["zarr"]
