"""The real instance as processes of its own, to be killed: web, scorer, and on demand a Dask cluster over TLS.

Nobody sleeps here to let something happen: every wait asks for a state and has a deadline. A scoring task is held in
the middle by stopping (SIGSTOP) the intake servers it reads through, which needs no hook in the product.
"""

import hashlib
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import psutil

from portal.domain.permissions import Actor
from portal.embedded import ensure_keys
from portal.services import accounts, agreements, publishing, submitting, tokens
from portal.services.context import Context, open_context
from portal.settings import Settings
from portal.store import queue
from scoring.jobs import Inline
from scoring.worker import EngineSettings
from tests.portal.town import PASSWORD

Found = TypeVar("Found")
SECRET = "s" * 40
PATIENCE_S, LOOK_S = 90.0, 0.05
LEASE_S, HEARTBEAT_S = 3, 1.0
READER = "datasets.formats"


def until(ask: Callable[[], Found | None], what: str, patience: float = PATIENCE_S) -> Found:
    """The first answer that is neither None nor False. Raises AssertionError at the deadline."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = ask()
        if found is not None and found is not False:
            return found
        time.sleep(LOOK_S)
    raise AssertionError(f"still waiting after {patience:.0f} s for: {what}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Receipt:
    """What somebody was told about an upload: an acknowledged entry."""

    id: str
    slug: str
    name: str
    content: bytes


@dataclass
class Stack:
    """The instance in ``folder`` on the database ``url``; ``attempts`` at scoring before an entry fails for good."""

    folder: Path
    url: str
    attempts: int = 5
    journal: list[Receipt] = field(default_factory=list)
    port: int = field(default_factory=free_port)
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    _tokens: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.data = self.folder / "instance"
        self.keys = ensure_keys(self.data)
        self.variables: Mapping[str, str] = {
            "MOTHERLODE_DATA": str(self.data),
            "MOTHERLODE_DATABASE_URL": self.url,
            "MOTHERLODE_SECRET_KEY": SECRET,
            "MOTHERLODE_BASE_URL": f"http://127.0.0.1:{self.port}",
            "MOTHERLODE_TRUTH_RECIPIENT": self.keys.recipient,
            "MOTHERLODE_LEASE_SECONDS": str(LEASE_S),
            "MOTHERLODE_HEARTBEAT_SECONDS": str(HEARTBEAT_S),
            "MOTHERLODE_SCORE_ATTEMPTS": str(self.attempts),
            "MOTHERLODE_ARGON2_MEMORY_KIB": "64",
            "MOTHERLODE_ARGON2_TIME": "1",
        }
        known = {name.removeprefix("MOTHERLODE_").lower(): value for name, value in self.variables.items()}
        self.ctx: Context = open_context(Settings(**known))  # type: ignore[arg-type]
        identity = self.keys.identity_file.read_text(encoding="ascii").strip()
        settings = self.ctx.settings
        self.engine = EngineSettings(settings.store_root, settings.scratch_root, identity, self.keys.recipient)

    # processes ------------------------------------------------------------------------------------------------------

    def start(
        self, name: str, command: Sequence[str], *, key: bool, more: Mapping[str, str] = MappingProxyType({})
    ) -> "subprocess.Popen[bytes]":
        """Run ``python -m <command>`` as the process called ``name``; the private key is given only with ``key``."""
        kept = {known: value for known, value in os.environ.items() if not known.startswith("MOTHERLODE_")}
        own = {"MOTHERLODE_TRUTH_KEY": f"@{self.keys.identity_file}"} if key else {}
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", *command],
                env={**kept, **self.variables, **own, **more},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.running[name]

    def start_web(self) -> None:
        self.start("web", ["portal", "web", "--port", str(self.port), "--workers", "1", "--threads", "4"], key=False)
        until(self._answers, "the web process answers")

    def start_scorer(self, *options: str, more: Mapping[str, str] = MappingProxyType({})) -> None:
        """Start the scoring loop and wait until it is heard of."""
        process = self.start("scorer", ["portal", "scorer", *(options or ("--workers", "1"))], key=True, more=more)
        until(lambda: self.heard_of(process.pid), "the scorer's first heartbeat")

    def kill(self, name: str) -> None:
        """``kill -9`` of one process alone: its children are left to notice."""
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def kill_group(self, name: str) -> None:
        """``kill -9`` of a process and all its children at once."""
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop_all(self) -> None:
        """End everything, also what a killed process left behind."""
        for process in self.running.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.running.clear()
        for left in self.leftovers():
            with suppress(psutil.NoSuchProcess):
                left.kill()
        self.ctx.close()

    def leftovers(self) -> list[psutil.Process]:
        """Processes of this instance that nobody here started directly and that still live."""
        mine = {process.pid for process in self.running.values()}
        for pid in tuple(mine):
            with suppress(psutil.NoSuchProcess):
                mine |= {child.pid for child in psutil.Process(pid).children(recursive=True)}
        return [process for process in psutil.process_iter() if process.pid not in mine and self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get("MOTHERLODE_DATA") == str(self.data)
        except psutil.Error:
            return False

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def children(self, name: str, *marks: str) -> list[psutil.Process]:
        """Descendants of a running process whose command line holds one of ``marks``."""
        found = []
        for process in psutil.Process(self.running[name].pid).children(recursive=True):
            with suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and any(m in " ".join(process.cmdline()) for m in marks):
                    found.append(process)
        return found

    def readers(self, name: str = "scorer") -> list[psutil.Process]:
        """Intake servers under a process."""
        return [p for p in self.children(name, READER) if READER not in _line(p.parent())]

    @contextmanager
    def held(self, name: str = "scorer") -> Iterator[list[psutil.Process]]:
        """While inside, no upload can be read by the workers that ``name`` has now. Ends those readers afterwards."""
        readers = until(lambda: self.readers(name) or None, "an intake server")
        for reader in readers:
            reader.suspend()
        try:
            yield readers
        finally:
            for reader in readers:
                with suppress(psutil.NoSuchProcess):
                    reader.kill()

    def await_reading(self) -> Path:
        """Wait until a worker has taken an entry up and waits for its reader: the middle of a scoring task."""
        return until(
            lambda: next(iter(self.engine.scratch.glob("task-*/entry")), None), "a task in the middle of reading"
        )

    def heard_of(self, pid: int) -> bool:
        """Whether a dispatcher with this process id has written its heartbeat."""
        with self.ctx.reading() as session:
            known = queue.workers(session, self.ctx.now(session) - timedelta(days=1))
        return any(f":{pid}:" in worker.name for worker in known)

    # people ---------------------------------------------------------------------------------------------------------

    def publish(self, folder: Path) -> str:
        inline = Inline(self.engine)
        sponsor = self.person("Sponsor")
        return publishing.publish_directory(
            self.ctx, actor=sponsor, folder=folder, run=lambda task, payload: inline.submit(task, payload).result()
        )

    def person(self, name: str) -> Actor:
        email = f"{name.lower().replace(' ', '-')}@example.org"
        return accounts.create_verified(self.ctx, name=name, email=email, password=PASSWORD)

    def expert(self, name: str, slug: str) -> Actor:
        expert = self.person(name)
        digest = agreements.page(self.ctx, actor=expert, slug=slug).digest
        agreements.sign(self.ctx, actor=expert, slug=slug, digest=digest)
        return expert

    def send(self, name: str, slug: str, content: bytes) -> Receipt:
        """An entry through the services, without the web."""
        view = submitting.submit(
            self.ctx, actor=self.expert(name, slug), slug=slug, stream=io.BytesIO(content), filename="e.csv", note=""
        )
        return self.told(Receipt(view.id, slug, name, content))

    def told(self, receipt: Receipt) -> Receipt:
        """Keep in the journal what was acknowledged."""
        if receipt not in self.journal:
            self.journal.append(receipt)
        return receipt

    # the web from outside -------------------------------------------------------------------------------------------

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/api/v1/challenges")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def begin_upload(self, name: str, slug: str, content: bytes, *, key: str) -> http.client.HTTPConnection:
        """The head of an upload: everything but its body has been sent."""
        if name not in self._tokens:
            actor = self.expert(name, slug)
            _, self._tokens[name] = tokens.issue(self.ctx, actor=actor, name="kills", scopes=("read", "submit"), days=1)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        connection.putrequest("POST", f"/api/v1/challenges/{slug}/entries")
        for header, value in {
            "Authorization": f"Bearer {self._tokens[name]}",
            "Content-Length": str(len(content)),
            "Content-Type": "application/octet-stream",
            "X-Filename": "e.csv",
            "Idempotency-Key": key,
        }.items():
            connection.putheader(header, value)
        connection.endheaders()
        return connection

    def upload(self, name: str, slug: str, content: bytes, *, key: str) -> Receipt:
        """An upload whose receipt arrived."""
        connection = self.begin_upload(name, slug, content, key=key)
        connection.send(content)
        answer = connection.getresponse()
        body: dict[str, Any] = json.loads(answer.read())
        connection.close()
        assert answer.status == 201, body
        assert body["file_sha256"] == hashlib.sha256(content).hexdigest()
        return self.told(Receipt(body["id"], slug, name, content))

    def arriving(self) -> list[Path]:
        """Uploads whose bytes are being written down now."""
        return list((self.ctx.settings.store_root / "incoming").iterdir())


def _line(process: psutil.Process | None) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline()) if process else ""
    return ""


@contextmanager
def stack(folder: Path, url: str, *, attempts: int = 5) -> Iterator[Stack]:
    """An instance without any process yet; whatever was started is ended afterwards."""
    made = Stack(folder, url, attempts)
    try:
        yield made
    finally:
        made.stop_all()
