"""Charts: well-formed, named, said in words, free of inline style, and true to their numbers."""

from datetime import UTC, datetime, timedelta
from math import nan
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain.views import BoardRow, LedgerView, PrizeView, ProgressPoint, TimelineItem
from portal.web import charts

START = datetime(2026, 1, 5, tzinfo=UTC)
FINITE = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False).map(lambda value: round(value, 6))


def row(score: float | None, *, me: bool = False, team: str = "Team") -> BoardRow:
    return BoardRow(1, "1", team, False, score, {}, 1, START, is_me=me)


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def check(svg: str) -> ElementTree.Element:
    root = parsed(svg)
    assert root.get("role") == "img"
    ids = {element.get("id") for element in root.iter()}
    assert all(name in ids for name in (root.get("aria-labelledby") or "").split())
    assert all(element.get("style") is None for element in root.iter())
    assert root.findtext("title")
    assert root.findtext("desc")
    return root


@given(st.lists(FINITE, min_size=1, max_size=60), st.integers(1, 20))
def test_bins_hold_every_value_once(values: list[float], count: int) -> None:
    parts = charts.bins(values, count)
    assert sum(n for _, _, n in parts) == len(values)
    assert parts[0][0] <= min(values)
    assert parts[-1][1] >= max(values) - 1e-6 * max(1, abs(max(values)))


@given(st.lists(FINITE, min_size=3, max_size=40), st.integers(0, 39))
def test_a_histogram_is_well_formed_and_marks_one_bin(values: list[float], mine: int) -> None:
    rows = [row(value, me=i == mine % len(values)) for i, value in enumerate(values)]
    root = check(charts.histogram([*rows, row(None), row(nan)], "rmse"))
    kinds = [element.get("class") for element in root.iter("rect")]
    assert kinds.count("bar mine") == 1


def test_too_few_scores_draw_nothing() -> None:
    assert charts.histogram([row(1.0), row(2.0), row(None)], "rmse") == ""
    assert charts.progress([ProgressPoint(START, 1.0, "a")], "rmse") == ""
    assert charts.timeline([TimelineItem(START, "Opens", True)], START) == ""
    assert charts.prizes([], 100, "USD") == ""


@given(FINITE, FINITE)
def test_ticks_lie_inside_and_are_even(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    found = charts.ticks(low, high)
    slack = 1e-6 * max(1.0, abs(low), abs(high))
    assert all(low - slack <= tick <= high + slack for tick in found)
    assert len(found) <= 7


def test_progress_goes_up_the_page_when_the_score_grows() -> None:
    points = [ProgressPoint(START + timedelta(days=i), value, "Team") for i, value in enumerate((0.1, 0.4, 0.5))]
    dots = [float(dot.get("cy") or 0) for dot in check(charts.progress(points, "f1")).iter("circle")]
    assert dots == sorted(dots, reverse=True)


def test_a_team_cannot_write_markup() -> None:
    points = [ProgressPoint(START + timedelta(days=i), float(i), "<script>x</script>&") for i in range(2)]
    root = check(charts.progress(points, "<b>"))
    assert "<script>x</script>&" in (root.findtext("desc") or "")


@pytest.mark.parametrize(("paid", "promised"), [(0, 0), (100, 0), (40, 60), (25, 25)])
def test_the_pool_is_as_wide_as_its_pieces(paid: int, promised: int) -> None:
    root = check(charts.pool(LedgerView("USD", 100, paid, promised, ())))
    widths = {r.get("class"): float(r.get("width") or 0) for r in root.iter("rect")}
    frame = widths.pop("frame")
    assert sum(widths.values()) == pytest.approx(frame, abs=0.2)
    assert widths.get("paid", 0) == pytest.approx(frame * paid / 100, abs=0.2)


def test_prizes_are_in_order_and_to_scale() -> None:
    root = check(charts.prizes([PrizeView(2, 50), PrizeView(1, 100)], 200, "USD"))
    first, second = (float(r.get("width") or 0) for r in root.iter("rect"))
    assert first == pytest.approx(2 * second, rel=0.01)


def test_a_timeline_names_every_date() -> None:
    items = [TimelineItem(START, "Opens", True), TimelineItem(START + timedelta(days=9), "Closes", False)]
    said = check(charts.timeline(items, START + timedelta(days=3))).findtext("desc") or ""
    assert "Opens" in said
    assert "Closes" in said


def test_strips_share_their_ends() -> None:
    drawn = charts.strips([row(1.0), row(3.0), row(2.0), row(None)])
    xs = [float(dot.get("cx") or 0) for svg in drawn if svg for dot in parsed(svg).iter("circle")]
    assert xs == [6.0, 114.0, 60.0]
    assert drawn[3] == ""
