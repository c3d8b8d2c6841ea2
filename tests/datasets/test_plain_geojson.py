"""GeoJSON in one pass: the same arrays and the same findings as the reader that names every fault."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datasets import threads
from datasets.canonical import Canonical
from datasets.errors import Rejected
from datasets.expect import Expectation
from datasets.formats import geojson, geojson_plain
from datasets.formats.vector import read_vector
from tests.datasets import controls

ENTRY = Expectation.loose(
    controls.spec("polygons", 'label = "label"', 'confidence = "score"\nlabel = "label"', metric="f1_iou50")
)
TRUTH = Expectation.loose(controls.spec("polygons", "", 'confidence = "score"', metric="f1_iou50"), "truth")
BOM, WHITE = "\ufeff", " \n "
NAMES = ["score", "label"]
NUMBERS = st.one_of(
    st.floats(-1e7, 1e7).map(repr),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**20), 10**20).map(str),
    st.decimals(-(10**6), 10**6, places=3, allow_nan=False).map(str),
    st.tuples(st.integers(0, 10**18), st.integers(-330, 300)).map(lambda pair: f"{pair[0]}E{pair[1]}"),
    st.sampled_from(
        ["-0", "0", "-0.0", "0e5", "1e0", "9007199254740993", "0.30000000000000004", "1e-5", "4.35", "1E+2"]
    ),
)
ODD = [*'"\\{}[],: \n01-.en/', "NaN", "null", "\x00", "\x01", "é", '"score"', '"geometry"', "true", "1e999"]
ODD += ["\\u00e9", "\ufeff", "[[", "]]", "00", "1."]


def outcome(path: Path, expect: Expectation, folder: Path) -> Any:
    """What a reading ends in: the bits of every array, or every finding."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        read_vector(path, "geojson", expect, folder)
    except Rejected as refused:
        return [(item.code, item.message, dict(item.where), item.hint) for item in refused.findings]
    read = Canonical.read(folder)
    return {name: (array.dtype, array.shape, array.tobytes()) for name, array in read.arrays.items()}, read.attrs


