"""Tables: every good form is read to the same columns, every fault has its code and place."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datasets.canonical import Canonical, unpack_text
from datasets.errors import Finding, Rejected
from datasets.expect import Expectation
from datasets.formats.columns import repeated
from datasets.intake import intake
from tests.datasets import controls

LOOSE = Expectation.loose(controls.TABLE)


class Desk:
    """Writes texts as files and reads them, each into its own folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0

    def read(self, content: str | bytes | pd.DataFrame | pa.Table, expect: Expectation = LOOSE) -> Canonical:
        self.count += 1
        path = self.folder / f"upload-{self.count}"
        form = "csv"
        if isinstance(content, pa.Table):
            form = "parquet"
            pq.write_table(content, path)
        elif isinstance(content, pd.DataFrame):
            form = "parquet"
            content.to_parquet(path, index=False)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return intake(path, format=form, expect=expect, out=self.folder / f"out-{self.count}")

    def refuse(self, content: Any, expect: Expectation = LOOSE) -> tuple[Finding, ...]:
        with pytest.raises(Rejected) as caught:
            self.read(content, expect)
        return caught.value.findings

    def codes(self, content: Any, expect: Expectation = LOOSE) -> list[str]:
        return [finding.code for finding in self.refuse(content, expect)]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_csv_and_parquet_give_the_same(desk: Desk) -> None:
    frame = controls.frame()
    one, other = desk.read(frame.to_csv(index=False)), desk.read(frame)
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        assert np.array_equal(array, other.arrays[name]), name
    assert unpack_text(one.arrays, "id.0") == frame["id"].tolist()
    assert one.arrays["value.p"].tolist() == frame["p"].tolist()
    assert dict(one.attrs) == {"rows": controls.N, "ids": ["id"], "classes": None}


def test_ordinary_variants_are_read(desk: Desk) -> None:
    wanted = [1.0, -2.5, 3e-3]
    for text in (
        "id,p\n1,1\n2,-2.5\n3,3e-3\n",
        "\ufeffid,p\r\n1,1.0\r\n2,-2.50\r\n3,3E-3\r\n",
        'p,note,"id"\n1,"a, b",1\n-2.5,"say ""no""",2\n.003,,3',
        "id,p\n1, 1\n2,-2.5 \n3,+0.003\n\n",
    ):
        canonical = desk.read(text)
        assert canonical.arrays["value.p"].tolist() == wanted
        assert canonical.arrays["id.0"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        (["1", "2"], "i"),
        (["1.5", "2"], "f"),
        (["007", "8"], "text"),
        (["NA", "null"], "text"),
        (["nan", "1"], "text"),
        (["1_0", "2"], "text"),
        (["99999999999999999999", "1"], "f"),
    ],
)
def test_ids_of_unknown_type(desk: Desk, ids: list[str], kind: str) -> None:
    arrays = desk.read("id,p\n" + "".join(f"{text},1\n" for text in ids)).arrays
    if kind == "text":
        assert unpack_text(arrays, "id.0") == ids
    else:
        assert arrays["id.0"].dtype.kind == kind


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", "missing-value"),
        ("nan", "not-finite"),
        ("NaN", "not-finite"),
        ("-inf", "not-finite"),
        ("Infinity", "not-finite"),
        ("1e999", "not-finite"),
        ("1_000", "not-a-number"),
        ("５", "not-a-number"),
        ("0x10", "not-a-number"),
        ("1,5", "wrong-row"),
        ("1.2.3", "not-a-number"),
        ("1d3", "not-a-number"),
        ("TRUE", "not-a-number"),
        ("--1", "not-a-number"),
        ("NA", "not-a-number"),
        ("null", "not-a-number"),
        ("=1+1", "not-a-number"),
    ],
)
def test_numbers_are_strict(desk: Desk, value: str, code: str) -> None:
    (finding,) = desk.refuse(f"id,p\na,1\nb,{value}\n")
    assert finding.code == code
    assert finding.where["row"] == 2
    assert finding.hint


def test_integer_ids_are_strict(desk: Desk) -> None:
    tight = Expectation.tight(controls.TABLE, desk.read("id,p\n1,0\n2,0\n"))
    assert desk.read("id,p\n2.0,1\n+1,1\n", tight).arrays["id.0"].tolist() == [2, 1]
    for value in ("0x1", "1_0", "1e0", "1.5", "", "9223372036854775808"):
        assert desk.codes(f"id,p\n{value},1\n", tight)[0] in {"not-a-number", "missing-value"}, value


