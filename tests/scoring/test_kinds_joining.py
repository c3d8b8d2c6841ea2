"""Ids of truth and prediction: matched by hashing as by comparing, with and without an index made before."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import hashing
from datasets.canonical import Canonical
from datasets.errors import Rejected
from scoring.engine import score
from scoring.kinds import joining
from scoring.kinds import table as kind
from scoring.kinds.columns import column
from scoring.kinds.joining import index_ids, match_ids
from scoring.kinds.pairing import TruthSet
from tests.scoring.making import TABLE, spec_of, table

SPEC = spec_of("table", TABLE)
quick = settings(max_examples=60, deadline=None)
KEYS = st.tuples(st.sampled_from(["", "a", "w1", "a well with a long name"]), st.integers(0, 5))


def columns(rows: list[tuple[str, int]], number: str) -> list[Any]:
    values = [place / 2 if number == "f" else place for _, place in rows]
    form = table({"t": [name for name, _ in rows] or [""], "n": np.array(values, dtype=f"{number}8")})
    return [column(form, "t").slice(0, len(rows)), form.arrays["n"]]


@quick
@given(wanted=st.sets(KEYS), rows=st.lists(KEYS, max_size=40), number=st.sampled_from("if"))
def test_hashes_find_what_codes_find(wanted: set[tuple[str, int]], rows: list[tuple[str, int]], number: str) -> None:
    ours, theirs = columns(sorted(wanted), number), columns(rows, number)
    for chosen in ([0, 1], [1, 0]):
        one, other = [ours[i] for i in chosen], [theirs[i] for i in chosen]
        found, careful = match_ids(one, other, index_ids(one)), joining._by_codes(one, other)
        whole = found.found is None
        assert careful.found is not None
        assert whole == (sorted(wanted) == sorted(rows))
        if whole:
            assert found.rows.tolist() == careful.rows.tolist()
        else:
            assert found.found is not None
            assert found.found.tolist() == careful.found.tolist()
            assert ((found.rows < 0) == (careful.rows < 0)).all()


def test_ids_whose_hashes_collide_are_compared_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    def constant(columns: Any, *_: Any, **__: Any) -> Any:
        first = columns[0]
        return np.ones(len(first[0]) - 1 if isinstance(first, tuple) else len(first), dtype=np.uint64)

    monkeypatch.setattr(hashing, "hashed", constant)
    ours, theirs = (columns([("a", 1), ("b", 2), ("c", 3)], "i"), columns([("c", 3), ("a", 1), ("b", 2)], "i"))
    for chosen in (slice(0, 2), slice(0, 1)):
        assert match_ids(ours[chosen], theirs[chosen]).rows.tolist() == [1, 2, 0]
    other = columns([("x", 3), ("y", 1), ("z", 2)], "i")
    assert match_ids(ours[:1], other[:1]).rows.tolist() == [-1, -1, -1]


def example(n: int = 200) -> tuple[Canonical, Canonical]:
    rng = np.random.default_rng(4)
    wells = [f"w{row % 5}" for row in range(n)]
    ids = {"id.0": wells, "id.1": np.arange(n) * 0.5}
    order = rng.permutation(n)
    entry = {"id.0": [wells[row] for row in order], "id.1": order * 0.5, "value.y": rng.normal(size=n)}
    return table({**ids, "block": wells, "value.y": rng.normal(size=n)}), table(entry)


def test_what_is_prepared_changes_no_bit() -> None:
    truth, entry = example()
    prepared = kind.prepare(TruthSet(truth), SPEC)
    assert {"ids.hashes", "blocks.codes"} <= prepared.keys()
    plain = score(SPEC, TruthSet(truth), entry)
    kept = score(SPEC, TruthSet(truth, None, prepared), entry)
    assert plain.scores == kept.scores
    assert plain.block_states.keys() == kept.block_states.keys()


def test_an_index_of_ids_is_taken_over_by_the_next_target() -> None:
    truth, _ = example()
    first = kind.prepare(TruthSet(truth), SPEC)
    second = kind.prepare(TruthSet(truth, None, first), SPEC)
    assert second["ids.hashes"] is first["ids.hashes"]


def test_a_join_serves_several_targets() -> None:
    truth, entry = example()
    joined = kind.join(entry, truth, SPEC)
    again = kind.pair(entry, TruthSet(truth), SPEC, joined)
    assert again.rows == 200
    short = table({name: values[:-1] for name, values in {"id.0": ["a", "b"], "id.1": np.zeros(2)}.items()})
    with pytest.raises(Rejected):
        kind.pair(entry, TruthSet(truth), SPEC, kind.join(short, truth, SPEC))


def test_class_targets_are_prepared_as_small_codes() -> None:
    sections = """
[truth]
file = "hidden/truth.csv"
id = "id"
target = "facies"
[submission]
probabilities = {ore = "p"}
[scoring]
primary = "brier"
metrics = ["brier", "f1"]
"""
    spec = spec_of("table", sections)
    truth = table({"id.0": np.arange(3), "value.facies": np.array([1, 0, 1])}, ["waste", "ore"])
    entry = table({"id.0": np.array([2, 1, 0]), "value.p": np.array([0.5, 0.0, 1.0])})
    prepared = kind.prepare(TruthSet(truth), spec)
    assert prepared["target.codes"].dtype == np.int8
    for kept in ({}, prepared):
        found = score(spec, TruthSet(truth, None, kept), entry).scores.overall
        assert found == {"brier": pytest.approx(0.25 / 3), "f1": 1.0}


SEVERAL = """
[truth]
file = "hidden/truth.csv"
id = "id"
target = "facies"
{weight}
[submission]
probabilities = {{a = "pa", b = "pb", c = "pc"}}
[scoring]
primary = "log_loss"
metrics = ["log_loss", "brier", "accuracy", "f1_macro", "roc_auc"]
"""


@pytest.mark.parametrize("weighted", [False, True])
def test_many_probabilities_are_read_in_the_order_of_the_file(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of("table", SEVERAL.format(weight='weight = "w"' if weighted else ""))
    rng = np.random.default_rng(7)
    order, p = rng.permutation(300), rng.dirichlet(np.ones(3), 300)
    weight = {"weight": rng.random(300)} if weighted else {}
    truth = TruthSet(
        table({"id.0": np.arange(300), "value.facies": rng.integers(0, 3, 300), **weight}, ["a", "b", "c"])
    )
    entry = table({"id.0": order, **{f"value.p{name}": p[order, k] for k, name in enumerate("abc")}})
    whole = score(spec, truth, entry).scores.overall
    monkeypatch.setattr(kind, "PART_ROWS", 64)
    monkeypatch.setattr(kind, "STRIP", 10)
    (_, _, first), *_ = kind.pair(entry, truth, spec).samples(0)
    assert np.array_equal(first.p, p[order][:64])
    parts = score(spec, truth, entry).scores.overall
    assert parts == {name: pytest.approx(value, rel=1e-12) for name, value in whole.items()}
