"""What a GeoTIFF says about its band before a cell is read: in GDAL's words, or read here from a plain file.

GDAL looks every CRS up in a database that a forked process has to open anew. A plain file needs no GDAL: one band and
one image that ``tiff`` decodes, north up, every tag and key of a known meaning, and its CRS by the EPSG code the
challenge has. Of anything else ``plain`` says None. Keys: OGC GeoTIFF 1.1 (19-008r4); 42113: GDAL's text of nodata.
"""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pyproj import CRS
from rasterio.enums import MaskFlags, WktVersion

from datasets.errors import Rejected
from datasets.expect import Expectation
from datasets.formats import crs as systems
from datasets.formats.tiff import NAMES, NONE, NotPlain, Tags, Tiles, directory

HARMLESS = frozenset(  # image, tiles and resolution in print; place, keys and their texts; nodata
    (
        *(254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 282, 283, 284, 296, 305, 306, 317),
        *(322, 323, 324, 325, 339, 33550, 33922, 34735, 34736, 34737, 42113),
    )
)
TYPES = {(1, 8): "uint8", (1, 16): "uint16", (2, 16): "int16", (2, 32): "int32", (3, 32): "float32", (3, 64): "float64"}
_FLAT = {1024: 1, 1025: 1, 2054: 9102, 3072: None, 3076: 9001}  # projected, cells are areas, degrees, EPSG, metres
_ROUND = {1024: 2, 1025: 1, 2048: None, 2054: 9102}  # geographic, the rest alike
_TEXTS, _AXES = frozenset((1026, 2049, 3073)), (2057, 2059)
_GRS80, _WGS84 = (6378137.0, 298.257222101), (6378137.0, 298.257223563)  # semi-major axis in m, inverse flattening
# Longitude and latitude in degrees from Greenwich, and the ellipsoid each code of the EPSG registry means.
GEOGRAPHIC = {
    4326: _WGS84,
    4258: _GRS80,
    4269: _GRS80,
    4283: _GRS80,
    4490: _GRS80,
    4617: _GRS80,
    4674: _GRS80,
    7844: _GRS80,
}
_NODATA = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,2})?|nan", re.ASCII)
_LARGEST = 1e38  # GDAL bends nodata close to the largest float32


@dataclass(frozen=True)
class Header:
    """A band and its place. ``size``: (height, width); ``band``: whether it exists at all; ``dtype``: its type's name.

    ``block``: rows and columns stored together, ``together`` bands of them; ``overviews``: in another file;
    ``scaled``, ``masked``: cells mean something else than they say; ``epsg``: the code of a CRS that is known
    without asking, else ``wkt`` or None.
    """

    count: int
    shape: tuple[int, int]
    band: bool
    dtype: str
    block: tuple[int, int]
    together: int
    compression: str
    overviews: bool
    scaled: bool
    masked: bool
    transform: tuple[float, ...]
    nodata: Any
    epsg: int | None
    wkt: str | None

    @classmethod
    def of(cls, dataset: Any, band: int) -> "Header":
        """Of an opened rasterio dataset."""
        known, structure = band <= dataset.count, dataset.tags(ns="IMAGE_STRUCTURE")
        flags = set(dataset.mask_flag_enums[band - 1]) if known else set()
        return cls(
            dataset.count,
            dataset.shape,
            known,
            dataset.dtypes[band - 1] if known else "",
            dataset.block_shapes[band - 1] if known else (0, 0),
            dataset.count if structure.get("INTERLEAVE") == "PIXEL" else 1,
            structure.get("COMPRESSION", "NONE").upper(),
            bool(dataset.tags(ns="OVERVIEWS")),
            known and (dataset.scales[band - 1] != 1.0 or dataset.offsets[band - 1] != 0.0),
            flags not in ({MaskFlags.all_valid}, {MaskFlags.nodata}),
            tuple(dataset.transform[:6]),
            dataset.nodatavals[band - 1] if known else None,
            None,
            dataset.crs.to_wkt(version=WktVersion.WKT2_2019) if dataset.crs else None,  # WKT1 bends EPSG:3857
        )

    def crs(self) -> CRS | None:
        """The CRS.

        Raises:
            Rejected: it is not understood.
        """
        if self.epsg is not None:
            return systems.from_epsg(self.epsg)
        return None if self.wkt is None else systems.from_wkt(self.wkt)


def plain(file: int, expect: Expectation) -> tuple[Header, Tiles] | None:
    """Header and tiles of an open file, when nothing about it is unusual and its CRS is one that is known to agree."""
    try:
        tags = directory(file)
        header = _header(tags)
        if expect.band != 1 or not _agrees(header.epsg, expect):
            return None
        return header, Tiles.agreed(tags, _Described(header))
    except (NotPlain, struct.error, OSError):
        return None


@dataclass(frozen=True)
class _Described:
    """A header in the words of a rasterio dataset, as far as ``Tiles`` asks."""

    header: Header

    @property
    def count(self) -> int:
        return self.header.count

    @property
    def shape(self) -> tuple[int, int]:
        return self.header.shape

    @property
    def dtypes(self) -> tuple[str]:
        return (self.header.dtype,)

    @property
    def block_shapes(self) -> tuple[tuple[int, int]]:
        return (self.header.block,)

    def tags(self, *, ns: str) -> dict[str, str]:
        return {"COMPRESSION": self.header.compression} if ns == "IMAGE_STRUCTURE" else {}


