"""The fork server: a warmed process that forks one walled child per file. Started by ``datasets.sandbox`` only.

It has no secrets: its environment is made new by whoever starts it, and it lives in a network without interfaces.
Each request comes on a socket of its own, passed over the control socket; the answer goes back on it. The server ends
when the control socket closes, and its children end with it.

While nobody asks, one child is kept ready: forked, cut loose, its walls prepared, waiting at a pipe for the one request
it will ever see. It raises its walls around that request's file before it opens it, as every child does.
"""

import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from datasets import pages, scratch, threads, walls
from datasets.expect import Expectation
from datasets.formats import verdicts
from datasets.formats.reading import Reader, read, warm_up

MAX_ANSWER = 1 << 20
_LENGTH = struct.Struct("!Q")


@dataclass(frozen=True)
class _Child:
    """A forked child that has not been asked yet: where it is asked, and where its answer comes."""

    pid: int
    process: int
    ask: int
    pipe: int


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
        self._spare: _Child | None = None
        self._idle = True  # nothing was forked since the last answer

    def run(self) -> None:
        while True:
            quiet = self._idle and not self._jobs and not self._waiting
            events = self._selector.select(0 if quiet else self._patience())
            if quiet and not events:
                self._keep_ready()
            for key, _ in events:
                if key.data == self._accept:
                    if not self._accept():
                        self._kill_all()
                        return
                elif key.fd in self._selector.get_map():  # an earlier event of this round may have ended the job
                    key.data[0](key.data[1])
            self._kill_the_late()

    def _keep_ready(self) -> None:
        """Fork the child that the next request will find; tried once between two answers."""
        self._idle = False
        if self._spare is None:
            with contextlib.suppress(OSError):  # the next request forks for itself, or tells why it cannot
                self._spare = self._fork()
                self._selector.register(self._spare.process, selectors.EVENT_READ, (self._lost, self._spare))

    def _lost(self, spare: _Child) -> None:
        """The child that was kept ready has ended by itself."""
        self._spare = None
        self._selector.unregister(spare.process)
        os.close(spare.ask)
        _bury(spare)

    def _child_for(self, request: bytes) -> _Child:
        """A child that has been asked: the one kept ready, or a new one."""
        spare, self._spare, self._idle = self._spare, None, False
        if spare is not None:
            self._selector.unregister(spare.process)
            if _ask(spare, request):
                return spare
            _bury(spare)
        made = self._fork()
        _ask(made, request)  # one that has ended already is found out by its end
        return made

    def _fork(self) -> _Child:
        asked, ask = os.pipe()
        pipe, answer = os.pipe()
        try:
            pid = os.fork()
        except OSError:
            for fd in (asked, ask, pipe, answer):
                os.close(fd)
            raise
        if pid == 0:
            self._forget(ask, pipe)
            _child(asked, answer, self._reader)
        os.close(asked)
        os.close(answer)
        return _Child(pid, os.pidfd_open(pid), ask, pipe)

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
            fd = job.connection.fileno()
            self._selector.unregister(job.connection)
            self._start(job)
            self._waiting.discard(fd)

    def _start(self, job: _Job) -> None:
        request, job.request = job.request[8:], b""
        job.wall = json.loads(request)
        try:
            child = self._child_for(request)
        except OSError as error:
            self._reply(job, verdicts.fault(f"no child could be forked: {error}"))
            return
        job.pid, job.process, job.pipe = child.pid, child.process, child.pipe
        job.deadline = time.monotonic() + job.wall["wall"]
        self._jobs[job.pid] = job
        self._selector.register(job.pipe, selectors.EVENT_READ, (self._collect, job))
        self._selector.register(job.process, selectors.EVENT_READ, (self._ended, job))
        self._selector.register(job.connection, selectors.EVENT_READ, (self._abandoned, job))

    def _abandoned(self, job: _Job) -> None:
        """Whoever asked has closed the connection: the child ends now, and nobody is answered."""
        self._selector.unregister(job.connection)
        self._kill(job.pid)

    def _forget(self, *own: int) -> None:
        """In the child: close what the server talks through; what libraries hold open (their own tables) stays."""
        self._selector.close()
        jobs = [fd for job in self._jobs.values() for fd in (job.connection.fileno(), job.pipe, job.process)]
        spare = [] if self._spare is None else [self._spare.process, self._spare.ask, self._spare.pipe]
        for fd in {self._control.fileno(), *own, *self._waiting, *jobs, *spare} - {-1}:
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
            self._kill(job.pid)

    def _ended(self, job: _Job) -> None:
        while job.pipe >= 0 and len(job.answer) <= MAX_ANSWER:
            self._collect(job)
        self._selector.unregister(job.process)
        with contextlib.suppress(KeyError):  # whoever asked may have gone already
            self._selector.unregister(job.connection)
        os.close(job.process)
        self._kill(job.pid)
        _, status, usage = os.wait4(job.pid, 0)
        del self._jobs[job.pid]
        self._idle = True
        used = {"peak_rss": usage.ru_maxrss * 1024, "seconds": time.monotonic() - job.started}
        self._reply(job, verdicts.of_end(job.answer, job.wall, status, usage, late=job.late) | used)

    def _kill_the_late(self) -> None:
        now = time.monotonic()
        for job in self._jobs.values():
            if job.deadline <= now and not job.late:
                job.late = True
                self._kill(job.pid)

    def _kill(self, pid: int) -> None:
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(pid, signal.SIGKILL)

    def _kill_all(self) -> None:
        for job in self._jobs.values():
            self._kill(job.pid)
        if self._spare is not None:
            self._kill(self._spare.pid)

    def _reply(self, job: _Job, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        with contextlib.suppress(OSError):  # nobody may wait for it any more
            job.connection.settimeout(10)
            job.connection.sendall(_LENGTH.pack(len(body)) + body)
        job.connection.close()


def _ask(child: _Child, request: bytes) -> bool:
    """Hand a child its only request; False when it has ended."""
    view = memoryview(_LENGTH.pack(len(request)) + request)
    try:
        while view:
            view = view[os.write(child.ask, view) :]
    except BrokenPipeError:
        return False
    finally:
        os.close(child.ask)
    return True


def _bury(child: _Child) -> None:
    for fd in (child.process, child.pipe):
        os.close(fd)
    os.waitpid(child.pid, 0)


def _asked(pipe: int) -> dict[str, Any]:
    """The one request of this child; it ends when there will be none."""
    data = b""
    while part := os.read(pipe, 1 << 16):
        data += part
    os.close(pipe)
    if len(data) < 8 or len(data) != 8 + _LENGTH.unpack(data[:8])[0]:
        os._exit(0)  # the server is gone
    found: dict[str, Any] = json.loads(data[8:])
    return found


def _child(asked: int, pipe: int, reader: Reader) -> NoReturn:
    """Everything the forked child does; it never returns to the server's loop."""
    ready: walls.Ready | BaseException
    try:
        _cut_loose()
        ready = walls.get_ready()
    except BaseException as error:  # noqa: BLE001  the edge of the process: told to whoever asks
        ready = error
    try:
        request = _asked(asked)
        if isinstance(ready, BaseException):
            _no_wall(pipe, ready)
        walls.close_in(_room(request), ready)
    except BaseException as error:  # noqa: BLE001  the edge of the process: answer and leave
        _no_wall(pipe, error)
    threads.allow(request["threads"])
    try:
        _answer(pipe, _read(request, reader))
    except BaseException as error:  # noqa: BLE001  the edge of the process: what was found could not be told
        _answer(pipe, verdicts.of_error(error))


def _read(request: dict[str, Any], reader: Reader) -> verdicts.Answer:
    scratch.forget()
    try:
        reader(Path(request["path"]), request["format"], Expectation.from_json(request["expect"]), Path(request["out"]))
    except BaseException as error:  # noqa: BLE001  the edge of the process: a verdict, with a note for the operator
        return verdicts.of_error(error)
    return {"status": "ok"}


def _no_wall(pipe: int, error: BaseException) -> NoReturn:
    _answer(pipe, verdicts.fault(f"a wall could not be raised: {type(error).__name__}: {error}"))


def _room(request: dict[str, Any]) -> walls.Room:
    place = Path(request["path"]), Path(request["out"])
    return walls.Room(*place, request["memory"], request["cpu"], request["output"])


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
