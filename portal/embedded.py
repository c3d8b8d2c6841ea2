"""The embedded instance: keys, database, and web and scorer as two child processes under one Ctrl-C.

The web process gets the public key that seals; the private key that opens goes to the scorer alone.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from datasets.errors import MotherlodeError
from datasets.sealing import generate_keys
from portal.settings import Settings

STOP_SECONDS = 25.0
FIRST_PAUSE, LONGEST_PAUSE, CALM_SECONDS = 1.0, 30.0, 60.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Keys:
    """The public recipient, and where the private key lies (mode 0600)."""

    recipient: str
    identity_file: Path


def ensure_keys(data: Path) -> Keys:
    """The instance's truth keys, made at the first call.

    Raises:
        MotherlodeError: one half of the pair is missing; making a new pair would lose every sealed truth.
    """
    folder = data / "keys"
    identity, recipient = folder / "engine.key", folder / "recipient.txt"
    if identity.is_file() != recipient.is_file():
        raise MotherlodeError(f"{folder} holds only half of the key pair; restore the other half from a backup")
    if not identity.is_file():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        private, public = generate_keys()
        with os.fdopen(os.open(identity, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(private + "\n")
        recipient.write_text(public + "\n", encoding="ascii")
    return Keys(recipient.read_text(encoding="ascii").strip(), identity)


def with_keys(settings: Settings) -> tuple[Settings, Keys | None]:
    """Settings that can seal. Keys are made here only when the settings name none."""
    if settings.truth_recipient:
        return settings, None
    keys = ensure_keys(settings.data)
    return settings.model_copy(update={"truth_recipient": keys.recipient}), keys


def engine_environment(settings: Settings, keys: Keys | None) -> dict[str, str]:
    """What the engine reads from its environment, besides what is set already."""
    made = {"MOTHERLODE_TRUTH_KEY": f"@{keys.identity_file.absolute()}"} if keys else {}
    return {
        "MOTHERLODE_DATA": str(settings.data.absolute()),
        "MOTHERLODE_STORE": str(settings.store_root.absolute()),
        "MOTHERLODE_SCRATCH": str(settings.scratch_root.absolute()),
        "MOTHERLODE_TRUTH_RECIPIENT": settings.truth_recipient,
        **made,
    }


def web_environment(settings: Settings, keys: Keys | None) -> dict[str, str]:
    """The engine's environment without the private key."""
    return {name: value for name, value in engine_environment(settings, keys).items() if name != "MOTHERLODE_TRUTH_KEY"}


def require_free(host: str, port: int) -> None:
    """Raises MotherlodeError when another program listens on the port already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise MotherlodeError(
                f"cannot listen on {host}:{port} ({error.strerror}); choose another with --port"
            ) from error


@dataclass
class Child:
    """One supervised process: started again, after growing pauses, when it dies unasked."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    pause: float = FIRST_PAUSE
    started: float = 0.0
    due: float = field(default=0.0)

    def start(self) -> None:
        self.started = time.monotonic()
        self.process = subprocess.Popen(self.command, env=dict(self.environment), start_new_session=True)

    def tend(self, say: Say) -> None:
        """Start the process when it should run and does not."""
        now = time.monotonic()
        if self.process is not None and self.process.poll() is None:
            return
        if self.process is not None:
            code, self.process = self.process.returncode, None
            self.pause = FIRST_PAUSE if now - self.started > CALM_SECONDS else min(self.pause * 2, LONGEST_PAUSE)
            self.due = now + self.pause
            say(f"{self.name} ended with code {code}; it starts again in {self.pause:.0f} s")
        if now >= self.due:
            self.start()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL to its whole group when it does not end in time."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def children(settings: Settings, keys: Keys | None, *, host: str, port: int, workers: int) -> list[Child]:
    """The two processes of the embedded instance."""
    inherited = {name: value for name, value in os.environ.items() if name != "MOTHERLODE_TRUTH_KEY"}
    motherlode = [sys.executable, "-m", "portal"]
    web = {**inherited, **web_environment(settings, keys)}
    scorer = {**os.environ, **engine_environment(settings, keys)}
    return [
        Child("web", [*motherlode, "web", "--host", host, "--port", str(port)], web),
        Child("scorer", [*motherlode, "scorer", "--workers", str(workers)], scorer),
    ]


def supervise(
    tended: list[Child], *, say: Say, stop: threading.Event, ready: Callable[[], None] = lambda: None
) -> None:
    """Keep every child running until ``stop`` is set; then end them all."""
    try:
        with _signals(stop):
            for child in tended:
                child.start()
            ready()
            while not stop.wait(0.3):
                for child in tended:
                    child.tend(say)
    finally:
        for child in reversed(tended):
            child.stop()


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
