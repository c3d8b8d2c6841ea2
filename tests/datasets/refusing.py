"""A fork server on whose disk there is room for so many bytes: ``python -m tests.datasets.refusing``.

The folder of an upload is named ``ERRNO-BYTES``: what the disk says, and after how many bytes.
"""

import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import walls
from datasets.expect import Expectation


@dataclass
class Disk:
    """What is left of a disk, and what it says when nothing is."""

    number: int
    left: int

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise OSError(self.number, os.strerror(self.number))


class File(io.FileIO):
    """A file on that disk."""

    disk: Disk

    def write(self, data: Any) -> int:
        self.disk.take(len(data))
        return super().write(data)


def mount(disk: Disk) -> None:
    """Let everything this process writes from now on go to that disk."""
    File.disk, pwrite, reserve, path_open = disk, os.pwrite, os.posix_fallocate, Path.open

    def write_at(file: int, data: Any, offset: int) -> int:
        disk.take(len(data))
        return pwrite(file, data, offset)

    def reserved(file: int, offset: int, count: int) -> None:
        disk.take(count)
        reserve(file, offset, count)

    def opened(path: Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
        if mode == "w":
            return io.TextIOWrapper(io.BufferedWriter(File(path, "w")), encoding="utf-8")
        return io.BufferedRandom(File(path, "w+")) if mode == "w+b" else path_open(path, mode, *rest, **options)

    os.pwrite = write_at
    os.posix_fallocate = reserved
    Path.open = opened  # type: ignore[method-assign]


def reader(path: Path, form: str, expect: Expectation, out: Path) -> None:
    number, _, left = path.parent.name.partition("-")
    mount(Disk(int(number), int(left)))
    reading.read(path, form, expect, out)


if __name__ == "__main__":
    network = walls.enter_empty_network()
    from datasets.formats import reading, server

    server.main(int(sys.argv[1]), network=network, reader=reader)
