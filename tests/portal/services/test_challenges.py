"""Challenges as different people see them, and the roles in them."""

import pytest

from portal.domain.errors import AgreementNeeded, Conflict, Forbidden, Invalid, NotFound
from portal.services import agreements, challenges, downloading
from portal.store.challenges import by_slug, downloads, people
from tests.portal.services.test_submitting import at_once
from tests.portal.town import Town, later


def test_open_ones_come_first_and_phases_follow_the_clock(lite: Town) -> None:
    lite.publish("first")
    lite.publish("second")
    lite.close("first")
    cards = challenges.listing(lite.ctx, actor=None)
    assert [(card.slug, card.phase) for card in cards] == [("second", "open"), ("first", "closed")]
    lite.clock.at = later(-40)
    assert {card.phase for card in challenges.listing(lite.ctx, actor=None)} == {"upcoming"}
    lite.clock.at = later(40)
    assert {card.phase for card in challenges.listing(lite.ctx, actor=None)} == {"closed"}


def test_a_page_says_where_the_reader_stands(lite: Town) -> None:
    lite.publish()
    stranger = challenges.page(lite.ctx, actor=None, slug="grades").me
    assert (stranger.signed_in, stranger.role, stranger.may_submit, stranger.quota) == (False, "none", False, None)
    expert = challenges.page(lite.ctx, actor=lite.expert("Expert A"), slug="grades").me
    assert (expert.role, expert.agreement_signed, expert.may_submit, expert.affiliated) == ("expert", True, True, None)
    assert expert.quota is not None
    assert expert.quota.left == 5
    sponsor = challenges.page(lite.ctx, actor=lite.person("Sponsor"), slug="grades").me
    assert (sponsor.role, sponsor.may_manage, sponsor.may_submit, sponsor.quota) == ("sponsor", True, False, None)
    judge = challenges.page(lite.ctx, actor=lite.judge(), slug="grades").me
    assert (judge.role, judge.may_judge, judge.may_manage) == ("judge", True, False)
    with pytest.raises(NotFound):
        challenges.page(lite.ctx, actor=None, slug="nowhere")


def test_no_byte_before_the_signature_and_a_line_for_every_one_after(both: Town) -> None:
    both.publish()
    person = both.person("Expert A")
    for path in (None, "public/holes.csv"):
        with pytest.raises(AgreementNeeded):
            downloading.fetch(both.ctx, actor=person, slug="grades", path=path)
    both.expert("Expert A")
    downloading.fetch(both.ctx, actor=person, slug="grades", path=None)
    downloading.fetch(both.ctx, actor=person, slug="grades", path="public/holes.csv")
    for path in ("nothing", "../secret", "hidden/truth.csv", ""):
        with pytest.raises(NotFound):
            downloading.fetch(both.ctx, actor=person, slug="grades", path=path)
    agreement = agreements.page(both.ctx, actor=person, slug="grades")
    assert agreement.signed_at == both.clock.at
    with both.ctx.reading() as session:
        challenge = by_slug(session, "grades")
        assert challenge is not None
        owner = next(user.id for user, _ in people(session, challenge.id) if user.name == "Expert A")
        lines = downloads(session, owner)
    assert [(line.path, line.agreement_id is not None) for line in lines] == [(None, True), ("public/holes.csv", True)]


def test_two_signatures_at_once_make_one_team(both: Town) -> None:
    both.publish()
    both.person("Expert A")
    assert at_once(6, lambda _: both.expert("Expert A") and None) == [None] * 6
    assert challenges.page(both.ctx, actor=None, slug="grades").card.experts == 1


def test_only_those_who_manage_grant_and_see_people(lite: Town) -> None:
    lite.publish()
    lite.judge()
    expert = lite.expert("Expert A")
    found = challenges.people(lite.ctx, actor=lite.person("Sponsor"), slug="grades")
    assert [(person.name, person.role, bool(person.email)) for person in found] == [
        ("Sponsor", "sponsor", True),
        ("Judge", "judge", True),
        ("Expert A", "expert", False),
    ]
    for other in (expert, lite.person("Judge"), lite.person("Stranger")):
        with pytest.raises(Forbidden):
            challenges.people(lite.ctx, actor=other, slug="grades")
        with pytest.raises(Forbidden):
            challenges.grant(lite.ctx, actor=other, slug="grades", email=other.email, role="judge")
        with pytest.raises(Forbidden):
            challenges.close(lite.ctx, actor=other, slug="grades")


@pytest.mark.parametrize(("email", "role", "field"), [("nobody@example.org", "judge", "email"), ("", "expert", "role")])
def test_a_grant_that_cannot_be_is_refused(lite: Town, email: str, role: str, field: str) -> None:
    lite.publish()
    with pytest.raises(Invalid) as refusal:
        challenges.grant(lite.ctx, actor=lite.person("Sponsor"), slug="grades", email=email, role=role)
    assert set(refusal.value.field_errors) == {field}


def test_a_close_is_final(lite: Town) -> None:
    lite.publish()
    lite.close()
    with pytest.raises(Conflict, match="only an open one"):
        lite.close()
    page = challenges.page(lite.ctx, actor=None, slug="grades")
    assert (page.card.phase, page.card.closes) == ("closed", lite.clock.at)
