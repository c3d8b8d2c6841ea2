"""The walls around a reader: resource limits, Landlock, an empty network, no capabilities, a system-call filter.

Used inside the fork server (``enter_empty_network``) and each child (``get_ready``, ``close_in``). Linux only; a wall
that the kernel does not offer is left out, and ``available`` says so.
"""

import ctypes
import os
import resource
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import landlock

from datasets import syscalls

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_SIGKILL = 9


@dataclass(frozen=True, slots=True)
class Room:
    """What one child may use: a file to read, a folder to write, bytes beyond its start, CPU seconds, bytes a file."""

    upload: Path
    out: Path
    memory: int
    cpu: int
    output: int


@cache
def available() -> Mapping[str, bool]:
    """Which walls this kernel offers; asked without entering any, once a process and before it forks."""
    return {
        "rlimits": True,
        "landlock": _landlock_version() >= 1,
        "seccomp": syscalls.machine() is not None and _seccomp_known(),
        "capabilities": syscalls.machine() is not None,
    }


def enter_empty_network() -> bool:
    """Move this process, and every child it will fork, into a network without interfaces. False where not allowed."""
    return int(_LIBC.unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC)) == 0


@dataclass(frozen=True, slots=True)
class Ready:
    """What a process can have at hand before it is told its room: Landlock's rules so far, and the filter of calls."""

    rules: landlock.Ruleset | None
    program: bytes


def get_ready() -> Ready:
    """In a new process: end with the parent, gain nothing by any program, and prepare the walls; none stands yet.

    Raises:
        OSError: a wall the kernel offers could not be prepared.
    """
    _call(_LIBC.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0))
    _call(_LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    return _prepared()


def _prepared() -> Ready:
    walls, machine = available(), syscalls.machine()
    return Ready(
        _ruleset() if walls["landlock"] else None,
        syscalls.program(machine, os.getpid()) if machine is not None and walls["seccomp"] else b"",
    )


def close_in(room: Room, ready: Ready) -> None:
    """Raise every available wall around the calling process; it cannot be taken down again.

    Raises:
        OSError: a wall the kernel offers could not be raised.
    """
    _limit(room)
    if ready.rules is not None:
        _limit_files(ready.rules, room)
    machine = syscalls.machine()
    if machine is not None:
        _drop_capabilities(machine)
    if ready.program:
        _filter_calls(ready.program)


def _call(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()


def _limit(room: Room) -> None:
    space = _address_space() + room.memory
    wanted = {
        resource.RLIMIT_AS: (space, space),
        resource.RLIMIT_CPU: (room.cpu, room.cpu + 2),
        resource.RLIMIT_FSIZE: (room.output, room.output),
        resource.RLIMIT_NOFILE: (64, 64),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_STACK: (64 << 20, 64 << 20),
    }
    for kind, (soft, hard) in wanted.items():
        _, ceiling = resource.getrlimit(kind)
        top = hard if ceiling == resource.RLIM_INFINITY else min(hard, ceiling)
        resource.setrlimit(kind, (min(soft, top), top))


@cache
def _landlock_version() -> int:
    ctypes.set_errno(0)
    try:
        return int(landlock.landlock_abi_version())
    except OSError:
        return 0


@cache
def readable_places() -> tuple[Path, ...]:
    """The interpreter and its libraries: all a reader needs besides the upload. Folders and files that are there."""
    roots = [
        Path(sys.prefix, "lib"),
        Path(sys.base_prefix, "lib"),
        Path("/usr/lib"),
        Path("/lib"),
        Path("/lib64"),
        Path("/usr/lib64"),
    ]
    own = [
        Path(__file__).resolve().parent,
        Path("/usr/share/zoneinfo"),
        Path("/etc/ld.so.cache"),
        Path("/dev/urandom"),
        Path("/dev/null"),
    ]
    return tuple(path for path in dict.fromkeys(path.resolve() for path in roots + own) if path.exists())


@cache
def _folders() -> tuple[Path, ...]:
    return tuple(place for place in readable_places() if place.is_dir())


@cache
def _files() -> tuple[Path, ...]:
    return tuple(place for place in readable_places() if not place.is_dir())


def rehearse() -> None:
    """Go through what a child does around itself, entering nothing: it then finds loaded what that needs."""
    ready = _prepared()
    if ready.rules is not None:
        _open_up(ready.rules, Room(Path(os.devnull), Path("/"), 0, 0, 0))
    _address_space()


def _limit_files(rules: landlock.Ruleset, room: Room) -> None:
    _open_up(rules, room)
    ctypes.set_errno(0)
    rules.apply()


def _ruleset() -> landlock.Ruleset:
    access = landlock.FSAccess
    ctypes.set_errno(0)  # the package reads errno even after success
    rules = landlock.Ruleset()
    for place in _folders():
        _allow(rules, place, access.READ_FILE | access.READ_DIR)
    for place in _files():
        _allow(rules, place, access.READ_FILE)
    return rules


def _open_up(rules: landlock.Ruleset, room: Room) -> None:
    access = landlock.FSAccess
    _allow(rules, room.upload, access.READ_FILE)
    writing = access.READ_FILE | access.READ_DIR | access.WRITE_FILE | access.MAKE_REG
    if _landlock_version() >= 3:
        writing |= access.TRUNCATE
    _allow(rules, room.out, writing)


def _allow(rules: landlock.Ruleset, place: Path, access: landlock.FSAccess) -> None:
    ctypes.set_errno(0)
    rules.allow(str(place), rules=access)


def _drop_capabilities(machine: syscalls.Machine) -> None:
    header = struct.pack("Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    _call(_LIBC.syscall(machine.capset, header, bytes(24)))


def _seccomp_known() -> bool:
    return "\nSeccomp:" in Path("/proc/self/status").read_text(encoding="ascii", errors="replace")


def _filter_calls(lines: bytes) -> None:
    program = ctypes.create_string_buffer(lines)
    header = struct.pack("HxxxxxxP", (len(program) - 1) // 8, ctypes.addressof(program))
    _call(_LIBC.prctl(_PR_SET_SECCOMP, 2, ctypes.c_char_p(header), 0, 0))
