"""Receipts: signed statements of what was received and when, verifiable with the instance's secret key."""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

PURPOSE = b"motherlode receipt v1"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an expert can prove afterwards. ``received_at`` is aware UTC, by the database's clock."""

    id: str
    challenge: str
    team: str
    sha256: str
    bytes: int
    received_at: datetime


def sign(receipt: Receipt, secret: str) -> str:
    """The receipt as one line of text: base64url JSON, a dot, and its HMAC-SHA256 in hex."""
    facts = {**asdict(receipt), "received_at": receipt.received_at.astimezone(UTC).isoformat()}
    body = base64.urlsafe_b64encode(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode()).decode().rstrip("=")
    return f"{body}.{_mac(body, secret)}"


def verify(text: str, secret: str) -> Receipt | None:
    """The receipt if ``text`` was signed with ``secret``, else None."""
    body, _, mac = text.strip().rpartition(".")
    if not hmac.compare_digest(mac.encode(), _mac(body, secret).encode()):
        return None
    try:
        facts = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return Receipt(**{**facts, "received_at": datetime.fromisoformat(facts["received_at"])})
    except (binascii.Error, ValueError, KeyError, TypeError):
        return None


def _mac(body: str, secret: str) -> str:
    key = hmac.digest(secret.encode(), PURPOSE, hashlib.sha256)
    return hmac.new(key, body.encode(), hashlib.sha256).hexdigest()
