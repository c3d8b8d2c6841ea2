"""What the end of a reading child means: its own answer, a finding about the file, or a fault of ours."""

import errno
import json
import os
import resource
import signal
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import scratch
from datasets.errors import Rejected
from datasets.findings import reject

Answer = dict[str, Any]
_AGAIN = "Write the file again with a current version of a common library."
_ORDINARY = "Write it with ordinary chunks and compression."


def of_end(said: bytes, wall: Mapping[str, Any], status: int, usage: resource.struct_rusage, *, late: bool) -> Answer:
    """The verdict on a child that has ended after it said something, within its ``wall`` or too ``late``."""
    killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if killed == 0 and os.WEXITSTATUS(status) == 0:
        try:
            answer = json.loads(said)
        except ValueError:
            answer = None
        if isinstance(answer, dict) and answer.get("status") in {"ok", "rejected", "fault"}:
            return answer
    if late or killed == signal.SIGXCPU or usage.ru_utime + usage.ru_stime >= wall["cpu"]:
        return rejected("too-slow", "Reading the file took too long and was stopped.", _ORDINARY)
    if killed == signal.SIGBUS:
        return fault("a mapped file could not be read or written (SIGBUS): the disk is full or failing")
    if killed == signal.SIGKILL and usage.ru_maxrss * 1024 < wall["memory"] // 2:
        return fault("the reader was killed from outside")
    if killed == signal.SIGKILL:
        return rejected("too-much-memory", "Reading the file needs too much memory.", _ORDINARY)
    return rejected("crashed", "The reader ended while reading the file.", _AGAIN)


def of_error(error: BaseException) -> Answer:
    """The verdict on a file whose reader raised an error."""
    if ours := scratch.refused() or scratch.fault_behind(error):
        return fault(f"the reader's disk or files failed: {ours}")
    if isinstance(error, Rejected):
        return {"status": "rejected", "findings": [finding.to_dict() for finding in error.findings]}
    if isinstance(error, OSError) and error.errno == errno.EFBIG:  # the canonical form outgrew the room
        message = "What the file unpacks to is larger than an entry may be."
        return rejected("too-large", message, "Send only what the challenge asks for.")
    if isinstance(error, MemoryError):
        return rejected("too-much-memory", "Reading the file needs too much memory.", _ORDINARY)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    note = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
    return {**rejected("unreadable", "The file cannot be read as what it claims to be.", _AGAIN), "note": note}


def rejected(code: str, message: str, hint: str) -> Answer:
    return {
        "status": "rejected",
        "findings": [finding.to_dict() for finding in reject(code, message, hint=hint).findings],
    }


def fault(note: str) -> Answer:
    return {"status": "fault", "note": note}