def both(text: bytes, expect: Expectation, tmp_path: Path) -> tuple[Any, Any]:
    path = tmp_path / "upload.geojson"
    path.write_bytes(text)
    fast = outcome(path, expect, tmp_path / "out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geojson, "read_plain", lambda *_: None)
        return fast, outcome(path, expect, tmp_path / "out")


def square(draw: Any, at: int, multi: bool) -> str:
    x, y = 30 * at + draw(st.integers(0, 9)), draw(st.integers(-9, 9))
    ring = [[x, y], [x + 10.5, y], [x + 10.5, y + 7], [x, y + 7.25], [x, y]]
    hole = [[x + 1, y + 1], [x + 2, y + 2], [x + 2, y + 1], [x + 1, y + 1]]
    part = [ring, hole] if draw(st.booleans()) else [ring]
    return json.dumps([part, [[[x, y + 20], [x + 1, y + 20], [x, y + 21], [x, y + 20]]]] if multi else part)


@st.composite
def collections(draw: Any) -> str:
    """The text of a collection as programs write it, in any order of keys and any layout."""
    features = []
    for at in range(draw(st.integers(1, 5))):
        multi = draw(st.booleans())
        kind = ['"type": "MultiPolygon"' if multi else '"type": "Polygon"', f'"coordinates": {square(draw, at, multi)}']
        extra = draw(
            st.sampled_from(['"note": "a\\"b\\u00e9 ü"', '"deep": {"a": [1, {"b": null}], "c": []}', '"x": -1.5e-3'])
        )
        about = [f'"score": {draw(NUMBERS)}', f'"label": "{draw(st.sampled_from(["clay", "söil", "a b"]))}"', extra]
        members = [
            '"type": "Feature"',
            f'"properties": {{{", ".join(draw(st.permutations(about)))}}}',
            f'"geometry": {{{", ".join(draw(st.permutations(kind)))}}}',
        ]
        features.append("{" + ", ".join(draw(st.permutations(members))) + "}")
    joined = draw(st.sampled_from([", ", ",\n"])).join(features)
    crs = '"crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}'
    members = ['"type": "FeatureCollection"', f'"features": [{joined}]', crs]
    text = "{" + ", ".join(draw(st.permutations(members))) + "}"
    if draw(st.booleans()):
        text = text.replace(", ", " ,\r\n\t").replace("[", "[ ").replace("}", " }")
    return f"{draw(st.sampled_from(['', '', BOM]))}{text}{draw(st.sampled_from(['', WHITE]))}"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(text=collections(), seed=st.integers(0, 2**32), strikes=st.integers(0, 2))
def test_both_readers_agree(text: str, seed: int, strikes: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    for _ in range(strikes):
        at, cut = dice.randrange(len(text)), dice.choice([0, 1, 1, 5])
        text = text[:at] + dice.choice(["", *ODD]) + text[at + cut :]
    fast, slow = both(text.encode("utf-8", "surrogatepass"), ENTRY, tmp_path)
    assert fast == slow


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(values=st.lists(NUMBERS, min_size=1, max_size=40))
def test_numbers_are_those_of_python(values: list[str], tmp_path: Path) -> None:
    path = tmp_path / "upload.geojson"
    path.write_text(collection(values))
    read = geojson_plain.read_plain(path, ["score"], None)
    wanted = np.array([float(json.loads(value)) for value in values])
    if read is not None:
        assert np.asarray(read.properties["score"]).tobytes() == wanted.tobytes()
    else:
        whole = [abs(int(value)) for value in values if value.lstrip("-").isdigit()]
        odd = any(len(value.lstrip("-0.")) > 19 or not 1e-307 < abs(float(value)) < 1e308 for value in values)
        assert odd or max(whole, default=0) > 2**53


def collection(scores: list[str]) -> str:
    ring = "[[[0, 0], [1, 0], [1, 1], [0, 0]]]"
    shape = f'{{"type": "Polygon", "coordinates": {ring}}}'
    each = [f'{{"type": "Feature", "properties": {{"score": {score}}}, "geometry": {shape}}}' for score in scores]
    return f'{{"type": "FeatureCollection", "features": [{", ".join(each)}]}}'


def test_a_usual_file_is_plain(tmp_path: Path) -> None:
    path = tmp_path / "usual.geojson"
    controls.squares().to_file(path, driver="GeoJSON")
    assert geojson_plain.read_plain(path, ["score", "label"], "label") is not None
    path.write_text(controls.squares().to_json(), encoding="utf-8")
    assert geojson_plain.read_plain(path, ["score", "label"], "label") is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[0, 0], [1, 0]", "[0, 0, 5], [1, 0]"),
        ("[1, 1], [0, 0]]", "[1, 1], [0, 1]]"),
        ("[0, 0], [1, 0], [1, 1], [0, 0]", "[0, 0], [1, 0], [0, 0]"),
        ('"score": 0.5', '"score": 0.5, "score": 0.5'),
        ('"score": 0.5', '"sc\\u006fre": 0.5'),
        ('"score": 0.5', '"score": "0.5"'),
        ('"score": 0.5', '"score": null'),
        ('"score": 0.5', '"score": 0.5, "deep": ' + "[" * 30 + "]" * 30),
        ('"score": 0.5', '"score": 00.5'),
        ('"score": 0.5', '"score": +0.5'),
        ('"score": 0.5', '"score": .5'),
        ('"score": 0.5', '"score": NaN'),
        ('"score": 0.5', '"score": 0.5, "text": "\x01"'),
        ('"score": 0.5', '"score": 0.5, "text": "\\x"'),
        ('"score": 0.5', '"score": 0.5, "a": {"b": 1, "b": 2}'),
        ('"Polygon"', '"Point"'),
        ('"Polygon"', '"MultiPolygon"'),
        ('{"type": "FeatureCollection"', '{"type": "FeatureCollection", "type": "FeatureCollection"'),
        ("}]}", "}]} x"),
        ("}]}", "},]}"),
        ("}]}", "}]"),
        ("}]}", "}]}\x00"),
    ],
)
def test_what_is_not_plain_is_left_alone(old: str, new: str, tmp_path: Path) -> None:
    text = collection(["0.5"])
    assert old in text
    (tmp_path / "a").write_text(text.replace(old, new), encoding="latin-1")
    assert geojson_plain.read_plain(tmp_path / "a", ["score"], None) is None


