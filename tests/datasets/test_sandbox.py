"""The walls hold against code inside a child, and a child's end is always a finding or a fault, never an outage."""

import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from datasets import sandbox as sandboxes
from datasets.errors import EngineFault, Rejected
from datasets.expect import Expectation
from datasets.intake import Limits, intake
from datasets.sandbox import SKIPPED_DRIVERS, Sandbox, clean_environment
from datasets.scratch import OURS
from tests.datasets import controls

ROOT = Path(__file__).resolve().parents[2]
EXPECT = Expectation.loose(controls.TABLE)
SHORT = Limits(cpu=1, wall=2)


@pytest.fixture(scope="module")
def rogue() -> Iterator[Sandbox]:
    sandbox = Sandbox("tests.datasets.rogue")
    os.environ["ROGUE_SECRET"] = "canary"
    yield sandbox
    del os.environ["ROGUE_SECRET"]
    sandbox.close()


def tell(sandbox: Sandbox, folder: Path, deed: str, limits: Limits = SHORT) -> tuple[str, str]:
    """Code and message of what intake makes of a deed."""
    upload = folder / "upload"
    upload.write_text(deed, encoding="utf-8")
    with pytest.raises(Rejected) as caught:
        intake(upload, format="csv", expect=EXPECT, out=folder / "out", limits=limits, sandbox=sandbox)
    return caught.value.findings[0].code, caught.value.findings[0].message


@pytest.fixture
def walls(rogue: Sandbox) -> dict[str, bool]:
    return rogue.walls()


def need(walls: dict[str, bool], *names: str) -> None:
    if not any(walls[name] for name in names):
        pytest.skip(f"this kernel offers none of {names}")


def test_child_reads_its_upload_only(rogue: Sandbox, walls: dict[str, bool], tmp_path: Path) -> None:
    need(walls, "landlock")
    canary = tmp_path / "truth.csv"
    canary.write_text("secret", encoding="utf-8")
    (tmp_path / "elsewhere").mkdir()
    assert tell(rogue, tmp_path, f"open {canary}")[1] == "denied 13"
    assert tell(rogue, tmp_path, "open /etc/passwd")[1] == "denied 13"
    assert tell(rogue, tmp_path, f"list {tmp_path}")[1] == "denied 13"
    assert tell(rogue, tmp_path, f"open {tmp_path / 'upload'}")[1] == "done"
    assert tell(rogue, tmp_path, f"environment {os.getpid()}")[1] == "denied 13"


def test_child_writes_its_folder_only(rogue: Sandbox, walls: dict[str, bool], tmp_path: Path) -> None:
    need(walls, "landlock")
    assert tell(rogue, tmp_path, f"create {tmp_path / 'elsewhere'}")[1] == "denied 13"
    assert tell(rogue, tmp_path, f"create {tmp_path / 'upload'}")[1] == "denied 13"
    assert not (tmp_path / "elsewhere").exists()
    assert tell(rogue, tmp_path, f"symlink {tmp_path / 'out' / 'link'}")[1] in {"denied 1", "denied 13"}


def test_child_reaches_no_listener(rogue: Sandbox, walls: dict[str, bool], tmp_path: Path) -> None:
    need(walls, "network", "seccomp")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert tell(rogue, tmp_path, f"connect {listener.getsockname()[1]}")[1].startswith("denied")
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("deed", ["fork", "exec", "kill"])
def test_child_starts_and_ends_no_process(rogue: Sandbox, walls: dict[str, bool], tmp_path: Path, deed: str) -> None:
    need(walls, "seccomp")
    assert tell(rogue, tmp_path, deed)[1] in {"denied 1", "denied 13"}


def test_child_inherits_nothing(rogue: Sandbox, tmp_path: Path) -> None:
    assert "ROGUE_SECRET" not in tell(rogue, tmp_path, "environ")[1]
    assert tell(rogue, tmp_path, "descriptors")[1].split().count("pipe") == 1
    assert "socket" not in tell(rogue, tmp_path, "descriptors")[1]
    assert tell(rogue, tmp_path, "many-files")[1] == "denied 24"
    assert not {name for name in clean_environment() if name.startswith("MOTHERLODE") or "SECRET" in name}


