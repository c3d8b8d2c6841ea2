"""The synthetic camp: the same from the same seed, plausible, and fair to play."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from portal.demo.camp import HEIGHT, UNITS, WIDTH, Camp, make_camp, sample_cells
from portal.demo.challenges import goldfield, prospectivity

RADIUS = 300.0


@pytest.fixture(scope="module", params=[goldfield.SEED, prospectivity.SEED])
def camp(request: pytest.FixtureRequest) -> Camp:
    return make_camp(request.param, west=432_000.0, north=5_660_000.0)


def test_the_same_seed_gives_the_same_camp_and_another_seed_another() -> None:
    first, again, other = (make_camp(seed, west=0.0, north=0.0) for seed in (1, 1, 2))
    for name in ("geology", "magnetics", "gold", "fault_distance"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
        assert not np.array_equal(getattr(first, name), getattr(other, name))
    assert np.array_equal(first.deposits.places, again.deposits.places)
    assert np.array_equal(first.deposits.ounces, again.deposits.ounces)


def test_layers_cover_the_grid_with_finite_values(camp: Camp) -> None:
    for band in (camp.magnetics, camp.gold, camp.fault_distance):
        assert band.shape == (HEIGHT, WIDTH)
        assert np.isfinite(band).all()
    assert set(np.unique(camp.geology)) == set(range(1, len(UNITS) + 1))
    assert camp.gold.min() > 0.0


def test_no_deposit_can_be_found_from_another_one_s_place(camp: Camp) -> None:
    assert pdist(camp.deposits.places).min() > RADIUS


def test_the_cells_left_out_around_known_deposits_hide_no_other(camp: Camp) -> None:
    known, hidden = camp.deposits.places[camp.deposits.known], camp.deposits.places[~camp.deposits.known]
    assert cdist(hidden, known).min() > prospectivity.WORKED
    assert (sample_cells(prospectivity.judged_cells(camp).astype(float), hidden, camp.transform) == 1.0).all()


def test_deposits_follow_the_structures_and_the_known_ones_the_till(camp: Camp) -> None:
    """What a geologist expects must be there to be learned, and the sample of known deposits is biased."""
    places, known = camp.deposits.places, camp.deposits.known
    distance, gold = (sample_cells(band, places, camp.transform) for band in (camp.fault_distance, camp.gold))
    assert np.median(distance) < 0.5 * np.median(camp.fault_distance)
    assert np.median(gold[known]) > np.median(gold[~known]) > np.median(camp.gold)
