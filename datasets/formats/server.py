"""The fork server: a warmed process that forks one walled child per file. Started by ``datasets.sandbox`` only.

It has no secrets: its environment is made new by whoever starts it, and it lives in a network without interfaces.
Each request comes on a socket of its own, passed over the control socket; the answer goes back on it. The server ends
when the control socket closes, and its children end with it.
"""

import contextlib
import gc
import json
import os
import resource
import selectors
import signal
import socket
import struct
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from datasets import pages, threads, walls
from datasets.errors import Rejected
from datasets.expect import Expectation
from datasets.findings import reject
from datasets.formats.reading import Reader, read, warm_up

MAX_ANSWER = 1 << 20
_LENGTH = struct.Struct("!Q")


@dataclass
class _Job:
    connection: socket.socket
    started: float
    request: bytes = b""
    pid: int = 0
    process: int = -1
    pipe: int = -1
    answer: bytes = b""
    deadline: float = float("inf")
    late: bool = False
    wall: dict[str, Any] = field(default_factory=dict)


class Server:
    """The loop: take requests, fork, watch the clock, answer. One thread, so that forking is safe."""

    def __init__(self, control: socket.socket, reader: Reader) -> None:
        self._control, self._reader = control, reader
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ, self._accept)
        self._jobs: dict[int, _Job] = {}
        self._waiting: set[int] = set()

    def run(self) -> None:
        while True:
            for key, _ in self._selector.select(self._patience()):
                if key.data == self._accept:
                    if not self._accept():
                        self._kill_all()
                        return
                elif key.fd in self._selector.get_map():  # an earlier event of this round may have ended the job
                    key.data[0](key.data[1])
            self._kill_the_late()

    def _patience(self) -> float | None:
        running = [job.deadline for job in self._jobs.values() if not job.late]
        return max(0.0, min(running) - time.monotonic()) if running else None

    def _accept(self) -> bool:
        data, fds, _, _ = socket.recv_fds(self._control, 1, 1)
        if not data:
            return False
        for fd in fds:
            connection = socket.socket(fileno=fd)
            job = _Job(connection, time.monotonic())
            self._waiting.add(fd)
            self._selector.register(connection, selectors.EVENT_READ, (self._receive, job))
        return True

    def _receive(self, job: _Job) -> None:
        try:
            data = job.connection.recv(1 << 20)
        except OSError:
            data = b""
        job.request += data
        if not data:
            self._selector.unregister(job.connection)
            self._waiting.discard(job.connection.fileno())
            job.connection.close()
        elif len(job.request) >= 8 and len(job.request) >= 8 + _LENGTH.unpack(job.request[:8])[0]:
            self._selector.unregister(job.connection)
            self._waiting.discard(job.connection.fileno())
            self._start(job, json.loads(job.request[8:]))

    def _start(self, job: _Job, request: dict[str, Any]) -> None:
        job.request, job.wall = b"", request
        try:
            reading, writing = os.pipe()
            job.pid = os.fork()
        except OSError as error:
            self._reply(job, {"status": "fault", "note": f"no child could be forked: {error}"})
            return
        if job.pid == 0:
            self._forget(job, reading)
            _child(request, writing, self._reader)
        os.close(writing)
        job.pipe, job.process = reading, os.pidfd_open(job.pid)
        job.deadline = time.monotonic() + request["wall"]
        self._jobs[job.pid] = job
        self._selector.register(reading, selectors.EVENT_READ, (self._collect, job))
        self._selector.register(job.process, selectors.EVENT_READ, (self._ended, job))
        self._selector.register(job.connection, selectors.EVENT_READ, (self._abandoned, job))

    def _abandoned(self, job: _Job) -> None:
        """Whoever asked has closed the connection: the child ends now, and nobody is answered."""
        self._selector.unregister(job.connection)
        self._kill(job)

    def _forget(self, job: _Job, reading: int) -> None:
        """In the child: close what the server talks through; what libraries hold open (their own tables) stays."""
        self._selector.close()
        others = [other.connection.fileno() for other in self._jobs.values()]
        mine = [self._control.fileno(), job.connection.fileno(), reading, *self._waiting, *others]
        for fd in {*mine, *(fd for other in self._jobs.values() for fd in (other.pipe, other.process))} - {-1}:
            with contextlib.suppress(OSError):  # a connection without a job closed itself with the selector
                os.close(fd)

    def _collect(self, job: _Job) -> None:
        data = os.read(job.pipe, 1 << 16)
        job.answer += data
        if not data or len(job.answer) > MAX_ANSWER:
            self._selector.unregister(job.pipe)
            os.close(job.pipe)
            job.pipe = -1
        if len(job.answer) > MAX_ANSWER:
            self._kill(job)

    def _ended(self, job: _Job) -> None:
        while job.pipe >= 0 and len(job.answer) <= MAX_ANSWER:
            self._collect(job)
        self._selector.unregister(job.process)
        with contextlib.suppress(KeyError):  # whoever asked may have gone already
            self._selector.unregister(job.connection)
        os.close(job.process)
        self._kill(job)
        _, status, usage = os.wait4(job.pid, 0)
        del self._jobs[job.pid]
        self._reply(
            job,
            {
                **_verdict(job, status, usage),
                "peak_rss": usage.ru_maxrss * 1024,
                "seconds": time.monotonic() - job.started,
            },
        )

    def _kill_the_late(self) -> None:
        now = time.monotonic()
        for job in self._jobs.values():
            if job.deadline <= now and not job.late:
                job.late = True
                self._kill(job)

    def _kill(self, job: _Job) -> None:
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(job.pid, signal.SIGKILL)

    def _kill_all(self) -> None:
        for job in self._jobs.values():
            self._kill(job)

    def _reply(self, job: _Job, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        with contextlib.suppress(OSError):  # nobody may wait for it any more
            job.connection.settimeout(10)
            job.connection.sendall(_LENGTH.pack(len(body)) + body)
        job.connection.close()


def _verdict(job: _Job, status: int, usage: resource.struct_rusage) -> dict[str, Any]:
    """What the child's end means: its own answer, a finding, or a fault of ours."""
    killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if killed == 0 and os.WEXITSTATUS(status) == 0:
        try:
            answer = json.loads(job.answer)
        except ValueError:
            answer = None
        if isinstance(answer, dict) and answer.get("status") in {"ok", "rejected", "fault"}:
            return answer
    if job.late or killed == signal.SIGXCPU or usage.ru_utime + usage.ru_stime >= job.wall["cpu"]:
        return _rejected(
            "too-slow",
            "Reading the file took too long and was stopped.",
            "Write it with ordinary chunks and compression.",
        )
    if killed == signal.SIGKILL and usage.ru_maxrss * 1024 < job.wall["memory"] // 2:
        return {"status": "fault", "note": "the reader was killed from outside"}
    if killed == signal.SIGKILL:
        return _rejected(
            "too-much-memory",
            "Reading the file needs too much memory.",
            "Write it with ordinary chunks and compression.",
        )
    return _rejected(
        "crashed",
        "The reader ended while reading the file.",
        "Write the file again with a current version of a common library.",
    )


def _rejected(code: str, message: str, hint: str) -> dict[str, Any]:
    return {
        "status": "rejected",
        "findings": [finding.to_dict() for finding in reject(code, message, hint=hint).findings],
    }


def _child(request: dict[str, Any], pipe: int, reader: Reader) -> NoReturn:
    """Everything the forked child does; it never returns to the server's loop."""
    try:
        _cut_loose()
        walls.close_in(
            walls.Room(
                Path(request["path"]), Path(request["out"]), request["memory"], request["cpu"], request["output"]
            )
        )
    except BaseException as error:  # noqa: BLE001  the edge of the process: answer and leave
        _answer(pipe, {"status": "fault", "note": f"a wall could not be raised: {type(error).__name__}: {error}"})
    threads.allow(request["threads"])
    try:
        _answer(pipe, _read(request, reader))
    except MemoryError:
        _answer(
            pipe,
            _rejected(
                "too-much-memory",
                "Reading the file needs too much memory.",
                "Write it with ordinary chunks and compression.",
            ),
        )
    except BaseException as error:  # noqa: BLE001  the edge of the process: a refusal, with a note for the operator
        frame = traceback.extract_tb(error.__traceback__)[-1]
        note = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
        hint = "Write the file again with a current version of a common library."
        _answer(
            pipe, {**_rejected("unreadable", "The file cannot be read as what it claims to be.", hint), "note": note}
        )


def _read(request: dict[str, Any], reader: Reader) -> dict[str, Any]:
    try:
        reader(Path(request["path"]), request["format"], Expectation.from_json(request["expect"]), Path(request["out"]))
    except Rejected as refusal:
        return {"status": "rejected", "findings": [finding.to_dict() for finding in refusal.findings]}
    except OSError as error:
        if error.errno == 27:  # EFBIG: the canonical form outgrew the room
            return _rejected(
                "too-large",
                "What the file unpacks to is larger than an entry may be.",
                "Send only what the challenge asks for.",
            )
        raise
    return {"status": "ok"}


def _cut_loose() -> None:
    """Own session, no terminal, no streams."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)


def _answer(pipe: int, answer: dict[str, Any]) -> NoReturn:
    view = memoryview(json.dumps(answer).encode())
    while view:
        view = view[os.write(pipe, view) :]
    os._exit(0)


def main(control: int, *, network: bool, reader: Reader = read) -> None:
    """Serve until the control socket closes; ``network`` tells whether the process lives in an empty network."""
    link = socket.socket(fileno=control)
    warm_up()
    walls.rehearse()
    gc.collect()
    gc.freeze()
    gc.disable()
    pages.gather()
    link.sendall(json.dumps({**walls.available(), "network": network}).encode() + b"\n")
    Server(link, reader).run()
