"""Queries about the ledger; the only statements that write to it."""

import uuid
from collections.abc import Sequence

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session, aliased

from portal.store.tables import Account, Challenge, Posting, Team


def account(
    session: Session, challenge: Challenge, kind: str, *, team_id: uuid.UUID | None = None, name: str
) -> Account:
    """The account of that name, opened when there is none; hold the challenge's ledger lock."""
    found = session.scalars(select(Account).where(Account.name == name)).one_or_none()
    if found is None:
        found = Account(
            id=uuid.uuid4(),
            challenge_id=challenge.id,
            kind=kind,
            team_id=team_id,
            name=name,
            currency=challenge.currency,
        )
        session.add(found)
        session.flush()
    return found


def by_key(session: Session, key: str) -> Posting | None:
    return session.scalars(select(Posting).where(Posting.key == key)).one_or_none()


def paid_places(session: Session, challenge_id: uuid.UUID) -> dict[int, Posting]:
    """Prize postings by place."""
    rows = session.scalars(select(Posting).where(Posting.challenge_id == challenge_id, Posting.place.is_not(None)))
    return {row.place: row for row in rows if row.place is not None}


def postings(session: Session, challenge_id: uuid.UUID) -> Sequence[tuple[Posting, str, str]]:
    """Postings in order, with who holds the debited and the credited account: a team's name, else its kind."""
    debit, credit, payee, payer = aliased(Account), aliased(Account), aliased(Team), aliased(Team)
    query = (
        select(Posting, func.coalesce(payee.name, debit.kind), func.coalesce(payer.name, credit.kind))
        .join(debit, debit.id == Posting.debit_id)
        .join(credit, credit.id == Posting.credit_id)
        .outerjoin(payee, payee.id == debit.team_id)
        .outerjoin(payer, payer.id == credit.team_id)
    )
    return [
        (row[0], row[1], row[2])
        for row in session.execute(query.where(Posting.challenge_id == challenge_id).order_by(Posting.id))
    ]


def balance(session: Session, account_id: uuid.UUID) -> int:
    """Debits less credits of an account, in minor units."""
    moved = case((Posting.debit_id == account_id, Posting.amount_minor), else_=-Posting.amount_minor)
    query = select(func.coalesce(func.sum(moved), 0)).where(
        or_(Posting.debit_id == account_id, Posting.credit_id == account_id)
    )
    return int(session.scalar(query) or 0)


def accounts(session: Session) -> Sequence[Account]:
    return session.scalars(select(Account).order_by(Account.name)).all()


def every_posting(session: Session) -> Sequence[Posting]:
    return session.scalars(select(Posting).order_by(Posting.id)).all()