def _agrees(epsg: int | None, expect: Expectation) -> bool:
    """Whether a CRS is the challenge's by its code, or, where none is fixed, one that GDAL does not replace."""
    if epsg is None:
        return False
    if expect.crs_fixed:
        return expect.crs is not None and systems.named(expect.crs) == epsg
    try:
        crs = systems.from_epsg(epsg)
    except Rejected:
        return False
    return not crs.is_deprecated and systems.named(crs.to_wkt()) == epsg


def _header(tags: Tags) -> Header:
    name = TYPES.get((tags.one(339, default=1), tags.one(258)))
    packing, tiled = tags.one(259), 322 in tags.entries
    compression = next((text for text, codes in NAMES.items() if packing in codes), None)
    if tags.order != "<" or tags.more or not tags.entries.keys() <= HARMLESS or name is None or compression is None:
        raise NotPlain
    height, width = tags.one(257), tags.one(256)
    block = (tags.one(323), tags.one(322)) if tiled else (min(tags.one(278), height), width)
    if min(height, width, *block) < 1 or (packing == NONE and not tiled) or max(height, width) >= 1 << 31:
        raise NotPlain
    dtype = np.dtype(name)
    nodata = _nodata(tags.text(42113), dtype) if 42113 in tags.entries else None
    return Header(
        count=1,
        shape=(height, width),
        band=True,
        dtype=name,
        block=block,
        together=1,
        compression=compression,
        overviews=False,
        scaled=False,
        masked=False,
        transform=_transform(tags),
        nodata=nodata,
        epsg=_epsg(tags),
        wkt=None,
    )


def _nodata(text: str, dtype: np.dtype[Any]) -> float:
    """The value of cells without one; a plain number of the band's type."""
    if not _NODATA.fullmatch(text):
        raise NotPlain
    value = float(text)
    if dtype.kind == "f":
        if abs(value) > _LARGEST or (dtype == np.float32 and float(np.float32(value)) != value == value):  # noqa: PLR0124
            raise NotPlain
        return float(dtype.type(value))
    info = np.iinfo(dtype)
    if not info.min <= value <= info.max or value != int(value):
        raise NotPlain
    return value


def _transform(tags: Tags) -> tuple[float, ...]:
    """Affine a b c d e f of a grid tied to the ground at its first corner, north up."""
    if 33550 not in tags.entries or 33922 not in tags.entries:
        raise NotPlain
    scale, tie = tags.doubles(33550), tags.doubles(33922)
    if len(scale) != 3 or len(tie) != 6 or any(tie[:3]) or tie[5] or scale[2]:
        raise NotPlain
    if not np.isfinite([*scale, *tie]).all() or min(scale[:2]) <= 0:
        raise NotPlain
    return (scale[0], 0.0, tie[3], 0.0, -scale[1], tie[4])


def _epsg(tags: Tags) -> int:
    """The code of a projected CRS, or of one of GEOGRAPHIC, that no other key changes."""
    if 34735 not in tags.entries:
        raise NotPlain
    numbers = tags.shorts(34735)
    if len(numbers) < 4 or numbers[:2] != (1, 1) or len(numbers) != 4 * (1 + numbers[3]):
        raise NotPlain
    keys = {numbers[at]: numbers[at + 1 : at + 4] for at in range(4, len(numbers), 4)}
    known, named, own = (_ROUND, 2048, _AXES) if 2048 in keys else (_FLAT, 3072, ())
    if (
        len(keys) != numbers[3]
        or not keys.keys() <= known.keys() | _TEXTS | {*own}
        or not {1024, 1025, named} <= keys.keys()
    ):
        raise NotPlain
    for key, (place, count, value) in keys.items():
        at = {**dict.fromkeys(_TEXTS, 34737), **dict.fromkeys(own, 34736)}.get(key, 0)
        if place != at or (at != 34737 and count != 1) or (not at and known[key] not in {None, value}):
            raise NotPlain
    texts = tags.text(34737) if 34737 in tags.entries else ""
    if "=" in texts or any(keys[key][1] + keys[key][2] > len(texts) for key in keys.keys() & _TEXTS):
        raise NotPlain  # with = some programs say more
    code = int(keys[named][2])
    if not 1024 <= code < 32767 or (named == 2048 and not _is_ellipsoid(tags, keys, code)):
        raise NotPlain
    return code


def _is_ellipsoid(tags: Tags, keys: Mapping[int, tuple[int, ...]], code: int) -> bool:
    """Whether a geographic code is known, and the axes of its ellipsoid, where given, are those it means."""
    given = [(key, wanted) for key, wanted in zip(_AXES, GEOGRAPHIC.get(code, ()), strict=False) if key in keys]
    numbers = tags.doubles(34736) if given and 34736 in tags.entries else ()
    right = all(keys[key][2] < len(numbers) and numbers[keys[key][2]] == wanted for key, wanted in given)
    return code in GEOGRAPHIC and right
