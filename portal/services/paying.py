"""The bounty's ledger: funded at publication, paid out by rulings, never changed.

One posting is one transfer between two accounts of one challenge and currency, so every posting balances. Prizes go
down the final standing as ``domain.prizes`` says.
"""

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from portal.domain import prizes
from portal.domain.errors import Conflict
from portal.domain.permissions import Actor
from portal.domain.prizes import Award, Placed
from portal.domain.views import LedgerView, PostingView
from portal.services import gates, recording
from portal.services.context import Context
from portal.store import challenges, database
from portal.store import ledger as books
from portal.store.tables import Challenge, Posting, Ruling


def ledger(ctx: Context, *, actor: Actor | None, slug: str) -> LedgerView:
    """Everything that was posted for a challenge, oldest first. Public: the money is part of the promise.

    Raises:
        NotFound: there is no such challenge.
    """
    with ctx.reading() as session:
        challenge = gates.enter(ctx, session, actor, slug).challenge
        rows = books.postings(session, challenge.id)
        promised = sum(challenges.prizes(session, challenge.id).values())
    paid = sum(row.amount_minor for row, _, _ in rows if row.kind == "prize")
    views = tuple(
        PostingView(
            row.at,
            row.kind,
            row.amount_minor,
            row.memo,
            debit,
            credit,
            str(row.submission_id) if row.submission_id else None,
        )
        for row, debit, credit in rows
    )
    return LedgerView(challenge.currency, challenge.pool_minor, paid, max(0, promised - paid), views)


def check(ctx: Context) -> list[str]:
    """Every violated invariant of the ledger, in words; empty when the books are right."""
    with ctx.reading() as session:
        every = {challenge.id: challenge for challenge in challenges.everything(session)}
        accounts, postings = books.accounts(session), books.every_posting(session)
        prizes_of = {key: challenges.prizes(session, key) for key in every}
    balances: dict[uuid.UUID, int] = defaultdict(int)
    for row in postings:
        balances[row.debit_id] += row.amount_minor
        balances[row.credit_id] -= row.amount_minor
    kinds = {account.id: account for account in accounts}
    found = [f"the sum of all balances is {sum(balances.values())}, not 0"] if sum(balances.values()) else []
    found += [
        f"{kinds[key].name} is overdrawn by {-value}"
        for key, value in balances.items()
        if value < 0 and kinds[key].kind != "sponsor"
    ]
    found += [f"posting {row.id} moves {row.amount_minor}" for row in postings if row.amount_minor <= 0]
    for key, challenge in every.items():
        own = [row for row in postings if row.challenge_id == key]
        found += _challenge_faults(challenge, own, prizes_of[key])
    return found


def fund(session: Session, challenge: Challenge, now: datetime) -> None:
    """Post the pool from the sponsor into the challenge's bounty account, at publication."""
    if challenge.pool_minor:
        database.lock(session, "ledger", challenge.id)
        sponsor = books.account(session, challenge, "sponsor", name=f"sponsor:{challenge.slug}")
        pool = books.account(session, challenge, "pool", name=f"pool:{challenge.slug}")
        row = Posting(key=f"funding:{challenge.id}", kind="funding", debit_id=pool.id, credit_id=sponsor.id, at=now)
        row.amount_minor, row.memo = challenge.pool_minor, "Bounty pool funded at publication"
        _post(session, challenge, row)


def award(session: Session, challenge: Challenge, rows: Sequence[Placed], ruling: Ruling, now: datetime) -> list[Award]:
    """Post every prize that is due and not yet posted, in the ruling's own transaction. What was posted now.

    Raises:
        Conflict: what was paid before is not what would be due now: the ruling would take back a prize, or a
            rejection by which others moved up and were paid.
    """
    database.lock(session, "ledger", challenge.id)
    amounts = challenges.prizes(session, challenge.id)
    paid = books.paid_places(session, challenge.id)
    line = _as_paid(rows, {str(posting.submission_id) for posting in paid.values()})
    due = prizes.awards(line, amounts)
    _require_same(paid, due)
    posted = []
    for item in due:
        if item.place not in paid:
            _post_prize(session, challenge, item, ruling, now)
            posted.append(item)
    if prizes.settled(line, amounts) and challenge.settled_at is None:
        challenge.settled_at = now
        recording.event(session, now, actor=None, kind="challenge.settled", subject=challenge.slug)
    return posted


def _as_paid(rows: Sequence[Placed], paid: set[str]) -> list[Placed]:
    """What was paid stays in line, whatever its team declares afterwards."""
    return [replace(row, affiliated=False) if row.entry in paid else row for row in rows]


def _require_same(paid: Mapping[int, Posting], due: Sequence[Award]) -> None:
    now_due = {item.place: item for item in due}
    for place, posting in paid.items():
        item = now_due.get(place)
        if item is None or item.entry != str(posting.submission_id) or item.amount_minor != posting.amount_minor:
            raise Conflict(f"The prize of place {place} is paid already; a ruling cannot take it back.")


def _post_prize(session: Session, challenge: Challenge, item: Award, ruling: Ruling, now: datetime) -> None:
    team = uuid.UUID(item.team)
    pool = books.account(session, challenge, "pool", name=f"pool:{challenge.slug}")
    payee = books.account(session, challenge, "prize", team_id=team, name=f"prize:{challenge.slug}:{team}")
    if books.balance(session, pool.id) < item.amount_minor:
        raise Conflict("The bounty pool does not hold this prize; nothing was posted.")
    row = Posting(key=f"prize:{challenge.id}:{item.place}", kind="prize", debit_id=payee.id, credit_id=pool.id, at=now)
    row.amount_minor, row.memo, row.place = item.amount_minor, f"Prize of place {item.place}", item.place
    row.submission_id, row.ruling_id = uuid.UUID(item.entry), ruling.id
    _post(session, challenge, row)
    recording.event(
        session,
        now,
        actor=None,
        kind="prize.posted",
        subject=challenge.slug,
        place=item.place,
        amount_minor=row.amount_minor,
    )


def _post(session: Session, challenge: Challenge, row: Posting) -> None:
    row.challenge_id, row.currency = challenge.id, challenge.currency
    session.add(row)
    session.flush()


def _challenge_faults(challenge: Challenge, own: Sequence[Posting], amounts: Mapping[int, int]) -> list[str]:
    funded = sum(row.amount_minor for row in own if row.kind == "funding")
    paid = sum(row.amount_minor for row in own if row.kind == "prize")
    found = []
    if funded != challenge.pool_minor:
        found.append(f"{challenge.slug}: funded {funded}, promised a pool of {challenge.pool_minor}")
    if paid > min(funded, sum(amounts.values())):
        found.append(f"{challenge.slug}: paid {paid} of {funded} funded and {sum(amounts.values())} promised")
    return found
