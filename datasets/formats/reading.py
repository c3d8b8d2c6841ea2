"""The one door of a child: which reader takes which file."""

import io
import sqlite3
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import rasterio
import shapely
from numcodecs import blosc

from datasets.canonical import Array
from datasets.expect import Column, Expectation
from datasets.findings import Findings
from datasets.formats import crs
from datasets.formats.bands import ENVIRONMENT
from datasets.formats.columns import infer, numbers
from datasets.formats.grid import read_grid
from datasets.formats.raster import read_raster
from datasets.formats.table import read_table
from datasets.formats.vector import read_vector

Reader = Callable[[Path, str, Expectation, Path], None]
_READERS: Mapping[str, Reader] = {
    "table": read_table,
    "points": read_vector,
    "polygons": read_vector,
    "raster": read_raster,
    "grid": read_grid,
}


def read(path: Path, form: str, expect: Expectation, out: Path) -> None:
    """Read ``path`` and write its canonical form into ``out``.

    Raises:
        Rejected: with every finding.
    """
    _READERS[expect.kind](path, form, expect, out)


def warm_up() -> None:
    """Touch what the libraries load late, so that a child finds it loaded; starts no thread."""
    pa.enable_signal_handlers(enable=False)
    blosc.use_threads = False
    pa.enable_signal_handlers(enable=False)  # a child closes the pipe Arrow watches for Ctrl-C: any byte would be one
    table = pa_csv.read_csv(io.BytesIO(b"a\n1\n"), read_options=pa_csv.ReadOptions(use_threads=False))
    numbers(table.column(0))
    infer(pa.chunked_array([["1", "2"]]))
    _warm_up_places(np.zeros((1, 2)))
    _warm_up_tables()
    with rasterio.Env(**ENVIRONMENT):
        sqlite3.connect(":memory:").close()


def _warm_up_tables() -> None:
    """Read a table of two rows from end to end, as a child will."""
    columns = (Column("id", "id.0", "auto"), Column("value", "value.value", "float"))
    expect = Expectation("table", "entry", ("csv",), 1 << 20, columns=columns, rows=2)
    with tempfile.TemporaryDirectory(prefix="motherlode-") as folder:
        file = Path(folder) / "table.csv"
        file.write_text("id,value\na,1.5\nb,2.5\n", encoding="ascii")
        read(file, "csv", expect, Path(folder) / "out")


def _warm_up_places(points: Array) -> None:
    crs.keep_common()
    one, other = crs.from_epsg(4326), crs.from_epsg(32633)
    crs.transform(points, one, other, np.zeros(1, dtype=np.int64), Findings())
    crs.from_wkt(other.to_wkt())
    shapely.is_valid(shapely.box(0, 0, 1, 1))
