"""The data in the package are those of their source, and say where they come from."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from portal.demo.sources import exhaustive_v, frame, text


def test_walker_lake_is_whole() -> None:
    nodes = exhaustive_v()
    assert nodes.shape == (300, 260)
    assert nodes.mean() == pytest.approx(277.98, abs=0.005)
    assert (nodes.min(), nodes.max()) == (0.0, 1631.16)


def test_all_but_nine_walker_lake_samples_equal_their_node() -> None:
    samples, nodes = frame("walker-lake", "samples"), exhaustive_v()
    at_node = nodes[300 - samples["Y"].to_numpy(), samples["X"].to_numpy() - 1]
    assert len(samples) == 470
    assert int((np.abs(at_node - samples["V"]) > 0.1).sum()) == 9


@pytest.mark.parametrize(("name", "rows"), [("prediction", 259), ("validation", 100), ("grid", 5957)])
def test_jura_has_the_literature_s_sizes(name: str, rows: int) -> None:
    samples = frame("jura", name)
    assert len(samples) == rows
    assert set(samples["Rock"]) == {"Argovian", "Kimmeridgian", "Sequanian", "Portlandian", "Quaternary"}


def test_sic2004_stations_are_the_contest_s_and_disjoint() -> None:
    known, wanted = frame("sic2004", "train"), frame("sic2004", "test")
    assert (len(known), len(wanted)) == (200, 808)
    assert not set(known["record"]) & set(wanted["record"])


@pytest.mark.parametrize("folder", ["walker-lake", "jura", "sic2004"])
def test_each_source_states_origin_licence_and_citation(folder: str) -> None:
    origin = text(f"{folder}/ORIGIN.txt")
    for word in ("r-cran-gstat 2.1-0-1", "Citation", "GPL-2", "Licence"):
        assert word in origin
    assert "Version 2, June 1991" in text("GPL-2.txt")


def test_values_equal_an_independent_extraction(shared_data: Path) -> None:
    """A second extraction, made with R, agrees in every number."""
    pairs = [
        (frame("walker-lake", "samples"), "walker_lake/public/samples_470.csv"),
        (frame("jura", "prediction"), "jura_metals/public/train_259.csv"),
        (frame("jura", "validation"), "jura_metals/truth/truth.csv"),
        (frame("jura", "grid"), "jura_metals/public/grid_5957.csv"),
        (frame("sic2004", "train"), "sic2004_radioactivity/public/dayx_200_stations.csv"),
        (frame("sic2004", "test"), "sic2004_radioactivity/truth/truth.csv"),
    ]
    for ours, path in pairs:
        theirs = pd.read_csv(shared_data / path)
        for column in ours.columns.intersection(theirs.columns):
            if pd.api.types.is_numeric_dtype(ours[column]):
                np.testing.assert_allclose(ours[column], theirs[column], rtol=1e-12)
            else:
                assert list(ours[column]) == list(theirs[column])
