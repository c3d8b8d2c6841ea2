"""Plain CSV: the compiled reader gives what the careful one gives, or nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from datasets.findings import Findings
from datasets.formats import delimited, plain
from datasets.formats.column_loops import all_inside
from datasets.formats.delimited import read_columns
from datasets.formats.plain import Cell, read_plain
from datasets.threads import allow

relaxed = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "entry.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def column(path: Path, kind: Cell, fields: int = 2) -> list[Any] | None:
    """The first column."""
    found = read_plain(path, fields, {0: kind})
    return None if found is None else found[0].to_pylist()


def bits(values: list[float]) -> bytes:
    return np.array(values, dtype=np.float64).tobytes()


DECIMALS = st.from_regex(r"[+-]?([0-9]{1,12}\.?[0-9]{0,12}|\.[0-9]{1,20})([eE][+-]?[0-9]{1,3})?", fullmatch=True)


@relaxed
@given(st.lists(DECIMALS, min_size=1, max_size=20))
@example(["9007199254740993", "9007199254740992", "9007199254740991.0", "1e22", "1e23", "8.5e-22"])
@example(["0.000012345678901234567", "1.7976931348623157e308", "2.2250738585072014e-308", "-0.0", "+.5", "5."])
@example(["9007199254740993e-1", "1152921504606846977", "7.2057594037927933e16", "123456789012345678e-30"])
def test_decimals_become_the_nearest_float(tmp_path: Path, texts: list[str]) -> None:
    found = column(written(tmp_path, "p,x\n" + "".join(f"{text},\n" for text in texts)), "float")
    if found is not None:
        assert bits(found) == bits([float(text) for text in texts])
    else:  # only numbers beyond 19 digits, or beyond the normal floats, are left to the careful reader
        assert any(
            len(text.lower().split("e")[0].strip("+-").replace(".", "").lstrip("0")) > 19
            or not 2.3e-308 <= abs(float(text)) < float("inf")
            for text in texts
        )


@relaxed
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False), min_size=1, max_size=30))
def test_every_normal_float_survives_as_it_is_printed(tmp_path: Path, values: list[float]) -> None:
    path = written(tmp_path, "x,p\n" + "".join(f"a,{value!r}\n" for value in values))
    found = read_plain(path, 2, {1: "float"})
    assert found is not None
    assert bits(found[1].to_pylist()) == bits(values)


@pytest.mark.parametrize(
    "line",
    [
        "", "nan,1", "inf,1", "1_0,1", "0x1,1", " 1,1", "1 ,1", '"1",1', "1,1,1", "1", "--1,1", "1e,1", "1e+,1", ".,1",
        "-,1", "1.2.3,1", "1e1e1,1", "1e999,1", "1e-310,1", "1\r,1", "1,\x00", "1,\x1b", "1,\u00e9", "1,1\r\r",
        "12345678901234567890,1", "1,\"", "1;1", "1e99999,1", "-\u0661,1", ",1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("last", [False, True])
def test_what_is_not_plain_is_left_alone(tmp_path: Path, line: str, last: bool) -> None:
    text = f"p,q\n1,2\n{line}" + ("" if last and line else "\n3,4\n")
    assert read_plain(written(tmp_path, text), 2, {0: "float", 1: "text"}) is None


@pytest.mark.parametrize("text", ["", "p,q", "p,q\n", "p\rq,r\n1,2\n"])
def test_files_without_rows_or_a_proper_first_line_are_left_alone(tmp_path: Path, text: str) -> None:
    assert read_plain(written(tmp_path, text), 2, {0: "float"}) is None


def test_ordinary_line_ends_are_plain(tmp_path: Path) -> None:
    for text in ("p,q\n1,a\n2,b\n", "p,q\r\n1,a\r\n2,b\r\n", "p,q\n1,a\n2,b", '"p","q"\n1,a\r\n2,b\n'):
        found = read_plain(written(tmp_path, text), 2, {0: "float", 1: "text"})
        assert found is not None
        assert (found[0].to_pylist(), found[1].to_pylist()) == ([1.0, 2.0], ["a", "b"])


def test_ids_are_whole_numbers_only_when_all_are(tmp_path: Path) -> None:
    head = "p,q\n"
    assert column(written(tmp_path, head + "0,\n-12,\n999999999999999999,\n"), "auto") == [0, -12, 999999999999999999]
    for other in ("007", "1.5", "1000000000000000000", "a", "+1", "-"):
        assert column(written(tmp_path, head + f"1,\n{other},\n"), "auto") == ["1", other]
    assert column(written(tmp_path, head + "007,\n-0,\n"), "int") == [7, 0]
    assert column(written(tmp_path, head + "1.0,\n"), "int") is None


def test_labels_are_dictionaries_while_they_are_few_and_short(tmp_path: Path) -> None:
    short = [f"facies {number:02}" for number in range(60)] * 2
    long = ["sandstone with clay", "clay", "clay"]
    many = [f"c{number}" for number in range(100)]
    for labels, coded in ((short, True), (long, False), (many, False)):
        path = written(tmp_path, "p,q\n" + "".join(f"{label},\n" for label in labels))
        found = read_plain(path, 2, {0: "class"})
        assert found is not None
        assert found[0].to_pylist() == labels
        assert found[0].type.__class__.__name__.startswith("Dictionary") == coded


ROWS = st.lists(
    st.tuples(
        st.integers(-(10**17), 10**17), st.floats(-1e6, 1e6, width=32), st.sampled_from(["clay", "sand", "3", "x y"])
    ),
    min_size=1,
    max_size=60,
)
ASKED: Mapping[str, Cell] = {"id": "auto", "p": "float", "label": "class", "name": "text"}


@relaxed
@given(rows=ROWS, piece=st.integers(80, 400), threads=st.integers(1, 4), closed=st.booleans())
def test_pieces_and_threads_change_nothing(
    tmp_path: Path, rows: list[tuple[int, float, str]], piece: int, threads: int, closed: bool
) -> None:
    lines = "\n".join(f"{number},{value!r},n{number % 7},{label}" for number, value, label in rows)
    path = written(tmp_path, "id,p,name,label\n" + lines + ("\n" if closed else ""))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "read_plain", lambda *_args: None)
        slow = read_columns(path, ASKED, Findings())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain, "PIECE", piece)
        patch.setattr(plain, "SAMPLE", 32)
        allow(threads)
        try:
            fast = read_plain(path, 4, {0: "auto", 1: "float", 2: "text", 3: "class"})
        finally:
            allow(1)
    assert fast is not None
    assert [int(text) for text in slow.columns["id"].to_pylist()] == fast[0].to_pylist()
    assert bits(slow.columns["p"].to_pylist()) == bits(fast[1].to_pylist())
    assert slow.columns["name"].to_pylist() == fast[2].to_pylist()
    assert slow.columns["label"].to_pylist() == fast[3].to_pylist()


@pytest.mark.parametrize("place", [0, 150, 299])
@pytest.mark.parametrize("fault", ["x,1", "1", "1,2,3", '"1",2', "1,inf"])
def test_a_fault_in_any_piece_is_named_as_ever(tmp_path: Path, place: int, fault: str) -> None:
    lines = [f"{number},{number}.5" for number in range(300)]
    lines[place] = fault
    path = written(tmp_path, "id,p\n" + "\n".join(lines) + "\n")
    found = {}
    for piece in (100, plain.PIECE):
        for fast in (True, False):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(plain, "PIECE", piece)
                if not fast:
                    patch.setattr(delimited, "read_plain", lambda *_args: None)
                findings = Findings()
                sheet = read_columns(path, {"id": "int", "p": "float"}, findings)
                bad = {name: mask.tolist() for name, mask in sheet.bad.items()}
                found[piece, fast] = [findings.all(), bad, [c.to_pylist() for c in sheet.columns.values()]]
    assert all(value == found[100, False] for value in found.values())


def test_a_row_longer_than_a_piece_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "PIECE", 64)
    monkeypatch.setattr(plain, "SAMPLE", 16)
    monkeypatch.setattr(plain, "OVERHANG", 16)
    text = "id,p\n" + "1,2\n" * 30 + "a" * 500 + ",1\n" + "1,2\n" * 30
    assert read_plain(written(tmp_path, text), 2, {0: "text", 1: "float"}) is None


def test_rows_far_shorter_than_the_first_ones_find_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "PIECE", 1 << 12)
    monkeypatch.setattr(plain, "SAMPLE", 1 << 12)
    text = "id,p\n" + "1234567890123,0.123456789\n" * 200 + "1,2\n" * 20_000
    found = read_plain(written(tmp_path, text), 2, {0: "auto", 1: "float"})
    assert found is not None
    assert len(found[0]) == 20_200
    assert found[1].to_pylist()[-1] == 2.0


@given(st.lists(st.floats(-2, 2), min_size=2, max_size=9), st.floats(-1, 1), st.floats(0, 2))
def test_the_quick_check_agrees_with_the_careful_one(values: list[float], low: float, width: float) -> None:
    array = np.array([*values, low, low + width])
    inside = bool(((array >= low) & (array <= low + width)).all())
    assert all_inside(array, low, low + width) == inside
    array[0] = np.nan
    assert not all_inside(array, -10.0, 10.0)
