"""Coordinate reference systems of uploads: read from codes, WKT and PROJJSON only; compared; transformed between."""

import json
import re
from typing import Any

import numpy as np
import numpy.typing as npt
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from datasets.findings import SHOWN, Findings, reject

MAX_TEXT = 64 << 10
_NAMES = re.compile(r"^(?:urn:ogc:def:crs:)?EPSG:[0-9.]{0,8}:?([0-9]{4,6})$")
_METRES = re.compile(r'PROJCRS\[.*,ID\["EPSG",([0-9]{4,6})\]\]', re.DOTALL | re.ASCII)
_DEGREES = re.compile(r'GEOGCRS\[.*CS\[ellipsoidal,2\].*,ID\["EPSG",([0-9]{4,6})\]\]', re.DOTALL | re.ASCII)
_ANGLE = re.compile(r'ANGLEUNIT\["([^"]*)"')
_UNIT = re.compile(r'LENGTHUNIT\["([^"]*)"')
_CRS84 = frozenset(("urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:OGC::CRS84", "OGC:CRS84"))
_UTM = (range(32601, 32661), range(32701, 32761), range(25828, 25839), range(26901, 26924))
_MGA = (range(28348, 28359), range(7846, 7860))
_COMMON = (*_UTM, *_MGA, (4326, 4258, 4269, 4283, 7844, 3857, 3035, 2154, 27700, 5070, 3347, 3978, 28992, 2056, 3006))
_KEPT: dict[int, CRS] = {}
_TEXTS: dict[str, CRS] = {}  # those kept by their WKT
_FLAT = frozenset(("GeographicCRS", "ProjectedCRS"))
_NOTES = frozenset(("$schema", "id", "scope", "area", "bbox", "usages", "remarks"))
_GEOGRAPHIC = {"type": "GeographicCRS"}  # of the base of a projection; PROJ leaves it out
Coordinates = npt.NDArray[np.float64]


def keep_common() -> None:
    """Look the common systems up once; a process forked after that opens PROJ's database only for others.

    After a fork PROJ opens its database anew on first use: some 20 ms, more than reading a small file takes.
    """
    _KEPT.update((code, CRS.from_epsg(code)) for codes in _COMMON for code in codes)
    _TEXTS.update((crs.to_wkt(), crs) for crs in _KEPT.values())


def from_epsg(code: int) -> CRS:
    """Raises:
    Rejected: there is no such code.
    """
    try:
        return _KEPT.get(code) or CRS.from_epsg(code)
    except ProjError as error:
        raise reject(
            "no-crs", f"EPSG:{code} is not a known coordinate reference system.", hint="Give an EPSG code."
        ) from error


def from_name(name: str) -> CRS:
    """A CRS from the name of a GeoJSON ``crs`` member.

    Raises:
        Rejected: the name is no EPSG code and not CRS84.
    """
    if name in _CRS84:
        return from_epsg(4326)
    match = _NAMES.match(name)
    if not match:
        raise reject(
            "no-crs",
            f"The CRS name {name[:80]!r} is not understood.",
            hint='Write it as "urn:ogc:def:crs:EPSG::32633".',
        )
    return from_epsg(int(match[1]))


def from_wkt(text: str) -> CRS:
    """A CRS from WKT; a known EPSG code in it wins over its details.

    Raises:
        Rejected: the text is not WKT, or it names grid files.
    """
    if len(text) > MAX_TEXT:
        raise reject("suspicious-structure", "The CRS definition is longer than 64 KiB.")
    try:
        return _TEXTS.get(text) or _plain(CRS.from_wkt(text))
    except ProjError as error:
        raise reject("no-crs", "The CRS definition is not understood.", hint="Give the CRS by EPSG code.") from error


