"""What the databases themselves refuse: changed facts, two sides in one challenge, overdrawn accounts, naive times."""

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from portal.domain.states import Role
from portal.services import downloading, verifying
from portal.store import challenges, ledger, people
from portal.store.database import now
from portal.store.tables import INSIDE, OUTSIDE, Event, Posting, RoleGrant, Side
from tests.portal.town import START, Town

FACTS = (
    "posting",
    "ledger_account",
    "download_line",
    "score",
    "private_score",
    "ruling",
    "conflict_note",
    "signature",
    "event",
    "prize",
    "release",
    "release_file",
    "truth_version",
    "agreement",
)


@pytest.fixture
def lived(both: Town) -> Town:
    """A town in which every kind of fact has happened."""
    both.publish()
    judge, expert = both.judge(), both.expert("Expert A")
    verifying.declare_conflict(both.ctx, actor=judge, slug="grades", conflicted=False, statement="none")
    downloading.fetch(both.ctx, actor=expert, slug="grades", path=None)
    entry = both.send(expert)
    both.score_all()
    both.close()
    verifying.rule(both.ctx, actor=judge, entry_id=entry.id, verdict="verified", reason="It holds.")
    return both


def test_facts_are_neither_changed_nor_deleted(lived: Town) -> None:
    for table in FACTS:
        with lived.ctx.reading() as session:
            column = session.execute(text(f"SELECT * FROM {table} LIMIT 1")).mappings().one().keys()
        first = next(iter(column))
        for statement in (f"UPDATE {table} SET {first} = {first}", f"DELETE FROM {table}"):
            with pytest.raises(DBAPIError, match="never change"), lived.ctx.writing() as session:
                session.execute(text(statement))


@pytest.mark.postgres
def test_facts_are_not_truncated(lived: Town) -> None:
    if lived.ctx.settings.url.startswith("sqlite"):
        pytest.skip("SQLite has no TRUNCATE")
    for table in FACTS:
        with pytest.raises(DBAPIError, match="never change"), lived.ctx.writing() as session:
            session.execute(text(f"TRUNCATE {table} CASCADE"))


def test_nobody_stands_on_both_sides(both: Town) -> None:
    both.publish()
    expert = uuid.UUID(both.expert("Expert A").id)
    with both.ctx.reading() as session:
        challenge = challenges.by_slug(session, "grades")
    assert challenge is not None
    grant = {"challenge_id": challenge.id, "user_id": expert, "granted_by": expert, "granted_at": START}
    for wrong in (RoleGrant(role=Role.JUDGE, side=INSIDE, **grant), RoleGrant(role=Role.JUDGE, side=OUTSIDE, **grant)):
        with pytest.raises(IntegrityError), both.ctx.writing() as session:
            session.add(wrong)
    with pytest.raises(IntegrityError), both.ctx.writing() as session:
        session.add(Side(challenge_id=challenge.id, user_id=expert, side=INSIDE))


def test_no_account_but_the_sponsors_is_overdrawn(both: Town) -> None:
    both.publish()
    with both.ctx.reading() as session:
        challenge = challenges.by_slug(session, "grades")
        assert challenge is not None
        accounts = {account.kind: account for account in ledger.accounts(session)}
    assert set(accounts) == {"sponsor", "pool"}
    back = Posting(key="k", challenge_id=challenge.id, kind="funding", currency="USD", memo="back", at=START)
    back.debit_id, back.credit_id, back.amount_minor = accounts["sponsor"].id, accounts["pool"].id, 100_001
    with pytest.raises(DBAPIError, match="does not hold"), both.ctx.writing() as session:
        session.add(back)


@pytest.mark.parametrize(
    ("field", "value"), [("amount_minor", 0), ("amount_minor", -5), ("currency", "EUR"), ("kind", "gift")]
)
def test_a_posting_that_does_not_balance_cannot_be_written(lite: Town, field: str, value: object) -> None:
    lite.publish()
    with lite.ctx.reading() as session:
        challenge = challenges.by_slug(session, "grades")
        accounts = {account.kind: account for account in ledger.accounts(session)}
    assert challenge is not None
    wrong = Posting(
        key="k", challenge_id=challenge.id, kind="funding", currency="USD", memo="", at=START, amount_minor=5
    )
    wrong.debit_id, wrong.credit_id = accounts["pool"].id, accounts["sponsor"].id
    setattr(wrong, field, value)
    with pytest.raises(IntegrityError), lite.ctx.writing() as session:
        session.add(wrong)


def test_naive_times_are_refused_and_zones_read_back_as_utc(both: Town) -> None:
    naive = datetime(2026, 3, 1)
    with pytest.raises(StatementError, match="no time zone"), both.ctx.writing() as session:
        session.add(Event(at=naive, kind="k", subject="s", detail={}))
    local = datetime(2026, 3, 1, 1, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    with both.ctx.writing() as session:
        row = Event(at=local, kind="k", subject="s", detail={"ö": [1, None]})
        session.add(row)
    with both.ctx.reading() as session:
        again = session.get_one(Event, row.id)
        assert (again.at, again.at.tzinfo, again.detail) == (local, UTC, {"ö": [1, None]})


def test_counted_tries_are_counted_once_each(both: Town) -> None:
    with both.ctx.writing() as session:
        assert [people.count_try(session, "login:x", 7, START) for _ in range(3)] == [1, 2, 3]
        people.give_back_try(session, "login:x", 7)
        assert people.count_try(session, "login:x", 7, START) == 3
        assert people.count_try(session, "login:x", 8, START) == 1


def test_the_database_tells_the_time(both: Town) -> None:
    with both.ctx.reading() as session:
        moments = [now(session) for _ in range(3)]
    assert moments == sorted(moments)
    assert all(moment.tzinfo is UTC for moment in moments)
    assert abs(moments[0] - datetime.now(UTC)) < timedelta(minutes=1)
