"""The tiles of a plain TIFF, decoded here: several times as fast as through GDAL's block cache and predictors.

Plain is: one image of bands of one type, no compression, ZSTD or DEFLATE, predictor 1, 2 or 3, every tag as GDAL
understood it. One band in little-endian order is fast; several, or the other order, are only read as safely. Of
anything else ``Tiles.of`` says None and ``Tiles.decode`` raises ``NotPlain``; GDAL reads it then.
Layout: TIFF 6.0, BigTIFF; nothing read from the file is believed before it fits the file's size.
"""

import os
import struct
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Self

import deflate
import numpy as np
from numcodecs import zstd

from datasets.canonical import Array
from datasets.formats import raster_loops as loops
from datasets.formats.codecs import zstd_size

MAX_TAGS = 256
MAX_TILES = 1 << 20
MAX_TEXT = 1 << 14  # bytes of a tag other than places of tiles
NONE, ADOBE_DEFLATE, DEFLATE, ZSTD = 1, 8, 32946, 50000
NAMES = {"NONE": (NONE,), "DEFLATE": (ADOBE_DEFLATE, DEFLATE), "ZSTD": (ZSTD,)}
# Tags that change what cells mean, and the values that leave them as they are.
PLAIN = {254: (0,), 266: (1,), 274: (1,), 284: (1, 2), 317: (1, 2, 3)}
STRANGE = frozenset((320, 347, 530))  # a palette, JPEG
STRIPS, TILES = frozenset((273, 279)), frozenset((323, 324, 325))  # libtiff mixes those of both up
KINDS = {"u": 1, "i": 2, "f": 3}
_TYPES = {3: "u2", 4: "u4", 16: "u8"}
_ABOUT = ("OFFSET", "SIZE")
_ZSTD_HEAD = 18  # bytes of the longest header of a frame


class NotPlain(Exception):
    """This part of the file is left to GDAL."""


@dataclass
class Scratch:
    """One thread's room for a tile, packed and unpacked; it grows to the largest and is used again."""

    packed: Array = field(default_factory=lambda: np.empty(0, dtype=np.uint8))
    unpacked: Array = field(default_factory=lambda: np.empty(0, dtype=np.uint8))

    def take(self, count: int, wanted: int) -> tuple[Array, Array]:
        """Bytes for ``count`` packed and ``wanted`` unpacked ones; what they hold is left over from before."""
        if len(self.packed) < count:
            self.packed = np.empty(count, dtype=np.uint8)
        if len(self.unpacked) < wanted:
            self.unpacked = np.empty(wanted, dtype=np.uint8)
        return self.packed[:count], self.unpacked[:wanted]


