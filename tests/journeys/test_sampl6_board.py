"""The 105 entries of a past contest, each by a team of its own, on a board of the portal."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from portal.services import ranking
from tests.golden import contests
from tests.journeys.river import River

pytestmark = pytest.mark.slow
PUBLISHED = 1e-6


def test_the_board_shows_what_was_published(shared_data: Path, tmp_path: Path, river: River) -> None:
    data = shared_data / "sampl6_logp"
    expected = json.loads((data / "expected.json").read_text(encoding="utf-8"))
    folder = contests.sampl6(tmp_path, data)
    slug = river.publish(folder)
    for name, about in expected["submissions"].items():
        river.send(f"Team {name}", slug, data / about["file"])
    river.score_all()

    board = ranking.board(river.ctx, actor=None, slug=slug)
    shown = {row.team.removeprefix("Team "): row for row in board.rows}
    assert len(shown) == board.total_entries == len(expected["submissions"]) == 105
    for name, about in expected["submissions"].items():
        published = about["published"]
        assert shown[name].scores["rmse"] == pytest.approx(published["RMSE"], abs=PUBLISHED), name
        assert shown[name].scores["mae"] == pytest.approx(published["MAE"], abs=PUBLISHED), name
        assert shown[name].score == shown[name].scores["rmse"]

    order = [row.team.removeprefix("Team ") for row in board.rows]
    places = {name: place for place, name in enumerate(order)}
    for better, worse in pairwise(expected["ranking_by_RMSE"]):
        same = shown[better].rank == shown[worse].rank
        assert same or places[better] < places[worse], (better, worse)
        assert not same or shown[better].score == shown[worse].score
