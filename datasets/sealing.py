"""Sealing: anybody may lock bytes for the engine, only the engine can open them.

The format is age (https://age-encryption.org/v1) with X25519 keys. A recipient (``age1…``) is public and all that a
web process has; the identity (``AGE-SECRET-KEY-1…``) lives in the engine's environment. Opening is in datasets.truth.
"""

from typing import BinaryIO

import pyrage

from datasets.digest import Readable
from datasets.errors import VaultError


def generate_keys() -> tuple[str, str]:
    """A fresh pair (identity, recipient) as text; the identity is the secret one."""
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def recipient_of(identity: str) -> str:
    """The public half of an identity. Raises VaultError when the text is no identity (and does not repeat it)."""
    try:
        return str(pyrage.x25519.Identity.from_str(identity.strip()).to_public())
    except pyrage.IdentityError:
        raise VaultError("the truth key is no age identity; it starts with AGE-SECRET-KEY-1") from None


def seal(source: Readable, target: BinaryIO, recipient: str) -> None:
    """Encrypt what is left in ``source`` into ``target``, in chunks of 64 KiB.

    Raises:
        VaultError: ``recipient`` is no age recipient.
        Whatever ``source`` raises while it is read.
    """
    try:
        key = pyrage.x25519.Recipient.from_str(recipient.strip())
    except pyrage.RecipientError:
        raise VaultError(f"{recipient[:80]!r} is no age recipient; it starts with age1") from None
    watched = _Watched(source)
    try:
        pyrage.encrypt_io(watched, target, [key])
    except pyrage.EncryptError:
        raise watched.trouble or VaultError("the bytes could not be sealed") from None


class _Watched:
    """A stream that remembers what it raised, because the cipher replaces every error by one of its own."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.trouble: Exception | None = None

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._stream.read(size)
        except Exception as error:
            self.trouble = error
            raise
