"""Tables: the join, its findings, classes and probabilities."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.errors import EngineFault, Rejected
from scoring.engine import score
from scoring.kinds import table as kind
from scoring.kinds.pairing import TruthSet
from scoring.samples import Classes, Numbers, Probabilities
from tests.scoring.making import TABLE, codes, gathered, spec_of, table

SPEC = spec_of("table", TABLE)


def example(n: int = 24, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "id.0": [f"w{row % 4}" for row in range(n)],
        "id.1": np.arange(n) * 0.5,
        "value.y": rng.normal(size=n),
    }


def truth_of(columns: dict[str, Any]) -> TruthSet:
    return TruthSet(table({**columns, "block": columns["id.0"]}))


def taken(columns: dict[str, Any], rows: Any) -> dict[str, Any]:
    return {name: [values[row] for row in rows] for name, values in columns.items()}


@given(order=st.permutations(range(24)))
def test_row_order_changes_no_bit(order: list[int]) -> None:
    columns = example()
    entry = {**columns, "value.y": columns["value.y"] + np.sin(np.arange(24))}
    straight = score(SPEC, truth_of(columns), table(entry))
    shuffled = score(SPEC, truth_of(columns), table(taken(entry, order)))
    assert straight.scores == shuffled.scores


@given(rows=st.lists(st.integers(0, 29), max_size=40))
def test_findings_are_exactly_what_a_dictionary_finds(rows: list[int]) -> None:
    columns = example()
    wanted = list(zip(columns["id.0"], columns["id.1"].tolist(), strict=True))
    pool = [*wanted, *(("x", float(number)) for number in range(6))]
    given_ids = [pool[row] for row in rows]
    entry = table(
        {
            "id.0": [name for name, _ in given_ids],
            "id.1": np.array([depth for _, depth in given_ids], dtype=np.float64),
            "value.y": np.zeros(len(rows)),
        }
    )
    counts = {
        "missing-id": len(set(wanted) - set(given_ids)),
        "extra-id": sum(item not in wanted for item in given_ids),
        "duplicate-id": sum(item in wanted for item in given_ids) - len(set(wanted) & set(given_ids)),
    }
    found = {finding.code: finding.where["count"] for finding in kind.check(entry, truth_of(columns).truth, SPEC)}
    assert found == {code: count for code, count in counts.items() if count}


def test_findings_point_at_rows_and_ids() -> None:
    columns = example()
    entry = taken(columns, [*range(1, 24), 5])
    entry["id.0"][0] = "w9"
    missing, extra, duplicate = kind.check(table(entry), truth_of(columns).truth, SPEC)
    assert (missing.code, missing.where["ids"]) == ("missing-id", ["w0, 0", "w1, 0.5"])
    assert (extra.code, extra.where["row"]) == ("extra-id", 1)
    assert (duplicate.code, duplicate.where["row"]) == ("duplicate-id", 24)
    with pytest.raises(Rejected) as refused:
        kind.pair(table(entry), truth_of(columns), SPEC)
    assert codes(refused.value.findings) == ["missing-id", "extra-id", "duplicate-id"]


def test_numeric_ids_compare_as_numbers() -> None:
    columns = example()
    as_text = table({**columns, "id.1": [f"{value:.3f}" for value in columns["id.1"]]})
    assert kind.check(as_text, truth_of(columns).truth, SPEC) == []
    negative_zero = {**columns, "id.1": np.where(columns["id.1"] == 0, -0.0, columns["id.1"])}
    assert kind.check(table(negative_zero), truth_of(columns).truth, SPEC) == []
    whole = {**columns, "id.1": np.arange(24)}
    assert kind.check(table({**columns, "id.1": np.arange(24.0)}), truth_of(whole).truth, SPEC) == []


def test_text_ids_compare_as_text() -> None:
    columns = {**example(3), "id.1": ["01", "1", "1.0"]}
    truth = truth_of(columns)
    assert kind.check(table(columns), truth.truth, SPEC) == []
    assert codes(kind.check(table({**columns, "id.1": ["1", "01", "1.0"]}), truth.truth, SPEC)) == [
        "missing-id",
        "extra-id",
    ]


def test_blocks_are_wells_and_weights_follow_their_rows() -> None:
    columns = example(8)
    truth = TruthSet(table({**columns, "block": columns["id.0"], "weight": np.arange(8.0)}))
    found = gathered(kind.pair(table(taken(columns, range(7, -1, -1))), truth, SPEC))
    assert {key for key, _ in found} == {"w0", "w1", "w2", "w3"}
    assert {side for _, side in found} == {"public", "private"}
    (sample,) = next(samples for (key, _), samples in found.items() if key == "w1")
    assert isinstance(sample, Numbers)
    assert sample.w is not None
    assert sample.w.tolist() == [1.0, 5.0]
    assert sample.y.tolist() == sample.f.tolist() == [columns["value.y"][1], columns["value.y"][5]]


def test_the_block_may_be_an_id_column_alone() -> None:
    columns = example(8)
    assert kind.place(table(columns), SPEC).keys == ("w0", "w1", "w2", "w3")
    other = spec_of("table", TABLE.replace('by = "well"', 'by = "basin"'))
    with pytest.raises(EngineFault, match="basin"):
        kind.place(table(columns), other)


def test_parts_cover_the_rows_once(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = example(24)
    entry = table({**columns, "value.y": columns["value.y"] * 2})
    whole = score(SPEC, truth_of(columns), entry)
    monkeypatch.setattr(kind, "PART_ROWS", 5)
    pairing = kind.pair(entry, truth_of(columns), SPEC)
    assert pairing.parts == 5
    parts = score(SPEC, truth_of(columns), entry)
    for name, value in whole.scores.overall.items():
        assert parts.scores.overall[name] == pytest.approx(value, rel=1e-12)


CLASSES = (
    TABLE.replace('"rmse", "mae", "r2", "spearman_r", "median_ae"', '"accuracy", "f1_macro"')
    .replace('"rmse"', '"accuracy"')
    .replace('target = "y"', 'target = "y"\nclasses = ["sand", "shale"]')
)


def test_classes_are_matched_by_label_not_by_code() -> None:
    ids = {"id.0": ["a", "a", "b", "b"], "id.1": np.arange(4.0)}
    truth = table({**ids, "block": ids["id.0"], "value.y": np.array([0, 1, 0, 1])}, ["sand", "shale"])
    entry = table({**ids, "value.y": np.array([1, 0, 1, 1])}, ["shale", "sand"])
    found = gathered(kind.pair(entry, TruthSet(truth), spec_of("table", CLASSES)))
    samples = [sample for group in found.values() for sample in group]
    assert all(isinstance(sample, Classes) and sample.n_classes == 2 for sample in samples)
    assert score(spec_of("table", CLASSES), TruthSet(truth), entry).scores.overall["accuracy"] == 0.75


def test_a_class_the_challenge_does_not_name_is_a_finding() -> None:
    ids = {"id.0": ["a", "b"], "id.1": np.arange(2.0)}
    truth = table({**ids, "block": ids["id.0"], "value.y": np.array([0, 1])}, ["sand", "shale"])
    entry = table({**ids, "value.y": np.array([0, 2])}, ["sand", "shale", "lime"])
    with pytest.raises(Rejected) as refused:
        kind.pair(entry, TruthSet(truth), spec_of("table", CLASSES))
    assert [(f.code, f.where["row"]) for f in refused.value.findings] == [("unknown-class", 2)]
    open_list = spec_of("table", CLASSES.replace('classes = ["sand", "shale"]', ""))
    assert score(open_list, TruthSet(truth), entry).scores.overall["accuracy"] == 0.5


PROBABILITIES = """
[truth]
file = "hidden/truth.csv"
id = "id"
target = "facies"
[submission]
probabilities = {probabilities}
[scoring]
primary = "brier"
metrics = ["brier"]
"""


def test_one_column_is_the_probability_of_its_class() -> None:
    spec = spec_of("table", PROBABILITIES.format(probabilities='{ore = "p"}'))
    truth = table({"id.0": ["a", "b", "c"], "value.facies": np.array([1, 0, 1])}, ["waste", "ore"])
    entry = table({"id.0": ["c", "b", "a"], "value.p": np.array([0.5, 0.0, 1.0])})
    ((sample,),) = gathered(kind.pair(entry, TruthSet(truth), spec)).values()
    assert isinstance(sample, Probabilities)
    assert (sample.y.tolist(), sample.p.tolist()) == ([1, 0, 1], [1.0, 0.0, 0.5])


def test_several_columns_stand_in_the_order_of_the_classes() -> None:
    spec = spec_of("table", PROBABILITIES.format(probabilities='{b = "pb", a = "pa"}'))
    truth = table({"id.0": ["x", "y"], "value.facies": np.array([0, 1])}, ["a", "b"])
    entry = table({"id.0": ["x", "y"], "value.pa": np.array([0.9, 0.2]), "value.pb": np.array([0.1, 0.8])})
    ((sample,),) = gathered(kind.pair(entry, TruthSet(truth), spec)).values()
    assert isinstance(sample, Probabilities)
    assert sample.p.tolist() == [[0.9, 0.1], [0.2, 0.8]]
    assert sample.y.tolist() == [0, 1]


def test_an_empty_prediction_misses_every_id() -> None:
    columns = example(4)
    empty = table({"id.0": [], "id.1": np.empty(0), "value.y": np.empty(0)})
    empty = type(empty)(
        "table", {**empty.arrays, "id.0.offsets": np.zeros(1, np.int64), "id.0.bytes": np.empty(0, np.uint8)}, {}
    )
    (finding,) = kind.check(empty, truth_of(columns).truth, SPEC)
    assert (finding.code, finding.where["count"]) == ("missing-id", 4)
