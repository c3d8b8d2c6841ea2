"""The small source data that lie beside this module, read as frames and arrays.

Origin, licence and citation of every set stand in ``data/<set>/ORIGIN.txt``.
"""

import gzip
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
DATA = files("portal.demo") / "data"


def frame(folder: str, name: str) -> pd.DataFrame:
    """The table ``data/FOLDER/NAME.csv.gz``; text columns stay text, numbers become int64 or float64."""
    with (DATA / folder / f"{name}.csv.gz").open("rb") as raw, gzip.open(raw) as plain:
        return pd.read_csv(plain, keep_default_na=False, na_values=[""])


def exhaustive_v() -> Floats:
    """Walker Lake's V at all 78,000 nodes, shape (300, 260): row 0 is Y = 300, column 0 is X = 1."""
    with (DATA / "walker-lake" / "v_exhaustive.csv.gz").open("rb") as raw, gzip.open(raw) as plain:
        return np.loadtxt(plain, delimiter=",", dtype=np.float64)


def text(name: str) -> str:
    """A text file of ``data``, such as ``jura/ORIGIN.txt``."""
    return (DATA / name).read_text(encoding="utf-8")
