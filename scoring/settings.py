"""Where the engine finds things; read from the environment of the process that scores."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pyrage

from datasets.errors import EngineFault

CACHE_BYTES = 20 << 30


@dataclass(frozen=True)
class EngineSettings:
    """Where the engine finds things. ``truth_key``: age identity; ``recipient``: the key new truths are sealed for."""

    store: Path
    scratch: Path
    truth_key: str = field(default="", repr=False)
    recipient: str = ""
    cache_bytes: int = CACHE_BYTES

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read MOTHERLODE_STORE, _SCRATCH, _TRUTH_KEY (text, or @file), _TRUTH_RECIPIENT and _TRUTH_CACHE_BYTES.

        Store and scratch default to ``blobs`` and ``scratch`` in MOTHERLODE_DATA (./var).

        Raises:
            EngineFault: the file of the truth key cannot be read.
        """
        given = os.environ if environ is None else environ
        data = Path(given.get("MOTHERLODE_DATA") or "var")
        key = given.get("MOTHERLODE_TRUTH_KEY", "").strip()
        if key.startswith("@"):
            try:
                key = Path(key[1:]).read_text(encoding="ascii").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise EngineFault("the file named by MOTHERLODE_TRUTH_KEY cannot be read") from error
        return cls(
            store=Path(given.get("MOTHERLODE_STORE") or data / "blobs").absolute(),
            scratch=Path(given.get("MOTHERLODE_SCRATCH") or data / "scratch").absolute(),
            truth_key=key,
            recipient=given.get("MOTHERLODE_TRUTH_RECIPIENT", "").strip() or _public_half(key),
            cache_bytes=int(given.get("MOTHERLODE_TRUTH_CACHE_BYTES") or CACHE_BYTES),
        )

    @property
    def truths(self) -> Path:
        """Opened truths, one folder each with the indexes made of it, shared by the workers of a machine."""
        return self.scratch / "truth"


def _public_half(identity: str) -> str:
    try:
        return str(pyrage.x25519.Identity.from_str(identity).to_public()) if identity else ""
    except pyrage.IdentityError:
        return ""