def test_all_faults_at_once_and_counted(desk: Desk) -> None:
    findings = desk.refuse("id,p\n" + "".join(f"{i % 3},{'x' if i % 2 else 'inf'}\n" for i in range(100)))
    assert [finding.code for finding in findings].count("not-a-number") == 21
    assert [finding.where["count"] for finding in findings if "count" in finding.where] == [50, 50, 97]
    assert "not-finite" in {finding.code for finding in findings}


def test_duplicates_in_one_and_more_columns(desk: Desk) -> None:
    assert [f.where["row"] for f in desk.refuse("id,p\n1,1\n2,1\n1,1\n1,1\n")] == [3, 4]
    two = Expectation.loose(controls.spec("table", 'id = ["well", "depth"]\ntarget = "y"', 'prediction = "p"'))
    assert desk.read("well,depth,p\na,1.5,1\na,2.5,1\nb,1.5,1\n", two).attrs["ids"] == ["well", "depth"]
    findings = desk.refuse("well,depth,p\na,1.5,1\nb,1.5,1\na,1.50,1\n", two)
    assert [(f.code, f.where["row"]) for f in findings] == [("duplicate-id", 3)]


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from([0.0, -0.0, 1.5]), st.integers(0, 2)), min_size=1, max_size=30
    )
)
def test_repeated_agrees_with_a_dictionary(rows: list[tuple[str, float, int]]) -> None:
    seen: set[Any] = set()
    again = []
    for i, row in enumerate(rows):
        if row in seen:
            again.append(i)
        seen.add(row)
    columns = [pa.chunked_array([list(column)]) for column in zip(*rows, strict=True)]
    assert repeated(columns).tolist() == again


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty-file"),
        ("\n\n", "empty-file"),
        ("id,p\n", "empty-file"),
        ("id;p\n1;2\n", "missing-column"),
        ("ID,P\n1,2\n", "missing-column"),
        ("id,p,p\n1,2,3\n", "duplicate-column"),
        ("id,p\n1,2\n3\n", "wrong-row"),
        (b"id,p\n\xff\xfe,2\n", "unreadable"),
        ("id,p\na,1\n".encode("utf-16"), "unreadable"),
        ("id,p\n" + "a" * 5000 + ",1\n", "text-too-long"),
        ("id,p\n" + "a" * (9 << 20) + ",1\n", "unreadable"),
        (",".join(f"c{i}" for i in range(3000)) + "\n", "too-many-columns"),
        ("id,p\n,1\n", "missing-value"),
        ('id,p\n"unclosed,1\n', "wrong-row"),
        ("x" * (2 << 20), "suspicious-structure"),
    ],
)
def test_broken_csv(desk: Desk, text: str | bytes, code: str) -> None:
    assert desk.codes(text)[0] == code


def test_hints_name_the_way_out(desk: Desk) -> None:
    assert "commas" in desk.refuse("id;p\n1;2\n")[0].hint
    assert "'P'" in desk.refuse("id,P\n1,2\n")[0].hint


def test_too_many_rows(desk: Desk) -> None:
    tight = Expectation.tight(controls.TABLE, desk.read("id,p\n1,0\n2,0\n"))
    assert desk.codes("id,p\n" + "".join(f"{i},0\n" for i in range(1200)), tight) == ["too-many-rows"]


def test_range(desk: Desk) -> None:
    limited = replace(LOOSE, low=0.0, high=10.0)
    assert [f.where["row"] for f in desk.refuse("id,p\na,0\nb,10\nc,10.1\nd,-1\n", limited)] == [3, 4]


def test_probabilities(desk: Desk) -> None:
    spec = controls.spec(
        "table", 'id = ["id"]\ntarget = "y"', 'probabilities = {"a" = "pa", "b" = "pb"}', metric="log_loss"
    )
    expect = Expectation.loose(spec)
    assert desk.read("id,pa,pb\n1,0.25,0.75\n2,1,0\n", expect).arrays["value.pb"].tolist() == [0.75, 0.0]
    assert desk.codes("id,pa,pb\n1,0.25,0.7500011\n", expect) == ["probabilities-do-not-sum"]
    assert desk.codes("id,pa,pb\n1,-0.25,1.25\n", expect) == ["probability-out-of-range"] * 2


