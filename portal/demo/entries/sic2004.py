"""Entries for SIC2004 and its joker: mean, nearest, inverse distance, kriging, trees."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from sklearn.ensemble import ExtraTreesRegressor

from portal.demo.entries.interpolation import (
    Floats,
    Variogram,
    fit_variogram,
    inverse_distance,
    nearest,
    ordinary_kriging,
)
from portal.demo.entries.jura_metals import write_table
from portal.demo.entries.method import Entry, Make

Interpolate = Callable[[Floats, Floats, Floats], Floats]
REACH = 300_000.0  # metres up to which variograms are fitted


def _mean(_places: Floats, values: Floats, wanted: Floats) -> Floats:
    return np.full(len(wanted), float(values.mean()))


def _median(_places: Floats, values: Floats, wanted: Floats) -> Floats:
    return np.full(len(wanted), float(np.median(values)))


def _kriging(places: Floats, values: Floats, wanted: Floats) -> Floats:
    return ordinary_kriging(places, values, wanted, fit_variogram(places, values, furthest=REACH))[0]


def _log_kriging(places: Floats, values: Floats, wanted: Floats) -> Floats:
    """Kriging of the logarithm, taken back without correction: the median of the prediction."""
    return np.asarray(np.exp(_kriging(places, np.log(values), wanted)))


def _trees(places: Floats, values: Floats, wanted: Floats) -> Floats:
    """Trees on rotated coordinates and on the readings of the eight nearest other stations."""
    angles = np.arange(6) * np.pi / 6
    turn = np.vstack([np.cos(angles), np.sin(angles)])
    tree = cKDTree(places)
    own, other = np.asarray(tree.query(places, k=9)[1])[:, 1:], np.asarray(tree.query(wanted, k=8)[1])
    model = ExtraTreesRegressor(400, min_samples_leaf=2, random_state=0, n_jobs=1)
    model.fit(np.hstack([places @ turn, values[own]]), values)
    return np.asarray(model.predict(np.hstack([wanted @ turn, values[other]])))


def _places(stations: pd.DataFrame) -> Floats:
    return stations[["x", "y"]].to_numpy(float)


def _maker(target_name: str, method: Interpolate) -> Make:
    def make(public: Path, target: Path) -> Path:
        stations, wanted = pd.read_csv(public / "stations.csv"), pd.read_csv(public / "places.csv")
        readings = stations[target_name].to_numpy(float)
        values = method(_places(stations), readings, _places(wanted))
        return write_table(target, pd.DataFrame({"record": wanted["record"], target_name: np.round(values, 3)}))

    return make


def _prior_kriging(public: Path, target: Path) -> Path:
    """Kriging with the mean variogram of the ten prior days."""
    stations, prior = pd.read_csv(public / "stations.csv"), pd.read_csv(public / "prior_days.csv")
    wanted = pd.read_csv(public / "places.csv")
    places, values = _places(stations), stations["dayx"].to_numpy(float)
    fits = [fit_variogram(places, prior[f"day{day:02d}"].to_numpy(float), furthest=REACH) for day in range(1, 11)]
    nugget, sill, reach = (float(np.mean([getattr(fit, name) for fit in fits])) for name in ("nugget", "sill", "reach"))
    estimate, _ = ordinary_kriging(places, values, _places(wanted), Variogram(nugget, sill, reach))
    return write_table(target, pd.DataFrame({"record": wanted["record"], "dayx": np.round(estimate, 3)}))


ENTRIES = (
    Entry("A", "mean.csv", "The mean of the 200 stations.", _maker("dayx", _mean)),
    Entry("B", "nearest.csv", "The nearest station.", _maker("dayx", nearest)),
    Entry(
        "C",
        "inverse_distance.parquet",
        "Inverse distance squared, 12 nearest stations.",
        _maker("dayx", inverse_distance),
    ),
    Entry("D", "kriging.csv", "Ordinary kriging, exponential variogram of the day.", _maker("dayx", _kriging)),
    Entry("D", "prior_kriging.csv", "Ordinary kriging with the mean variogram of the ten prior days.", _prior_kriging),
    Entry("E", "extra_trees.parquet", "Extremely randomised trees on place and neighbours.", _maker("dayx", _trees)),
)
JOKER_ENTRIES = (
    Entry("A", "median.csv", "The median of the 200 stations: the event is an error.", _maker("joker", _median)),
    Entry("B", "nearest.csv", "The nearest station.", _maker("joker", nearest)),
    Entry(
        "C", "inverse_distance.csv", "Inverse distance squared, 12 nearest stations.", _maker("joker", inverse_distance)
    ),
    Entry("D", "kriging.csv", "Ordinary kriging with the variogram of the day as it is.", _maker("joker", _kriging)),
    Entry("E", "log_kriging.csv", "Ordinary kriging of the logarithm.", _maker("joker", _log_kriging)),
)
