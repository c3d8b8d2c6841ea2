"""The queue: fair claims, leases, fences, retries. Each test on both databases."""

import uuid
from datetime import timedelta
from functools import partial

import pytest

from datasets.errors import EngineFault
from portal.dispatch import Dispatcher
from portal.domain.errors import Conflict, Forbidden
from portal.domain.states import EntryState
from portal.services import collecting, operating, submitting
from portal.store.queue import Claim
from portal.store.tables import Mail, Score, Submission
from tests.portal.services.test_submitting import at_once
from tests.portal.town import FakeEngine, Town, score_answer, scoring_engine

FAULT = b'{"fault":"truth-unavailable","message":"no key"}'


def claim(town: Town, limit: int = 10, worker: str = "w") -> list[Claim]:
    return collecting.claim(town.ctx, worker=worker, limit=limit)


def answer(town: Town, work: Claim) -> bytes:
    ticket = collecting.ticket(town.ctx, work=work)
    assert ticket is not None
    return score_answer(town.ctx, ticket)


def state(town: Town, entry_id: str, name: str = "Expert A") -> EntryState:
    return submitting.entry(town.ctx, actor=town.person(name), entry_id=entry_id).state


def scores(town: Town) -> int:
    with town.ctx.reading() as session:
        return session.query(Score).count()


def test_every_team_has_its_first_scored_before_anybodys_second(both: Town) -> None:
    both.publish()
    a, b = both.expert("Expert A"), both.expert("Expert B")
    first = [both.send(a, str(n)).id for n in range(3)]
    both.clock.advance(seconds=1)
    second = [both.send(b, str(n)).id for n in range(2)]
    assert submitting.entry(both.ctx, actor=b, entry_id=second[0]).position == 2
    assert [str(work.id) for work in claim(both, 3)] == [first[0], second[0], first[1]]
    assert submitting.entry(both.ctx, actor=b, entry_id=second[1]).position == 1  # Expert A has two being scored
    assert [str(work.id) for work in claim(both, 3)] == [second[1], first[2]]


def test_twenty_workers_claim_each_entry_once(both: Town) -> None:
    both.publish()
    for name in ("Expert A", "Expert B", "Expert C"):
        expert = both.expert(name)
        for number in range(3):
            both.send(expert, str(number))
    taken: list[Claim] = []
    while not taken or len(taken) < 9:
        for found in at_once(8, lambda number: claim(both, 2, f"w{number}")):
            taken += found  # type: ignore[operator]
    assert len({work.id for work in taken}) == len(taken) == 9
    assert claim(both) == []


def test_a_lost_lease_is_taken_up_again_and_the_first_worker_records_nothing(both: Town) -> None:
    both.publish()
    entry = both.send(both.expert("Expert A"), "3")
    (lost,) = claim(both, worker="first")
    late = answer(both, lost)
    both.clock.advance(seconds=both.ctx.settings.lease_seconds + 1)
    assert collecting.waiting(both.ctx)
    assert collecting.sweep(both.ctx) == 1
    (again,) = claim(both, worker="second")
    assert again.fence == lost.fence + 1
    assert collecting.keep(both.ctx, held=[lost, again]) == {lost}
    assert not collecting.record(both.ctx, work=lost, answer=late)
    assert collecting.ticket(both.ctx, work=lost) is None
    assert state(both, entry.id) is EntryState.SCORING
    assert collecting.record(both.ctx, work=again, answer=answer(both, again))
    assert not collecting.record(both.ctx, work=again, answer=late)
    assert (state(both, entry.id), scores(both)) == (EntryState.SCORED, 1)


def test_a_heartbeat_keeps_the_lease(both: Town) -> None:
    both.publish()
    both.send(both.expert("Expert A"))
    held = claim(both)
    for _ in range(5):
        both.clock.advance(seconds=both.ctx.settings.lease_seconds - 1)
        assert collecting.keep(both.ctx, held=held) == set()
        assert collecting.sweep(both.ctx) == 0


def test_both_record_at_once_and_one_score_is_kept(both: Town) -> None:
    both.publish()
    both.send(both.expert("Expert A"), "4")
    (work,) = claim(both)
    made = answer(both, work)
    results = at_once(8, lambda _: collecting.record(both.ctx, work=work, answer=made))
    assert results.count(True) == 1
    assert scores(both) == 1


@pytest.mark.parametrize("broken", [FAULT, b"no json", b"{}"])
def test_faults_of_the_engine_are_retried_then_fail_with_mail_and_quota_back(lite: Town, broken: bytes) -> None:
    lite.publish(per_day=1)
    expert = lite.expert("Expert A")
    entry = lite.send(expert, "1")
    engine = FakeEngine(lambda _task, _payload: broken)
    for attempt in range(1, lite.ctx.settings.score_attempts + 1):
        assert submitting.quota(lite.ctx, actor=expert, slug="grades").left == 0
        lite.score_all(engine)
        assert len(engine.tasks) == attempt
        lite.clock.advance(minutes=2)
    lite.score_all(engine)
    assert len(engine.tasks) == lite.ctx.settings.score_attempts
    assert state(lite, entry.id) is EntryState.FAILED
    assert submitting.quota(lite.ctx, actor=expert, slug="grades").left == 1
    with lite.ctx.reading() as session:
        assert [mail.subject for mail in session.query(Mail).all()] == ["Entry 1 could not be scored"]


