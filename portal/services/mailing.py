"""The outbox: mail leaves in the order it was written, after the transaction that caused it.

A message is taken for two minutes, sent outside any transaction (a slow server holds nobody up), then marked. Only a
process that dies between sending and marking makes a message arrive twice.
"""

import uuid
from datetime import timedelta

import structlog

from portal.adapters.mail import Mailer
from portal.services.context import Context
from portal.store import people
from portal.store.tables import Mail

log = structlog.get_logger(__name__)
BATCH, GIVE_UP = 20, 8
TAKEN = timedelta(minutes=2)
SENT_BODY = "(sent)"


def deliver(ctx: Context) -> int:
    """Send what is due; how many messages left. Without a mailer everything stays in the outbox.

    The body is forgotten once it has left, since it may hold a link that signs somebody in.
    """
    if ctx.mailer is None:
        return 0
    sent = 0
    for message in _taken(ctx):
        error = _send(ctx.mailer, message)
        _mark(ctx, message.id, error)
        sent += error is None
    return sent


def _taken(ctx: Context) -> list[Mail]:
    with ctx.reading() as session:
        if not people.mail_due(session, ctx.now(session)):
            return []
    with ctx.writing() as session:
        now = ctx.now(session)
        due = list(people.unsent_mail(session, now, BATCH))
        for message in due:
            message.attempts += 1
            message.available_at = now + TAKEN
    return due


def _send(mailer: Mailer, message: Mail) -> str | None:
    try:
        mailer.send(to=message.to, subject=message.subject, body=message.body)
    except OSError as error:
        log.warning("mail not sent", mail=str(message.id), attempt=message.attempts, error=type(error).__name__)
        return type(error).__name__
    return None


def _mark(ctx: Context, message_id: uuid.UUID, error: str | None) -> None:
    with ctx.writing() as session:
        message, now = session.get_one(Mail, message_id), ctx.now(session)
        if error is None:
            message.sent_at, message.body, message.last_error = now, SENT_BODY, ""
            return
        message.last_error = error
        message.available_at = now + timedelta(seconds=min(3600, 15 * 2**message.attempts))
        if message.attempts >= GIVE_UP:
            message.sent_at, message.body = now, f"(given up: {error})"
