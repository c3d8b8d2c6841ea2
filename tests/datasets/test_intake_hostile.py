"""Every hostile file is refused with a finding, within 1 GiB, and reaches neither the canary nor the network."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasets.canonical import Canonical
from datasets.errors import Rejected
from datasets.expect import Expectation
from datasets.findings import CODES
from datasets.intake import intake
from datasets.sandbox import Sandbox, Task
from tests.datasets import controls, hostile
from tests.datasets.controls import CONTROLS

GIB = 1 << 30
CANARY = b"CANARY-7f3a"


class Recording(Sandbox):
    """Keeps the answers, for what they say about memory."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[dict[str, Any]] = []

    def run(self, task: Task, **more: Any) -> dict[str, Any]:
        self.answers.append(super().run(task, **more))
        return self.answers[-1]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Recording]:
    recording = Recording()
    yield recording
    recording.close()


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Canonical]:
    folder = tmp_path_factory.mktemp("templates")
    return {
        control.name: intake(
            control.make(folder), format=control.format, expect=control.expectation(), out=folder / control.name
        )
        for control in CONTROLS
    }


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def lay(folder: Path, listener: socket.socket) -> hostile.Bait:
    """A canary that would be a perfect entry: whoever read it would be accepted."""
    folder.mkdir()
    canary = controls.tif(folder / "truth", np.full(controls.SHAPE, 42, np.float32))
    canary.write_bytes(canary.read_bytes() + CANARY)
    return hostile.Bait(canary, f"http://127.0.0.1:{listener.getsockname()[1]}")


@pytest.mark.parametrize("case", hostile.CASES, ids=lambda case: case.name)
def test_hostile_files_are_refused(
    case: hostile.Case, sandbox: Recording, templates: dict[str, Canonical], listener: socket.socket, tmp_path: Path
) -> None:
    control = next(control for control in CONTROLS if control.name == case.control)
    path = case.make(tmp_path, lay(tmp_path / "secret", listener))
    expect = Expectation.tight(control.spec, templates[control.name])
    with pytest.raises(Rejected) as caught:
        intake(path, format=control.format, expect=expect, out=tmp_path / "out", sandbox=sandbox)
    assert caught.value.findings
    for finding in caught.value.findings:
        assert finding.code in CODES
        assert CANARY.decode() not in str(finding)
        assert "Traceback" not in str(finding)
    answer = sandbox.answers[-1]
    assert answer["peak_rss"] < GIB
    assert answer["seconds"] < 30
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_names_are_unique() -> None:
    assert len({case.name for case in hostile.CASES}) == len(hostile.CASES) >= 90
