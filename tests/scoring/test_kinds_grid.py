"""Grids: alignment by name and label, members, weights, blocks along a dimension."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.canonical import Canonical
from datasets.errors import EngineFault, Rejected
from scoring.engine import score
from scoring.kinds import grid as kind
from scoring.kinds import windows
from scoring.kinds.pairing import TruthSet
from scoring.samples import Ensemble, Numbers
from tests.scoring.making import codes, gathered, grid, spec_of

GRID = """
[truth]
file = "hidden/truth.nc"
variable = "tp"
{truth}
[submission]
{submission}
{blocks}
[scoring]
primary = "{primary}"
metrics = {metrics}
{options}
"""
BY_TIME = '[blocks]\nby = "time"\npublic = 0.5\n'
COORDS = {"time": ["a", "b", "c", "d"], "lat": np.array([-60.0, 0.0, 60.0]), "lon": np.arange(5.0)}


def spec(
    metrics: Any = ("rmse",), *, truth: str = "", submission: str = "", blocks: str = "", options: str = ""
) -> Any:
    text = "[" + ", ".join(f'"{name}"' for name in metrics) + "]"
    parts = {"truth": truth, "submission": submission, "blocks": blocks, "options": options}
    return spec_of("grid", GRID.format(primary=metrics[0], metrics=text, **parts))


def field(seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(4, 3, 5))


@settings(max_examples=25)
@given(dims=st.permutations(["time", "lat", "lon"]), seed=st.integers(0, 5), part=st.sampled_from([8, 100, 1 << 20]))
def test_neither_dimension_nor_label_order_matters(dims: list[str], seed: int, part: int) -> None:
    truth, entry = field(), field(1)
    picks = {name: np.random.default_rng(seed).permutation(len(labels)) for name, labels in COORDS.items()}
    moved = entry[np.ix_(*(picks[name] for name in COORDS))]
    moved = moved.transpose([list(COORDS).index(name) for name in dims])
    labels = {name: np.asarray(COORDS[name])[picks[name]] for name in dims}
    challenge = spec(("rmse", "mae"), blocks=BY_TIME)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "PART_BYTES", part)
        straight = score(challenge, TruthSet(grid(truth, COORDS)), grid(entry, COORDS))
        shuffled = score(challenge, TruthSet(grid(truth, COORDS)), grid(moved, labels))
    assert straight.scores == shuffled.scores
    assert straight.blocks == 4
    assert straight.scores.overall["rmse"] == pytest.approx(float(np.sqrt(((truth - entry) ** 2).mean())))


def test_members_make_an_ensemble_wherever_they_stand() -> None:
    truth = field()
    members = np.stack([field(seed) for seed in range(1, 8)], axis=1)
    entry = grid(members, {"time": COORDS["time"], "m": np.arange(7), "lat": COORDS["lat"], "lon": COORDS["lon"]}, "m")
    challenge = spec(("crps", "rmse"), submission='member = "m"', blocks=BY_TIME)
    found = gathered(kind.pair(entry, TruthSet(grid(truth, COORDS)), challenge))
    assert all(isinstance(s, Ensemble) and s.x.shape == (15, 7) for samples in found.values() for s in samples)
    scores = score(challenge, TruthSet(grid(truth, COORDS)), entry).scores
    x, y = members.transpose(0, 2, 3, 1), truth[..., None]
    crps = np.abs(x - y).mean(-1) - np.abs(x[..., None] - x[..., None, :]).sum((-1, -2)) / (2 * 49)
    assert scores.overall["crps"] == pytest.approx(crps.mean(), rel=1e-12)
    assert scores.overall["rmse"] == pytest.approx(float(np.sqrt(((x.mean(-1) - truth) ** 2).mean())), rel=1e-12)


def test_nan_of_the_truth_is_outside() -> None:
    truth, entry = field(), field() + 3.0
    truth[0, 0, 0] = truth[2] = np.nan
    entry[2, 1, 1] = np.nan
    found = gathered(kind.pair(grid(entry, COORDS), TruthSet(grid(truth, COORDS)), spec(blocks=BY_TIME)))
    assert {key for key, _ in found} == {"a", "b", "d"}
    assert sum(len(s.y) for samples in found.values() for s in samples if isinstance(s, Numbers)) == 44


def test_a_gap_is_a_finding_with_its_labels() -> None:
    entry = field()
    entry[1, 2, 3] = np.nan
    (finding,) = kind.check(grid(entry, COORDS), grid(field(), COORDS), spec())
    assert (finding.code, finding.where["count"]) == ("missing-cells", 1)
    assert finding.where["cell"] == {"time": "b", "lat": "60", "lon": "3"}
    with pytest.raises(Rejected):
        kind.pair(grid(entry, COORDS), TruthSet(grid(field(), COORDS)), spec())


def test_labels_and_dimensions_must_be_those_of_the_template() -> None:
    template = grid(field(), COORDS)
    other = {**COORDS, "time": ["a", "b", "c", "x"]}
    missing, extra = kind.check(grid(field(), other), template, spec())
    assert (missing.code, missing.where["labels"]) == ("wrong-labels", ["d"])
    assert (extra.code, extra.where["labels"]) == ("wrong-labels", ["x"])
    twice = {**COORDS, "time": ["a", "b", "c", "c"]}
    assert codes(kind.check(grid(field(), twice), template, spec())) == ["wrong-labels", "duplicate-label"]
    renamed = {"step": COORDS["time"], "lat": COORDS["lat"], "lon": COORDS["lon"]}
    assert codes(kind.check(grid(field(), renamed), template, spec())) == ["missing-variable"]
    assert kind.check(template, template, spec()) == []


def test_a_sample_with_members_can_be_the_template() -> None:
    coords = {**COORDS, "m": np.arange(2)}
    template = grid(np.stack([field(), field()], axis=-1), coords, "m")
    entry = grid(np.stack([field()] * 3, axis=-1), {**COORDS, "m": np.arange(3)}, "m")
    assert kind.check(entry, template, spec(("crps",), submission='member = "m"')) == []


def test_weights_are_the_cosine_of_the_latitude() -> None:
    entry = np.zeros((4, 3, 5))
    entry[:, 1] = 1.0
    truth = TruthSet(grid(np.zeros((4, 3, 5)), COORDS))
    weighted = score(spec(("mae",), truth='weight = "cos_lat"'), truth, grid(entry, COORDS)).scores
    assert weighted.overall["mae"] == pytest.approx(1 / (0.5 + 1 + 0.5))
    nowhere = TruthSet(grid(np.zeros((1, 2)), {"x": [0.0], "y": [0.0, 1.0]}))
    with pytest.raises(EngineFault, match="lat"):
        kind.pair(nowhere.truth, nowhere, spec(truth='weight = "cos_lat"'))


def test_vectors_of_the_energy_score_run_along_their_dimension() -> None:
    challenge = spec(
        ("energy_score",), submission='member = "m"', options='[scoring.options.energy_score]\nover = ["lat", "lon"]'
    )
    truth, members = field(), np.stack([field(1), field(2)], axis=-1)
    entry = grid(members, {**COORDS, "m": np.arange(2)}, "m")
    ((sample,),) = gathered(kind.pair(entry, TruthSet(grid(truth, COORDS)), challenge)).values()
    assert isinstance(sample, Ensemble)
    assert sample.group is not None
    assert [len(set(sample.group[i * 15 : (i + 1) * 15].tolist())) for i in range(4)] == [1] * 4
    norm = [np.linalg.norm((members[..., m] - truth).reshape(4, -1), axis=1) for m in (0, 1)]
    apart = np.linalg.norm((members[..., 0] - members[..., 1]).reshape(4, -1), axis=1)
    wanted = (0.5 * (norm[0] + norm[1]) - 2 * apart / 8).mean()
    assert score(challenge, TruthSet(grid(truth, COORDS)), entry).scores.overall["energy_score"] == pytest.approx(
        wanted
    )


def test_more_members_than_vectors_can_compare_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, members = TruthSet(grid(field(), COORDS)), np.stack([field(k) for k in range(5)], axis=-1)
    entry = grid(members, {**COORDS, "m": np.arange(5)}, "m")
    for over, most, allowed in (("lat", 60 * 25 // 2, True), ("lat", 60 * 25 // 2 - 1, False), (None, 0, True)):
        options = "" if over is None else f'[scoring.options.energy_score]\nover = "{over}"'
        challenge = spec(("energy_score",), submission='member = "m"', options=options)
        monkeypatch.setattr(kind, "MOST_PAIRS", most)
        if allowed:
            kind.pair(entry, truth, challenge)
            continue
        with pytest.raises(Rejected) as refused:
            kind.pair(entry, truth, challenge)
        assert [finding.code for finding in refused.value.findings] == ["too-large"]
        assert "at most 4" in refused.value.findings[0].message


@settings(max_examples=25)
@given(
    over=st.sampled_from([("lat",), ("lon",), ("lon", "lat"), ("time",), ("time", "lon"), ("time", "lat", "lon")]),
    blocks=st.sampled_from(["", BY_TIME]),
    part=st.sampled_from([8, 200, 1 << 20]),
)
def test_cells_of_a_vector_have_its_number_in_every_part(over: tuple[str, ...], blocks: str, part: int) -> None:
    if blocks and "time" in over:
        return  # a vector in several blocks is scored in pieces
    options = f"[scoring.options.energy_score]\nover = {list(over)}".replace("'", '"')
    challenge = spec(("energy_score",), submission='member = "m"', options=options, blocks=blocks)
    truth, members = field(), np.stack([field(1), field(2), field(3)], axis=-1)
    entry = grid(members, {**COORDS, "m": np.arange(3)}, "m")
    axes = tuple(list(COORDS).index(dim) for dim in over)
    away = np.sqrt(np.square(members - truth[..., None]).sum(axis=axes)).mean(axis=-1)
    apart = np.sqrt(np.square(members[..., None] - members[..., None, :]).sum(axis=axes)).sum(axis=(-1, -2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "PART_BYTES", part)
        found = score(challenge, TruthSet(grid(truth, COORDS)), entry).scores.overall["energy_score"]
    assert found == pytest.approx((away - apart / 18).mean(), rel=1e-12)


def test_times_are_blocks_by_their_date() -> None:
    stamps = np.array(["2020-01-01", "2020-02-01"], dtype="datetime64[ns]").astype(np.int64)
    truth = grid(np.zeros((2, 1)), {"time": stamps, "x": [0.0]}, types={"time": "time"})
    named = spec(blocks='[blocks]\nby = "time"\npublic = ["2020-02-01"]\n')
    placed = kind.place(truth, named)
    assert placed.keys == ("2020-01-01", "2020-02-01")
    assert score(named, TruthSet(truth), truth).scores.public == {"rmse": 0.0}
    with pytest.raises(EngineFault, match="depth"):
        kind.place(truth, spec(blocks='[blocks]\nby = "depth"\n'))


@settings(max_examples=40)
@given(
    order=st.permutations(range(4)),
    flipped=st.lists(st.booleans(), min_size=4, max_size=4),
    short=st.sampled_from([0, 64, 1 << 20]),
    seed=st.integers(0, 9),
)
def test_a_window_is_the_same_wherever_it_is_read_from(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], flipped: list[bool], short: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(3, 4, 5, 6)).astype("f4")
    folder = tmp_path_factory.mktemp("window")
    np.save(folder / "data.npy", data)
    mapped = np.load(folder / "data.npy", mmap_mode="r")
    cut: list[Any] = []
    for axis, size in enumerate(data.shape):
        start, stop = sorted(rng.choice(size + 1, 2, replace=False).tolist())
        cut.append(rng.permutation(size)[start:stop] if flipped[axis] else slice(start, stop))
    indices = [np.arange(size)[part] for size, part in zip(data.shape, cut, strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "SHORT", short)
        found = windows.window(mapped, cut, order)
    assert np.array_equal(found, data[np.ix_(*indices)].transpose(order))
    assert found.flags.c_contiguous
    assert found.flags.writeable


def test_a_promise_of_finite_values_is_looked_after() -> None:
    entry = field()
    entry[1, 2, 3] = np.nan
    spoilt = grid(entry, COORDS)
    promised = Canonical("grid", spoilt.arrays, {**spoilt.attrs, "finite": True})
    with pytest.raises(EngineFault, match="finite"):
        score(spec(), TruthSet(grid(field(), COORDS)), promised)
    whole = grid(field(1), COORDS)
    kept = Canonical("grid", whole.arrays, {**whole.attrs, "finite": True})
    truth = TruthSet(grid(field(), COORDS))
    assert score(spec(), truth, kept).scores == score(spec(), truth, whole).scores


def test_no_part_cuts_a_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    challenge = spec(
        ("energy_score",), submission='member = "m"', options='[scoring.options.energy_score]\nover = ["lat", "lon"]'
    )
    truth = TruthSet(grid(field(), COORDS))
    entry = grid(np.stack([field(1), field(2)], axis=-1), {**COORDS, "m": np.arange(2)}, "m")
    whole = score(challenge, truth, entry).scores
    monkeypatch.setattr(kind, "PART_BYTES", 64)
    assert kind.pair(entry, truth, challenge).parts == 4
    assert score(challenge, truth, entry).scores.overall["energy_score"] == pytest.approx(
        whole.overall["energy_score"], rel=1e-12
    )


@settings(max_examples=15)
@given(
    dims=st.sampled_from([(), ("lat",), ("lon", "lat"), ("time", "lat", "lon")]), blocks=st.sampled_from(["", BY_TIME])
)
def test_edges_lie_along_some_of_the_dimensions(dims: tuple[str, ...], blocks: str) -> None:
    rng = np.random.default_rng(3)
    own = rng.normal(size=[len(COORDS[dim]) for dim in dims])
    edges = np.stack([own - 0.4, own + 0.4])
    truth = field()
    truth[0, 1, 2] = np.nan
    base = grid(truth, COORDS)
    hidden = Canonical("grid", {**base.arrays, "edges": edges}, {**base.attrs, "edges_dims": ["edge", *dims]})
    members = np.stack([field(i) for i in range(1, 6)], axis=-1)
    entry = grid(members, {**COORDS, "m": np.arange(5)}, "m")
    options = '[scoring.options.rpss]\nedges = "edges"'
    challenge = spec(("rpss", "rps"), submission='member = "m"', blocks=blocks, options=options)
    axes = {dim: i for i, dim in enumerate(COORDS)}
    spread = np.moveaxis(own, range(own.ndim), np.argsort(np.argsort([axes[dim] for dim in dims]))) if dims else own
    spread = spread.reshape([len(COORDS[dim]) if dim in dims else 1 for dim in COORDS])
    rps = 0.0
    for shift in (-0.4, 0.4):
        rps = rps + np.square((members < spread[..., None] + shift).mean(-1) - (truth < spread + shift))
    wanted = rps[np.isfinite(truth)].mean()
    assert score(challenge, TruthSet(hidden), entry).scores.overall["rps"] == pytest.approx(wanted, rel=1e-12)
