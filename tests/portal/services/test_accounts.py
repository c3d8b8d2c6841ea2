"""Accounts: nothing tells whether an address is known, secrets work once, sessions end when they must."""

import re
from datetime import timedelta
from functools import partial

import pytest

from portal.domain.errors import Forbidden, Invalid, NotFound, RateLimited
from portal.services import accounts, mailing, operating, tokens
from portal.store.tables import ApiToken, Link, LoginSession, Mail
from tests.portal.services.test_submitting import at_once
from tests.portal.town import PASSWORD, Town

EMAIL = "expert.a@example.org"
FRESH = "another long pass phrase"


def newest_link(town: Town, what: str) -> str:
    with town.ctx.reading() as session:
        bodies = [mail.body for mail in session.query(Mail).order_by(Mail.created_at, Mail.subject)]
    return re.findall(rf"http://localhost/{what}/(\S+)", "".join(bodies))[-1]


def register(town: Town, name: str = "Expert A", email: str = EMAIL) -> None:
    accounts.register(town.ctx, name=name, email=email, password=PASSWORD, address="10.0.0.1")


def login(town: Town, password: str = PASSWORD, email: str = EMAIL, address: str = "10.0.0.1") -> str:
    return accounts.login(town.ctx, email=email, password=password, agent="browser", address=address)


def test_register_verify_sign_in_and_out(both: Town) -> None:
    register(both)
    with pytest.raises(Forbidden, match="Confirm your address"):
        login(both)
    accounts.verify(both.ctx, token=newest_link(both, "verify"))
    secret = login(both)
    actor = accounts.actor_for_session(both.ctx, session_id=secret)
    assert actor is not None
    assert (actor.name, actor.session_id, actor.scopes, actor.is_operator) == ("Expert A", secret, None, False)
    assert [view.current for view in accounts.sessions(both.ctx, actor=actor)] == [True]
    accounts.logout(both.ctx, session_id=secret)
    assert accounts.actor_for_session(both.ctx, session_id=secret) is None


def test_a_known_address_answers_like_an_unknown_one_and_tells_its_owner(lite: Town) -> None:
    lite.person("Expert A")
    register(lite, name="Somebody Else")
    with lite.ctx.reading() as session:
        assert [mail.subject for mail in session.query(Mail)] == ["You have an account"]
    for email in (EMAIL, "unknown@example.org"):
        with pytest.raises(Invalid):
            register(lite, name="Expert A", email=email)
    accounts.request_reset(lite.ctx, email="nobody@example.org")
    with lite.ctx.reading() as session:
        assert session.query(Mail).count() == 1


def test_wrong_password_and_unknown_address_get_the_same_words(lite: Town) -> None:
    lite.person("Expert A")
    refusals = []
    for email in (EMAIL, "nobody@example.org"):
        with pytest.raises(Invalid) as refusal:
            login(lite, "wrong password here", email)
        refusals.append(refusal.value.field_errors)
    assert refusals[0] == refusals[1]


def test_a_name_that_looks_like_another_is_taken(lite: Town) -> None:
    lite.person("Expert A")
    with pytest.raises(Invalid) as refusal:
        register(lite, name="ＥＸＰＥＲＴ  á", email="b@example.org")
    assert set(refusal.value.field_errors) == {"name"}


def test_nothing_secret_is_kept_as_it_is(lite: Town) -> None:
    register(lite)
    link = newest_link(lite, "verify")
    accounts.verify(lite.ctx, token=link)
    secret = login(lite)
    actor = accounts.actor_for_session(lite.ctx, session_id=secret)
    assert actor is not None
    _, token = tokens.issue(lite.ctx, actor=actor, name="laptop", scopes=["read"], days=1)
    assert secret not in repr(actor)
    with lite.ctx.reading() as session:
        kept = [vars(row) for table in (Link, LoginSession, ApiToken) for row in session.query(table)]
    for hidden in (link, secret, token, PASSWORD):
        assert hidden not in repr(kept)


def test_the_eleventh_failure_waits_also_from_another_address_or_for_another_account(lite: Town) -> None:
    lite.person("Expert A")
    for number in range(10):
        with pytest.raises(Invalid):
            login(lite, "wrong password here", address=f"10.0.0.{number}")
    with pytest.raises(RateLimited) as refusal:
        login(lite, address="10.9.9.9")
    assert 0 < refusal.value.retry_after <= 300
    for number in range(10):
        with pytest.raises(Invalid):
            login(lite, "wrong password here", email=f"x{number}@example.org", address="10.8.8.8")
    with pytest.raises(RateLimited):
        login(lite, email="y@example.org", address="10.8.8.8")
    lite.clock.advance(minutes=5)
    assert login(lite)


def test_signing_in_often_is_no_failure(lite: Town) -> None:
    lite.person("Expert A")
    assert len({login(lite) for _ in range(15)}) == 15


def test_parallel_guesses_are_counted_before_they_are_checked(both: Town) -> None:
    both.person("Expert A")
    results = at_once(16, lambda number: login(both, f"wrong password {number}"))
    assert sum(isinstance(result, Invalid) for result in results) == 10
    assert sum(isinstance(result, RateLimited) for result in results) == 6


