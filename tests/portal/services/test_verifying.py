"""Judges and prizes: blind, unconflicted, with reasons, in order, paid once."""

import dataclasses
import io
import json

import pytest

from portal.domain.errors import Conflict, Forbidden, Invalid, NotFound
from portal.services import challenges, paying, submitting, verifying
from tests.portal.services.test_submitting import at_once
from tests.portal.town import FakeEngine, Town, score_answer


def ended(town: Town, **scores: str) -> dict[str, str]:
    """A closed challenge with one entry for each expert; entry ids by name."""
    town.publish()
    town.judge()
    ids = {name: town.send(town.expert(f"Expert {name}"), value).id for name, value in scores.items()}
    town.score_all()
    town.close()
    return ids


def rule(town: Town, entry_id: str, verdict: str = "verified", reason: str = "Scores again alike.") -> None:
    verifying.rule(town.ctx, actor=town.person("Judge"), entry_id=entry_id, verdict=verdict, reason=reason)


def prizes(town: Town) -> list[tuple[int, str | None]]:
    rows = paying.ledger(town.ctx, actor=None, slug="grades").rows
    assert paying.check(town.ctx) == []
    return [(row.amount_minor, row.entry_id) for row in rows if row.kind == "prize"]


def test_verified_winners_are_paid_down_the_standing(both: Town) -> None:
    ids = ended(both, A="3", B="1", C="2")
    desk = verifying.desk(both.ctx, actor=both.person("Judge"), slug="grades")
    assert [(row.rank, row.score_public, row.score_private, row.prize_minor) for row in desk.rows] == [
        (1, 1.0, 101.0, 60_000),
        (2, 2.0, 102.0, 40_000),
        (3, 3.0, 103.0, None),
    ]
    rule(both, ids["C"])
    assert prizes(both) == []  # the first is not decided yet
    rule(both, ids["B"])
    assert prizes(both) == [(60_000, ids["B"]), (40_000, ids["C"])]
    view = paying.ledger(both.ctx, actor=None, slug="grades")
    assert (view.pool_minor, view.paid_minor, view.promised_minor) == (100_000, 100_000, 0)
    assert challenges.page(both.ctx, actor=None, slug="grades").card.phase == "settled"


def test_a_rejected_winner_lets_the_next_move_up(lite: Town) -> None:
    ids = ended(lite, A="3", B="1", C="2")
    rule(lite, ids["B"], "rejected", "It is another team's file.")
    rule(lite, ids["C"])
    rule(lite, ids["A"])
    assert prizes(lite) == [(60_000, ids["C"]), (40_000, ids["A"])]


def test_the_affiliated_rank_and_are_not_paid(lite: Town) -> None:
    ids = ended(lite, A="3", B="1")
    actor = lite.person("Expert B")
    challenges.declare_affiliation(lite.ctx, actor=actor, slug="grades", affiliated=True, statement="employed there")
    with pytest.raises(Conflict, match="not taken back"):
        challenges.declare_affiliation(lite.ctx, actor=actor, slug="grades", affiliated=False, statement="")
    rule(lite, ids["A"])
    assert prizes(lite) == [(60_000, ids["A"])]


def test_a_paid_ruling_stands(lite: Town) -> None:
    ids = ended(lite, A="1", B="2")
    rule(lite, ids["A"])
    with pytest.raises(Conflict, match="paid already"):
        rule(lite, ids["A"], "rejected", "On second thoughts.")
    assert prizes(lite) == [(60_000, ids["A"])]


def test_what_was_paid_stays_paid_when_its_team_declares_an_affiliation(lite: Town) -> None:
    ids = ended(lite, A="1", B="2")
    rule(lite, ids["A"])
    actor = lite.person("Expert A")
    challenges.declare_affiliation(lite.ctx, actor=actor, slug="grades", affiliated=True, statement="since today")
    rule(lite, ids["B"])
    assert prizes(lite) == [(60_000, ids["A"]), (40_000, ids["B"])]


def test_judges_at_once_pay_once(both: Town) -> None:
    ids = ended(both, A="1", B="2")
    at_once(8, lambda number: rule(both, ids["A" if number % 2 else "B"]))
    assert sorted(prizes(both)) == [(40_000, ids["B"]), (60_000, ids["A"])]


def test_nothing_is_ruled_before_the_end_or_while_entries_wait(lite: Town) -> None:
    lite.publish()
    judge = lite.judge()
    entry = lite.send(lite.expert("Expert A"), "1")
    lite.score_all()
    waiting = lite.send(lite.expert("Expert B"), "2")
    with pytest.raises(Conflict, match="Rulings begin"):
        rule(lite, entry.id)
    before = verifying.entry(lite.ctx, actor=judge, entry_id=entry.id)
    assert (before.scores_public, before.scores_private, before.scores_overall) == (
        {"rmse": 1.0, "mae": 1.0},
        None,
        None,
    )
    lite.close()
    with pytest.raises(Conflict, match="still being scored"):
        rule(lite, entry.id)
    lite.score_all()
    rule(lite, entry.id)
    assert verifying.entry(lite.ctx, actor=judge, entry_id=waiting.id).scores_private == {"rmse": 102.0, "mae": 102.0}


