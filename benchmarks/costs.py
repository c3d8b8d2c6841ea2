"""What the parts around scoring cost, as `scaling` takes them: `python -m benchmarks.costs`, one JSON object.

Processor seconds, because a busy machine does not change them: the Dask scheduler's of one task; this process's of
claiming one entry, making its ticket and recording its report (SQLite: the database is in this process); and of
opening one MB of sealed truth.
"""

import io
import json
import logging
import os
import tempfile
import time
from pathlib import Path

import distributed
import psutil
import structlog
from distributed.deploy.subprocess import SubprocessCluster

from benchmarks.pipeline import TABLE, directory, drain, file_of, instance, write_table
from datasets.sealing import generate_keys, seal
from datasets.truth.package import decrypt
from portal.dispatch import Dispatcher
from scoring.contracts import FileFacts, ScoreReport, Scores, ScoreTicket
from scoring.jobs import Answered, Inline

MB = 1_000_000


def nothing(payload: bytes) -> bytes:
    return payload


def dask_task(tasks: int = 2000) -> dict[str, float]:
    """The scheduler has a process of its own; tasks carry what a ticket weighs and answer as much."""
    local = SubprocessCluster(worker_kwargs={"nthreads": 1}, silence_logs=50)
    with local as cluster, distributed.Client(cluster) as client:
        cluster.scale(1)
        client.gather([client.submit(nothing, b"x", pure=False) for _ in range(100)])
        scheduler, payload = psutil.Process(client.run_on_scheduler(os.getpid)), b"x" * 2000
        before, own, started = sum(scheduler.cpu_times()[:2]), time.process_time(), time.perf_counter()
        for future in [client.submit(nothing, payload, pure=False, retries=0) for _ in range(tasks)]:
            future.result()
        spent, called = sum(scheduler.cpu_times()[:2]) - before, time.process_time() - own
        wall = time.perf_counter() - started
    return {"scheduler_s": spent / tasks, "client_s": called / tasks, "wall_s": wall / tasks}


class AtOnce(Inline):
    """An engine that scores every entry without a look at it."""

    def submit(self, task: str, payload: bytes) -> Answered:  # noqa: ARG002  the face of an Engine
        ticket = ScoreTicket.model_validate_json(payload)
        values: dict[str, float | None] = dict.fromkeys(("rmse", "mae", "r2"), 0.5)
        report = ScoreReport(
            challenge=ticket.challenge,
            status="scored",
            file=FileFacts(sha256=ticket.file, bytes=ticket.bytes),
            scores=Scores(overall=values, public=values, private=values),
            blocks=20,
            seconds=0.01,
            peak_rss_mib=1.0,
        )
        return Answered(report.model_dump_json().encode())


def queue(entries: int = 200) -> dict[str, float]:
    """Claim, ticket and record by the real dispatcher with an engine that answers at once."""
    with tempfile.TemporaryDirectory(prefix="motherlode-bench-") as name, instance(Path(name) / "data") as made:
        slug = made.publish(directory(Path(name) / "small-table", "table", TABLE, write_table))
        for number in range(entries):
            made.send(slug, file_of(made, write_table, number, "csv"), number)
        dispatcher = Dispatcher(made.ctx, AtOnce(), slots=8)
        started, wall = time.process_time(), time.perf_counter()
        drain(dispatcher)
        spent = {"cpu_s": (time.process_time() - started) / entries, "wall_s": (time.perf_counter() - wall) / entries}
        with made.ctx.reading() as session:
            scored = session.connection().exec_driver_sql("SELECT count(*) FROM submission WHERE state = 'scored'")
            if scored.scalar_one() != entries:
                raise SystemExit("not every entry was scored")
        return spent


def unseal(size: int = 200 * MB) -> float:
    """Processor seconds a MB of opening what was sealed with age."""
    private, public = generate_keys()
    sealed, plain = io.BytesIO(), io.BytesIO()
    seal(io.BytesIO(b"\x5a" * size), sealed, public)
    sealed.seek(0)
    started = time.process_time()
    decrypt(sealed, plain, private)
    return (time.process_time() - started) / (size / MB)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    print(json.dumps({"dask_task": dask_task(), "queue": queue(), "unseal_s_per_mb": unseal()}, indent=1))


if __name__ == "__main__":
    main()