@dataclass(frozen=True)
class Tiles:
    """Where each tile or strip of a band lies in the file, in rows of ``across`` tiles, and how it is packed.

    ``mixed``: bands that lie cell by cell beside each other in it, ``sample``: which of these is ours, from 0;
    ``order``: of a cell's bytes, < or >.
    """

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
    mixed: int = 1
    sample: int = 0
    order: str = "<"

    @classmethod
    def of(cls, file: int, dataset: Any, band: int = 1) -> Self | None:
        """The tiles of an open file, when it is plain and its tags say what GDAL's ``dataset`` of it says."""
        try:
            return cls.agreed(directory(file), dataset, band)
        except (NotPlain, struct.error, OSError, TypeError):  # the last: numpy has no such type
            return None

    @classmethod
    def agreed(cls, tags: "Tags", dataset: Any, band: int = 1) -> Self:
        """The tiles of a band that ``tags`` tell of.

        Raises:
            NotPlain: they are not plain, or not what ``dataset`` says.
        """
        dtype = np.dtype(dataset.dtypes[0])
        height, width = shape = dataset.shape
        tiled = 322 in tags.entries
        tile = (tags.one(323), tags.one(322)) if tiled else (min(tags.one(278, default=(1 << 32) - 1), height), width)
        packing = tags.one(259)
        name = dataset.tags(ns="IMAGE_STRUCTURE").get("COMPRESSION", "NONE").upper()
        agreed = (
            sys.byteorder == "little"
            and 1 <= band <= dataset.count
            and (tags.one(257), tags.one(256)) == shape
            and tile == dataset.block_shapes[0]
            and tags.says_of_bands(dataset.count, 8 * dtype.itemsize, KINDS.get(dtype.kind))
            and packing in NAMES.get(name, ())
            and not (STRANGE | (STRIPS if tiled else TILES)) & tags.entries.keys()
            and all(tags.one(tag, default=values[0]) in values for tag, values in PLAIN.items())
        )
        predictor = tags.one(317, default=1) if packing != NONE else 1
        across = ceil(width / tile[1])
        own, apart = ceil(height / tile[0]) * across, dataset.count > 1 and tags.one(284, default=1) == 2
        total, first = (dataset.count * own, (band - 1) * own) if apart else (own, 0)
        if not agreed or total > MAX_TILES or (predictor == 3 and dtype.kind != "f"):
            raise NotPlain
        offsets, counts = tags.all(324 if tiled else 273, total), tags.all(325 if tiled else 279, total)
        offsets, counts = offsets[first : first + own], counts[first : first + own]
        mixed, sample = (1, 0) if apart else (dataset.count, band - 1)
        place = tags.file, shape, tile, across, tiled
        return cls(*place, dtype, packing, predictor, offsets, counts, mixed, sample, tags.order)

    def decode(self, row: int, col: int, out: Array, left: int, scratch: Scratch | None = None) -> None:
        """Decode the tile of tile row ``row`` and column ``col`` into rows 0 … and columns ``left`` … of ``out``.

        ``out`` is written as far as it reaches.

        Raises:
            NotPlain: the tile is missing, damaged or not exactly as long as it has to be.
        """
        height, width = self.tile
        if not self.tiled:
            height = min(height, self.shape[0] - row * height)  # the last strip ends with the image
        wanted = height * width * self.mixed * self.dtype.itemsize
        data = self._unpacked(row * self.across + col, wanted, Scratch() if scratch is None else scratch)
        rows = min(height, len(out))
        if self.mixed > 1 or (self.order == ">" and self.dtype.itemsize > 1):
            cells = self._sorted_out(data, rows)
            out[:rows, left : left + width] = cells[:, : out.shape[1] - left].view(self.dtype)
        else:
            _undo(self.predictor, self.dtype, data, width, out, left, (rows, width))

    def _sorted_out(self, data: Array, rows: int) -> Array:
        """The cells of our band in the first rows of a tile's bytes, predictor undone, as whole numbers."""
        item, line = self.dtype.itemsize, self.tile[1] * self.mixed
        raw, form = data[: rows * line * item], f"u{item}"
        if self.predictor == 3:  # of libtiff's making, so the most significant byte is first whatever the order
            sums = np.cumsum(raw.reshape(rows, -1, self.mixed), axis=1, dtype=np.uint8)
            planes = sums.reshape(rows, item, line).transpose(0, 2, 1)
            cells = np.ascontiguousarray(planes).view(f">{form}").reshape(rows, -1, self.mixed)
        else:
            cells = raw.view(f"{self.order}{form}").reshape(rows, -1, self.mixed)
        own = cells[:, :, self.sample].astype(form)
        return np.cumsum(own, axis=1, dtype=form) if self.predictor == 2 else own

    def _unpacked(self, number: int, wanted: int, scratch: Scratch) -> Array:
        """The ``wanted`` bytes of a tile, ours to change until the next."""
        offset, count = int(self.offsets[number]), int(self.counts[number])
        if offset <= 0 or not 0 < count <= wanted + wanted // 8 + 4096 or (self.packing == NONE and count != wanted):
            raise NotPlain
        packed, unpacked = scratch.take(count, wanted)
        if os.preadv(self.file, [packed.data], offset) != count:
            raise NotPlain
        if self.packing == NONE:
            return packed
        if self.packing == ZSTD:
            return _unzstd(packed, unpacked)
        return _inflated(packed, wanted)


