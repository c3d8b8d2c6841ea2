"""The tiles of a plain TIFF, decoded here: several times as fast as through GDAL's block cache and predictors.

Plain is: little-endian, one band, one image, no compression, ZSTD or DEFLATE, predictor 1, 2 or 3, every tag as GDAL
understood it. Of anything else ``Tiles.of`` says None and ``Tiles.decode`` raises ``NotPlain``; GDAL reads it then.
Layout: TIFF 6.0, BigTIFF; nothing read from the file is believed before it fits the file's size.
"""

import os
import struct
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Self

import numpy as np
import pyarrow as pa

from datasets.canonical import Array
from datasets.formats import raster_loops as loops

MAX_TAGS = 256
MAX_TILES = 1 << 20
NONE, ADOBE_DEFLATE, DEFLATE, ZSTD = 1, 8, 32946, 50000
NAMES = {"NONE": (NONE,), "DEFLATE": (ADOBE_DEFLATE, DEFLATE), "ZSTD": (ZSTD,)}
# Tags that change what cells mean, and the values that leave them as they are.
PLAIN = {254: (0,), 262: (1,), 266: (1,), 274: (1,), 277: (1,), 284: (1,), 317: (1, 2, 3)}
STRANGE = frozenset((320, 338, 347, 530))  # a palette, extra samples, JPEG
KINDS = {"u": 1, "i": 2, "f": 3}
_TYPES = {3: "<u2", 4: "<u4", 16: "<u8"}
_ZSTD = pa.Codec("zstd")


class NotPlain(Exception):
    """This part of the file is left to GDAL."""


@dataclass(frozen=True)
class Tiles:
    """Where each tile or strip lies in the file, in rows of ``across`` tiles, and how it is packed."""

    file: int
    shape: tuple[int, int]
    tile: tuple[int, int]
    across: int
    tiled: bool
    dtype: np.dtype[Any]
    packing: int
    predictor: int
    offsets: Array
    counts: Array

    @classmethod
    def of(cls, file: int, dataset: Any) -> Self | None:
        """The tiles of an open file, when it is plain and its tags say what GDAL's ``dataset`` of it says."""
        try:
            tags = _directory(file)
            return cls._agreed(file, tags, dataset)
        except (NotPlain, struct.error, OSError):
            return None

    @classmethod
    def _agreed(cls, file: int, tags: "_Tags", dataset: Any) -> Self:
        dtype = np.dtype(dataset.dtypes[0])
        height, width = shape = dataset.shape
        tiled = 322 in tags.entries
        tile = (tags.one(323), tags.one(322)) if tiled else (min(tags.one(278, default=(1 << 32) - 1), height), width)
        packing = tags.one(259)
        name = dataset.tags(ns="IMAGE_STRUCTURE").get("COMPRESSION", "NONE").upper()
        agreed = (
            sys.byteorder == "little"
            and dataset.count == 1
            and (tags.one(257), tags.one(256)) == shape
            and tile == dataset.block_shapes[0]
            and tags.one(258) == 8 * dtype.itemsize
            and tags.one(339, default=1) == KINDS.get(dtype.kind)
            and packing in NAMES.get(name, ())
            and not STRANGE & tags.entries.keys()
            and all(tags.one(tag, default=values[0]) in values for tag, values in PLAIN.items())
        )
        predictor = tags.one(317, default=1) if packing != NONE else 1
        across = ceil(width / tile[1])
        total = ceil(height / tile[0]) * across
        if not agreed or total > MAX_TILES or (predictor == 3 and dtype.kind != "f"):
            raise NotPlain
        offsets, counts = tags.all(324 if tiled else 273, total), tags.all(325 if tiled else 279, total)
        return cls(file, shape, tile, across, tiled, dtype, packing, predictor, offsets, counts)

    def decode(self, row: int, col: int, out: Array, left: int) -> None:
        """Decode the tile of tile row ``row`` and column ``col`` into rows 0 … and columns ``left`` … of ``out``.

        ``out`` is written as far as it reaches.

        Raises:
            NotPlain: the tile is missing, damaged or not exactly as long as it has to be.
        """
        height, width = self.tile
        if not self.tiled:
            height = min(height, self.shape[0] - row * height)  # the last strip ends with the image
        data = self._unpacked(row * self.across + col, height * width * self.dtype.itemsize)
        _undo(self.predictor, self.dtype, data, width, out, left, (min(height, len(out)), width))

    def _unpacked(self, number: int, wanted: int) -> Array:
        """The ``wanted`` bytes of a tile, ours to change."""
        offset, count = int(self.offsets[number]), int(self.counts[number])
        if offset <= 0 or not 0 < count <= wanted + wanted // 8 + 4096 or (self.packing == NONE and count != wanted):
            raise NotPlain
        packed = os.pread(self.file, count, offset)
        if len(packed) != count:
            raise NotPlain
        if self.packing == ZSTD:
            return _unzstd(packed, wanted)
        return np.frombuffer(bytearray(_inflated(packed, wanted) if self.packing != NONE else packed), dtype=np.uint8)


