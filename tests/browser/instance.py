"""A real embedded instance in a process tree of its own: web, scorer, SQLite and a local Dask cluster."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from portal.embedded import with_keys
from portal.services.context import Context, open_context
from portal.settings import Settings

START_S, STOP_S, LOOK_S = 120.0, 40.0, 0.1
CHEAP: Mapping[str, str] = {
    "MOTHERLODE_ARGON2_MEMORY_KIB": "64",
    "MOTHERLODE_ARGON2_TIME": "1",
    "MOTHERLODE_ARGON2_LANES": "1",
}


@dataclass(frozen=True)
class Instance:
    """Where the running site answers, and the data folder behind it."""

    url: str
    data: Path

    def context(self) -> Context:
        """The services beside the running web process, on the same database and blobs."""
        secret = SecretStr((self.data / "secret_key").read_text(encoding="ascii").strip())
        known = Settings(data=self.data, base_url=self.url, secret_key=secret, argon2_memory_kib=64, argon2_time=1)
        return open_context(with_keys(known)[0])


@contextmanager
def running(data: Path) -> Iterator[Instance]:
    """``motherlode serve`` on a free port, healthy from the first moment on, ended with its children afterwards.

    Raises RuntimeError with the log's end when it does not come up.
    """
    data.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MOTHERLODE_")}
    environment = {**kept, **CHEAP, "MOTHERLODE_DATA": str(data), "MOTHERLODE_BASE_URL": url}
    command = [sys.executable, "-m", "portal", "serve", "--port", str(port), "--workers", "1"]
    log = data.parent / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
        try:
            _await_health(url, process, log)
            yield Instance(url, data)
        finally:
            _stop(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_health(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:
                if json.load(answer)["ok"]:
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(LOOK_S)
    raise RuntimeError(f"the instance did not come up; its log ends:\n{log.read_text(errors='replace')[-4000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
