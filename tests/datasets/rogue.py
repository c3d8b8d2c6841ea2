"""A fork server whose reader obeys the file, as a taken-over child would: ``python -m tests.datasets.rogue``."""

import ctypes
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from datasets import walls
from datasets.canonical import CanonicalWriter
from datasets.errors import Rejected
from datasets.expect import Expectation
from datasets.findings import reject


def _denied(action: Callable[[], object]) -> str:
    try:
        action()
    except OSError as error:
        return f"denied {error.errno}"
    return "done"


def _report(result: str) -> Rejected:
    return reject("unreadable", result)


def _connect(port: str) -> None:
    with socket.socket() as link:
        link.settimeout(2)
        link.connect(("127.0.0.1", int(port)))


def _descriptors() -> list[str]:
    found = []
    for fd in range(64):
        try:
            mode = os.fstat(fd).st_mode
        except OSError:
            continue
        found.append("socket" if stat.S_ISSOCK(mode) else "pipe" if stat.S_ISFIFO(mode) else "file")
    return found


def _segfault(_: str) -> None:
    ctypes.string_at(0)


def _spin(_: str) -> None:
    while True:
        sum(range(10_000))


def _memory(_: str) -> None:
    kept = []
    while True:
        kept.append(np.ones(1 << 20))


def _fail(number: str) -> None:
    raise OSError(int(number), os.strerror(int(number)))


def _damaged(number: str) -> None:
    """As a reader of a library's making: whatever goes wrong, the file is to blame."""
    try:
        _fail(number)
    except OSError as error:
        raise reject("unreadable", "damaged") from error


PROBES: dict[str, Callable[[str], object]] = {
    "open": lambda path: Path(path).read_bytes(),
    "create": lambda path: Path(path).write_bytes(b"x"),
    "list": os.listdir,
    "connect": _connect,
    "fork": lambda _: os.fork(),
    "exec": lambda _: os.execv("/bin/true", ["true"]),
    "kill": lambda _: os.kill(os.getppid(), signal.SIGTERM),
    "symlink": lambda path: Path(path).symlink_to("/etc/passwd"),
    "environment": lambda pid: Path(f"/proc/{pid}/environ").read_bytes(),
    "many-files": lambda _: [os.open("/dev/null", os.O_RDONLY) for _ in range(200)],
}
DEEDS: dict[str, Callable[[str], object]] = {
    "segfault": _segfault,
    "spin": _spin,
    "memory": _memory,
    "sleep": lambda _: time.sleep(600),
    "exit": lambda _: os._exit(3),
    "abort": lambda _: os.abort(),
    "killed": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "bus": lambda _: os.kill(os.getpid(), signal.SIGBUS),
    "errno": _fail,
    "damaged": _damaged,
    "surprise": lambda _: {}["nothing"],
}


SEEN: list[str] = []  # requests of this process


def reader(path: Path, form: str, expect: Expectation, out: Path) -> None:
    deed, _, argument = path.read_text(encoding="utf-8").strip().partition(" ")
    SEEN.append(deed)
    if deed == "who":
        raise _report(f"{os.getpid()} {len(SEEN) - 1}")
    if deed in PROBES:
        raise _report(_denied(lambda: PROBES[deed](argument)))
    if deed in DEEDS:
        DEEDS[deed](argument)
    elif deed == "environ":
        raise _report(" ".join(sorted(os.environ)))
    elif deed == "descriptors":
        raise _report(" ".join(_descriptors()))
    elif deed == "fill":
        with (out / "0.npy").open("wb") as target:
            while True:
                target.write(bytes(1 << 24))
    elif deed == "smuggle":
        writer = CanonicalWriter(out, argument or "raster")
        writer.save("band", np.zeros((3, 3)))
        writer.finish({"rows": 3})
    # any other deed: claims success and writes nothing


if __name__ == "__main__":
    network = walls.enter_empty_network()
    from datasets.formats import server

    server.main(int(sys.argv[1]), network=network, reader=reader)
