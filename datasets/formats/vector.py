"""Points and polygons from any vector format to the canonical form, in the challenge's CRS."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS

from datasets.canonical import Array, CanonicalWriter, pack_text
from datasets.expect import Expectation
from datasets.findings import SHOWN, Findings, reject
from datasets.formats import crs as systems
from datasets.formats import delimited, parquet
from datasets.formats.columns import numbers, suggest
from datasets.formats.geojson import read_geojson
from datasets.formats.geopackage import read_geopackage
from datasets.formats.geoparquet import read_geoparquet
from datasets.formats.layer import MAX_VERTICES, MAX_VERTICES_EACH, Layer, Wanted, readable
from datasets.formats.plain import Cell
from datasets.formats.ragged import Ragged, valid
from datasets.formats.ranking import Ranking, rank, write_ranked
from datasets.formats.sheet import Sheet, join_masks

Floats = npt.NDArray[np.float64]
Owners = npt.NDArray[np.int64]
_PAIRS = (("x", "y"), ("easting", "northing"), ("lon", "lat"), ("longitude", "latitude"))
_LOCAL_PAIRS = 2  # the first pairs are in the challenge's CRS, the others in degrees


@dataclass(frozen=True, slots=True)
class _Move:
    """The CRS coordinates are in and the CRS they have to be in; None is local."""

    source: CRS | None
    target: CRS | None
    wkt: str | None = None  # of the target, where it is known

    def text(self) -> str | None:
        """The target as WKT."""
        return self.wkt if self.target is None else self.target.to_wkt()

    def changes(self) -> bool:
        return self.source is not None and self.target is not None and not systems.same(self.source, self.target)


def read_vector(path: Path, form: str, expect: Expectation, out: Path) -> None:
    """Read the features of ``path`` and write canonical points or polygons.

    Raises:
        Rejected: with every finding.
    """
    found = Findings()
    names = [name for name in (expect.rank, expect.confidence, expect.value, expect.weight, expect.label) if name]
    points = expect.kind == "points"
    wanted = Wanted("points" if points else "polygons", names, expect.max_features, expect.label)
    layer = Layer(None)
    with found.gather():
        layer = _READERS[form](path, wanted, found)
    if not len(layer):
        found.stop_if_any()
    move = _Move(None, None)
    with found.gather():
        move = _move(layer, expect)
    values = {name: _numbers(layer, name, found) for name in names if name != expect.label}
    labels = _labels(layer, expect.label, found) if expect.label else None
    writer = CanonicalWriter(out, expect.kind)
    if points:
        _write_points(writer, _point_columns(layer, move, values, expect, found), values, expect)
    else:
        arrays = _polygon_arrays(layer, move, values, expect, found)
        if labels is not None:
            arrays.update(pack_text(labels, "label"))
        for name, array in arrays.items():
            writer.save(name, array)
    writer.finish({"crs": move.text()})


def _move(layer: Layer, expect: Expectation) -> _Move:
    source = layer.crs
    if not expect.crs_fixed:
        if expect.projected and source is not None and source.is_geographic:
            what = f"Coordinates are in {systems.label(source)}, in degrees."
            raise reject("geographic-crs", what, hint="Transform the file to a projected CRS such as UTM.")
        return _Move(source, source)
    if expect.crs is None:
        if source is not None and not layer.local:
            what = f"The challenge has local coordinates without CRS; the file is in {systems.label(source)}."
            raise reject("wrong-crs", what, hint="Send local x and y.")
        return _Move(None, None)
    if source is None and layer.local:
        return _Move(None, None, expect.crs)
    target = systems.from_wkt(expect.crs)
    if source is None:
        hint = f"Write the CRS into the file; the challenge uses {systems.label(target)}."
        raise reject("no-crs", "The file does not say which CRS its coordinates are in.", hint=hint)
    return _Move(source or target, target)


def _note(found: Findings, code: str, features: Sequence[int] | npt.NDArray[Any], what: str, *, hint: str = "") -> None:
    shown = [int(i) for i in features[:SHOWN]]
    found.add_each(code, shown, lambda i: (f"Feature {i}: {what}.", {"feature": i}), total=len(features), hint=hint)


def _column(layer: Layer, name: str, found: Findings) -> Sequence[Any] | Floats | None:
    if name in layer.properties:
        return layer.properties[name] if len(layer.properties[name]) else None
    hint = suggest(name, list(layer.names))
    found.add("missing-column", f"No feature has the property {name!r}.", {"column": name}, hint=hint)
    return None


def _numbers(layer: Layer, name: str, found: Findings) -> Floats:
    column = _column(layer, name, found)
    if column is None:
        return np.zeros(len(layer))
    if isinstance(column, np.ndarray):
        values = column
    else:
        missing = [i for i, value in enumerate(column) if value is None]
        _note(found, "missing-value", missing, f"the property {name!r} is empty", hint="Fill it.")
        wrong = [i for i, value in enumerate(column) if value is not None and type(value) not in (int, float)]
        _note(found, "not-a-number", wrong, f"the property {name!r} is not a number", hint="Store it as a number.")
        values = np.array([_number(value) for value in column], dtype=np.float64)
    what = f"the property {name!r} is not a finite number"
    _note(found, "not-finite", np.flatnonzero(~np.isfinite(values)), what, hint="Every feature needs a finite number.")
    return values


def _number(value: Any) -> float:
    """A number as float; what is no number was noted already and gives 0."""
    if type(value) is float:
        return value
    return (
        float("inf") if type(value) is int and abs(value) > 1 << 1000 else float(value) if type(value) is int else 0.0
    )


def _labels(layer: Layer, name: str, found: Findings) -> list[str]:
    column = _column(layer, name, found)
    if column is None:
        return []
    missing = [i for i, value in enumerate(column) if value is None or value == ""]
    _note(found, "missing-value", missing, f"the property {name!r} is empty", hint="Fill it.")
    wrong = [i for i, value in enumerate(column) if value is not None and not _is_label(value)]
    _note(found, "wrong-type", wrong, f"the property {name!r} is not a short text", hint="Store it as a text.")
    return [str(value) if _is_label(value) else "" for value in column]


def _is_label(value: Any) -> bool:
    if type(value) is str:
        return len(value) <= 200 and not any("\ud800" <= letter <= "\udfff" for letter in value)  # UTF-8 has none
    return type(value) is int and abs(value) < 1 << 63


def _moved(points: Floats, owners: Owners, move: _Move, found: Findings) -> Floats:
    """Finite coordinates in the challenge's CRS; ``owners``: each point's feature."""
    if move.source is None or move.target is None or not move.changes() or not len(points):
        return points
    return systems.transform(points, move.source, move.target, owners, found)


def _finite(points: Floats, owners: Owners, found: Findings) -> Owners:
    """The features of ``owners`` that have a coordinate that is not finite; they are noted."""
    bad = np.unique(owners[~np.isfinite(points).all(axis=1)])
    _note(found, "not-finite", bad, "a coordinate is not a finite number", hint="Every point needs finite coordinates.")
    return bad


def _point_columns(
    layer: Layer, move: _Move, values: Mapping[str, Floats], expect: Expectation, found: Findings
) -> tuple[Floats, Floats]:
    """Sound x and y of all points in the challenge's CRS, in file order."""
    plain = None if layer.lost is not None or move.changes() else layer.columns
    if plain is not None and all(np.isfinite(axis).all() for axis in plain):
        x, y = plain
    else:
        points, index = _read_points(layer, found)
        bad = _finite(points, index, found)
        if len(bad):
            points, index = points[~np.isin(index, bad)], np.setdiff1d(index, bad)
        points = _moved(points, index, move, found)
        x, y = points[:, 0], points[:, 1]
    if expect.weight:
        _note(found, "out-of-range", np.flatnonzero(values[expect.weight] < 0), "the weight is negative")
    found.stop_if_any()
    return x, y


