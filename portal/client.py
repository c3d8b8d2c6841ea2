"""The expert's and sponsor's side of the JSON API: what the ``motherlode`` command calls.

Transfers survive a cut line: an upload is retried under the same idempotency key, a download goes on where it
stopped (Range) and counts only when its sha256 is the published one.
"""

import hashlib
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx2
import platformdirs

from datasets.errors import MotherlodeError

CHUNK = 1 << 20
TRIES = 4
Progress = Callable[[int, int], None]


class ApiError(MotherlodeError):
    """The server said no; ``status`` is the HTTP status, ``detail`` its sentence."""

    def __init__(self, status: int, detail: str) -> None:
        self.status, self.detail = status, detail
        super().__init__(detail)


class Unreachable(MotherlodeError):
    """No answer from the server after several tries."""


class NoToken(MotherlodeError):
    """No API token was given or kept."""


def _silent(done: int, total: int) -> None:
    """Show no progress."""


def token_file() -> Path:
    """Where ``motherlode login`` keeps the token: a file only its owner may read."""
    return Path(platformdirs.user_config_dir("motherlode")) / "token"


def keep_token(token: str) -> Path:
    """Write the token with mode 0600 in a folder with mode 0700."""
    path = token_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(token + "\n")
    path.chmod(0o600)
    return path


def find_token(given: str | None) -> str:
    """The token of the option, of MOTHERLODE_TOKEN or of the kept file, in this order.

    Raises:
        NoToken: there is none.
    """
    token = given or os.environ.get("MOTHERLODE_TOKEN")
    if not token and token_file().is_file():
        token = token_file().read_text(encoding="utf-8").strip()
    if not token:
        raise NoToken(
            "no API token; make one on your account page, then run `motherlode login` or set MOTHERLODE_TOKEN"
        )
    return token


@dataclass(frozen=True)
class Client:
    """Calls of the API under ``url``. Use as a context manager."""

    http: httpx2.Client

    @classmethod
    def connect(cls, url: str, token: str, *, transport: Any = None) -> Self:
        headers = {"Authorization": f"Bearer {token}", "User-Agent": "motherlode"}
        timeout = httpx2.Timeout(30.0, read=90.0)
        return cls(
            httpx2.Client(base_url=url.rstrip("/") + "/api/v1", headers=headers, timeout=timeout, transport=transport)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def get(self, path: str, **params: Any) -> Any:
        """JSON of a GET. Raises ApiError or Unreachable."""
        return self._answer(lambda: self.http.get(path, params=params))

    def submit(self, slug: str, file: Path, *, note: str = "", wait: float = 0.0) -> dict[str, Any]:
        """Upload an entry and, with ``wait`` seconds, follow it to its final state."""
        headers = {"X-Filename": quote(file.name), "X-Note": quote(note), "Idempotency-Key": uuid.uuid4().hex}
        entry = self._upload(f"/challenges/{slug}/entries", file, headers)
        deadline = time.monotonic() + wait
        while entry["state"] in {"queued", "scoring"} and (left := deadline - time.monotonic()) > 0:
            entry = self.get(f"/entries/{entry['id']}", wait=min(25, round(left, 1)))
        return entry

    def upload_challenge(self, archive: Path) -> dict[str, Any]:
        """Upload a zipped challenge directory as a sponsor's draft."""
        headers = {"X-Filename": quote(archive.name), "Idempotency-Key": uuid.uuid4().hex}
        return self._upload("/sponsor/drafts", archive, headers)

    def publish(self, draft: str) -> dict[str, Any]:
        """Publish a draft that has no faults."""
        return dict(self._answer(lambda: self.http.post(f"/sponsor/drafts/{draft}/publish")))

    def sign(self, slug: str, digest: str) -> Any:
        """Sign the agreement whose digest was read and accepted."""
        return self._answer(lambda: self.http.post(f"/challenges/{slug}/agreement", json={"digest": digest}))

    def download(self, slug: str, into: Path, *, progress: Progress = _silent) -> list[Path]:
        """Fetch every file of the release into ``into``; files already there and whole are kept."""
        files = self.get(f"/challenges/{slug}/files")["files"]
        total, done, saved = sum(item["bytes"] for item in files), 0, []
        for item in files:
            target = _place(into, item["path"])
            if not (target.is_file() and _sha256(target) == item["sha256"]):
                self._fetch(f"/challenges/{slug}/files/{quote(item['path'])}", target, item)
            done += item["bytes"]
            progress(done, total)
            saved.append(target)
        return saved

    def _fetch(self, path: str, target: Path, item: Mapping[str, Any]) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")

        def attempt() -> httpx2.Response:
            start = part.stat().st_size if part.is_file() else 0
            headers = {"Range": f"bytes={start}-", "If-Range": f'"{item["sha256"]}"'} if start else {}
            with self.http.stream("GET", path, headers=headers) as response:
                if response.status_code in {200, 206}:
                    with part.open("ab" if response.status_code == 206 else "wb") as file:
                        for block in response.iter_bytes(CHUNK):
                            file.write(block)
                elif response.status_code != 416:
                    response.read()
                return response

        response = self._retried(attempt)
        if response.status_code not in {200, 206, 416}:
            raise _error(response)
        if _sha256(part) != item["sha256"]:
            part.unlink()
            raise MotherlodeError(
                f"{item['path']} arrived damaged (its sha256 differs); nothing was kept, download it again"
            )
        part.replace(target)

    def _upload(self, path: str, file: Path, headers: Mapping[str, str]) -> dict[str, Any]:
        size = {"Content-Length": str(file.stat().st_size), "Content-Type": "application/octet-stream"}
        answer = self._answer(lambda: self.http.post(path, content=_blocks(file), headers={**headers, **size}))
        return dict(answer)

    def _answer(self, call: Callable[[], httpx2.Response]) -> Any:
        response = self._retried(call)
        if response.is_error:
            raise _error(response)
        return response.json() if response.content else None

    def _retried(self, call: Callable[[], httpx2.Response]) -> httpx2.Response:
        """Call again after a broken line or a 502/503/504, with growing pauses."""
        trouble = ""
        for attempt in range(TRIES):
            if attempt:
                time.sleep(0.5 * 2**attempt)
            try:
                response = call()
            except httpx2.TransportError as error:
                trouble = str(error) or type(error).__name__
                continue
            if response.status_code not in {502, 503, 504}:
                return response
            trouble = f"the server answered {response.status_code}"
        raise Unreachable(f"{self.http.base_url} could not be reached ({trouble}); try again later, nothing is lost")


def _place(into: Path, name: str) -> Path:
    target = (into / name).resolve()
    if not target.is_relative_to(into.resolve()):
        raise MotherlodeError(
            f"the server named the file {name!r}, which would lie outside {into}; nothing was written"
        )
    return target


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as source:
        while block := source.read(CHUNK):
            yield block


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _error(response: httpx2.Response) -> ApiError:
    try:
        problem = response.json()
        detail = problem.get("detail") or problem.get("title") or response.reason_phrase
    except ValueError:
        detail = response.reason_phrase
    return ApiError(response.status_code, str(detail))
