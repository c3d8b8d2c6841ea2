"""What a Cluster does about a scheduler that went away and about workers that Dask has given up."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import dask
import pytest

from datasets.errors import EngineFault
from scoring.cluster import LASTING, TOPIC, Cluster

WORKERS = {"tls://10.0.0.1:1": {"nthreads": 2, "metrics": {"memory": 7, "task_counts": {"executing": 1}}}}


@dataclass
class Line:
    """A connection to a scheduler."""

    status: str
    tasks: list[Any] = field(default_factory=list)
    topics: list[str] = field(default_factory=list)

    def subscribe_topic(self, topic: str, _handler: object) -> None:
        self.topics.append(topic)

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        return {"workers": WORKERS}

    def submit(self, *task: Any, **options: Any) -> object:
        if self.status == "closed":
            raise RuntimeError("closed")
        self.tasks.append(task)
        return SimpleNamespace(key=f"work-{len(self.tasks)}")


@dataclass
class Machine:
    """A local cluster that only counts."""

    sizes: list[int] = field(default_factory=list)

    def scale(self, size: int) -> None:
        self.sizes.append(size)


def refuse() -> Any:
    raise OSError("nobody there")


def test_a_scheduler_that_came_back_is_found_again() -> None:
    fresh = Line("running")
    cluster = Cluster(Line("closed"), None, None, again=lambda: fresh)
    assert [(worker.threads, worker.busy) for worker in cluster.workers()] == [(2, 1)]
    cluster.submit("score", b"{}")
    assert len(fresh.tasks) == 1
    assert fresh.topics == [TOPIC], "progress is heard of again"


def test_without_a_scheduler_there_are_no_workers_and_no_work_is_taken() -> None:
    cluster = Cluster(Line("closed"), None, None, again=refuse)
    assert cluster.workers() == []
    with pytest.raises(EngineFault, match="takes no work"):
        cluster.submit("score", b"{}")


def test_a_line_that_is_being_mended_is_left_alone() -> None:
    cluster = Cluster(Line("connecting"), None, None, again=refuse)
    assert cluster.workers() == []


def test_a_local_cluster_brings_lost_workers_back() -> None:
    machine = Machine()
    Cluster(Line("running"), machine, None, size=3).workers()
    assert machine.sizes == [3]


def test_a_slow_start_of_a_worker_is_waited_for() -> None:
    name = "distributed.deploy.lost-worker-timeout"
    with dask.config.set({name: "15s"}), Cluster.local(workers=1, processes=False):
        assert dask.config.get(name) == LASTING[name]
