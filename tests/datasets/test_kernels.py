"""Compiled loops: processes that share a cache compile one after the other."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from datasets import kernels

LOOP = """
from datasets.kernels import compiled

print("begun", flush=True)


@compiled("int64(int64)")
def twice(number):
    return 2 * number


print(twice(21), flush=True)
"""


def test_a_loop_is_compiled_when_nobody_else_compiles(tmp_path: Path) -> None:
    (tmp_path / "loop.py").write_text(LOOP, encoding="utf-8")
    lock = os.open(kernels.__file__, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    command = [sys.executable, str(tmp_path / "loop.py")]
    environment = {**os.environ, "PYTHONPATH": str(Path(kernels.__file__).parents[1])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as other:
        assert other.stdout is not None
        try:
            assert other.stdout.readline() == "begun\n"
            with pytest.raises(subprocess.TimeoutExpired):
                other.wait(1)
        finally:
            os.close(lock)
        assert other.stdout.readline() == "42\n"
