"""Names, addresses and passwords as people type them, and as those who want to be mistaken for others do."""

import pytest

from portal.domain.credentials import check_new_account, email_fault, email_key, name_fault, name_key, password_fault
from portal.domain.errors import Invalid


@pytest.mark.parametrize(
    "password", ["short", "password1234", "PASSWORD1234", "aaaaaaaaaaaaaaa", "123412341234", "x" * 1025]
)
def test_weak_passwords_are_refused(password: str) -> None:
    assert password_fault(password)


@pytest.mark.parametrize(
    "password", ["correct horse battery", "金銀銅鐵錫鉛鋅鎳鈷鎢鉬鈾", " leading and trailing ", "p" + "assw0rd" * 100]
)
def test_any_characters_and_long_ones_are_fine(password: str) -> None:
    assert password_fault(password) is None


def test_a_password_is_not_the_own_name() -> None:
    assert password_fault("Expert Number A", own=("expert number a",))


@pytest.mark.parametrize("name", ["", "   ", "a\u202eb", "a\u200bb", "tab\tname", "x" * 81, "ехpert", "\x00"])
def test_names_that_deceive_are_refused(name: str) -> None:
    assert name_fault(name)


@pytest.mark.parametrize("name", ["Expert A", "Zoë O’Neil-Łęcki", "李雷", "Иван Петров", "Team Иван"])
def test_names_of_the_world_are_fine(name: str) -> None:
    assert name_fault(name) is None


def test_look_alikes_compare_as_equal() -> None:
    assert name_key("  ＥＸＰＥＲＴ   a ") == name_key("expert Á") == "expert a"
    assert email_key(" Expert.A@Example.ORG ") == "expert.a@example.org"


@pytest.mark.parametrize(
    "email", ["", "a", "a@", "@b", "a b@c.d", "a@b..c", "a@-b.c", "a\n@b.c", f"{'a' * 250}@b.cc", "<a@b.c>"]
)
def test_what_is_no_address_is_refused(email: str) -> None:
    assert email_fault(email)


def test_every_field_at_fault_is_named_at_once() -> None:
    with pytest.raises(Invalid) as refusal:
        check_new_account("", "nobody", "short")
    assert set(refusal.value.field_errors) == {"name", "email", "password"}