def test_sessions_end_by_idling_and_by_age(lite: Town) -> None:
    lite.person("Expert A")
    idle, busy = login(lite), login(lite)
    for _ in range(7):
        lite.clock.advance(minutes=100)
        assert accounts.actor_for_session(lite.ctx, session_id=busy)
    assert accounts.actor_for_session(lite.ctx, session_id=idle) is None
    lite.clock.advance(minutes=21)
    assert accounts.actor_for_session(lite.ctx, session_id=busy) is None


def test_a_password_change_ends_every_session(lite: Town) -> None:
    person = lite.person("Expert A")
    secrets = [login(lite), login(lite)]
    with pytest.raises(Invalid) as refusal:
        accounts.change_password(lite.ctx, actor=person, current="not the right one", new=FRESH)
    assert set(refusal.value.field_errors) == {"current"}
    accounts.change_password(lite.ctx, actor=person, current=PASSWORD, new=FRESH)
    assert [accounts.actor_for_session(lite.ctx, session_id=secret) for secret in secrets] == [None, None]
    assert login(lite, FRESH)


def test_a_reset_link_works_once_and_revokes_everything(both: Town) -> None:
    person = both.person("Expert A")
    secret = login(both)
    _, token = tokens.issue(both.ctx, actor=person, name="laptop", scopes=["read"], days=1)
    accounts.request_reset(both.ctx, email=EMAIL.upper())
    link = newest_link(both, "reset")
    results = at_once(4, lambda number: accounts.reset(both.ctx, token=link, password=f"{FRESH} {number}"))
    assert results.count(None) == 1
    assert accounts.actor_for_session(both.ctx, session_id=secret) is None
    assert accounts.actor_for_token(both.ctx, secret=token) is None


@pytest.mark.parametrize(("what", "life"), [("reset", timedelta(minutes=30)), ("verify", timedelta(hours=24))])
def test_links_grow_old(lite: Town, what: str, life: timedelta) -> None:
    register(lite)
    accounts.request_reset(lite.ctx, email=EMAIL)
    lite.clock.at += life
    link = newest_link(lite, what)
    act = partial(accounts.reset, password=FRESH) if what == "reset" else accounts.verify
    with pytest.raises(Invalid, match="too old"):
        act(lite.ctx, token=link)
    with pytest.raises(Invalid):
        accounts.verify(lite.ctx, token=newest_link(lite, "reset"))


def test_resets_are_limited_alike_for_known_and_unknown(lite: Town) -> None:
    lite.person("Expert A")
    for email in (EMAIL, "nobody@example.org"):
        for _ in range(5):
            accounts.request_reset(lite.ctx, email=email)
        with pytest.raises(RateLimited):
            accounts.request_reset(lite.ctx, email=email)


def test_one_ends_only_ones_own_sessions(lite: Town) -> None:
    mine, other = lite.person("Expert A"), lite.person("Expert B")
    login(lite)
    (view,) = accounts.sessions(lite.ctx, actor=mine)
    with pytest.raises(NotFound):
        accounts.end_session(lite.ctx, actor=other, session_id=view.id)
    accounts.end_session(lite.ctx, actor=mine, session_id=view.id)
    assert accounts.sessions(lite.ctx, actor=mine) == []


def test_tokens_are_scoped_expire_and_are_revoked(lite: Town) -> None:
    person = lite.person("Expert A")
    view, secret = tokens.issue(lite.ctx, actor=person, name="laptop", scopes=["submit", "read"], days=30)
    assert view.scopes == ("read", "submit")
    assert secret.startswith(view.prefix)
    actor = accounts.actor_for_token(lite.ctx, secret=secret)
    assert actor is not None
    assert actor.scopes == {"read", "submit"}
    with pytest.raises(Forbidden, match="cannot issue"):
        tokens.issue(lite.ctx, actor=actor, name="more", scopes=["read"], days=1)
    lite.clock.advance(days=30)
    assert accounts.actor_for_token(lite.ctx, secret=secret) is None
    view, secret = tokens.issue(lite.ctx, actor=person, name="laptop", scopes=["read"], days=30)
    with pytest.raises(NotFound):
        tokens.revoke(lite.ctx, actor=lite.person("Expert B"), token_id=view.id)
    tokens.revoke(lite.ctx, actor=person, token_id=view.id)
    assert accounts.actor_for_token(lite.ctx, secret=secret) is None


@pytest.mark.parametrize(
    ("name", "scopes", "days", "field"),
    [("", ["read"], 1, "name"), ("a", [], 1, "scopes"), ("a", ["root"], 1, "scopes"), ("a", ["read"], 366, "days")],
)
def test_bad_tokens_are_refused(lite: Town, name: str, scopes: list[str], days: int, field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        tokens.issue(lite.ctx, actor=lite.person("Expert A"), name=name, scopes=scopes, days=days)
    assert set(refusal.value.field_errors) == {field}


def test_only_an_operator_sees_the_outbox(lite: Town) -> None:
    register(lite)
    with pytest.raises(Forbidden):
        operating.outbox(lite.ctx, actor=lite.person("Expert B"))
    assert [mail.to for mail in operating.outbox(lite.ctx, actor=lite.operator())] == [EMAIL]
    assert mailing.deliver(lite.ctx) == 0
