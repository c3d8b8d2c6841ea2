"""Minor units are exact or refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.money import MAX_MINOR, from_minor, is_currency, to_minor


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("105000.00", "USD", 10_500_000), ("1200", "JPY", 1200), ("1.234", "KWD", 1234), ("0", "EUR", 0)],
)
def test_known_amounts(amount: str, currency: str, minor: int) -> None:
    assert to_minor(Decimal(amount), currency) == minor


@given(st.integers(-MAX_MINOR, MAX_MINOR), st.sampled_from(["USD", "JPY", "KWD"]))
def test_there_and_back(minor: int, currency: str) -> None:
    assert to_minor(from_minor(minor, currency), currency) == minor


@pytest.mark.parametrize(("amount", "currency"), [("0.001", "USD"), ("0.5", "JPY"), ("1e30", "USD")])
def test_what_does_not_fit_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(ValueError, match=r"minor units|too large"):
        to_minor(Decimal(amount), currency)


def test_currencies_are_iso_codes() -> None:
    assert is_currency("USD")
    assert not is_currency("usd")
    assert not is_currency("US$")
