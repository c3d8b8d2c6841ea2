"""Pictures for the map, drawn from canonical forms only: never from a raw upload.

A raster becomes a PNG in web mercator (EPSG:3857), at most 1024 pixels a side, transparent where it has no data;
points and polygons become GeoJSON in EPSG:4326, at most 5 000 features. Coordinates without a CRS are taken as
metres around 0, 0 at the equator.
"""

import json
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import deflate
import numpy as np
import numpy.typing as npt
import rasterio
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from rasterio.enums import Resampling
from rasterio.transform import Affine, array_bounds
from rasterio.warp import calculate_default_transform, reproject

from datasets.canonical import Array, Canonical

MAX_PIXELS = 1024
MAX_FEATURES = 5_000
MAX_VERTICES = 200_000
MERCATOR = "EPSG:3857"
MAX_CLASSES = 12
SAMPLE = 1 << 16  # cells that tell the range of the colours
Bytes = npt.NDArray[np.uint8]
# Ink to gold for amounts; twelve muted map tints, told apart in order, for classes.
RAMP = np.array([(38, 50, 56), (78, 93, 94), (128, 132, 116), (184, 160, 96), (214, 168, 44), (255, 214, 102)])
TINTS = np.array(
    [
        (122, 143, 106), (196, 154, 69), (92, 122, 148), (168, 99, 83), (142, 121, 158), (110, 158, 150),
        (201, 184, 142), (84, 92, 84), (190, 128, 140), (150, 160, 60), (70, 110, 110), (230, 200, 90),
    ],
    dtype=np.uint8,
)  # fmt: skip
_SHADES = np.linspace(0, len(RAMP) - 1, 255)
AMOUNTS = np.column_stack([np.interp(_SHADES, np.arange(len(RAMP)), channel) for channel in RAMP.T]).astype(np.uint8)


@dataclass(frozen=True)
class Preview:
    """``data`` is a PNG or GeoJSON; ``bounds`` west, south, east, north in degrees; ``local``: without CRS."""

    data: bytes
    media_type: str
    bounds: tuple[float, float, float, float]
    local: bool


def preview(canonical: Canonical, *, ranked: bool = True) -> Preview | None:
    """A picture of a canonical raster, points or polygons; None where there is nothing to draw.

    None is also the answer when the coordinates have no place on a web map. ``ranked``: points are an entry's
    targets and carry their rank, from 1.
    """
    try:
        if canonical.kind == "raster":
            return _raster(canonical)
        if canonical.kind in {"points", "polygons"}:
            return _vector(canonical, ranked)
    except (ProjError, rasterio.errors.RasterioError):
        return None
    return None


def _raster(canonical: Canonical) -> Preview | None:
    band = canonical.arrays["band"]
    step = max(1, math.ceil(max(band.shape) / MAX_PIXELS))
    values = np.asarray(band[::step, ::step])
    known = (
        canonical.arrays["valid"][::step, ::step] if "valid" in canonical.arrays else np.ones(values.shape, dtype=bool)
    )
    known = known & np.isfinite(values)
    if not known.any():
        return None
    transform = Affine(*canonical.attrs["transform"]) @ Affine.scale(step)
    colours, table = _coloured(values, known)
    image, bounds = _warped(colours, transform, canonical.attrs.get("crs"))
    return Preview(_png(image, table), "image/png", _degrees(bounds), canonical.attrs.get("crs") is None)


def _coloured(values: Array, known: npt.NDArray[np.bool_]) -> tuple[Bytes, Bytes]:
    """The colour of every cell (height, width), 0 where nothing is known, and what colours there are (n, 3).

    Classes get tints, amounts a ramp between the 2nd and 98th percentile of about ``SAMPLE`` of them.
    """
    whole = bool(known.all())
    seen = values.reshape(-1) if whole else values[known]
    levels = np.unique(seen) if values.dtype.kind in "iub" else seen
    if values.dtype.kind in "iub" and len(levels) <= MAX_CLASSES:
        places, table = (1 + np.searchsorted(levels, seen)).astype(np.uint8), TINTS
    else:
        places, table = _shaded(seen), AMOUNTS
    if whole:
        return places.reshape(values.shape), table
    colours = np.zeros(values.shape, dtype=np.uint8)
    colours[known] = places
    return colours, table


def _shaded(seen: Array) -> Bytes:
    """Where each amount stands among AMOUNTS, from 1."""
    step = len(seen) // SAMPLE | 1  # odd: a sample that wanders over the columns of most rasters
    low, high = np.percentile(seen[::step].astype(float), (2, 98))
    share = seen.astype(float)
    share -= low
    share /= high - low or 1.0
    np.clip(share, 0, 1, out=share)
    share *= len(AMOUNTS) - 1
    np.rint(share, out=share)
    return np.asarray(1 + share.astype(np.uint8))