def test_the_judge_does_not_learn_who_it_is(lite: Town) -> None:
    ids = ended(lite, A="1")
    judge, expert = lite.person("Judge"), lite.person("Expert A")
    shown = [
        verifying.desk(lite.ctx, actor=judge, slug="grades"),
        verifying.entry(lite.ctx, actor=judge, entry_id=ids["A"]),
        verifying.fetch(lite.ctx, actor=judge, entry_id=ids["A"]),
    ]
    text = repr([dataclasses.astuple(item) for item in shown])
    for secret in (expert.name, expert.id, expert.email):
        assert secret not in text
    assert "Team " in text


def test_a_conflict_of_interest_closes_the_desk(lite: Town) -> None:
    ids = ended(lite, A="1")
    judge = lite.person("Judge")
    verifying.declare_conflict(lite.ctx, actor=judge, slug="grades", conflicted=True, statement="A former student.")
    desk = verifying.desk(lite.ctx, actor=judge, slug="grades")
    assert (desk.rows, desk.conflict_declared) == ((), True)
    for act in (lambda: verifying.entry(lite.ctx, actor=judge, entry_id=ids["A"]), lambda: rule(lite, ids["A"])):
        with pytest.raises(Forbidden, match="conflict"):
            act()
    verifying.declare_conflict(
        lite.ctx, actor=judge, slug="grades", conflicted=False, statement="It was another person."
    )
    rule(lite, ids["A"])


def test_only_judges_of_the_challenge_judge(lite: Town) -> None:
    ids = ended(lite, A="1")
    for other in (lite.person("Sponsor"), lite.person("Expert A"), lite.person("Stranger"), lite.operator()):
        with pytest.raises(NotFound):
            verifying.desk(lite.ctx, actor=other, slug="grades")
        with pytest.raises(NotFound):
            verifying.entry(lite.ctx, actor=other, entry_id=ids["A"])
        with pytest.raises(NotFound):
            verifying.rule(lite.ctx, actor=other, entry_id=ids["A"], verdict="verified", reason="Mine.")


@pytest.mark.parametrize(("verdict", "reason", "field"), [("maybe", "r", "verdict"), ("verified", "  ", "reason")])
def test_a_ruling_needs_a_verdict_and_a_reason(lite: Town, verdict: str, reason: str, field: str) -> None:
    ids = ended(lite, A="1")
    with pytest.raises(Invalid) as refusal:
        rule(lite, ids["A"], verdict, reason)
    assert set(refusal.value.field_errors) == {field}


def test_a_fault_in_the_middle_leaves_neither_ruling_nor_posting(lite: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = ended(lite, A="1")

    def fail(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("the power went")

    monkeypatch.setattr(verifying, "_tell_winner", fail)
    with pytest.raises(RuntimeError):
        rule(lite, ids["A"])
    monkeypatch.undo()
    assert prizes(lite) == []
    assert verifying.entry(lite.ctx, actor=lite.person("Judge"), entry_id=ids["A"]).rulings == ()
    rule(lite, ids["A"])
    assert prizes(lite) == [(60_000, ids["A"])]


def test_what_shows_truth_is_for_judges_after_the_end_alone(lite: Town) -> None:
    lite.publish()
    judge, expert = lite.judge(), lite.expert("Expert A")
    blob = lite.ctx.blobs.put(io.BytesIO(b"{}")).digest

    def drawn(_task: str, payload: bytes) -> bytes:
        return json.dumps(
            {**json.loads(score_answer(lite.ctx, payload)), "artifacts": {"entry.png": blob, "judge-errors.png": blob}}
        ).encode()

    entry = lite.send(expert, "1")
    lite.score_all(FakeEngine(drawn))
    assert submitting.entry(lite.ctx, actor=expert, entry_id=entry.id).artifacts == ("entry.png",)
    with pytest.raises(NotFound):
        submitting.artifact(lite.ctx, actor=expert, entry_id=entry.id, name="judge-errors.png")
    with pytest.raises(NotFound):
        verifying.artifact(lite.ctx, actor=judge, entry_id=entry.id, name="judge-errors.png")
    lite.close()
    assert verifying.artifact(lite.ctx, actor=judge, entry_id=entry.id, name="judge-errors.png").blob_digest == blob
    with pytest.raises(NotFound):
        submitting.artifact(lite.ctx, actor=expert, entry_id=entry.id, name="judge-errors.png")
