"""Hashing: what it finds equal is equal, however the rows are dealt out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import hashing
from datasets.canonical import pack_text
from datasets.hashing import Words, distinct, match, parted, seed

IDS = st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 40), max_size=80)
quick = settings(max_examples=60, deadline=None)


def words(values: list[int]) -> Words:
    return np.array(values, dtype=np.int64)


def texts(values: list[str]) -> Words:
    packed = pack_text(values, "x")
    return packed["x.offsets"], packed["x.bytes"]


@quick
@given(ids=IDS, threads=st.integers(1, 3), window=st.sampled_from([3, 16, 1 << 20]), part=st.sampled_from([2, 1 << 14]))
def test_distinct_agrees_with_a_set(ids: list[int], threads: int, window: int, part: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "WINDOW", window)
        patch.setattr(hashing, "PART", part)
        assert distinct([words(ids)], threads=threads) == (len(set(ids)) == len(ids))
        names = [f"id {number}" for number in ids]
        assert distinct([texts(names)], threads=threads) == (len(set(ids)) == len(ids))
        pairs = [number // 7 for number in ids], [number % 7 for number in ids]
        assert distinct([words(pairs[0]), texts([str(n) for n in pairs[1]])]) == (len(set(ids)) == len(ids))


@quick
@given(wanted=st.sets(st.integers(0, 60), max_size=50), given_=st.lists(st.integers(0, 70), max_size=80))
def test_match_agrees_with_a_dictionary(wanted: set[int], given_: list[int]) -> None:
    ours, one = sorted(wanted, key=lambda number: number * 37 % 61), seed()
    place = {number: row for row, number in enumerate(ours)}
    first: dict[int, int] = {}
    for line, number in enumerate(given_):
        first.setdefault(number, line)
    for bits in (0, 3):
        index, others = parted([words(ours)], one, bits=bits), parted([words(given_)], one, bits=bits)
        taken, found, wrong = match(index, others, trace=True)
        assert taken.tolist() == [first.get(number, -1) for number in ours]
        assert found.tolist() == [place.get(number, -1) for number in given_]
        extra = sum(number not in wanted for number in given_)
        assert wrong.tolist() == [extra, len(given_) - extra - len(wanted & set(given_))]


def test_parts_hold_every_row_once_in_order() -> None:
    values = np.arange(100_000, dtype=np.int64)
    parts = parted([values], seed(), threads=2)
    assert len(parts.starts) > 2
    for start, stop in zip(parts.starts[:-1], parts.starts[1:], strict=True):
        assert (np.diff(parts.rows[start:stop]) > 0).all()
    assert np.array_equal(np.sort(parts.rows), values)


def test_ids_in_steps_spread_evenly_under_any_seed() -> None:
    values = np.arange(1 << 18, dtype=np.int64) << 20
    sizes = np.diff(parted([values], seed()).starts)
    assert sizes.max() < 1.2 * sizes.mean()


@pytest.mark.parametrize("name", ["", "a", "id 12345", "a longer name of several words"])
def test_the_seed_matters_to_texts_of_any_length(name: str) -> None:
    """Under another seed the hashes of two texts differ by something else: nobody can foresee which fall together."""
    both = [texts([name, f"{name}#"])]
    gaps = {int(np.bitwise_xor.reduce(hashing.hashed(both, seed()))) for _ in range(20)}
    assert len(gaps) == 20


def test_both_words_of_the_seed_matter_to_texts() -> None:
    name = [texts(["12345678"])]
    one, two = seed()
    found = {int(hashing.hashed(name, pair)[0]) for pair in ((one, two), (~one, two), (one, two ^ np.uint64(2)))}
    assert len(found) == 3


def test_ids_fall_into_other_parts_under_another_seed() -> None:
    names = [texts([f"{number:08d}" for number in range(2000)])]
    parts = [(hashing.hashed(names, seed()) >> np.uint64(60)).astype(np.int64) for _ in range(2)]
    assert (parts[0] == parts[1]).mean() < 0.2
