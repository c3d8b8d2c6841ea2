"""How values look."""

from datetime import UTC, datetime, timedelta, timezone
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.web import formatting

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (57_500_000, "USD", "$575,000"),
        (1_050, "USD", "$10.50"),
        (0, "EUR", "€0"),
        (-250, "GBP", "−£2.50"),
        (5_000, "JPY", "¥5,000"),
        (123_456, "CHF", "CHF\u00a01,234.56"),
        (None, "USD", "–"),
    ],
)
def test_money(minor: int | None, currency: str, text: str) -> None:
    assert formatting.money(minor, currency) == text


@given(st.integers(min_value=0, max_value=10**15))
def test_money_loses_no_cent(minor: int) -> None:
    shown = formatting.money(minor, "USD", cents=True)
    assert int(shown.replace("$", "").replace(",", "").replace(".", "")) == minor


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.50000"),
        (-1.25, "−1.25000"),
        (0.0, "0.00000"),
        (1.5e-7, "1.5000e−07"),
        (None, "–"),
        (nan, "–"),
        (inf, "–"),
    ],
)
def test_a_missing_score_is_a_dash_never_a_zero(value: float | None, text: str) -> None:
    assert formatting.score(value) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1 kB"), (999_600, "1 MB"), (1_234_567, "1.23 MB"), (200_000_000, "200 MB")],
)
def test_size(count: int, text: str) -> None:
    assert formatting.size(count) == text.replace(" ", "\u00a0")


def test_times_are_utc_whatever_their_zone() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=-5)))
    assert formatting.when(elsewhere) == (
        '<time datetime="2026-03-01T12:00:00Z" data-time="full">1 Mar 2026, 12:00 UTC</time>'
    )


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (timedelta(days=12, hours=3, minutes=5), "12 days 3 hours"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(seconds=59), "less than a minute"),
        (timedelta(0), "passed"),
        (timedelta(seconds=-1), "passed"),
    ],
)
def test_time_left(left: timedelta, text: str) -> None:
    assert formatting.until(NOON + left, NOON) == text


def test_nested_errors_of_a_form_become_one_text() -> None:
    assert formatting.flat_errors(["One.", ["Two."], {"x": ["Three."]}]) == "One. Two. Three."


def test_a_place_is_said_in_words() -> None:
    assert formatting.place({"row": 4, "column": 9}) == "row 4, column 9"
    assert formatting.place({}) == "–"


@given(st.text())
def test_a_slug_can_be_an_id(text: str) -> None:
    assert formatting.slug(text).isascii()
    assert " " not in formatting.slug(text)