def _write_points(
    writer: CanonicalWriter, places: tuple[Floats, Floats], values: Mapping[str, Floats], expect: Expectation
) -> None:
    columns = dict(zip("xy", places, strict=True))
    for key, name in (("confidence", expect.confidence), ("value", expect.value), ("weight", expect.weight)):
        if name:
            columns[key] = values[name]
    by = expect.rank or expect.confidence
    write_ranked(writer, columns, rank(values[by], falling=not expect.rank) if by else Ranking(len(places[0])))


def _read_points(layer: Layer, found: Findings) -> tuple[Floats, Owners]:
    """The points that could be read, and the feature of each."""
    index = readable(layer)
    if layer.columns is not None:
        return np.column_stack(layer.columns)[index], index
    if layer.points is not None:
        return layer.points if len(index) == len(layer) else layer.points[index], index
    shapes = layer.shapes[index] if layer.shapes is not None else np.zeros(0, dtype=object)
    good = (shapely.get_type_id(shapes) == shapely.GeometryType.POINT) & ~shapely.is_empty(shapes)
    _note(found, "invalid-geometry", index[~good], "it is not a point", hint="Send one point per feature.")
    return np.asarray(shapely.get_coordinates(shapes[good])), index[good]


def _polygon_arrays(
    layer: Layer, move: _Move, values: Mapping[str, Floats], expect: Expectation, found: Findings
) -> dict[str, Array]:
    made, index = _plain_polygons(layer) or _sound_polygons(layer, found)
    if not len(made):
        found.stop_if_any()
    coords = made.coords
    if move.changes():
        owners = np.repeat(index, made.sizes())
        coords = _moved(coords, owners, move, found)
        lost = np.isin(index, owners[~np.isfinite(coords).all(axis=1)])
        moved = replace(made, coords=coords).only(np.flatnonzero(~lost))
        _note_invalid(moved, index[~lost], found)
    found.stop_if_any()
    arrays: dict[str, Array] = {
        "coords": coords,
        "rings": made.rings,
        "parts": made.parts,
        "features": made.features,
    }
    if expect.confidence:
        arrays["confidence"] = values[expect.confidence]
    return arrays


