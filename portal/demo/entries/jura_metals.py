"""Entries for Jura cobalt: mean, inverse distance, kriging, regression, both together, trees."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LinearRegression

from portal.demo.entries.interpolation import Floats, fit_variogram, inverse_distance, ordinary_kriging
from portal.demo.entries.method import Entry, Make
from portal.demo.folder import write_csv

Predict = Callable[[pd.DataFrame, pd.DataFrame], Floats]
METAL = "Co"


def _places(samples: pd.DataFrame) -> Floats:
    return samples[["Xloc", "Yloc"]].to_numpy(float)


def _mean(train: pd.DataFrame, wanted: pd.DataFrame) -> Floats:
    return np.full(len(wanted), float(train[METAL].mean()))


def _inverse_distance(train: pd.DataFrame, wanted: pd.DataFrame) -> Floats:
    return inverse_distance(_places(train), train[METAL].to_numpy(float), _places(wanted))


def _kriged(train: pd.DataFrame, values: Floats, wanted: pd.DataFrame) -> Floats:
    model = fit_variogram(_places(train), values, furthest=1.5)
    return ordinary_kriging(_places(train), values, _places(wanted), model)[0]


def _kriging(train: pd.DataFrame, wanted: pd.DataFrame) -> Floats:
    return _kriged(train, train[METAL].to_numpy(float), wanted)


def _predictors(samples: pd.DataFrame) -> Floats:
    rocks = [
        (samples["Rock"] == rock).to_numpy(float) for rock in ("Argovian", "Kimmeridgian", "Quaternary", "Sequanian")
    ]
    return np.column_stack([samples["Ni"], np.log(samples["Zn"]), *rocks]).astype(float)


def _regression(train: pd.DataFrame, wanted: pd.DataFrame) -> Floats:
    return np.asarray(LinearRegression().fit(_predictors(train), train[METAL]).predict(_predictors(wanted)))


def _regression_kriging(train: pd.DataFrame, wanted: pd.DataFrame) -> Floats:
    """The regression plus its residuals, kriged (Hengl, Heuvelink and Rossiter 2007)."""
    model = LinearRegression().fit(_predictors(train), train[METAL])
    residuals = train[METAL].to_numpy(float) - model.predict(_predictors(train))
    return np.asarray(model.predict(_predictors(wanted)) + _kriged(train, residuals, wanted))


def _trees(train: pd.DataFrame, wanted: pd.DataFrame) -> Floats:
    both = [np.column_stack([_predictors(samples), _places(samples)]) for samples in (train, wanted)]
    model = ExtraTreesRegressor(300, min_samples_leaf=2, random_state=0, n_jobs=1)
    return np.asarray(model.fit(both[0], train[METAL]).predict(both[1]))


def _maker(method: Predict) -> Make:
    def make(public: Path, target: Path) -> Path:
        places = pd.read_csv(public / "places.csv")
        values = np.round(method(pd.read_csv(public / "train.csv"), places), 4)
        return write_table(target, pd.DataFrame({"id": places["id"], METAL: values}))

    return make


def write_table(target: Path, table: pd.DataFrame) -> Path:
    """A table as CSV or Parquet, by the file's ending."""
    if target.suffix == ".csv":
        return write_csv(target, table)
    target.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(target, index=False)
    return target


ENTRIES = (
    Entry("A", "mean.csv", "The mean of the samples.", _maker(_mean)),
    Entry("B", "inverse_distance.csv", "Inverse distance squared, 12 nearest samples.", _maker(_inverse_distance)),
    Entry("C", "kriging.parquet", "Ordinary kriging of cobalt alone.", _maker(_kriging)),
    Entry("D", "regression.csv", "Linear regression on nickel, zinc and rock.", _maker(_regression)),
    Entry("C", "regression_kriging.parquet", "The regression with its residuals kriged.", _maker(_regression_kriging)),
    Entry("E", "extra_trees.csv", "300 extremely randomised trees on metals, rock and position.", _maker(_trees)),
)
