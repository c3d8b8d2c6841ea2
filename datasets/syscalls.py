"""Which system calls a reader may not make, as a classic BPF program for seccomp; numbers from the kernel's tables."""

import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass

ALLOW, KILL, ERROR = 0x7FFF0000, 0x80000000, 0x00050000
EPERM, ENOSYS = 1, 38
CLONE3, CLONE_THREAD = 435, 0x00010000
_X32 = 0x40000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ARCH_AT, _NUMBER_AT, _FIRST_ARGUMENT_AT = 4, 0, 16


@dataclass(frozen=True, slots=True)
class Machine:
    """Numbers of one architecture. ``own``: calls that name a process first, allowed on oneself only."""

    arch: int
    capset: int
    clone: int
    prlimit: int
    denied: tuple[int, ...]
    own: tuple[int, ...]


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split())


MACHINES = {
    "x86_64": Machine(
        arch=0xC000003E,
        capset=126,
        clone=56,
        prlimit=302,
        # socket connect bind listen accept accept4 fork vfork execve execveat ptrace process_vm_* pivot_root chroot
        # mount umount2 unshare setns bpf perf_event_open add_key request_key keyctl io_uring_setup userfaultfd
        # name_to_handle_at open_by_handle_at pidfd_open pidfd_send_signal symlink symlinkat link linkat
        denied=_numbers(
            "41 42 49 50 43 288 57 58 59 322 101 310 311 155 161 165 166 272 308 321 298 248 249 250 425 323 "
            "303 304 434 424 88 266 86 265"
        ),
        own=_numbers("62 200 234 129 297"),  # kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo
    ),
    "aarch64": Machine(
        arch=0xC00000B7,
        capset=91,
        clone=220,
        prlimit=261,
        denied=_numbers(
            "198 203 200 201 202 242 221 281 117 270 271 41 51 40 39 97 268 280 241 217 218 219 425 282 264 265 "
            "434 424 36 37"
        ),
        own=_numbers("129 130 131 138 240"),
    ),
}


def machine() -> Machine | None:
    """The architecture this runs on, when its numbers are known."""
    return MACHINES.get(platform.machine())


def program(numbers: Machine, pid: int) -> bytes:
    """The filter for the process ``pid``: refuses network, new processes, tracing, mounting, links."""
    return b"".join(_lines(numbers, pid))


def _line(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)


def _lines(numbers: Machine, pid: int) -> Iterator[bytes]:
    refuse, allow, first = _line(_RETURN, ERROR | EPERM), _line(_RETURN, ALLOW), _line(_LOAD, _FIRST_ARGUMENT_AT)
    yield _line(_LOAD, _ARCH_AT)
    yield _line(_EQUAL, numbers.arch, yes=1)
    yield _line(_RETURN, KILL)
    yield _line(_LOAD, _NUMBER_AT)
    yield _line(_AT_LEAST, _X32, no=1)
    yield _line(_RETURN, KILL)
    yield _line(_EQUAL, CLONE3, no=1)  # its flags cannot be read here; the C library falls back to clone
    yield _line(_RETURN, ERROR | ENOSYS)
    for number in numbers.denied:
        yield _line(_EQUAL, number, no=1)
        yield refuse
    yield from (_line(_EQUAL, numbers.clone, no=4), first, _line(_ANY_BIT, CLONE_THREAD, yes=1), refuse, allow)
    yield from (_line(_EQUAL, numbers.prlimit, no=5), first, _line(_EQUAL, pid, yes=2))
    yield from (_line(_EQUAL, 0, yes=1), refuse, allow)
    for number in numbers.own:
        yield from (_line(_EQUAL, number, no=4), first, _line(_EQUAL, pid, yes=1), refuse, allow)
    yield allow
