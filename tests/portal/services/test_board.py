"""The board: public before the close, final after it, and never a private value before its time."""

import dataclasses
import json

import pytest

from portal.domain.errors import Closed, Conflict
from portal.services import challenges, ranking, submitting
from portal.store.tables import Score
from tests.portal.town import FakeEngine, Town, later, score_answer


def scored(town: Town, name: str, *values: str) -> list[str]:
    expert = town.expert(name)
    ids = []
    for value in values:
        ids.append(town.send(expert, value).id)
        town.clock.advance(seconds=1)
    town.score_all()
    return ids


def table(town: Town, name: str | None = None) -> list[tuple[str, str, float | None]]:
    actor = town.person(name) if name else None
    board = ranking.board(town.ctx, actor=actor, slug="grades")
    return [(row.rank_label, row.team, row.score) for row in board.rows]


def test_one_row_a_team_with_its_best_public_score_and_ties_shared(both: Town) -> None:
    both.publish()
    scored(both, "Expert A", "3", "1.5")
    scored(both, "Expert B", "1.5", "9")
    scored(both, "Expert C", "7")
    scored(both, "Expert D", "none")
    assert table(both) == [
        ("=1", "Expert A", 1.5),
        ("=1", "Expert B", 1.5),
        ("3", "Expert C", 7.0),
        ("–", "Expert D", None),
    ]
    board = ranking.board(both.ctx, actor=both.person("Expert B"), slug="grades")
    assert [(row.is_me, row.entries, row.entry_id is not None) for row in board.rows[:2]] == [
        (False, 2, False),
        (True, 2, True),
    ]
    assert (board.stage, board.total_entries, board.direction) == ("public", 6, "lower")


def test_private_values_stay_hidden_until_the_close_and_then_decide(both: Town) -> None:
    both.publish()
    private = {"1": 50.0, "2": 5.0}

    def answer(_task: str, payload: bytes) -> bytes:
        report = json.loads(score_answer(both.ctx, payload))
        value = private[str(int(report["scores"]["public"]["rmse"]))]
        report["scores"]["private"] = report["scores"]["overall"] = {"rmse": value, "mae": value}
        return json.dumps(report).encode()

    first, second = both.expert("Expert A"), both.expert("Expert B")
    entry = both.send(first, "1")
    both.send(second, "2")
    both.score_all(FakeEngine(answer))
    assert table(both) == [("1", "Expert A", 1.0), ("2", "Expert B", 2.0)]
    seen = [
        ranking.board(both.ctx, actor=first, slug="grades"),
        submitting.entry(both.ctx, actor=first, entry_id=entry.id),
        challenges.page(both.ctx, actor=first, slug="grades"),
        ranking.progress(both.ctx, slug="grades"),
    ]
    text = repr([dataclasses.astuple(item) if dataclasses.is_dataclass(item) else item for item in seen])
    assert "50.0" not in text
    assert submitting.entry(both.ctx, actor=first, entry_id=entry.id).final_scores is None
    both.clock.at = later(40)
    assert table(both) == [("1", "Expert B", 5.0), ("2", "Expert A", 50.0)]
    assert submitting.entry(both.ctx, actor=first, entry_id=entry.id).final_scores == {"rmse": 50.0, "mae": 50.0}


def test_without_a_private_side_the_public_scores_are_final(lite: Town) -> None:
    lite.publish(public=1.0)
    scored(lite, "Expert A", "3")
    lite.close()
    assert table(lite) == [("1", "Expert A", 3.0)]
    assert ranking.board(lite.ctx, actor=None, slug="grades").stage == "final"


def test_the_picks_stand_or_else_the_best_public_ones(lite: Town) -> None:
    lite.publish()
    (worst, *_others) = scored(lite, "Expert A", "9", "1", "2", "3")
    scored(lite, "Expert B", "5", "4", "8", "1.5")
    expert = lite.person("Expert A")
    submitting.choose_final(lite.ctx, actor=expert, entry_id=worst, chosen=True)
    lite.close()
    assert table(lite) == [("1", "Expert B", 101.5), ("2", "Expert A", 109.0)]
    with pytest.raises(Closed):
        submitting.choose_final(lite.ctx, actor=expert, entry_id=worst, chosen=False)


def test_no_more_picks_than_allowed(lite: Town) -> None:
    lite.publish()
    ids = scored(lite, "Expert A", "9", "1", "2")
    expert = lite.person("Expert A")
    for entry_id in ids[:2]:
        submitting.choose_final(lite.ctx, actor=expert, entry_id=entry_id, chosen=True)
    with pytest.raises(Conflict, match="2 entries may be picked"):
        submitting.choose_final(lite.ctx, actor=expert, entry_id=ids[2], chosen=True)
    submitting.choose_final(lite.ctx, actor=expert, entry_id=ids[0], chosen=False)
    assert submitting.choose_final(lite.ctx, actor=expert, entry_id=ids[2], chosen=True).is_final_pick


def test_the_etag_changes_exactly_with_the_board(lite: Town) -> None:
    lite.publish()

    def etag() -> str:
        return ranking.board(lite.ctx, actor=None, slug="grades").etag

    tags = [etag()]
    lite.expert("Expert A")
    for act in (lambda: lite.send(lite.person("Expert A"), "2"), lite.score_all, lite.close):
        same = etag()
        assert etag() == same
        act()
        tags.append(etag())
    assert len(set(tags)) == 4


def test_a_missing_or_non_finite_score_never_ranks(lite: Town) -> None:
    lite.publish()
    scored(lite, "Expert A", "2")

    def nothing(_task: str, payload: bytes) -> bytes:
        report = json.loads(score_answer(lite.ctx, payload))
        report["scores"] = {side: {"rmse": None, "mae": 1.0} for side in ("overall", "public", "private")}
        return json.dumps(report).encode()

    lite.send(lite.expert("Expert B"), "1")
    lite.score_all(FakeEngine(nothing))
    assert table(lite) == [("1", "Expert A", 2.0), ("–", "Expert B", None)]


def test_progress_is_the_best_so_far(lite: Town) -> None:
    lite.publish()
    scored(lite, "Expert A", "5", "6")
    scored(lite, "Expert B", "4", "4")
    points = ranking.progress(lite.ctx, slug="grades")
    assert [(point.score, point.team) for point in points] == [(5.0, "Expert A"), (4.0, "Expert B")]


def test_affiliation_is_shown_and_rebuild_gives_the_same_board(lite: Town) -> None:
    lite.publish()
    scored(lite, "Expert A", "5")
    challenges.declare_affiliation(
        lite.ctx, actor=lite.person("Expert A"), slug="grades", affiliated=True, statement="employed"
    )
    before = ranking.board(lite.ctx, actor=None, slug="grades")
    assert before.rows[0].affiliated
    assert ranking.rebuild(lite.ctx) == 1
    after = ranking.board(lite.ctx, actor=None, slug="grades")
    assert after.rows == before.rows


def test_a_score_of_another_metric_version_is_another_row_and_the_newest_counts(lite: Town) -> None:
    lite.publish()
    scored(lite, "Expert A", "5")
    with lite.ctx.writing() as session:
        old = session.query(Score).one()
        facts = {c.key: getattr(old, c.key) for c in Score.__table__.columns if c.key != "id"}
        session.add(Score(**{**facts, "metric_version": "2", "public": {"rmse": 4.0}, "recorded_at": later(1)}))
    ranking.rebuild(lite.ctx)
    assert table(lite) == [("1", "Expert A", 4.0)]
