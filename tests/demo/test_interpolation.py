"""Interpolators and simulations against what theory says they must do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from portal.demo.entries.interpolation import (
    Floats,
    Variogram,
    fit_variogram,
    inverse_distance,
    nearest,
    ordinary_kriging,
)
from portal.demo.entries.simulation import conditional, unconditional

VALUES = arrays(np.float64, 12, elements=st.floats(-1e3, 1e3, width=32))


def scattered(count: int, seed: int) -> Floats:
    return np.random.default_rng(seed).uniform(0.0, 100.0, (count, 2))


@given(values=VALUES, seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_estimates_pass_through_the_samples(values: Floats, seed: int) -> None:
    places = scattered(12, seed)
    assert np.array_equal(nearest(places, values, places), values)
    assert inverse_distance(places, values, places) == pytest.approx(values, abs=1e-4)
    estimate, variance = ordinary_kriging(places, values, places, Variogram(0.0, 2.0, 40.0))
    assert estimate == pytest.approx(values, abs=1e-3)
    assert variance == pytest.approx(np.zeros(12), abs=1e-5)


@given(values=VALUES, seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_weights_add_up_to_one(values: Floats, seed: int) -> None:
    """Shifting all samples shifts every estimate by as much; means stay between the extremes."""
    places, wanted, model = scattered(12, seed), scattered(5, seed + 1), Variogram(0.5, 2.0, 40.0)
    kriged, shifted = (ordinary_kriging(places, values + shift, wanted, model)[0] for shift in (0.0, 7.0))
    assert shifted - kriged == pytest.approx(np.full(5, 7.0), abs=1e-6)
    weighted = inverse_distance(places, values, wanted)
    assert (weighted >= values.min() - 1e-6).all()
    assert (weighted <= values.max() + 1e-6).all()


def test_kriging_two_samples_by_hand() -> None:
    """Midway between two samples each has weight ½; with C(0) = 1 the variance is 1 − 2·½·C(h/2) − μ."""
    model = Variogram(0.0, 1.0, 10.0)
    c1, c2 = np.exp(-3.0 * 0.2), np.exp(-3.0 * 0.4)
    estimate, variance = ordinary_kriging(
        np.array([[0.0, 0.0], [4.0, 0.0]]), np.array([1.0, 5.0]), np.array([[2.0, 0.0]]), model
    )
    multiplier = c1 - 0.5 * (1.0 + c2)
    assert estimate[0] == pytest.approx(3.0)
    assert variance[0] == pytest.approx(1.0 - c1 - multiplier)


def test_a_fitted_variogram_recovers_the_model_of_a_simulated_field() -> None:
    truth = Variogram(0.0, 4.0, 20.0)
    field = unconditional(truth, (100, 100), 1, np.random.default_rng(3))[0]
    cells = np.random.default_rng(4).integers(0, 100, (600, 2))
    fitted = fit_variogram(cells.astype(float), field[cells[:, 0], cells[:, 1]], furthest=50.0)
    assert fitted.nugget + fitted.sill == pytest.approx(field.var(), rel=0.35)
    assert fitted.reach == pytest.approx(truth.reach, rel=0.5)


def test_unconditional_fields_have_the_model_s_covariance() -> None:
    model = Variogram(0.0, 2.0, 9.0)
    fields = unconditional(model, (60, 60), 40, np.random.default_rng(5))
    assert fields.mean() == pytest.approx(0.0, abs=0.1)
    assert fields.var() == pytest.approx(2.0, rel=0.1)
    assert (fields[:, :, 3:] * fields[:, :, :-3]).mean() == pytest.approx(
        float(model.covariance(np.array(3.0))), rel=0.15
    )


def test_conditional_fields_honour_samples_and_differ_elsewhere() -> None:
    cells = np.array([[5, 5], [20, 9], [14, 25]])
    values = np.array([3.0, -1.0, 0.5])
    fields = conditional(cells, values, Variogram(0.0, 1.0, 12.0), shape=(30, 30), count=6, seed=1)
    assert fields[:, cells[:, 0], cells[:, 1]] == pytest.approx(np.tile(values, (6, 1)), abs=1e-6)
    assert fields[:, 28, 2].std() > 0.1
