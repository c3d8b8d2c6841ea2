"""Mail: through SMTP, or nowhere, when the outbox on the operator's page is all there is."""

import smtplib
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Protocol
from urllib.parse import unquote, urlsplit

TIMEOUT_S = 20


class Mailer(Protocol):
    """Delivers one message or raises OSError (smtplib's errors are OSErrors)."""

    def send(self, *, to: str, subject: str, body: str) -> None: ...


class SmtpMailer:
    """Delivers through ``smtp://user:password@host:port`` (STARTTLS when offered) or ``smtps://``."""

    def __init__(self, url: str, sender: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
            raise ValueError("MOTHERLODE_SMTP_URL must read smtp://user:password@host:port or smtps://…")
        self._host, self._secure = parts.hostname, parts.scheme == "smtps"
        self._port = parts.port or (465 if self._secure else 587)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._sender = sender

    def send(self, *, to: str, subject: str, body: str) -> None:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._sender, to, subject
        message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=self._sender.rpartition("@")[2])
        message.set_content(body)
        kind = smtplib.SMTP_SSL if self._secure else smtplib.SMTP
        with kind(self._host, self._port, timeout=TIMEOUT_S) as server:
            if not self._secure and server.has_extn("starttls"):
                server.starttls()
            if self._user:
                server.login(self._user, self._password)
            server.send_message(message)
