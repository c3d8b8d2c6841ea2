"""What workers are told to do so that they die: a small module, for every worker has to import it."""

import os
import signal
import time
from pathlib import Path

from scoring import cluster as dask_side
from scoring import hosts
from scoring.hosts import PartJob
from scoring.kinds import raster as raster_kind
from scoring.settings import EngineSettings
from scoring.worker import PLANS, parts

PART_BYTES = 1 << 10  # that cuts a small raster into many bundles
PATIENCE_S = 5.0  # of the coordinator with each bundle of its own
MARK = "killed"


def kill_self(*_: object) -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


def parts_of_a_dying_worker(job: PartJob, detail: bytes, first: int, last: int) -> bytes:
    """Bundles; the first worker but the coordinator's that is given some is killed, and the coordinator awaits that."""
    mark = Path(job.prediction).parent.parent / MARK
    if job in PLANS._plans:
        end = time.monotonic() + PATIENCE_S
        while not mark.exists() and time.monotonic() < end:
            time.sleep(0.01)
    elif not mark.exists():
        mark.touch()
        kill_self()
    return parts(job, detail, first, last)


def work_with_losses(settings: EngineSettings, task: str, payload: bytes, large: bool) -> bytes:
    dask_side.parts = parts_of_a_dying_worker
    hosts.WORTH_S = hosts.STRETCH_S = hosts.BYTE_S = 0.0
    raster_kind.PART_BYTES = PART_BYTES
    return dask_side.work(settings, task, payload, large)
