"""The embedded instance: keys are made once, the web never gets the private one, dead children come back."""

import socket
import sys
import threading
from pathlib import Path

import pytest

from datasets.errors import MotherlodeError
from portal.embedded import Child, children, ensure_keys, require_free, supervise, with_keys
from portal.settings import Settings


def test_keys_are_made_once_and_kept_private(tmp_path: Path) -> None:
    first, second = ensure_keys(tmp_path), ensure_keys(tmp_path)
    assert first == second
    assert first.recipient.startswith("age1")
    assert first.identity_file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("lost", ["engine.key", "recipient.txt"])
def test_half_a_pair_is_never_replaced(tmp_path: Path, lost: str) -> None:
    ensure_keys(tmp_path)
    (tmp_path / "keys" / lost).unlink()
    with pytest.raises(MotherlodeError, match="backup"):
        ensure_keys(tmp_path)


def test_only_the_scorer_gets_the_private_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTHERLODE_TRUTH_KEY", "AGE-SECRET-KEY-OF-THE-SHELL")
    settings, keys = with_keys(Settings(data=tmp_path))
    web, scorer = children(settings, keys, host="127.0.0.1", port=1, workers=1)
    assert "MOTHERLODE_TRUTH_KEY" not in web.environment
    assert not [value for value in web.environment.values() if "engine.key" in value or "AGE-SECRET" in value]
    assert scorer.environment["MOTHERLODE_TRUTH_KEY"] == f"@{(tmp_path / 'keys' / 'engine.key').absolute()}"
    assert web.environment["MOTHERLODE_TRUTH_RECIPIENT"] == settings.truth_recipient


def test_keys_of_the_environment_are_left_alone(tmp_path: Path) -> None:
    settings, keys = with_keys(Settings(data=tmp_path, truth_recipient="age1given"))
    assert keys is None
    assert settings.truth_recipient == "age1given"
    assert not (tmp_path / "keys").exists()


def test_a_child_that_dies_is_started_again(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    script = f"open({str(marks)!r}, 'a').write('x')"
    child = Child("short", [sys.executable, "-c", script], {}, pause=0.0)
    stop, said = threading.Event(), []

    def say(line: str) -> None:
        said.append(line)
        child.pause = child.due = 0.0
        if len(said) == 3:
            stop.set()

    supervise([child], say=say, stop=stop)
    assert marks.read_text() == "xxx"
    assert "starts again" in said[0]


def test_stopping_ends_a_child_that_would_run_for_ever(tmp_path: Path) -> None:
    child = Child("long", [sys.executable, "-c", "import time; time.sleep(600)"], {})
    stop = threading.Event()
    supervise([child], say=lambda line: None, stop=stop, ready=stop.set)
    assert child.process is not None
    assert child.process.returncode is not None


def test_a_port_in_use_is_told_at_once() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(MotherlodeError, match="--port"):
            require_free("127.0.0.1", other.getsockname()[1])
