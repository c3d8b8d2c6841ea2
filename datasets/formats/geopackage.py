"""GeoPackage through sqlite3: one plain feature table; nothing in the file may run, no view, no foreign trigger."""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from pyproj import CRS

from datasets.findings import Findings, reject
from datasets.formats import crs as systems
from datasets.formats.layer import Layer, Wanted, parse_wkb

MAX_BLOB = 32 << 20
STEPS = 4_000_000_000  # instructions of SQLite's machine; a feature takes a few hundred
_EVERY = 1_000_000
_HINT = "Write it with geopandas (to_file), QGIS or ogr2ogr."
_VIRTUAL = re.compile(r'^CREATE VIRTUAL TABLE "?rtree_[^"]*"? USING rtree\(', re.IGNORECASE)
_TRIGGERS = re.compile(
    r"^(rtree_.+_(insert|delete|update[0-9]?)|trigger_(insert|delete)_feature_count_.+|gpkg_.+)$", re.IGNORECASE
)
_ENVELOPES = (0, 32, 48, 48, 64)
_ALLOWED = frozenset((sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_PRAGMA))


def read_geopackage(path: Path, wanted: Wanted, found: Findings) -> Layer:
    """The features of the only feature table.

    Raises:
        Rejected: the file is no GeoPackage, holds something that could run, or several layers.
    """
    with path.open("rb") as source:
        if source.read(16) != b"SQLite format 3\x00":
            raise reject("wrong-format", "The file is not a GeoPackage.", hint=_HINT)
    try:
        with closing(_connect(path)) as base:
            _check_schema(base)
            return _read(base, wanted.names, wanted.limit, found)
    except sqlite3.Error as error:
        if "interrupted" in str(error):
            raise reject("too-slow", "Reading the GeoPackage takes too long.", hint=_HINT) from error
        raise reject("unreadable", "The GeoPackage is damaged or not as its tables say.", hint=_HINT) from error


def _connect(path: Path) -> sqlite3.Connection:
    base = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
    base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_BLOB)
    base.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    base.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, 1 << 20)
    base.text_factory = lambda raw: raw.decode("utf-8", "replace")
    steps = iter(range(STEPS // _EVERY))
    base.set_progress_handler(lambda: next(steps, None) is None, _EVERY)
    for pragma in (
        "trusted_schema=OFF",
        "cell_size_check=ON",
        "query_only=ON",
        "mmap_size=0",
        "temp_store=MEMORY",
        "cache_size=-16000",
    ):
        base.execute(f"PRAGMA {pragma}")
    base.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY)
    return base


def _check_schema(base: sqlite3.Connection) -> None:
    for kind, name, sql in base.execute("SELECT type, name, sql FROM sqlite_schema LIMIT 10000"):
        text = sql or ""
        odd = kind not in {"table", "index", "trigger"}
        odd |= kind == "trigger" and not _TRIGGERS.match(name)
        odd |= kind == "table" and text.upper().lstrip().startswith("CREATE VIRTUAL") and not _VIRTUAL.match(text)
        odd |= kind == "table" and "GENERATED ALWAYS" in text.upper()
        if odd:
            raise reject(
                "suspicious-structure",
                f"The GeoPackage holds the {kind} {name[:60]!r}.",
                hint="Write only tables of features: no views, no triggers of your own.",
            )


def _read(base: sqlite3.Connection, names: Sequence[str], limit: int, found: Findings) -> Layer:
    table, column, srs = _layer(base)
    columns = [row[1] for row in base.execute(f"PRAGMA table_xinfo({_quoted(table)})")]
    hidden = [row[6] for row in base.execute(f"PRAGMA table_xinfo({_quoted(table)})")]
    if column not in columns or any(hidden):
        raise reject(
            "suspicious-structure", "The layer's table is not a plain table with its geometry column.", hint=_HINT
        )
    wanted = [column, *(name for name in names if name in columns)]
    query = f"SELECT {', '.join(map(_quoted, wanted))} FROM {_quoted(table)} LIMIT {limit + 1}"  # noqa: S608  names are quoted
    rows = base.execute(query).fetchall()
    if not rows:
        raise reject("empty-file", "The layer holds no feature.")
    if len(rows) > limit:
        raise reject("too-many-features", f"The layer has more than {limit} features.", hint="Keep the best ones.")
    values = list(zip(*rows, strict=True))
    shapes = parse_wkb(list(_blobs(values[0], found)))
    for i in [i for i, shape in enumerate(shapes) if shape is None][:50]:
        found.add("invalid-geometry", f"Feature {i} has no geometry that can be read.", {"feature": i}, hint=_HINT)
    properties: dict[str, Sequence[Any]] = dict(zip(wanted[1:], values[1:], strict=True))
    return Layer(_crs(base, srs), shapes=shapes, properties=properties, names=columns, local=srs == -1)


def _layer(base: sqlite3.Connection) -> tuple[str, str, int]:
    rows = base.execute("SELECT table_name FROM gpkg_contents WHERE data_type = 'features' LIMIT 10").fetchall()
    if len(rows) != 1:
        names = ", ".join(str(row[0])[:40] for row in rows)
        raise reject(
            "ambiguous-layer", f"The GeoPackage has {len(rows)} feature layers {names}.", hint="Keep exactly one."
        )
    found = base.execute(
        "SELECT column_name, srs_id FROM gpkg_geometry_columns WHERE table_name = ? LIMIT 2", (rows[0][0],)
    ).fetchall()
    kinds = base.execute("SELECT type FROM sqlite_schema WHERE name = ? LIMIT 2", (rows[0][0],)).fetchall()
    if len(found) != 1 or kinds != [("table",)] or not isinstance(found[0][1], int) or not isinstance(found[0][0], str):
        raise reject("unreadable", "The GeoPackage does not say which column holds the geometry.", hint=_HINT)
    return str(rows[0][0]), found[0][0], found[0][1]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _crs(base: sqlite3.Connection, srs: int) -> CRS | None:
    if srs in {-1, 0}:
        return None
    rows = base.execute(
        "SELECT organization, organization_coordsys_id, definition FROM gpkg_spatial_ref_sys WHERE srs_id = ? LIMIT 2",
        (srs,),
    ).fetchall()
    if len(rows) != 1:
        raise reject("no-crs", "The GeoPackage does not define the CRS of its layer.", hint=_HINT)
    organization, code, definition = rows[0]
    if str(organization).upper() == "EPSG" and isinstance(code, int):
        return systems.from_epsg(code)
    return systems.from_wkt(str(definition))


def _blobs(values: Sequence[Any], found: Findings) -> Iterator[bytes | None]:
    """The WKB inside each GeoPackage blob."""
    for i, blob in enumerate(values):
        if not isinstance(blob, bytes) or len(blob) < 13 or blob[:2] != b"GP":
            yield None
            continue
        kind = blob[3] >> 1 & 7
        if kind >= len(_ENVELOPES) or blob[3] & 0b10000:
            found.add("invalid-geometry", f"Feature {i} is empty or of an unknown kind.", {"feature": i}, hint=_HINT)
            yield None
            continue
        yield blob[8 + _ENVELOPES[kind] :]