def from_projjson(value: Any) -> CRS:
    """A CRS from PROJJSON as GeoParquet stores it.

    Raises:
        Rejected: the value is not PROJJSON, or it names grid files.
    """
    try:
        text = json.dumps(value)
        if not isinstance(value, dict) or len(text) > MAX_TEXT:
            raise reject("suspicious-structure", "The CRS definition is not PROJJSON of at most 64 KiB.")
        return _known(value) or _plain(CRS.from_json(text))
    except ProjError as error:
        raise reject("no-crs", "The CRS definition is not understood.", hint="Give the CRS by EPSG code.") from error


def _known(value: dict[str, Any]) -> CRS | None:
    """The system of the EPSG code in PROJJSON that says just what the code means.

    PROJ looks up by name what comes without code, such as the members of a datum's ensemble: 30 ms for WGS 84.
    """
    about = value.get("id")
    code = about.get("code") if isinstance(about, dict) and about.get("authority") == "EPSG" else None
    if type(code) is not int or value.get("type") not in _FLAT:
        return None
    try:
        crs = _KEPT.get(code) or CRS.from_epsg(code)
    except ProjError:
        return None
    return crs if len(crs.axis_info) == 2 and _says(value, crs.to_json_dict()) else None


def _says(given: Any, known: Any) -> bool:
    """Whether ``given`` is ``known``, but for notes and codes that are left out."""
    if isinstance(given, dict) and isinstance(known, dict):
        spare = known.keys() - given.keys() <= _NOTES
        more = {name: given[name] for name in given.keys() - known.keys() - {"$schema"}}
        return (
            spare
            and more in ({}, _GEOGRAPHIC)
            and all(_says(given[name], known[name]) for name in given if name in known)
        )
    if isinstance(given, list) and isinstance(known, list):
        return len(given) == len(known) and all(map(_says, given, known))
    return type(given) is type(known) and bool(given == known)


def _plain(crs: CRS) -> CRS:
    if crs.is_bound or "+nadgrids" in crs.srs or "+geoidgrids" in crs.srs:
        raise reject(
            "suspicious-structure",
            "The CRS definition carries a transformation of its own.",
            hint="Give the CRS by EPSG code.",
        )
    flat = crs.to_2d()
    code = flat.to_epsg(min_confidence=100)
    return CRS.from_epsg(code) if code else flat


def named(wkt: str) -> int | None:
    """The EPSG code at the end of the WKT2 of a CRS in metres, or in degrees of longitude and latitude; else None."""
    flat, globe = _METRES.fullmatch(wkt), _DEGREES.fullmatch(wkt)
    found, degrees = flat or globe, flat is not None or set(_ANGLE.findall(wkt)) == {"degree"}
    return int(found[1]) if found and degrees and set(_UNIT.findall(wkt)) == {"metre"} else None


def same(one: CRS, other: CRS) -> bool:
    """Whether two systems place coordinates alike; axis order is ignored because all readers use x, y."""
    return bool(one.equals(other, ignore_axis_order=True)) or (
        one.to_epsg() is not None and one.to_epsg() == other.to_epsg()
    )


def label(crs: CRS | None) -> str:
    """A short name for messages."""
    if crs is None:
        return "local coordinates without CRS"
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else crs.name[:80]


def transform(
    points: Coordinates, source: CRS, target: CRS, owners: npt.NDArray[np.int64], found: Findings
) -> Coordinates:
    """Coordinates (n, 2) in x, y order from ``source`` to ``target``; ``owners`` (n): each point's feature."""
    if same(source, target):
        return points
    x, y = Transformer.from_crs(source, target, always_xy=True).transform(points[:, 0], points[:, 1], errcheck=False)
    moved = np.column_stack([x, y])
    bad = np.unique(owners[~np.isfinite(moved).all(axis=1)])
    found.add_each(
        "outside-crs",
        [int(feature) for feature in bad[:SHOWN]],
        lambda feature: (
            f"Feature {feature} cannot be transformed from {label(source)} to {label(target)}.",
            {"feature": feature},
        ),
        total=len(bad),
        hint="Are x and y, or longitude and latitude, swapped?",
    )
    return moved