def _unzstd(packed: bytes, wanted: int) -> Array:
    try:
        return np.frombuffer(_ZSTD.decompress(packed, wanted), dtype=np.uint8)  # into a buffer of that size, no more
    except (OSError, ValueError) as error:
        raise NotPlain from error


def _inflated(packed: bytes, wanted: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(packed, wanted)
    except zlib.error as error:
        raise NotPlain from error
    if len(content) != wanted or stream.unconsumed_tail:
        raise NotPlain
    return content


def _undo(
    predictor: int, dtype: np.dtype[Any], data: Array, width: int, out: Array, left: int, size: tuple[int, int]
) -> None:
    """Undo the predictor of one tile's bytes and put its cells into ``out``."""
    rows, cols = size[0], min(width, out.shape[1] - left)
    item = dtype.itemsize
    if predictor == 3 or (predictor == 2 and item == 1):
        if width * item % 8:
            loops.sum_bytes(data, width * item, rows)
        else:
            loops.sum_bytes_by_eight(data[: len(data) // 8 * 8].view(np.uint64), width * item // 8, rows)
    if predictor == 3:
        join = loops.join_planes_4 if item == 4 else loops.join_planes_8
        join(data, width, out.view(f"u{item}"), left, rows, cols)
    elif predictor == 2 and item > 1:
        loops.sum_words(data.view(f"u{item}"), width, out.view(f"u{item}"), left, rows, cols)
    else:
        cells = data.view(dtype)[: rows * width].reshape(rows, width)
        out[:rows, left : left + cols] = cells[:, :cols]


@dataclass(frozen=True)
class _Tags:
    """The entries of the first directory: {tag: (type, count, the bytes of the value or of its offset)}."""

    file: int
    entries: Mapping[int, tuple[int, int, bytes]]

    def one(self, tag: int, *, default: int | None = None) -> int:
        """The single whole number of a tag."""
        if tag not in self.entries:
            if default is None:
                raise NotPlain
            return default
        return int(self.all(tag, 1)[0])

    def all(self, tag: int, total: int) -> Array:
        """The ``total`` whole numbers of a tag as int64."""
        if tag not in self.entries:
            raise NotPlain
        kind, count, value = self.entries[tag]
        if kind not in _TYPES or count != total:
            raise NotPlain
        size = count * np.dtype(_TYPES[kind]).itemsize
        if size > len(value):
            offset = int.from_bytes(value, "little")
            value = os.pread(self.file, size, offset) if offset < 1 << 62 else b""
        if len(value) < size:
            raise NotPlain
        numbers = np.frombuffer(value[:size], dtype=_TYPES[kind])
        if kind == 16 and (numbers >> np.uint64(62)).any():
            raise NotPlain
        return numbers.astype(np.int64)


def _directory(file: int) -> _Tags:
    """The first directory of a little-endian TIFF or BigTIFF."""
    head = os.pread(file, 16, 0)
    if head[:4] == b"II*\x00":
        start, entry = struct.unpack("<4xI", head[:8])[0], struct.Struct("<HHI4s")
        count, skip = struct.unpack("<H", os.pread(file, 2, start))[0], 2
    elif head[:8] == b"II+\x00\x08\x00\x00\x00":
        start, entry = struct.unpack("<8xQ", head)[0], struct.Struct("<HHQ8s")
        count, skip = struct.unpack("<Q", os.pread(file, 8, start))[0] if start < 1 << 62 else 0, 8
    else:
        raise NotPlain
    if not 0 < count <= MAX_TAGS:
        raise NotPlain
    body = os.pread(file, count * entry.size, start + skip)
    found = {tag: (kind, number, value) for tag, kind, number, value in entry.iter_unpack(body)}
    if len(body) != count * entry.size or len(found) != count:
        raise NotPlain
    return _Tags(file, found)
