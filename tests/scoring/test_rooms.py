"""Rooms of tasks: one each, and those of killed workers do not stay."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scoring import rooms
from scoring.rooms import room_of
from scoring.settings import EngineSettings

DYING = """
import os, signal, sys
from pathlib import Path
from scoring.rooms import room_of
from scoring.settings import EngineSettings
with room_of(EngineSettings(Path(), Path(sys.argv[1]))) as room:
    (room / "entry").write_bytes(bytes(1000))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def settings(tmp_path: Path) -> EngineSettings:
    return EngineSettings(tmp_path / "blobs", tmp_path)


def die_in(scratch: Path) -> None:
    subprocess.run([sys.executable, "-c", DYING, str(scratch)], check=False)


def test_the_room_of_a_killed_task_goes_with_the_next_process(settings: EngineSettings, tmp_path: Path) -> None:
    die_in(tmp_path)
    assert len(list(tmp_path.glob("task-*"))) == 1
    with room_of(settings) as room:
        assert list(tmp_path.glob("task-*")) == [room]
    assert list(tmp_path.iterdir()) == []


def test_a_process_looks_again_now_and_then(
    settings: EngineSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with room_of(settings) as first:
        die_in(tmp_path)
        with room_of(settings):
            assert len(list(tmp_path.glob("task-*"))) == 3
        monkeypatch.setattr(rooms, "SWEEP_S", 0.0)
        with room_of(settings) as second:
            assert set(tmp_path.glob("task-*")) == {first, second}


def test_a_room_is_removed_with_whatever_is_in_it(settings: EngineSettings, tmp_path: Path) -> None:
    with room_of(settings) as room:
        (room / "draft").mkdir(mode=0o500)
        (room / "file").touch(mode=0o400)
        os.mkfifo(room / "pipe")
    assert list(tmp_path.iterdir()) == []