def _ragged(shapes: npt.NDArray[Any]) -> Ragged:
    if not len(shapes):
        return Ragged(np.zeros((0, 2)), *(np.zeros(1, dtype=np.int64) for _ in range(3)))
    _, coords, given = shapely.to_ragged_array(shapes)
    offsets = [np.asarray(item, dtype=np.int64) for item in given]
    if len(offsets) == 2:  # polygons only: every feature is one part
        offsets.append(np.arange(len(shapes) + 1, dtype=np.int64))
    return Ragged(np.ascontiguousarray(coords[:, :2]), *offsets)


def _plain_polygons(layer: Layer) -> tuple[Ragged, Owners] | None:
    """The polygons of a layer read as arrays, when nothing is wrong with any of them."""
    made = layer.ragged
    if made is None or not len(made) or len(made.coords) > MAX_VERTICES or made.sizes().max() > MAX_VERTICES_EACH:
        return None
    return (made, np.arange(len(made), dtype=np.int64)) if valid(made).all() else None


def _sound_polygons(layer: Layer, found: Findings) -> tuple[Ragged, Owners]:
    """The polygons nothing is wrong with, and the feature of each.

    Kinds, vertex budget, finite coordinates, then validity: the dear test comes last.
    """
    if layer.ragged is not None:
        layer = replace(layer, shapes=layer.ragged.shapes(), ragged=None)
    index = readable(layer)
    shapes = layer.shapes[index] if layer.shapes is not None else np.zeros(0, dtype=object)
    wrong = ~np.isin(shapely.get_type_id(shapes), (3, 6)) | shapely.is_empty(shapes)
    what = "it is not a polygon, or it is empty"
    _note(found, "invalid-geometry", index[wrong], what, hint="Send polygons or multipolygons.")
    sizes = shapely.get_num_coordinates(shapes)
    if sizes.sum() > MAX_VERTICES:
        what = f"The file has {int(sizes.sum())} vertices; {MAX_VERTICES} are allowed."
        found.add("too-many-features", what, hint="Simplify the outlines.")
        found.stop_if_any()
    large = sizes > MAX_VERTICES_EACH
    what = f"it has more than {MAX_VERTICES_EACH} vertices"
    _note(found, "too-many-features", index[large], what, hint="Simplify or split it.")
    shapes, index, sizes = shapes[~(wrong | large)], index[~(wrong | large)], sizes[~(wrong | large)]
    finite = ~np.isin(index, _finite(shapely.get_coordinates(shapes), np.repeat(index, sizes), found))
    made, index = _ragged(shapes[finite]), index[finite]
    hollow = made.hollow()
    _note(found, "invalid-geometry", index[hollow], "a part or a ring of it is empty", hint="Leave empty parts out.")
    made, index = made.only(np.flatnonzero(~hollow)), index[~hollow]
    good = np.flatnonzero(_note_invalid(made, index, found))
    return made.only(good), index[good]