@pytest.mark.parametrize(
    ("deed", "code"),
    [
        ("segfault", "crashed"),
        ("abort", "crashed"),
        ("exit", "crashed"),
        ("spin", "too-slow"),
        ("sleep", "too-slow"),
        ("memory", "too-much-memory"),
        ("fill", "too-large"),
        ("surprise", "unreadable"),
        (f"errno {errno.EFBIG}", "too-large"),
        (f"errno {errno.EINVAL}", "unreadable"),
        (f"damaged {errno.EINVAL}", "unreadable"),
    ],
)
def test_every_end_is_a_finding(rogue: Sandbox, tmp_path: Path, deed: str, code: str) -> None:
    assert tell(rogue, tmp_path, deed, Limits(memory=200 << 20, cpu=2, wall=3))[0] == code


def test_a_kill_from_outside_is_our_fault(rogue: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "upload").write_text("killed", encoding="utf-8")
    with pytest.raises(EngineFault, match="killed from outside"):
        intake(tmp_path / "upload", format="csv", expect=EXPECT, out=tmp_path / "out", sandbox=rogue)


@pytest.mark.parametrize(
    "deed", ["bus", *(f"{how} {number}" for how in ("errno", "damaged") for number in sorted(OURS))]
)
def test_a_machine_that_fails_is_our_fault(rogue: Sandbox, tmp_path: Path, deed: str) -> None:
    (tmp_path / "upload").write_text(deed, encoding="utf-8")
    with pytest.raises(EngineFault, match="SIGBUS" if deed == "bus" else "disk or files failed"):
        intake(tmp_path / "upload", format="csv", expect=EXPECT, out=tmp_path / "out", sandbox=rogue)


@pytest.mark.parametrize("deed", ["smuggle raster", "smuggle table", "nothing"])
def test_a_form_that_was_not_asked_for_is_not_believed(rogue: Sandbox, tmp_path: Path, deed: str) -> None:
    (tmp_path / "upload").write_text(deed, encoding="utf-8")
    with pytest.raises(EngineFault, match="canonical form"):
        intake(tmp_path / "upload", format="csv", expect=EXPECT, out=tmp_path / "out", sandbox=rogue)


def test_a_crash_leaves_the_others_alone(rogue: Sandbox, tmp_path: Path) -> None:
    def one(i: int) -> str:
        folder = tmp_path / str(i)
        folder.mkdir()
        return tell(rogue, folder, "segfault" if i % 2 else f"open {folder / 'upload'}")[0]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(one, range(8))) == ["unreadable", "crashed"] * 4


def test_a_dead_server_is_started_again(tmp_path: Path) -> None:
    sandbox = Sandbox()
    try:
        first = tmp_path / "first"
        intake(controls.csv(tmp_path), format="csv", expect=EXPECT, out=first, sandbox=sandbox)
        pid = sandbox.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        again = intake(tmp_path / "good.csv", format="csv", expect=EXPECT, out=tmp_path / "second", sandbox=sandbox)
        assert again.attrs["rows"] == controls.N
        assert sandbox.pid() not in {None, pid}
    finally:
        sandbox.close()
    assert sandbox.pid() is None


def spare_of(sandbox: Sandbox) -> psutil.Process:
    """The child that waits for a request."""
    sandbox.walls()  # starts the server
    server, end = psutil.Process(sandbox.pid()), time.monotonic() + 60
    while not (children := server.children()):
        assert time.monotonic() < end, "no child is kept ready"
        time.sleep(0.005)
    assert len(children) == 1
    return children[0]


def gone(process: psutil.Process) -> bool:
    try:
        process.wait(10)
    except psutil.NoSuchProcess:
        return True
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_the_child_kept_ready_sees_one_request_and_the_next_another(rogue: Sandbox, tmp_path: Path) -> None:
    rogue.walls()
    seen = []
    for number in range(4):
        ready, folder = spare_of(rogue), tmp_path / str(number)
        folder.mkdir()
        said = tell(rogue, folder, "who")[1].split()
        assert int(said[0]) == ready.pid, "the one that was ready is asked"
        assert said[1] == "0", "nobody has asked it before"
        assert gone(ready)
        seen.append(ready.pid)
    assert len(set(seen)) == len(seen)


def test_the_child_kept_ready_is_given_its_own_walls(rogue: Sandbox, walls: dict[str, bool], tmp_path: Path) -> None:
    need(walls, "landlock")
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, other in ((first, second), (second, first)):
        folder.mkdir(exist_ok=True)
        other.mkdir(exist_ok=True)
        (other / "upload").write_text("theirs", encoding="utf-8")
        spare_of(rogue)
        assert tell(rogue, folder, f"open {other / 'upload'}")[1] == "denied 13"
        shutil.rmtree(folder / "out")
    assert tell(rogue, first, f"open {first / 'upload'}")[1] == "done"


