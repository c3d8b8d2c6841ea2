"""Receipts: what was signed is what is read; anything else is nothing."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from portal.domain.receipts import Receipt, sign, verify

SECRET = "s" * 40
RECEIPT = Receipt("id", "grades", "Team Ä 金", "ab" * 32, 12, datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC))


def test_a_receipt_reads_back() -> None:
    assert verify(sign(RECEIPT, SECRET), SECRET) == RECEIPT


def test_another_secret_signed_nothing_of_ours() -> None:
    assert verify(sign(RECEIPT, "t" * 40), SECRET) is None


@given(st.integers(0, 400), st.characters(codec="ascii"))
def test_a_changed_receipt_is_none(place: int, char: str) -> None:
    text = sign(RECEIPT, SECRET)
    place %= len(text)
    changed = text[:place] + char + text[place + 1 :]
    assert verify(changed, SECRET) == (RECEIPT if changed.strip() == text else None)


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert verify(text, SECRET) is None