def _warped(colours: Bytes, transform: Affine, crs: str | None) -> tuple[Bytes, tuple[float, float, float, float]]:
    """The image in web mercator, and its bounds in mercator metres."""
    height, width = colours.shape
    if crs is None:
        return colours, array_bounds(height, width, transform)
    edges = array_bounds(height, width, transform)
    target, wide, high = calculate_default_transform(crs, MERCATOR, width, height, *edges)
    shrink = max(wide, high) / MAX_PIXELS
    if shrink > 1:
        target, wide, high = target @ Affine.scale(shrink), max(1, round(wide / shrink)), max(1, round(high / shrink))
    image = np.zeros((high, wide), dtype=np.uint8)
    nearest = Resampling.nearest
    reproject(
        colours, image, src_transform=transform, src_crs=crs, dst_transform=target, dst_crs=MERCATOR, resampling=nearest
    )
    return image, array_bounds(high, wide, target)


def _png(image: Bytes, colours: Bytes) -> bytes:
    """Places in a table of colours (height, width) as PNG (ISO/IEC 15948), 0 transparent: unfiltered rows, deflated."""
    height, width = image.shape
    rows = np.zeros((height, 1 + width), dtype=np.uint8)
    rows[:, 1:] = image
    header = struct.pack("!2L5B", width, height, 8, 3, 0, 0, 0)
    table = bytes(3) + colours.tobytes()
    body = deflate.zlib_compress(rows.tobytes(), 6)
    parts = ((b"IHDR", header), (b"PLTE", table), (b"tRNS", b"\0"), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack("!L", len(data)) + name + data + struct.pack("!L", zlib.crc32(name + data)) for name, data in parts
    )


def _degrees(mercator: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    west, south, east, north = mercator
    x, y = _to_degrees(None).transform([west, east], [south, north], errcheck=True)
    return (float(x[0]), float(y[0]), float(x[1]), float(y[1]))


def _to_degrees(crs: str | None) -> Transformer:
    return Transformer.from_crs(CRS.from_user_input(crs or MERCATOR), CRS.from_epsg(4326), always_xy=True)


def _vector(canonical: Canonical, ranked: bool) -> Preview | None:
    crs = canonical.attrs.get("crs")
    features = list(_points(canonical, ranked) if canonical.kind == "points" else _polygons(canonical))
    if not features:
        return None
    flat = np.concatenate([vertices for vertices, _, _ in features])
    x, y = _to_degrees(crs).transform(flat[:, 0], flat[:, 1], errcheck=True)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    degrees = np.round(np.column_stack([x, y]), 7)
    (west, south), (east, north) = degrees.min(axis=0).tolist(), degrees.max(axis=0).tolist()
    document = {"type": "FeatureCollection", "features": list(_geojson(features, degrees))}
    data = json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    return Preview(data, "application/geo+json", (west, south, east, north), crs is None)


# A feature on its way: its vertices, the ring lengths of each part (none for a point), its properties.
_Feature = tuple[npt.NDArray[np.float64], list[list[int]], dict[str, Any]]


def _points(canonical: Canonical, ranked: bool) -> Iterator[_Feature]:
    """The best ranked first, so that a cut at the limit drops the least wanted."""
    x, y = canonical.arrays["x"], canonical.arrays["y"]
    order = canonical.arrays.get("order", np.arange(len(x)))
    for rank, place in enumerate(order[:MAX_FEATURES].tolist(), start=1):
        yield np.array([[x[place], y[place]]]), [], ({"rank": rank} if ranked else {}) | _properties(canonical, place)


def _polygons(canonical: Canonical) -> Iterator[_Feature]:
    arrays = canonical.arrays
    rings, parts, ends = arrays["rings"], arrays["parts"], arrays["features"]
    for place in range(min(len(ends) - 1, MAX_FEATURES)):
        own = range(int(ends[place]), int(ends[place + 1]))
        lengths = [np.diff(rings[int(parts[part]) : int(parts[part + 1]) + 1]).tolist() for part in own]
        first, last = rings[int(parts[ends[place]])], rings[int(parts[ends[place + 1]])]
        if last > MAX_VERTICES:
            return
        yield np.asarray(arrays["coords"][first:last]), lengths, _properties(canonical, place)


def _properties(canonical: Canonical, place: int) -> dict[str, Any]:
    """What the map's label shows of an entry's own feature: confidence and label. Never a value."""
    found: dict[str, Any] = {}
    if "confidence" in canonical.arrays:
        found["confidence"] = float(canonical.arrays["confidence"][place])
    if "label.offsets" in canonical.arrays:
        start, end = canonical.arrays["label.offsets"][place : place + 2]
        found["label"] = canonical.arrays["label.bytes"][start:end].tobytes().decode()
    return found


def _geojson(features: list[_Feature], degrees: Array) -> Iterator[dict[str, Any]]:
    start = 0
    for vertices, parts, properties in features:
        own = degrees[start : start + len(vertices)].tolist()
        start += len(vertices)
        geometry = (
            {"type": "MultiPolygon", "coordinates": _rings(own, parts)}
            if parts
            else {"type": "Point", "coordinates": own[0]}
        )
        yield {"type": "Feature", "geometry": geometry, "properties": properties}


def _rings(vertices: list[Any], parts: list[list[int]]) -> list[list[Any]]:
    left = iter(vertices)
    return [[[next(left) for _ in range(length)] for length in lengths] for lengths in parts]
