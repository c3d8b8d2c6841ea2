"""The manifest of a release: every file with its size and sha256, in one canonical JSON document.

Its digest names the release. Paths are relative, with ``/``, sorted by code point.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from datasets.digest import canonical_json, digest_bytes, digest_file, is_digest
from datasets.errors import IntegrityError

FORMAT = "motherlode release v1"


@dataclass(frozen=True, order=True)
class FileEntry:
    """One file of a release; ``bytes`` is its size."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The files of a release, sorted by path."""

    slug: str
    files: tuple[FileEntry, ...]

    @classmethod
    def of(cls, slug: str, files: Iterable[FileEntry]) -> "Manifest":
        """Sort the files. Raises ValueError when a path is there twice or leads out of the release."""
        ordered = tuple(sorted(files))
        for entry in ordered:
            if not (is_release_path(entry.path) and is_digest(entry.sha256) and entry.bytes >= 0):
                raise ValueError(f"{entry.path!r} is no path inside a release, or its size or digest is malformed")
        if len({entry.path for entry in ordered}) != len(ordered):
            raise ValueError("a release holds each path once")
        return cls(slug, ordered)

    @classmethod
    def from_json(cls, data: bytes) -> "Manifest":
        """Read what ``to_json`` wrote. Raises IntegrityError when it is anything else."""
        try:
            document = json.loads(data)
            entries = ((item["path"], item["bytes"], item["sha256"]) for item in document["files"])
            manifest = cls.of(str(document["slug"]), [FileEntry(str(p), int(n), str(d)) for p, n, d in entries])
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(f"this is no release manifest: {error}") from error
        if manifest.to_json() != data:
            raise IntegrityError("this is no release manifest: it is not in the canonical encoding")
        return manifest

    def to_json(self) -> bytes:
        """The canonical encoding: what ``digest`` is taken of."""
        return canonical_json({"format": FORMAT, "slug": self.slug, "files": [asdict(entry) for entry in self.files]})

    @cached_property
    def digest(self) -> str:
        return digest_bytes(self.to_json())

    @property
    def total_bytes(self) -> int:
        return sum(entry.bytes for entry in self.files)

    def find(self, path: str) -> FileEntry | None:
        return next((entry for entry in self.files if entry.path == path), None)

    def differences(self, folder: Path) -> list[str]:
        """One sentence for each file of the release that is missing or changed in ``folder``."""
        found = []
        for entry in self.files:
            path = folder / entry.path
            if not path.is_file():
                found.append(f"{entry.path} is missing")
            elif path.stat().st_size != entry.bytes or digest_file(path) != entry.sha256:
                found.append(f"{entry.path} differs from the release")
        return found


def is_release_path(path: str) -> bool:
    """Whether ``path`` may name a file of a release: relative, plain, printable, at most 240 characters."""
    parts = PurePosixPath(path).parts
    plain = path.isprintable() and "\\" not in path and 0 < len(path) <= 240
    return plain and path == "/".join(parts) and not path.startswith("/") and not {".", ".."} & set(path.split("/"))
