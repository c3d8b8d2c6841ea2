"""Ranked points in tables: the order they are written in, and plain tables read like any other points."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import threads
from datasets.canonical import Canonical, CanonicalWriter
from datasets.errors import Rejected
from datasets.expect import Expectation
from datasets.formats import ranking, ranking_loops
from datasets.intake import intake
from datasets.recheck import recheck
from tests.datasets import controls

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
FEW = st.sampled_from([0.0, -0.0, 0.5, 1.0, 1 - 2**-53, 5e-324, -1e308])


@given(st.lists(NUMBERS | FEW, max_size=60), st.booleans())
def test_ranking_is_the_stable_sort(values: list[float], falling: bool) -> None:
    given_ = np.array(values)
    wanted = np.argsort(-given_ if falling else given_, kind="stable")
    order = ranking.rank(given_, falling=falling)
    assert order.places(0, len(values)).tolist() == wanted.tolist()


def spreads() -> dict[str, np.ndarray[Any, Any]]:
    rng, n = np.random.default_rng(5), 40_000
    return {
        "distinct": rng.permutation(n) / n,
        "tied": np.round(rng.random(n), 2),
        "close together": 1 - rng.random(n) * 1e-9,
        "one far off": np.append(1 + rng.random(n - 1) * 1e-12, -1e300),  # too many share a lead
        "every size": rng.normal(size=n) * 10.0 ** rng.uniform(-300, 300, n),
        "sorted": np.arange(n) * -1.0,
        "all equal": np.zeros(n),
    }


@pytest.mark.parametrize("name", spreads())
@pytest.mark.parametrize("count", [1, 2])
def test_many_numbers_are_ranked_alike_by_any_number_of_threads(
    name: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "allowed", lambda: count)
    values = spreads()[name]
    for falling in (True, False):
        wanted = np.argsort(-values if falling else values, kind="stable")
        assert np.array_equal(ranking.rank(values, falling=falling).places(0, len(values)), wanted)


def test_the_fast_sort_gives_up_where_it_would_be_slow() -> None:
    values = spreads()["one far off"]
    marks, starts = np.empty(len(values), np.uint64), np.empty(ranking_loops.BUCKETS + 1, np.int64)
    assert not ranking_loops.deal(values, 1.0, marks, starts)
    assert not ranking_loops.settle(values, 1.0, 0, ranking_loops.BUCKETS, starts, marks)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 50), window=st.sampled_from([1, 7, 1 << 15]))
def test_what_is_written_is_the_table_in_its_order(
    seed: int, count: int, window: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rng = np.random.default_rng(seed)
    columns = {"x": rng.random(count), "y": rng.random(count), "confidence": np.round(rng.random(count), 1)}
    folder = tmp_path_factory.mktemp("points")
    writer = CanonicalWriter(folder, "points")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "WINDOW", window)
        ranking.write_ranked(writer, columns, ranking.rank(columns["confidence"], falling=True))
    writer.finish({"crs": None})
    made, order = Canonical.read(folder).arrays, np.argsort(-columns["confidence"], kind="stable")
    for name, values in columns.items():
        assert made[name].tolist() == values[order].tolist()
    assert (made["feature"].tolist(), made["order"].tolist()) == (order.tolist(), list(range(count)))


def read(path: Path, form: str, expect: Expectation) -> Canonical:
    return intake(path, format=form, expect=expect, out=path.parent / f"out-{path.name}")


def table(**changes: Any) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    columns = {"X": rng.random(30) * 1e6, "y": rng.random(30) * 1e6, "score": np.round(rng.random(30), 1), "note": "a"}
    return pd.DataFrame(columns | changes)


def test_plain_parquet_points_are_read_like_csv(tmp_path: Path) -> None:
    table().to_csv(tmp_path / "a.csv", index=False)
    table().to_parquet(tmp_path / "a.parquet", index=False)
    one = read(tmp_path / "a.csv", "csv", Expectation.loose(controls.POINTS))
    other = read(tmp_path / "a.parquet", "geoparquet", Expectation.loose(controls.POINTS))
    assert one.attrs == other.attrs == {"crs": None}
    assert one.arrays.keys() == other.arrays.keys()
    for name, values in one.arrays.items():
        assert np.array_equal(values, other.arrays[name]), name


def test_plain_parquet_in_degrees_is_moved(tmp_path: Path) -> None:
    place = controls.places().to_crs(4326)
    data = pd.DataFrame({"lon": place.geometry.x, "lat": place.geometry.y, "score": place.score})
    data.to_parquet(tmp_path / "a.parquet", index=False)
    truth = read(
        controls.vector(controls.places, "gpkg")(tmp_path), "gpkg", Expectation.loose(controls.POINTS, "truth")
    )
    entry = read(tmp_path / "a.parquet", "geoparquet", Expectation.tight(controls.POINTS, truth))
    moved = controls.places().geometry.x.to_numpy()[entry.arrays["feature"]]
    assert np.allclose(entry.arrays["x"], moved, rtol=0, atol=1e-3)
    assert entry.attrs["crs"] == truth.attrs["crs"]


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"y": [np.nan] * 2 + [1.0] * 28, "score": [np.inf] + [0.5] * 29}, {"missing-value", "not-finite"}),
        ({"X": [np.inf] + [0.5] * 29}, {"not-finite"}),
        ({"score": "high"}, {"not-a-number"}),
        ({"y": [b"x"] * 30}, {"wrong-type"}),
    ],
)
def test_faults_of_plain_parquet_points_are_named(tmp_path: Path, changes: dict[str, Any], codes: set[str]) -> None:
    table(**changes).to_parquet(tmp_path / "a.parquet", index=False)
    with pytest.raises(Rejected) as caught:
        read(tmp_path / "a.parquet", "geoparquet", Expectation.loose(controls.POINTS))
    assert {finding.code for finding in caught.value.findings} == codes


def test_parquet_without_places_and_parquet_with_too_many_are_refused(tmp_path: Path) -> None:
    few = controls.spec("points", "radius = 5.0", 'confidence = "score"\nmax_features = 29', metric="hits")
    for data, spec, form, code in (
        (table().rename(columns={"X": "east"}), controls.POINTS, "points", "wrong-format"),
        (table(), few, "few", "too-many-features"),
        (table(), controls.POLYGONS, "polygons", "wrong-format"),
    ):
        data.to_parquet(tmp_path / f"{form}.parquet", index=False)
        with pytest.raises(Rejected) as caught:
            read(tmp_path / f"{form}.parquet", "geoparquet", Expectation.loose(spec))
        assert [finding.code for finding in caught.value.findings] == [code]


@pytest.mark.parametrize("name", ["order", "feature"])
@pytest.mark.parametrize("wrong", [-1, 0, 30, 2**40])
def test_a_numbering_that_is_none_is_not_believed(tmp_path: Path, name: str, wrong: int) -> None:
    table().to_csv(tmp_path / "a.csv", index=False)
    expect = Expectation.loose(controls.POINTS)
    good = read(tmp_path / "a.csv", "csv", expect)
    recheck(good, expect)
    changed = np.array(good.arrays[name])
    changed[np.flatnonzero(changed != wrong)[-1]] = wrong
    with pytest.raises(ValueError, match="numbering"):
        recheck(Canonical("points", {**good.arrays, name: changed}, good.attrs), expect)
