"""GeoJSON, read strictly: no NaN, no key twice, no reference; without ``crs`` it is longitude and latitude."""

import json
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS

from datasets.findings import Findings, reject
from datasets.formats import crs as systems
from datasets.formats.geojson_plain import read_plain
from datasets.formats.layer import Geometries, Layer, Wanted

_HINT = "Write it with geopandas (to_file), QGIS or ogr2ogr."
_NUMBERS = frozenset((int, float))


class _NotStrictError(ValueError):
    """What strict JSON forbids and the standard library lets pass."""


def _no_constant(name: str) -> NoReturn:
    raise _NotStrictError(f"{name} is not JSON")


def _no_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _NotStrictError("an object holds the same key twice")
    return value


def strict_json(text: str | bytes) -> Any:
    """Parse JSON as the standard has it.

    Raises:
        Rejected: it is no JSON, holds NaN or a key twice, or is nested without end.
    """
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_twice)
    except _NotStrictError as error:
        raise reject("unreadable", f"The JSON is not strict: {error}.", hint=_HINT) from error
    except (ValueError, UnicodeDecodeError) as error:
        place = {"line": error.lineno} if isinstance(error, json.JSONDecodeError) else {}
        raise reject("unreadable", "The file is not JSON in UTF-8.", place, hint=_HINT) from error
    except RecursionError as error:
        raise reject("suspicious-structure", "The JSON is nested too deep.", hint=_HINT) from error


def read_geojson(path: Path, wanted: Wanted, found: Findings) -> Layer:
    """The features of a FeatureCollection; the properties asked for are kept.

    Raises:
        Rejected: the file is no FeatureCollection, or has more features than allowed.
    """
    plain = _plain(path, wanted) if wanted.geometry == "polygons" else None
    if plain is not None:
        return plain
    text = path.read_bytes()
    if text[:3] == b"\xef\xbb\xbf":
        text = text[3:]
    if text[:64].lstrip()[:1] != b"{":
        raise reject("wrong-format", "The file is not GeoJSON.", hint=_HINT)
    content = strict_json(text)
    del text
    features = content.get("features") if isinstance(content, dict) else None
    if content.get("type") != "FeatureCollection" or not isinstance(features, list):
        raise reject("wrong-format", "The file is not a GeoJSON FeatureCollection.", hint=_HINT)
    if not features:
        raise reject("empty-file", "The file holds no feature.")
    if len(features) > wanted.limit:
        raise reject(
            "too-many-features",
            f"The file has {len(features)} features; {wanted.limit} are allowed.",
            hint="Keep the best ones.",
        )
    system = _crs(content)
    properties = [_properties(feature) for feature in features]
    kept = {
        name: [item.get(name) for item in properties]
        for name in wanted.names
        if any(name in item for item in properties)
    }
    shapes = [feature.get("geometry") if isinstance(feature, dict) else None for feature in features]
    known = sorted(set(chain.from_iterable(properties[:100])))
    place, local = system or systems.from_epsg(4326), system is None
    if wanted.geometry == "points":
        points, lost = _points(shapes, found)
        return Layer(place, points=points, properties=kept, names=known, local=local, lost=lost)
    return Layer(place, shapes=_polygons(shapes, found), properties=kept, names=known, local=local)


def _plain(path: Path, wanted: Wanted) -> Layer | None:
    """The layer, when everything about the file is as programs write it.

    Raises:
        Rejected: its ``crs`` member is not understood.
    """
    read = read_plain(path, wanted.names, wanted.label)
    if read is None or len(read.polygons) > wanted.limit:
        return None
    members = {name: strict_json(text) for name, text in read.members.items() if name in {"type", "crs"}}
    if members.get("type") != "FeatureCollection":
        return None
    system = _crs(members)
    place, local = system or systems.from_epsg(4326), system is None
    return Layer(place, ragged=read.polygons, properties=read.properties, names=wanted.names, local=local)


