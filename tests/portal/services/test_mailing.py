"""Mail leaves once, is tried again when the server fails, and is forgotten when it has left."""

import socket
from dataclasses import replace

import pytest
from aiosmtpd.controller import Controller

from portal.adapters.mail import SmtpMailer
from portal.services import accounts, mailing
from portal.store.tables import Mail
from tests.portal.services.test_submitting import at_once
from tests.portal.town import PASSWORD, Town


class Box:
    """A server that keeps what it is sent, after refusing the first ``refusals``."""

    def __init__(self, refusals: int = 0) -> None:
        self.messages: list[bytes] = []
        self.refusals = refusals

    async def handle_DATA(self, _server: object, _session: object, envelope: object) -> str:  # noqa: N802  its name there
        if self.refusals:
            self.refusals -= 1
            return "451 try again later"
        self.messages.append(envelope.content)  # type: ignore[attr-defined]
        return "250 OK"


def mails(town: Town) -> list[Mail]:
    with town.ctx.reading() as session:
        return session.query(Mail).all()


def with_smtp(town: Town, box: Box) -> tuple[Town, Controller]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    town.ctx = replace(town.ctx, mailer=SmtpMailer(f"smtp://127.0.0.1:{port}", "motherlode@example.org"))
    return town, controller


def test_each_message_leaves_once_though_two_processes_send(both: Town) -> None:
    box = Box()
    town, controller = with_smtp(both, box)
    try:
        for number in range(6):
            accounts.register(town.ctx, name=f"N {number}", email=f"n{number}@example.org", password=PASSWORD)
        counts = at_once(3, lambda _: mailing.deliver(town.ctx))
        assert sum(counts) == 6  # type: ignore[arg-type]
        assert len(box.messages) == 6
        assert all(mail.sent_at and "http" not in mail.body for mail in mails(town))
    finally:
        controller.stop()


def test_a_refused_message_is_tried_again(lite: Town) -> None:
    box = Box(refusals=2)
    town, controller = with_smtp(lite, box)
    try:
        accounts.register(town.ctx, name="N", email="n@example.org", password=PASSWORD)
        for _ in range(3):
            mailing.deliver(town.ctx)
            town.clock.advance(minutes=5)
        (mail,) = mails(town)
        assert (mail.attempts, len(box.messages)) == (3, 1)
    finally:
        controller.stop()


@pytest.mark.parametrize("url", ["http://x", "smtp://", "mail.example.org"])
def test_what_is_no_mail_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="MOTHERLODE_SMTP_URL"):
        SmtpMailer(url, "a@b")