def test_classes_keep_their_order_and_may_be_open(desk: Desk) -> None:
    spec = controls.spec("table", 'id = ["id"]\ntarget = "y"', 'prediction = "p"', metric="f1_micro")
    truth = desk.read("id,y\n1,sand\n2,clay\n3,sand\n", Expectation.loose(spec, "truth"))
    assert truth.attrs["classes"] == ["clay", "sand"]
    assert truth.arrays["value.y"].tolist() == [1, 0, 1]
    entry = desk.read("id,p\n1,sand\n2,gravel\n3,clay\n", Expectation.tight(spec, truth))
    assert entry.attrs["classes"] == ["clay", "sand", "gravel"]
    assert entry.arrays["value.p"].tolist() == [1, 2, 0]


def test_fixed_classes_are_closed(desk: Desk) -> None:
    text = 'id = ["id"]\ntarget = "y"\nclasses = ["3", "1", "2"]'
    spec = controls.spec("table", text, 'prediction = "p"', metric="accuracy")
    expect = Expectation.loose(spec)
    assert desk.read("id,p\na,1\nb,3.0\n", expect).arrays["value.p"].tolist() == [1, 0]
    assert desk.read(pd.DataFrame({"id": ["a"], "p": [2.0]}), expect).arrays["value.p"].tolist() == [2]
    assert desk.codes("id,p\na,4\nb,\n", expect) == ["missing-value", "unknown-class"]


def test_truth_reads_weight_and_block(desk: Desk) -> None:
    spec = controls.spec(
        "table",
        'id = ["well", "depth"]\ntarget = "y"\nweight = "w"',
        'prediction = "p"',
        blocks='[blocks]\nby = "well"',
    )
    truth = desk.read("well,depth,y,w\n1,5,0.5,1\n1,6,1.5,2\n2,5,2,0\n", Expectation.loose(spec, "truth"))
    assert unpack_text(truth.arrays, "block") == ["1", "1", "2"]
    assert truth.arrays["weight"].tolist() == [1.0, 2.0, 0.0]
    bad = desk.refuse("well,depth,y,w\n1,5,0.5,-1\n", Expectation.loose(spec, "truth"))
    assert [finding.code for finding in bad] == ["out-of-range"]


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"id": ["a"], "p": pa.array([None], pa.float64())}, "missing-value"),
        ({"id": pa.array([None], pa.string()), "p": [1.0]}, "missing-value"),
        ({"id": ["a"], "p": [float("nan")]}, "not-finite"),
        ({"id": ["a"], "p": ["x"]}, "not-a-number"),
        ({"id": ["a"], "p": [True]}, "wrong-type"),
        ({"id": ["a"], "p": [[1.0]]}, "wrong-type"),
        ({"id": ["a"], "q": [1.0]}, "missing-column"),
        ({"id": ["a" * 5000], "p": [1.0]}, "text-too-long"),
        ({"id": ["a", "a"], "p": [1.0, 2.0]}, "duplicate-id"),
        ({"id": pa.array([], pa.string()), "p": pa.array([], pa.float64())}, "empty-file"),
    ],
)
def test_broken_parquet(desk: Desk, columns: dict[str, Any], code: str) -> None:
    assert desk.codes(pa.table(columns))[0] == code


def test_parquet_types(desk: Desk) -> None:
    table = pa.table(
        {
            "id": pa.array(["a", "b", "a2"]).dictionary_encode(),
            "p": pa.array([1, 2, 3], pa.uint8()),
            "junk": pa.array([{"a": 1}] * 3),
        }
    )
    canonical = desk.read(table)
    assert unpack_text(canonical.arrays, "id.0") == ["a", "b", "a2"]
    assert canonical.arrays["value.p"].tolist() == [1.0, 2.0, 3.0]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
        min_size=1,
        max_size=20,
        unique_by=lambda row: row[0],
    )
)
def test_any_text_and_number_survives(desk: Desk, rows: list[tuple[str, float]]) -> None:
    text_ids = replace(LOOSE, columns=(replace(LOOSE.columns[0], type="text"), LOOSE.columns[1]))
    lines = ['"' + key.replace('"', '""') + f'",{value!r}' for key, value in rows]
    canonical = desk.read("id,p\n" + "\n".join(lines) + "\n", text_ids)
    assert unpack_text(canonical.arrays, "id.0") == [key for key, _ in rows]
    assert canonical.arrays["value.p"].tolist() == [value for _, value in rows]