def test_a_fault_pauses_before_the_next_try_and_then_succeeds(lite: Town) -> None:
    lite.publish()
    entry = lite.send(lite.expert("Expert A"), "2")
    lite.score_all(FakeEngine(lambda _task, _payload: FAULT))
    lite.score_all()
    assert state(lite, entry.id) is EntryState.QUEUED
    lite.clock.advance(seconds=2)
    lite.score_all()
    assert state(lite, entry.id) is EntryState.SCORED


def test_an_engine_that_is_gone_costs_no_tries(lite: Town) -> None:
    lite.publish()
    ids = [lite.send(lite.expert(name)).id for name in ("Expert A", "Expert B")]

    def gone(_task: str, _payload: bytes) -> bytes:
        raise EngineFault("the cluster takes no work")

    with pytest.raises(EngineFault, match="takes no work"):
        lite.score_all(FakeEngine(gone))
    shown = submitting.entry(lite.ctx, actor=lite.person("Expert A"), entry_id=ids[0])
    assert (shown.state, shown.attempts) == (EntryState.QUEUED, 0)
    assert len(claim(lite)) == 2


def test_the_operator_retries_what_the_platform_failed_on(lite: Town) -> None:
    lite.publish()
    entry = lite.send(lite.expert("Expert A"), "2")
    for _ in range(lite.ctx.settings.score_attempts):
        lite.score_all(FakeEngine(lambda _task, _payload: FAULT))
        lite.clock.advance(minutes=2)
    with pytest.raises(Forbidden):
        operating.retry_failed(lite.ctx, actor=lite.person("Expert A"))
    assert operating.retry_failed(lite.ctx, actor=lite.operator()) == 1
    lite.score_all()
    assert state(lite, entry.id) is EntryState.SCORED


def test_a_stopping_dispatcher_gives_back_what_it_holds(both: Town) -> None:
    both.publish()
    entry = both.send(both.expert("Expert A"), "2")
    engine = FakeEngine(lambda _task, _payload: None)
    dispatcher = Dispatcher(both.ctx, engine, slots=4)
    dispatcher.step()
    assert state(both, entry.id) is EntryState.SCORING
    dispatcher.finish(within=0)
    assert engine.jobs[0].cancelled
    shown = submitting.entry(both.ctx, actor=both.person("Expert A"), entry_id=entry.id)
    assert (shown.state, shown.attempts) == (EntryState.QUEUED, 0)