def _note_invalid(made: Ragged, index: Owners, found: Findings) -> npt.NDArray[np.bool_]:
    """Note the polygons that are not valid; ``index`` is the feature of each. Returns which are valid."""
    good = valid(made)
    bad = np.flatnonzero(~good)
    told = [str(text).split("[", 1)[0].strip().lower() for text in shapely.is_valid_reason(made.shapes(bad[:SHOWN]))]
    reasons = dict(zip(index[bad[:SHOWN]].tolist(), told, strict=True))
    found.add_each(
        "invalid-geometry",
        list(reasons),
        lambda i: (f"Feature {i} is not a valid polygon: {reasons[i]}.", {"feature": i}),
        total=len(bad),
        hint="Mend it with shapely.make_valid and look at the result; it is never repaired here.",
    )
    return good


def read_csv_points(path: Path, wanted: Wanted, found: Findings) -> Layer:
    """Points from CSV: x and y or easting and northing in the challenge's CRS, else lon and lat in EPSG:4326."""
    header = delimited.read_header(path)
    return _table_points(header, wanted, found, lambda columns: delimited.read_columns(path, columns, found))


def read_parquet_points(path: Path, wanted: Wanted, found: Findings) -> Layer:
    """Points from GeoParquet, or from a plain Parquet table with the columns of a CSV."""
    if wanted.geometry == "points":
        file = parquet.open_parquet(path)
        names, about = file.schema_arrow.names, file.metadata.metadata or {}
        if b"geo" not in about and _pair(names) is not None:
            if file.metadata.num_rows > wanted.limit:
                what = f"The file has {file.metadata.num_rows} rows; {wanted.limit} are allowed."
                raise reject("too-many-features", what, hint="Keep the best ones.")
            return _table_points(names, wanted, found, partial(parquet.read_columns, path, found=found))
    return read_geoparquet(path, wanted, found)


def _pair(header: Sequence[str]) -> int | None:
    lower = [name.strip().lower() for name in header]
    return next((i for i, pair in enumerate(_PAIRS) if set(pair) <= set(lower)), None)


def _table_points(
    header: Sequence[str], wanted: Wanted, found: Findings, read: Callable[[dict[str, Cell]], Sheet]
) -> Layer:
    lower, place = [name.strip().lower() for name in header], _pair(header)
    if place is None or wanted.geometry != "points":
        hint = "Name them x and y (in the challenge's CRS), or lon and lat (in degrees)."
        raise reject("missing-column", "There are no columns for coordinates of points.", hint=hint)
    x, y = (header[lower.index(name)] for name in _PAIRS[place])
    names = [name for name in wanted.names if name in header]
    sheet = read({**dict.fromkeys(names, "float"), x: "float", y: "float"})
    if not {x, y} <= sheet.columns.keys():
        found.stop_if_any()
    columns = numbers(sheet.columns[x]), numbers(sheet.columns[y])
    if not len(columns[0]):
        raise reject("empty-file", "The file has a header but no rows.")
    if len(columns[0]) > wanted.limit:
        what = f"The file has {len(columns[0])} rows; {wanted.limit} are allowed."
        found.add("too-many-features", what, hint="Keep the best ones.")
    local = place < _LOCAL_PAIRS
    kept = {name: numbers(sheet.columns[name]) if name in sheet.columns else () for name in names}
    lost = join_masks(sheet.bad.get(x), sheet.bad.get(y))
    crs = None if local else systems.from_epsg(4326)
    return Layer(crs, columns=columns, properties=kept, names=header, local=local, lost=lost)


_READERS: Mapping[str, Callable[[Path, Wanted, Findings], Layer]] = {
    "geojson": read_geojson,
    "gpkg": read_geopackage,
    "geoparquet": read_parquet_points,
    "csv": read_csv_points,
}
