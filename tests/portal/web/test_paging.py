"""Long lists cut into pages."""

from hypothesis import given
from hypothesis import strategies as st

from portal.web.paging import cut, page_of


@given(st.integers(0, 500), st.integers(1, 50))
def test_the_pages_together_are_the_list(length: int, size: int) -> None:
    items = list(range(length))
    pages = cut(items, 1, size=size).pages
    assert [item for page in range(1, pages + 1) for item in cut(items, page, size=size).items] == items


@given(st.integers(0, 500), st.integers(-10, 600), st.integers(1, 50))
def test_any_number_is_a_page(length: int, number: int, size: int) -> None:
    shown = cut(list(range(length)), number, size=size)
    assert 1 <= shown.page <= shown.pages
    assert list(shown.items) == list(range(shown.first, min(shown.first + size, length)))


@given(st.integers(1, 500), st.integers(1, 50), st.data())
def test_an_item_is_on_the_page_that_is_named(length: int, size: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, length - 1))
    items = list(range(length))
    page = page_of(items, lambda item: item == place, size=size)
    assert page is not None
    assert place in cut(items, page, size=size).items
    assert page_of(items, lambda item: item == length, size=size) is None
