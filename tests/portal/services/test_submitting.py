"""Entries: who may send them, how many, until when, and what a repeated request gets."""

import io
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from portal.domain.errors import (
    AgreementNeeded,
    Closed,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    PortalError,
    QuotaExceeded,
    TooLarge,
)
from portal.domain.permissions import Actor
from portal.domain.states import EntryState
from portal.services import agreements, challenges, submitting
from portal.store.tables import Submission
from tests.portal.town import Town, later


def at_once(count: int, act: Callable[[int], object]) -> list[object]:
    """What ``count`` threads get that start together: a result or a refusal."""
    results: list[object] = [None] * count
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        barrier.wait()
        try:
            results[number] = act(number)
        except PortalError as refusal:
            results[number] = refusal

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def rows(town: Town) -> int:
    with town.ctx.reading() as session:
        return session.query(Submission).count()


def test_twenty_race_for_the_last_slot_and_one_gets_it(both: Town) -> None:
    both.publish(per_day=3)
    expert = both.expert("Expert A")
    both.send(expert, "1")
    both.send(expert, "2")
    results = at_once(20, lambda number: both.send(expert, f"{number}.5"))
    assert sum(isinstance(result, QuotaExceeded) for result in results) == 19
    assert rows(both) == 3
    numbers = [entry.number for entry in submitting.mine(both.ctx, actor=expert, slug="grades")]
    assert numbers == [3, 2, 1]


def test_one_key_at_once_gives_one_entry_and_one_receipt(both: Town) -> None:
    both.publish(per_day=3)
    expert = both.expert("Expert A")
    results = at_once(8, lambda _: both.send(expert, "1.5", key="k-1").receipt)
    assert len(set(results)) == 1
    assert rows(both) == 1


def test_a_key_works_again_when_the_quota_is_used_up_and_refuses_another_file(lite: Town) -> None:
    lite.publish(per_day=1)
    expert = lite.expert("Expert A")
    first = lite.send(expert, "1.5", key="k-1")
    assert lite.send(expert, "1.5", key="k-1") == first
    with pytest.raises(Conflict, match="another file"):
        lite.send(expert, "9.5", key="k-1")
    with pytest.raises(QuotaExceeded):
        lite.send(expert, "1.5", key="k-2")


def test_a_key_belongs_to_one_person(lite: Town) -> None:
    lite.publish()
    a, b = lite.expert("Expert A"), lite.expert("Expert B")
    assert lite.send(a, "1", key="same").id != lite.send(b, "1", key="same").id


def test_the_clock_of_the_receipt_decides(lite: Town) -> None:
    lite.publish()
    expert = lite.expert("Expert A")
    lite.clock.at = later(31) - timedelta(hours=12, microseconds=1)
    assert lite.send(expert).received_at == lite.clock.at
    lite.clock.advance(microseconds=1)
    with pytest.raises(Closed, match="closed at 2026-04-01"):
        lite.send(expert)


def test_a_file_still_on_its_way_at_the_deadline_is_late(lite: Town) -> None:
    lite.publish()
    expert = lite.expert("Expert A")

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            lite.clock.at = later(40)
            return super().read(size)

    with pytest.raises(Closed):
        submitting.submit(lite.ctx, actor=expert, slug="grades", stream=Slow(b"1"), filename="e.csv", note="")
    assert rows(lite) == 0


def test_nothing_before_the_opening(lite: Town) -> None:
    lite.publish()
    expert = lite.expert("Expert A")
    lite.clock.at = later(-60)
    with pytest.raises(Closed, match="opens at"):
        lite.send(expert)


def test_the_quota_rolls_and_says_when(lite: Town) -> None:
    lite.publish(per_day=2)
    expert = lite.expert("Expert A")
    lite.send(expert)
    lite.clock.advance(hours=10)
    lite.send(expert)
    quota = submitting.quota(lite.ctx, actor=expert, slug="grades")
    assert (quota.left, quota.next_at) == (0, later(1))
    with pytest.raises(QuotaExceeded) as refusal:
        lite.send(expert)
    assert refusal.value.next_at == later(1)
    lite.clock.at = later(1)
    assert lite.send(expert).number == 3


def test_rejected_entries_do_not_count_until_their_own_cap(lite: Town) -> None:
    lite.publish(per_day=1)
    expert = lite.expert("Expert A")
    for number in range(5):
        assert lite.send(expert, f"none #{number}").state is EntryState.QUEUED
        lite.score_all()
        assert submitting.mine(lite.ctx, actor=expert, slug="grades")[0].state is EntryState.REJECTED
    with pytest.raises(QuotaExceeded):
        lite.send(expert, "1")


