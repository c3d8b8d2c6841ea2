"""Processes to be killed: a dispatcher with a slow engine, and somebody who uploads without end.

``python -m tests.faults.actors dispatch|upload FOLDER URL``; each prints a line for whatever it has done.
"""

import io
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from portal.dispatch import Dispatcher
from portal.services import accounts, submitting
from portal.services.context import Context, open_context
from tests.portal.town import score_answer, settings_for

LEASE = {"lease_seconds": 2, "heartbeat_seconds": 0.5}
WORK_S = 0.15


class SlowJob:
    """A job in a thread."""

    def __init__(self, future: "Future[bytes]") -> None:
        self._future = future

    def done(self) -> bool:
        return self._future.done()

    def result(self, timeout: float | None = None) -> bytes:
        return self._future.result(timeout)

    def cancel(self) -> None:
        self._future.cancel()

    def progress(self) -> float | None:
        return None

    def add_done_callback(self, call: Callable[[Any], None]) -> None:
        self._future.add_done_callback(call)


class SlowEngine:
    """Takes its time over every entry, and says when it was handed one."""

    def __init__(self, ctx: Context) -> None:
        self._ctx, self._pool = ctx, ThreadPoolExecutor(4)

    def submit(self, task: str, payload: bytes) -> SlowJob:
        print("handed over", task, flush=True)
        return SlowJob(self._pool.submit(self._work, payload))

    def workers(self) -> Sequence[Any]:
        return []

    def _work(self, payload: bytes) -> bytes:
        time.sleep(WORK_S)
        return score_answer(self._ctx, payload)


def dispatch(folder: Path, url: str) -> None:
    ctx = open_context(settings_for(folder, url, **LEASE))
    dispatcher = Dispatcher(ctx, SlowEngine(ctx), slots=4)
    signal.signal(signal.SIGTERM, lambda *_: dispatcher.stop.set())
    print("ready", flush=True)
    dispatcher.run()


def upload(folder: Path, url: str) -> None:
    ctx = open_context(settings_for(folder, url))
    expert = accounts.actor_by_email(ctx, email="expert.a@example.org")
    number = threading.get_native_id() * 1000
    print("ready", flush=True)
    while True:
        number += 1
        stream = io.BytesIO(f"{number} #{'x' * 5000}".encode())
        entry = submitting.submit(
            ctx, actor=expert, slug="grades", stream=stream, filename="e.csv", note="", key=f"k{number}"
        )
        print("receipt", entry.receipt, flush=True)


if __name__ == "__main__":
    {"dispatch": dispatch, "upload": upload}[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
