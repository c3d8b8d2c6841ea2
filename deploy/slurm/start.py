"""A Dask scheduler here and its workers as SLURM jobs: `python start.py --least 4 --most 100`, until it is told to end.

Needs dask-jobqueue, and dask.yaml and jobqueue.yaml where DASK_CONFIG points. Then on this host or another:
`motherlode scorer --scheduler tls://THIS-HOST:8786 --tls-ca … --tls-cert … --tls-key …`.
"""

import argparse
import signal

from dask_jobqueue import SLURMCluster
from distributed import Security

PORT = 8786


def cluster() -> SLURMCluster:
    """The scheduler in this process; certificates come from dask.yaml."""
    options = {"port": PORT, "dashboard": False, "dashboard_address": None}
    return SLURMCluster(protocol="tls://", security=Security(require_encryption=True), scheduler_options=options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--least", type=int, default=1, help="jobs that always run")
    parser.add_argument("--most", type=int, default=10, help="jobs at the same time")
    chosen = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    with cluster() as made:
        made.adapt(minimum_jobs=chosen.least, maximum_jobs=chosen.most)
        print(f"scheduler at {made.scheduler_address}", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
