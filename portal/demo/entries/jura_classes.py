"""Entries for Jura parent rock: frequencies, neighbours, a regression on metals, trees on everything."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from portal.demo.entries.interpolation import Floats
from portal.demo.entries.jura_metals import write_table
from portal.demo.entries.method import Entry, Make

ROCKS = ("Argovian", "Kimmeridgian", "Portlandian", "Quaternary", "Sequanian")
METALS = ["Cd", "Co", "Cr", "Cu", "Ni", "Pb", "Zn"]
Classify = Callable[[pd.DataFrame, pd.DataFrame], Floats]


def _frequencies(train: pd.DataFrame, wanted: pd.DataFrame) -> Floats:
    return np.tile([float((train["Rock"] == rock).mean()) for rock in ROCKS], (len(wanted), 1))


def _neighbours(train: pd.DataFrame, wanted: pd.DataFrame) -> Floats:
    """Weighted shares among the 15 nearest samples, mixed with the frequencies so that nothing is impossible."""
    model = KNeighborsClassifier(15, weights="distance").fit(train[["Xloc", "Yloc"]], train["Rock"])
    return np.asarray(0.85 * model.predict_proba(wanted[["Xloc", "Yloc"]]) + 0.15 * _frequencies(train, wanted))


def _regression(train: pd.DataFrame, wanted: pd.DataFrame) -> Floats:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    return np.asarray(model.fit(np.log(train[METALS]), train["Rock"]).predict_proba(np.log(wanted[METALS])))


def _trees(train: pd.DataFrame, wanted: pd.DataFrame) -> Floats:
    model = ExtraTreesClassifier(500, min_samples_leaf=2, random_state=0, n_jobs=1).fit(_table(train), train["Rock"])
    return np.asarray(0.95 * model.predict_proba(_table(wanted)) + 0.05 * _frequencies(train, wanted))


def _table(samples: pd.DataFrame) -> Floats:
    """Logarithms of the metals, land use as indicators, coordinates on eight rotated axes."""
    angles = np.arange(8) * np.pi / 8
    turned = samples[["Xloc", "Yloc"]].to_numpy(float) @ np.vstack([np.cos(angles), np.sin(angles)])
    uses = [(samples["Landuse"] == use).to_numpy(float) for use in ("Forest", "Meadow", "Pasture")]
    return np.column_stack([np.log(samples[METALS].to_numpy(float)), turned, *uses])


def _maker(method: Classify) -> Make:
    def make(public: Path, target: Path) -> Path:
        places = pd.read_csv(public / "places.csv")
        chances = method(pd.read_csv(public / "train.csv"), places)
        columns = {f"p_{rock.lower()}": chances[:, k] for k, rock in enumerate(ROCKS)}
        return write_table(target, pd.DataFrame({"id": places["id"], **columns}))

    return make


ENTRIES = (
    Entry("A", "frequencies.csv", "How often each rock was met among the samples.", _maker(_frequencies)),
    Entry("B", "metals.csv", "Multinomial regression on the logarithms of seven metals.", _maker(_regression)),
    Entry("C", "neighbours.parquet", "Fifteen nearest samples, softened by the frequencies.", _maker(_neighbours)),
    Entry("D", "extra_trees.csv", "500 extremely randomised trees on metals, land use and place.", _maker(_trees)),
)