def test_progress_is_written_down_and_shown_while_an_entry_is_scored(
    both: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.dispatch.PROGRESS_S", 0.0)
    both.publish()
    expert = both.expert("Expert A")
    entry = both.send(expert, "2")
    engine = FakeEngine(lambda _task, _payload: None)
    dispatcher = Dispatcher(both.ctx, engine, slots=4)

    def shown() -> tuple[EntryState, float | None]:
        found = submitting.entry(both.ctx, actor=expert, entry_id=entry.id)
        return found.state, found.progress

    dispatcher.step()
    assert shown() == (EntryState.SCORING, None)
    for share in (0.25, 0.5):
        engine.jobs[0].share = share
        dispatcher.step()
        assert shown() == (EntryState.SCORING, share)
    engine.jobs[0].answer = score_answer(both.ctx, engine.tasks[0][1])
    dispatcher.step()
    assert shown() == (EntryState.SCORED, None)


def test_work_that_was_lost_is_cancelled_when_its_progress_is_written(
    both: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.dispatch.PROGRESS_S", 0.0)
    both.publish()
    entry = both.send(both.expert("Expert A"), "2")
    engine = FakeEngine(lambda _task, _payload: None)
    dispatcher = Dispatcher(both.ctx, engine, slots=4)
    dispatcher.step()
    with both.ctx.writing() as session:
        row = session.get_one(Submission, uuid.UUID(entry.id))
        row.fence += 1
    engine.jobs[0].share = 0.5
    dispatcher.step()
    assert engine.jobs[0].cancelled
    assert submitting.entry(both.ctx, actor=both.person("Expert A"), entry_id=entry.id).progress is None


def test_an_entry_withdrawn_while_it_is_scored_is_cancelled_and_its_answer_dropped(
    both: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.dispatch.PROGRESS_S", 0.0)
    both.publish(per_day=1)
    expert = both.expert("Expert A")
    entry = both.send(expert, "2")
    engine = FakeEngine(lambda _task, _payload: None)
    dispatcher = Dispatcher(both.ctx, engine, slots=4)
    dispatcher.step()
    with both.ctx.reading() as session:
        row = session.get_one(Submission, uuid.UUID(entry.id))
        work = Claim("score", row.id, row.fence, row.attempts, row.lease_until or row.received_at)
    shown = submitting.withdraw(both.ctx, actor=expert, entry_id=entry.id)
    assert shown.state is EntryState.WITHDRAWN
    assert not collecting.record(both.ctx, work=work, answer=score_answer(both.ctx, engine.tasks[0][1]))
    collecting.fault(both.ctx, work=work, reason="the worker was lost")
    collecting.give_back(both.ctx, work=work)
    assert collecting.sweep(both.ctx) == 0
    dispatcher.step()
    assert engine.jobs[0].cancelled
    assert not dispatcher.busy
    assert state(both, entry.id) is EntryState.WITHDRAWN
    assert scores(both) == 0
    again = both.send(expert, "3")
    both.score_all()
    assert state(both, again.id) is EntryState.SCORED
    assert scores(both) == 1


def test_withdrawing_and_recording_at_once_leave_one_of_two_ends(both: Town) -> None:
    both.publish(per_day=40)
    expert = both.expert("Expert A")
    entries = [both.send(expert, str(number)) for number in range(8)]
    held = claim(both, limit=8)
    answers = {work: answer(both, work) for work in held}

    def act(work: Claim, number: int) -> object:
        if number == 0:
            return collecting.record(both.ctx, work=work, answer=answers[work])
        return submitting.withdraw(both.ctx, actor=expert, entry_id=str(work.id))

    for work in held:
        recorded, withdrawn = at_once(2, partial(act, work))
        assert isinstance(recorded, bool)
        assert isinstance(withdrawn, Conflict) is recorded
        assert state(both, str(work.id)) is (EntryState.SCORED if recorded else EntryState.WITHDRAWN)
    ends = [state(both, entry.id) for entry in entries]
    assert scores(both) == ends.count(EntryState.SCORED)
    assert submitting.quota(both.ctx, actor=expert, slug="grades").used == ends.count(EntryState.SCORED)


def test_what_is_held_is_not_lost(both: Town) -> None:
    both.publish()
    expert = both.expert("Expert A")
    both.send(expert, "1")
    second = both.send(expert, "2")
    held = claim(both)
    assert collecting.lost(both.ctx, held=held) == set()
    submitting.withdraw(both.ctx, actor=expert, entry_id=second.id)
    assert {str(work.id) for work in collecting.lost(both.ctx, held=held)} == {second.id}


def test_large_entries_leave_half_of_the_slots_to_small_ones(both: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.store.queue.LARGE_BYTES", 10)
    both.publish(per_day=50)
    names = [f"Expert {letter}" for letter in "ABCDEF"]
    for name in names[:5]:
        both.send(both.expert(name), "1.0 # and many bytes more")
        both.clock.advance(seconds=1)
    small = both.send(both.expert(names[5]), "2")
    engine = FakeEngine(lambda _task, _payload: None)
    dispatcher = Dispatcher(both.ctx, engine, slots=4)
    dispatcher.step()
    held = sorted(state(both, entry_id=row, name=name) is EntryState.SCORING for row, name in sent(both))
    assert held == [False] * 3 + [True] * 3, "two large ones and the small one behind five"
    assert state(both, small.id, names[5]) is EntryState.SCORING
    again = both.send(both.expert(names[5]), "3")
    dispatcher.step()
    assert state(both, again.id, names[5]) is EntryState.SCORING


def sent(town: Town) -> list[tuple[str, str]]:
    """Every entry with the name of whoever sent it."""
    with town.ctx.reading() as session:
        names = {uuid.UUID(person.id): name for name, person in town.people.items()}
        return [(str(row.id), names[row.user_id]) for row in session.query(Submission)]


def test_two_dispatchers_score_everything_once(both: Town) -> None:
    both.publish()
    ids = [both.send(both.expert(name), "5").id for name in ("Expert A", "Expert B", "Expert C", "Expert D")]
    engine = scoring_engine(both.ctx)
    pair = [Dispatcher(both.ctx, engine, slots=2) for _ in range(2)]
    at_once(2, lambda number: [pair[number].step() for _ in range(6)])
    assert scores(both) == len(ids) == len(engine.tasks)


def test_the_operator_sees_queue_workers_and_health(lite: Town) -> None:
    lite.publish()
    lite.send(lite.expert("Expert A"))
    lite.clock.advance(seconds=5)
    before = operating.overview(lite.ctx, actor=lite.operator())
    assert [(row.kind, row.state, row.age_s) for row in before.queue] == [("score", "queued", 5.0)]
    assert {check.name: check.ok for check in before.health.checks}["scorer"] is False
    lite.score_all()
    after = operating.overview(lite.ctx, actor=lite.operator())
    assert (after.queue, after.counts, len(after.workers), after.health.ok) == ((), {"scored": 1}, 1, True)
    lite.clock.advance(minutes=2)
    assert not operating.health(lite.ctx).ok


def test_a_long_wait_is_unhealthy(lite: Town) -> None:
    lite.publish()
    lite.send(lite.expert("Expert A"))
    lite.clock.at += timedelta(minutes=6)
    assert {check.name: check.ok for check in operating.health(lite.ctx).checks}["queue"] is False