def test_a_request_larger_than_a_pipe_reaches_the_child(rogue: Sandbox, tmp_path: Path) -> None:
    spare_of(rogue)
    (tmp_path / "upload").write_text("open /etc/passwd", encoding="utf-8")
    expect = replace(EXPECT, classes=tuple(f"class {number}" for number in range(30_000)))
    with pytest.raises(Rejected) as caught:
        intake(tmp_path / "upload", format="csv", expect=expect, out=tmp_path / "out", sandbox=rogue)
    assert caught.value.findings[0].message.startswith(("denied", "done"))


@pytest.mark.parametrize("stopped", [False, True])
def test_a_child_that_died_while_it_waited_is_not_missed(rogue: Sandbox, tmp_path: Path, stopped: bool) -> None:
    rogue.walls()
    ready = spare_of(rogue)
    server = psutil.Process(rogue.pid())
    if stopped:  # the server learns of the end only when it hands the request over
        server.suspend()
    ready.kill()
    with suppress(psutil.NoSuchProcess):
        while ready.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.005)
    server.resume()
    assert tell(rogue, tmp_path, "who")[1].split()[1] == "0"


@pytest.mark.parametrize("end", ["close", "kill"])
def test_the_child_kept_ready_ends_with_its_server(end: str) -> None:
    sandbox = Sandbox()
    sandbox.walls()
    ready, pid = spare_of(sandbox), sandbox.pid()
    assert pid is not None
    if end == "kill":
        os.kill(pid, signal.SIGKILL)
        assert gone(ready)
    sandbox.close()
    assert gone(ready)


def test_the_child_kept_ready_ends_with_whoever_started_the_server(tmp_path: Path) -> None:
    program = "from datasets.sandbox import shared; import time; shared().walls(); print(shared().pid(), flush=True)"
    command = [sys.executable, "-c", f"{program}; time.sleep(600)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as owner:
        assert owner.stdout is not None
        server = psutil.Process(int(owner.stdout.readline()))
        end = time.monotonic() + 60
        while not (ready := server.children()):
            assert time.monotonic() < end
            time.sleep(0.005)
        owner.kill()
    assert gone(ready[0])
    assert gone(server)


class Unwanted(Exception):
    """What whoever waits raises when nobody wants the answer any more."""


def test_a_child_nobody_waits_for_is_ended_at_once(rogue: Sandbox, tmp_path: Path) -> None:
    upload, seen = tmp_path / "upload", []
    upload.write_text("sleep", encoding="utf-8")
    rogue.walls()
    server = psutil.Process(rogue.pid())

    def attend() -> None:
        seen.extend(server.children())
        raise Unwanted

    with pytest.raises(Unwanted):
        intake(upload, format="csv", expect=EXPECT, out=tmp_path / "out", attend=attend, sandbox=rogue)
    assert len(seen) == 1
    seen[0].wait(10)  # it would sleep for ten minutes
    assert tell(rogue, tmp_path / "out", "list /etc")[1] == "denied 13", "the server lives"


def test_a_server_that_cannot_start_is_our_fault(tmp_path: Path) -> None:
    sandbox = Sandbox("tests.datasets.no_such_server")
    with pytest.raises(EngineFault, match="could not be started"):
        intake(controls.csv(tmp_path), format="csv", expect=EXPECT, out=tmp_path / "out", sandbox=sandbox)


def test_a_folder_with_content_is_our_fault(tmp_path: Path) -> None:
    with pytest.raises(EngineFault, match="not empty"):
        intake(controls.csv(tmp_path), format="csv", expect=EXPECT, out=tmp_path)


def test_shared_is_one_a_process() -> None:
    found: list[Sandbox] = []
    threads = [threading.Thread(target=lambda: found.append(sandboxes.shared())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(item) for item in found}) == 1


def test_probe_names_every_wall() -> None:
    assert set(sandboxes.probe()) == {"rlimits", "landlock", "seccomp", "capabilities", "network"}


def test_only_geotiff_and_memory_drivers_remain() -> None:
    from rasterio.env import Env

    with Env() as env:
        known = set(env.drivers())
    assert known - set(SKIPPED_DRIVERS.split(",")) <= {"GTiff", "MEM"}


def test_upload_larger_than_allowed_is_never_opened(tmp_path: Path) -> None:
    expect, path = replace(EXPECT, max_bytes=10), controls.csv(tmp_path)
    with pytest.raises(Rejected) as caught:
        intake(path, format="csv", expect=expect, out=tmp_path / "out")
    assert [finding.code for finding in caught.value.findings] == ["too-large"]
