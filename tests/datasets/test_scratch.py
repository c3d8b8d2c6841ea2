"""Scratch that is full, failing or left behind: never an entry's fault, and never in the way for long."""

import errno
import fcntl
import mmap
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasets import scratch
from datasets.canonical import Canonical, CanonicalWriter
from datasets.errors import EngineFault, Rejected
from datasets.intake import intake
from datasets.sandbox import Sandbox
from datasets.scratch import discard, own_folder, sweep
from tests.datasets.controls import CONTROLS, Control

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
PAGE = mmap.PAGESIZE

each_control = pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)


@pytest.fixture(scope="module")
def refusing() -> Iterator[Sandbox]:
    sandbox = Sandbox("tests.datasets.refusing")
    yield sandbox
    sandbox.close()


def read(control: Control, folder: Path, sandbox: Sandbox | None = None, out: Path | None = None) -> Canonical:
    folder.mkdir()
    return intake(
        control.make(folder),
        format=control.format,
        expect=control.expectation(),
        out=out or folder / "out",
        sandbox=sandbox,
    )


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


@each_control
def test_a_disk_that_is_full_at_any_byte_is_our_fault(control: Control, tmp_path: Path, refusing: Sandbox) -> None:
    whole = read(control, tmp_path / "whole")
    total = size(tmp_path / "whole" / "out")
    for number, left in (*((FULL[0], left) for left in (0, 200, total // 2, total - 1)), (FULL[1], 9), (FULL[2], 300)):
        with pytest.raises(EngineFault, match=errno.errorcode[number]):
            read(control, tmp_path / f"{number}-{left}", refusing)
    same = read(control, tmp_path / f"{errno.ENOSPC}-{1 << 30}", refusing)
    assert all(np.array_equal(same.arrays[name], array) for name, array in whole.arrays.items())


@each_control
def test_what_unpacks_to_more_than_it_may_stays_the_files_fault(
    control: Control, tmp_path: Path, refusing: Sandbox
) -> None:
    with pytest.raises(Rejected) as caught:
        read(control, tmp_path / f"{errno.EFBIG}-300", refusing)
    assert {finding.code for finding in caught.value.findings} <= {"too-large", "unreadable"}


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 pages."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={64 * PAGE}", "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("only an administrator can make a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@each_control
def test_a_real_disk_that_is_full_is_our_fault(control: Control, tmp_path: Path, full: Path) -> None:
    (full / "filler").write_bytes(bytes(64 * PAGE))
    for pages in (0, 1, 2):
        os.truncate(full / "filler", (64 - pages) * PAGE)
        with pytest.raises(EngineFault, match="ENOSPC"):
            read(control, tmp_path / f"room{pages}", out=full / f"out{pages}")
        discard(full / f"out{pages}")


def put_short_stretches(folder: Path) -> Any:
    writer, wanted = CanonicalWriter(folder, "grid"), np.arange(6000, dtype=np.float32).reshape(20, 300)
    with writer.placed("data", np.float32, wanted.shape) as target:
        for col in range(0, 300, 10):
            target.put_window((0, col), wanted[:, col : col + 10])
    writer.finish({})
    return Canonical.read(folder).arrays["data"], wanted


@pytest.mark.parametrize("number", [None, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM])
def test_a_file_system_that_keeps_no_room_is_written_bit_by_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None
) -> None:
    if number is not None:
        monkeypatch.setattr(os, "posix_fallocate", lambda *_: _raise(number))
    got, wanted = put_short_stretches(tmp_path)
    assert np.array_equal(got, wanted)


def test_no_map_is_written_that_the_disk_has_no_room_for(full: Path) -> None:
    (full / "filler").write_bytes(bytes(60 * PAGE))
    with pytest.raises(OSError, match="No space left"):
        put_short_stretches(full / "out")


def test_room_for_a_map_is_asked_for_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch.forget()
    monkeypatch.setattr(os, "posix_fallocate", lambda *_: _raise(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        put_short_stretches(tmp_path)
    assert scratch.refused().startswith("ENOSPC")
    scratch.forget()


def _raise(number: int) -> None:
    raise OSError(number, os.strerror(number))


# folders of living processes ---------------------------------------------------------------------------------------

KEEPER = """
import sys, time
from pathlib import Path
from datasets.scratch import own_folder
with own_folder(Path(sys.argv[1]), "task-") as folder:
    (folder / "entry").mkdir()
    (folder / "entry" / "0.npy").write_bytes(bytes(1000))
    print(folder.name, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process with a folder of its own in ``tmp_path``."""
    with subprocess.Popen([sys.executable, "-c", KEEPER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("task-")
        yield process
        process.kill()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_folder_lives_as_long_as_its_process(
    tmp_path: Path, keeper: subprocess.Popen[str], end: signal.Signals
) -> None:
    (tmp_path / "truth").mkdir()
    (tmp_path / "task-file").touch()
    sweep(tmp_path, "task-")
    folder = next(path for path in tmp_path.glob("task-*") if path.is_dir())
    assert (folder / "entry" / "0.npy").stat().st_size == 1000
    keeper.send_signal(end)
    keeper.wait(20)
    assert folder.exists()
    sweep(tmp_path, "other-")
    assert folder.exists()
    sweep(tmp_path, "task-")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["task-file", "truth"]


def test_a_folder_of_this_process_is_left_alone_and_goes_at_its_end(tmp_path: Path) -> None:
    with own_folder(tmp_path, "task-") as one, own_folder(tmp_path, "task-") as other:
        sweep(tmp_path, "task-")
        assert one.is_dir()
        assert other.is_dir()
        assert one.stat().st_mode & 0o777 == 0o700
        other.rename(tmp_path / "kept")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_one_that_is_swept_before_it_is_locked_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flock, swept = fcntl.flock, []

    def late(file: int, how: int) -> None:
        if not swept:
            swept.append(how)
            sweep(tmp_path, "task-")
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with own_folder(tmp_path, "task-") as folder:
        assert folder.is_dir()
        assert len(list(tmp_path.iterdir())) == 1
    assert swept
    assert list(tmp_path.iterdir()) == []


def test_what_is_discarded_is_gone_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "truth"
    Canonical("table", {"a": np.arange(1000)}).write(folder)
    seen: list[list[str]] = []
    monkeypatch.setattr(scratch.shutil, "rmtree", lambda path, **_: seen.append(os.listdir(path)))  # noqa: PTH208
    discard(folder)
    assert len(seen[0]) == 2
    assert not folder.exists()
    monkeypatch.undo()
    discard(folder)
    sweep(tmp_path, scratch.GONE)
    assert list(tmp_path.iterdir()) == []