def _crs(content: dict[str, Any]) -> CRS | None:
    if "crs" not in content:
        return None
    member = content["crs"]
    name = (
        member.get("properties", {}).get("name")
        if isinstance(member, dict) and isinstance(member.get("properties"), dict)
        else None
    )
    if not isinstance(member, dict) or member.get("type") != "name" or not isinstance(name, str):
        raise reject(
            "suspicious-structure",
            'The "crs" member is not a name.',
            hint='Write "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}.',
        )
    return systems.from_name(name)


def _properties(feature: Any) -> dict[str, Any]:
    value = feature.get("properties") if isinstance(feature, dict) else None
    return value if isinstance(value, dict) else {}


def _bad(found: Findings, feature: int, what: str) -> None:
    found.add(
        "invalid-geometry",
        f"Feature {feature}: {what}.",
        {"feature": feature},
        hint="Mend it with shapely.make_valid and look at the result.",
    )


def _points(shapes: Sequence[Any], found: Findings) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Coordinates (n, 2), and which of them (n,) are placeholders."""
    pairs: list[Sequence[float]] = []
    lost = np.zeros(len(shapes), dtype=np.bool_)
    for i, shape in enumerate(shapes):
        pair = shape.get("coordinates") if isinstance(shape, dict) and shape.get("type") == "Point" else None
        if isinstance(pair, list) and 2 <= len(pair) <= 4 and _NUMBERS.issuperset(map(type, pair)):
            pairs.append(pair[:2])
        else:
            _bad(found, i, "it is not a point with two numbers")
            pairs.append((0.0, 0.0))
            lost[i] = True
    points = _floats(pairs, found)
    return (points, lost) if points is not None else (np.zeros((len(pairs), 2)), np.ones_like(lost))


def _floats(pairs: Sequence[Sequence[float]], found: Findings) -> npt.NDArray[np.float64] | None:
    try:
        return np.array(pairs, dtype=np.float64).reshape(-1, 2)
    except (OverflowError, ValueError, TypeError):
        found.add(
            "not-finite", "A coordinate is too large for a number.", hint="Are the coordinates in the CRS of the file?"
        )
        return None


def _polygons(shapes: Sequence[Any], found: Findings) -> Geometries:
    coords: list[Sequence[float]] = []
    rings, parts, features = [0], [0], [0]
    lost: list[int] = []
    for i, shape in enumerate(shapes):
        start = len(coords)
        try:
            for part in _parts(shape):
                for ring in part:
                    _ring(ring, coords)
                    rings.append(len(coords))
                parts.append(len(rings) - 1)
        except _NotStrictError as error:
            _bad(found, i, str(error))
            lost.append(i)
            del coords[start:]
            while rings[-1] > start:
                rings.pop()
            while parts[-1] > len(rings) - 1:
                parts.pop()
        features.append(len(parts) - 1)
    flat = _floats(coords, found)
    made = np.full(len(shapes), None, dtype=object)
    if flat is None or not len(flat):
        return made
    offsets = tuple(np.array(item, dtype=np.int64) for item in (rings, parts, features))
    made[:] = shapely.from_ragged_array(shapely.GeometryType.MULTIPOLYGON, flat, offsets)
    made[lost] = None
    return made


def _parts(shape: Any) -> Iterator[list[Any]]:
    kind = shape.get("type") if isinstance(shape, dict) else None
    coordinates = shape.get("coordinates") if isinstance(shape, dict) else None
    if kind not in {"Polygon", "MultiPolygon"} or not isinstance(coordinates, list):
        raise _NotStrictError("it is not a Polygon or MultiPolygon")
    parts = [coordinates] if kind == "Polygon" else coordinates
    if not parts or not all(isinstance(part, list) and part for part in parts):
        raise _NotStrictError("it is empty")
    yield from parts


def _ring(ring: Any, coords: list[Sequence[float]]) -> None:
    if not isinstance(ring, list) or len(ring) < 4:
        raise _NotStrictError("a ring has fewer than four points")
    if not all(type(pair) is list and 2 <= len(pair) <= 4 for pair in ring) or not _NUMBERS.issuperset(
        map(type, chain.from_iterable(ring))
    ):
        raise _NotStrictError("a position is not two numbers")
    if ring[0] != ring[-1]:
        raise _NotStrictError("a ring is not closed")
    coords.extend(pair[:2] for pair in ring)