def _unzstd(packed: Array, out: Array) -> Array:
    if zstd_size(packed[:_ZSTD_HEAD].tobytes()) not in {0, out.size}:  # 0: the frame does not say
        raise NotPlain
    try:
        zstd.decompress(packed, out)  # fills it, or raises
    except (RuntimeError, ValueError) as error:
        raise NotPlain from error
    return out


def _inflated(packed: Array, wanted: int) -> Array:
    try:
        content = deflate.zlib_decompress(packed, wanted)
    except deflate.DeflateError:
        content = _beginning(packed, wanted)
    if len(content) != wanted:
        raise NotPlain
    return np.frombuffer(content, dtype=np.uint8)


def _beginning(packed: Array, wanted: int) -> bytearray:
    """The ``wanted`` bytes a stream of more begins with: libtiff takes it too, but may leave the end as memory was."""
    try:
        content = zlib.decompressobj().decompress(packed.data, wanted + 1)
    except zlib.error as error:
        raise NotPlain from error
    return bytearray(content[:wanted] if len(content) > wanted else b"")


def _undo(
    predictor: int, dtype: np.dtype[Any], data: Array, width: int, out: Array, left: int, size: tuple[int, int]
) -> None:
    """Undo the predictor of one tile's bytes and put its cells into ``out``."""
    rows, cols = size[0], min(width, out.shape[1] - left)
    item = dtype.itemsize
    if predictor == 3 and item == 4:
        loops.undo_floats(data, width, out.view(np.uint32), left, rows, cols)
    elif predictor == 3:
        if width * item % 8:
            loops.sum_bytes(data, width * item, rows)
        else:
            loops.sum_bytes_by_eight(data[: len(data) // 8 * 8].view(np.uint64), width * item // 8, rows)
        loops.join_planes_8(data, width, out.view(np.uint64), left, rows, cols)
    elif predictor == 2 and item == 1 and not (width | cols | left | out.shape[1] | len(data)) % 8:
        words, to = data.view(np.uint64), out.view(np.uint64)
        loops.sum_cells_by_eight(words, width // 8, to, left // 8, rows, cols // 8)
    elif predictor == 2:
        loops.sum_words(data.view(f"u{item}"), width, out.view(f"u{item}"), left, rows, cols)
    else:
        cells = data.view(dtype)[: rows * width].reshape(rows, width)
        out[:rows, left : left + cols] = cells[:, :cols]


@dataclass(frozen=True)
class Tags:
    """The entries of the first directory: {tag: (type, count, the bytes of the value or of its offset)}.

    ``more``: another directory follows it; ``order``: of the bytes of all numbers, < or >.
    """

    file: int
    entries: Mapping[int, tuple[int, int, bytes]]
    more: bool
    order: str = "<"

    def says_of_bands(self, count: int, bits: int, kind: int | None) -> bool:
        """Whether there are ``count`` bands of this type: grey, or three and more perhaps colours; no mask."""
        more = self.entries[338][1] if 338 in self.entries else 0
        return (
            self.one(277, default=1) == count
            and set(self.all(258, count).tolist()) == {bits}
            and set(self.all(339, count).tolist() if 339 in self.entries else [1]) == {kind}
            and self.one(262, default=1) in ((1, 2) if count >= 3 else (1,))
            and more < count
            and (not more or not self.all(338, more).any())
        )

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
        form = np.dtype(self.order + _TYPES[kind])
        numbers = np.frombuffer(self._value(value, count * form.itemsize), dtype=form)
        if kind == 16 and (numbers >> np.uint64(62)).any():
            raise NotPlain
        return numbers.astype(np.int64)

    def doubles(self, tag: int) -> tuple[float, ...]:
        """The few floating-point numbers of a tag."""
        kind, count, value = self.entries[tag]
        if kind != 12 or count > MAX_TEXT // 8:
            raise NotPlain
        return struct.unpack(f"{self.order}{count}d", self._value(value, 8 * count))

    def shorts(self, tag: int) -> tuple[int, ...]:
        """The few 16-bit numbers of a tag."""
        kind, count, value = self.entries[tag]
        if kind != 3 or count > MAX_TEXT // 2:
            raise NotPlain
        return struct.unpack(f"{self.order}{count}H", self._value(value, 2 * count))

    def text(self, tag: int) -> str:
        """The ASCII text of a tag, without what follows its first NUL."""
        kind, count, value = self.entries[tag]
        if kind != 2 or count > MAX_TEXT:
            raise NotPlain
        try:
            return self._value(value, count).split(b"\0")[0].decode("ascii")
        except UnicodeDecodeError as error:
            raise NotPlain from error

    def _value(self, value: bytes, size: int) -> bytes:
        """The ``size`` bytes of a tag's value, which stands in the entry or where that points to."""
        if size > len(value):
            offset = int.from_bytes(value, "little" if self.order == "<" else "big")
            value = os.pread(self.file, size, offset) if offset < 1 << 62 else b""
        if len(value) < size:
            raise NotPlain
        return value[:size]


def directory(file: int) -> Tags:
    """The first directory of a TIFF or BigTIFF."""
    head = os.pread(file, 16, 0)
    order = "<" if head[:2] == b"II" else ">"
    if head[:4] in {b"II*\x00", b"MM\x00*"}:
        start, entry = struct.unpack(f"{order}4xI", head[:8])[0], struct.Struct(f"{order}HHI4s")
        count, skip = struct.unpack(f"{order}H", os.pread(file, 2, start))[0], 2
    elif head[:8] in {b"II+\x00\x08\x00\x00\x00", b"MM\x00+\x00\x08\x00\x00"}:
        start, entry = struct.unpack(f"{order}8xQ", head)[0], struct.Struct(f"{order}HHQ8s")
        count, skip = struct.unpack(f"{order}Q", os.pread(file, 8, start))[0] if start < 1 << 62 else 0, 8
    else:
        raise NotPlain
    if not 0 < count <= MAX_TAGS:
        raise NotPlain
    body = os.pread(file, count * entry.size, start + skip)
    following = os.pread(file, 4 if skip == 2 else 8, start + skip + len(body))
    found = {tag: (kind, number, value) for tag, kind, number, value in entry.iter_unpack(body)}
    if len(body) != count * entry.size or len(found) != count:
        raise NotPlain
    return Tags(file, found, any(following), order)


def is_unpacked_whole(file: int, dataset: Any, band: int, place: tuple[int, int]) -> bool:
    """Whether the deflated block in this row and column of blocks gives as many bytes as GDAL expects of it.

    libtiff takes a block of more, and may leave the end of what it hands on as memory was.
    """
    offset, size = (dataset.get_tag_item(f"BLOCK_{what}_{place[1]}_{place[0]}", "TIFF", bidx=band) for what in _ABOUT)
    if offset is None or size is None or not int(size):
        return True  # nothing is stored: GDAL takes nodata
    structure, own = dataset.tags(ns="IMAGE_STRUCTURE"), dataset.tags(band, ns="IMAGE_STRUCTURE")
    height, width = dataset.block_shapes[band - 1]
    try:
        tags = directory(file)
        tiled = 322 in tags.entries and tags.one(322) > 0
        lines = 1 if tiled else min(tags.one(278, default=dataset.height), dataset.height)
    except (NotPlain, struct.error, OSError):
        tiled, lines = False, 1
    if height == 1 < lines:
        return (
            True  # a single strip that GDAL takes line by line: libtiff unpacks it with zlib, which says where it ends
        )
    rows = height if tiled else min(height, dataset.height - place[0] * height)
    bits = int(own.get("NBITS", 8 * np.dtype(dataset.dtypes[band - 1]).itemsize))
    cells = width * (dataset.count if structure.get("INTERLEAVE") == "PIXEL" else 1)
    wanted = rows * ((cells * bits + 7) // 8)
    if int(size) > wanted + wanted // 8 + 4096 or int(offset) >> 62:
        return False
    packed = os.pread(file, int(size), int(offset))
    try:
        return bool(len(deflate.zlib_decompress(packed, wanted)) == wanted)
    except deflate.DeflateError:
        return False