def test_an_entry_without_a_result_can_be_withdrawn_and_gives_its_slot_back(lite: Town) -> None:
    lite.publish(per_day=1)
    expert = lite.expert("Expert A")
    entry = lite.send(expert)
    assert submitting.withdraw(lite.ctx, actor=expert, entry_id=entry.id).state is EntryState.WITHDRAWN
    again = lite.send(expert)
    lite.score_all()
    with pytest.raises(Conflict, match="scored and cannot become withdrawn"):
        submitting.withdraw(lite.ctx, actor=expert, entry_id=again.id)


@pytest.mark.parametrize(
    ("filename", "content", "note", "field"),
    [("e.txt", "1", "", "file"), ("e.csv", "", "", "file"), ("e.csv", "1", "n" * 5001, "note"), ("", "1", "", "file")],
)
def test_what_is_wrong_is_named(lite: Town, filename: str, content: str, note: str, field: str) -> None:
    lite.publish()
    stream = io.BytesIO(content.encode())
    with pytest.raises(Invalid) as refusal:
        submitting.submit(
            lite.ctx, actor=lite.expert("Expert A"), slug="grades", stream=stream, filename=filename, note=note
        )
    assert set(refusal.value.field_errors) == {field}


def test_a_file_one_byte_too_large_leaves_nothing(lite: Town) -> None:
    lite.publish()
    expert = lite.expert("Expert A")
    before = sorted(lite.ctx.settings.store_root.rglob("*"))
    with pytest.raises(TooLarge):
        lite.send(expert, "x" * 10_001)
    assert sorted(lite.ctx.settings.store_root.rglob("*")) == before
    assert lite.send(expert, "x" * 10_000).file_bytes == 10_000


@pytest.mark.parametrize("name", ["../../etc/passwd.csv", "a\r\nb.csv", "..\\..\\x.csv", "x" * 300 + ".csv"])
def test_hostile_names_become_plain_ones(lite: Town, name: str) -> None:
    lite.publish()
    entry = submitting.submit(
        lite.ctx, actor=lite.expert("Expert A"), slug="grades", stream=io.BytesIO(b"1"), filename=name, note=""
    )
    assert not set(entry.filename) & set("/\\\r\n")
    assert len(entry.filename) <= 200


def test_who_may_not_send(lite: Town) -> None:
    lite.publish()
    for actor, error in (
        (lite.person("Stranger"), AgreementNeeded),
        (lite.person("Sponsor"), Forbidden),
        (lite.judge(), Forbidden),
        (lite.operator(), Forbidden),
    ):
        with pytest.raises(error):
            lite.send(actor)
    with pytest.raises(NotFound):
        lite.send(lite.person("Stranger"), slug="nowhere")


def test_a_judge_who_signs_stays_a_judge(lite: Town) -> None:
    lite.publish()
    lite.judge()
    with pytest.raises(Forbidden, match="cannot compete"):
        lite.send(lite.expert("Judge"))


def test_an_expert_cannot_become_judge_or_sponsor(lite: Town) -> None:
    lite.publish()
    expert = lite.expert("Expert A")
    for role in ("judge", "sponsor"):
        with pytest.raises(Conflict, match="competes"):
            challenges.grant(lite.ctx, actor=lite.person("Sponsor"), slug="grades", email=expert.email, role=role)


def test_a_changed_agreement_is_asked_again(lite: Town) -> None:
    lite.publish()
    with pytest.raises(Conflict, match="has changed"):
        agreements.sign(lite.ctx, actor=lite.person("Expert A"), slug="grades", digest="0" * 64)
    assert agreements.page(lite.ctx, actor=lite.person("Expert A"), slug="grades").signed_at is None


def test_another_persons_entry_does_not_exist(lite: Town) -> None:
    lite.publish()
    entry = lite.send(lite.expert("Expert A"))
    others: list[Actor] = [lite.expert("Expert B"), lite.person("Sponsor"), lite.judge(), lite.operator()]
    for other in others:
        for act in (submitting.entry, submitting.withdraw):
            with pytest.raises(NotFound):
                act(lite.ctx, actor=other, entry_id=entry.id)
    for wrong in ("", "x", "0" * 32, "' OR 1=1"):
        with pytest.raises(NotFound):
            submitting.entry(lite.ctx, actor=lite.person("Expert A"), entry_id=wrong)
