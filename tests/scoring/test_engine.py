"""The engine: the same bits whoever computes the parts, sides that merge to the whole, statistics that survive."""

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from datasets.errors import IntegrityError
from scoring import engine
from scoring.kinds import grid as grid_kind
from scoring.kinds import raster as raster_kind
from scoring.kinds import table as table_kind
from scoring.kinds.pairing import TruthSet
from scoring.metrics.registry import METRICS
from scoring.statistics import pack, unpack
from tests.scoring.making import TABLE, grid, raster, spec_of, table

RASTER = """
[truth]
file = "hidden/truth.tif"
[submission]
meaning = "continuous"
[blocks]
size = 16.0
public = 0.5
buffer = 2.0
[scoring]
primary = "rmse"
metrics = ["rmse", "r2", "spearman_r", "kge", "median_ae"]
"""
GRID = """
[truth]
file = "hidden/truth.nc"
variable = "tp"
[submission]
member = "m"
[blocks]
by = "time"
public = 0.5
[scoring]
primary = "crps"
metrics = ["crps", "spread_skill", "energy_score", "mae"]
"""


def a_table() -> Any:
    rng, n = np.random.default_rng(0), 400
    wells = [f"w{row % 9}" for row in range(n)]
    truth = {"id.0": wells, "id.1": np.arange(n) * 0.5, "value.y": rng.normal(size=n), "block": wells}
    entry = {**{name: truth[name] for name in ("id.0", "id.1")}, "value.y": rng.normal(size=n)}
    return spec_of("table", TABLE), TruthSet(table(truth)), table(entry)


def a_raster() -> Any:
    rng = np.random.default_rng(1)
    band = rng.normal(size=(90, 70)).astype(np.float32)
    return spec_of("raster", RASTER), TruthSet(raster(band, band > -1)), raster(band + rng.normal(size=band.shape))


def a_grid() -> Any:
    rng = np.random.default_rng(2)
    coords = {"time": [f"t{number}" for number in range(12)], "x": np.arange(20.0)}
    members = rng.normal(size=(12, 20, 6))
    return (
        spec_of("grid", GRID),
        TruthSet(grid(rng.normal(size=(12, 20)), coords)),
        grid(members, {**coords, "m": np.arange(6)}, "m"),
    )


CASES = pytest.mark.parametrize("make", [a_table, a_raster, a_grid])


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_kind, "PART_ROWS", 37)
    monkeypatch.setattr(raster_kind, "PART_BYTES", 70 * 4 * 5)
    monkeypatch.setattr(grid_kind, "PART_BYTES", 20 * 6 * 8)


@CASES
@pytest.mark.usefixtures("small_parts")
def test_threads_give_the_bits_of_inline(make: Any) -> None:
    spec, truth, entry = make()
    alone = engine.score(spec, truth, entry)
    assert engine.Plan.of(spec, truth, entry).pairing.parts > 4
    for count in (2, 5):
        shared = engine.score(spec, truth, entry, run=engine.threads(count))
        assert shared.scores == alone.scores
        assert pack(shared.block_states) == pack(alone.block_states)


@CASES
@pytest.mark.usefixtures("small_parts")
def test_parts_survive_the_way_to_another_process(make: Any) -> None:
    spec, truth, entry = make()

    def through_bytes(task: engine.PartTask, parts: int) -> Any:
        return [{k: dict(v) for k, v in unpack(pack(task(part))).items()} for part in range(parts)]

    alone, other = (engine.score(spec, truth, entry, run=run) for run in (engine.inline, through_bytes))
    assert other.scores == alone.scores
    assert pack(other.block_states) == pack(alone.block_states)


@CASES
def test_block_states_merge_to_the_scores(make: Any) -> None:
    spec, truth, entry = make()
    made = engine.score(spec, truth, entry)
    sample = engine.sample_type(spec)
    for side, values in (("public", made.scores.public), ("private", made.scores.private)):
        for name, value in values.items():
            metric = METRICS[sample, name]
            states = [states[metric.family.name] for (_, own), states in made.block_states.items() if own == side]
            assert metric.finish(metric.family.merge(states), spec.scoring.options) == value
    assert {side for _, side in made.block_states} >= {"public", "private"}
    assert len({key for key, _ in made.block_states}) == made.blocks
    rows = engine.by_block(spec, made)
    assert [place for place, _, _ in rows] == list(made.block_states)


CLASSES = """
[truth]
file = "hidden/truth.csv"
id = "id"
target = "rock"
{more}
[submission]
prediction = "rock"
[blocks]
by = "well"
public = 0.5
seed = 7
[scoring]
primary = "accuracy"
metrics = ["accuracy"]
"""


@pytest.mark.parametrize("given", [("tuff", "lava", "sand"), ()])
def test_the_report_carries_the_confusion_matrix(given: tuple[str, ...]) -> None:
    rng, n, names = np.random.default_rng(7), 500, np.array(["lava", "sand", "tuff"])
    y, f = names[rng.integers(3, size=n)], names[rng.integers(3, size=n)]
    wells = [f"w{row % 8}" for row in range(n)]
    truth = table({"id.0": np.arange(n), "value.rock": y, "block": wells})
    entry = table({"id.0": np.arange(n)[::-1], "value.rock": f[::-1]})
    spec = spec_of("table", CLASSES.format(more=f"classes = {list(given)}" if given else ""))
    found = engine.score(spec, TruthSet(truth), entry).confusion
    assert found is not None
    assert found.classes == (given or ("lava", "sand", "tuff"))
    assert np.array_equal(found.overall, sk.confusion_matrix(y, f, labels=list(found.classes)))
    assert np.array_equal(np.add(found.public, found.private), found.overall)
    assert np.sum(found.public) > 0 < np.sum(found.private)


def test_other_samples_have_no_confusion_matrix() -> None:
    assert engine.score(*a_table()).confusion is None


def test_statistics_are_the_same_bytes_each_time_and_refuse_other_bytes() -> None:
    made = engine.score(*a_raster())
    data = pack(made.block_states)
    assert pack(unpack(data)) == data
    assert b"pickle" not in data
    for broken in (b"", b"PK\x03\x04", data[: len(data) // 2]):
        with pytest.raises(IntegrityError):
            unpack(broken)


def test_a_value_that_is_not_finite_is_no_score() -> None:
    spec, truth, entry = a_table()
    constant = table({"id.0": [f"w{r % 9}" for r in range(400)], "id.1": np.arange(400) * 0.5, "value.y": np.ones(400)})
    scores = engine.score(spec, truth, constant).scores
    assert scores.overall["spearman_r"] is None
    assert scores.overall["rmse"] is not None
    whole = spec_of("table", TABLE.replace("public = 0.5", "public = 1.0"))
    assert set(engine.score(whole, truth, entry).scores.private.values()) == {None}