def test_broken_utf8_is_left_alone(tmp_path: Path) -> None:
    text = collection(["0.5"]).replace('"score"', '"note": "é", "score"')
    for encoding, plain in (("utf-8", True), ("latin-1", False)):
        (tmp_path / "a").write_text(text, encoding=encoding)
        assert (geojson_plain.read_plain(tmp_path / "a", ["score"], None) is not None) == plain


def test_what_stands_around_the_features_is_read_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geojson_plain, "ENDS", 2000)
    monkeypatch.setattr(geojson_plain, "PIECE", 300)
    path, text = tmp_path / "a", collection([str(i) for i in range(50)])
    for note, plain in (("x" * 500, True), ("é" * 300, True), ("x" * 4000, False)):
        for whole in (text[:-1] + f', "note": "{note}"}}', f'{{"note": "{note}", ' + text[1:]):
            path.write_text(whole, encoding="utf-8")
            read = geojson_plain.read_plain(path, ["score"], None)
            assert (read is not None) == plain
            assert read is None or read.members["note"] == json.dumps(note, ensure_ascii=False).encode()
    for broken in (
        text[:-1] + ', "note": "é"}',
        '{"note": "é", ' + text[1:],
        text.replace('"Polygon"', '"é": 1, "type": "P'),
    ):
        path.write_bytes(broken.encode("latin-1"))
        assert geojson_plain.read_plain(path, ["score"], None) is None


def test_texts_of_every_piece_come_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = [f"söil {i}" for i in range(200)]
    text = collection([str(i) for i in range(200)])
    for i, label in enumerate(labels):
        text = text.replace(f'"score": {i}}}', f'"score": {i}, "label": "{label}"}}')
    (tmp_path / "a").write_text(text, encoding="utf-8")
    monkeypatch.setattr(threads, "allowed", lambda: 3)
    monkeypatch.setattr(geojson_plain, "PIECE", 900)
    read = geojson_plain.read_plain(tmp_path / "a", NAMES, "label")
    assert read is not None
    assert read.properties["label"] == labels
    assert np.array_equal(read.properties["score"], np.arange(200.0))


@pytest.mark.parametrize(
    "trap", ["", '"note": "x, {\\"type\\": \\"Feature\\" y", ', '"note": [{"type": "Feature", "a": 1}], ']
)
def test_pieces_and_threads_change_nothing(trap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = collection([str(i / 7) for i in range(300)]).replace('"score"', trap + '"score"')
    (tmp_path / "a").write_text(text)
    whole = geojson_plain.read_plain(tmp_path / "a", ["score"], None)
    assert whole is not None
    monkeypatch.setattr(threads, "allowed", lambda: 3)
    for piece in (1, 150, 1000):
        monkeypatch.setattr(geojson_plain, "PIECE", piece)
        read = geojson_plain.read_plain(tmp_path / "a", ["score"], None)
        assert read is not None
        assert read.members == whole.members
        assert np.array_equal(read.properties["score"], whole.properties["score"])
        for name in ("coords", "rings", "parts", "features"):
            assert np.array_equal(getattr(read.polygons, name), getattr(whole.polygons, name))
