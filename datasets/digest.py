"""sha256 of streams, files and JSON documents, always as 64 lower-case hex digits."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

CHUNK = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Readable(Protocol):
    """Anything that hands out bytes: an open file, an upload, a pipe."""

    def read(self, size: int = -1, /) -> bytes: ...


def is_digest(text: str) -> bool:
    """Whether ``text`` has the form of a sha256 in lower-case hex."""
    return _DIGEST.fullmatch(text) is not None


def chunks(stream: Readable, size: int = CHUNK) -> Iterator[bytes]:
    """The bytes of ``stream`` from its current position, at most ``size`` at a time."""
    while block := stream.read(size):
        yield block


def digest_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def digest_stream(stream: Readable) -> str:
    """sha256 of what is left in ``stream``; memory stays at one chunk."""
    running = hashlib.sha256()
    for block in chunks(stream):
        running.update(block)
    return running.hexdigest()


def digest_file(path: Path) -> str:
    with path.open("rb") as stream:
        return digest_stream(stream)


def canonical_json(document: Any) -> bytes:
    """The one encoding of a JSON document that is hashed: sorted keys, no blanks, UTF-8, no NaN, final newline."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"
