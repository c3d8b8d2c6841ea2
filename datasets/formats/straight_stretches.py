"""Number columns of Parquet, uncompressed or in Snappy, straight from the file: a stretch of many pages at a time."""

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow.parquet as pq

from datasets.canonical import Array
from datasets.expect import Column
from datasets.formats import head_loops as head
from datasets.formats import stretch_loops as loops
from datasets.formats.parquet_pages import MAX_PAGE, Page
from datasets.formats.sink import is_fraction
from datasets.formats.snappy_loops import TAGS
from datasets.formats.straight_pages import KINDS, Landing, UnlikeError, holds, wide, wide_kind

STRETCH = 1 << 20  # bytes read at a time
SCRATCH = 1 << 18  # bytes of an unpacked page
ROOM = 1 << 17  # values decoded at a time
_PLAIN = frozenset((0, 2))  # what the encoding of a dictionary is called
_CODECS = {"UNCOMPRESSED": None, "SNAPPY": "snappy"}
_FORMS = {"DOUBLE": loops.REAL, "FLOAT": loops.SHORT_REAL, "INT64": loops.WHOLE, "INT32": loops.SHORT_WHOLE}


@dataclass(frozen=True)
class Chunk:
    """A column of a row group: bytes ``start`` to ``stop`` of the file, and what they say they unpack to."""

    start: int
    stop: int
    unpacked: int
    codec: str | None


@dataclass(frozen=True)
class Source:
    """The chunks of a column, the physical kind of its numbers, and the kind Arrow gives."""

    chunks: Sequence[Chunk]
    physical: str
    kind: str
    optional: bool


class _Desk:
    """A thread's own arrays, used again for every stretch."""

    def __init__(self) -> None:
        self.data = np.empty(STRETCH + loops.PAD, dtype=np.uint8)
        self.scratch = np.empty(SCRATCH, dtype=np.uint8)
        self.room = np.empty(ROOM, dtype=np.uint64)
        self.state = np.zeros(loops.STATE, dtype=np.int64)

    def grow(self, rows: int) -> bool:
        """Make room for the page the state asks for, of at most ``rows`` values; False: there was room already."""
        size, scratch, room = (int(self.state[place]) for place in (loops.BYTES, loops.SCRATCH, loops.ROOM))
        if max(size, scratch - loops.PAD) > MAX_PAGE or room > rows:
            raise UnlikeError
        before = len(self.data), len(self.scratch), len(self.room)
        if size > len(self.data) - loops.PAD:
            self.data = np.empty(size + loops.PAD, dtype=np.uint8)
        if scratch > len(self.scratch):
            self.scratch = np.empty(scratch, dtype=np.uint8)
        if room > len(self.room):
            self.room = np.empty(room, dtype=np.uint64)
        return before != (len(self.data), len(self.scratch), len(self.room))

    def fill(self, file: int, start: int, stop: int) -> int:
        """Read what follows ``start``; how many bytes."""
        size = min(stop - start, len(self.data) - loops.PAD)
        if os.preadv(file, [self.data.data[:size]], start) != size:
            raise UnlikeError
        return size


@dataclass
class Stretches:
    """Columns that can be read so, by row group; the groups begin at rows ``starts``."""

    descriptor: int
    columns: Mapping[Column, Source]
    starts: Sequence[int]
    landing: Landing
    local: threading.local = field(default_factory=threading.local)

    @classmethod
    def of(
        cls, file: pq.ParquetFile, descriptor: int, columns: Sequence[Column], starts: Sequence[int], landing: Landing
    ) -> "Stretches":
        """Of ``columns`` those that can be read so."""
        found = {column: _source(file, column) for column in columns}
        return cls(descriptor, {column: one for column, one in found.items() if one is not None}, starts, landing)

    def read(self, group: int, column: Column) -> None:
        """Raises:
        UnlikeError: something is not as it plainly should be.
        """
        if not hasattr(self.local, "desk"):
            self.local.desk = _Desk()
        desk: _Desk = self.local.desk
        source, first, last = self.columns[column], self.starts[group], self.starts[group + 1]
        chunk = source.chunks[group]
        start, table, budget = self._dictionary(chunk, source)
        desk.state[loops.BUDGET] = budget
        while start < chunk.stop:
            size = desk.fill(self.descriptor, start, chunk.stop)
            desk.state[loops.PLACE] = 0
            grown = False
            while desk.state[loops.PLACE] < size:
                if self._unpack(desk, size, chunk.stop - start - size, source, chunk.codec, table):
                    raise UnlikeError
                count = int(desk.state[loops.ROWS])
                if count > last - first:
                    raise UnlikeError
                self._land(column, source, first, desk.room[:count])
                first += count
                if not desk.state[loops.ROOM] and not desk.state[loops.BYTES]:
                    break
                if not count:
                    grown = desk.grow(last - first)
                    break
            if not desk.state[loops.PLACE] and not grown:
                raise UnlikeError
            start += int(desk.state[loops.PLACE])
        if first != last:
            raise UnlikeError

    def _unpack(self, desk: _Desk, size: int, rest: int, source: Source, codec: str | None, table: Array) -> int:
        form = _FORMS[source.physical]
        return int(
            loops.unpack(
                desk.data, size, rest, codec is not None, source.optional, form, table, desk.scratch, desk.room,
                desk.state, TAGS,
            )
        )  # fmt: skip

    def _land(self, column: Column, source: Source, first: int, words: Array) -> None:
        values = words.view(wide_kind(np.dtype(KINDS[source.kind][1])))
        if not holds(source.kind, values):
            raise UnlikeError
        if len(values):
            self.landing.put(column, first, values)

    def _dictionary(self, chunk: Chunk, source: Source) -> tuple[int, Array, int]:
        """Where the pages of values begin, what their indices count in, and what they may unpack to."""
        data = os.pread(self.descriptor, min(head.HEAD, chunk.stop - chunk.start), chunk.start)
        found = np.zeros(head.WORK, dtype=np.int64)
        start = chunk.start + head.head_at(np.frombuffer(data, dtype=np.uint8), 0, len(data), found)
        if start < chunk.start:
            raise UnlikeError
        if found[head.KIND] != head.INDICES:
            return chunk.start, np.zeros(0, dtype=np.uint64), chunk.unpacked
        unpacked, packed, count = (int(found[place]) for place in (head.UNPACKED, head.PACKED, head.VALUES))
        if packed > chunk.stop - start or not 0 < unpacked <= min(chunk.unpacked, MAX_PAGE):
            raise UnlikeError
        if found[head.ENCODING] not in _PLAIN:
            raise UnlikeError
        page = Page(start, packed, unpacked, count, 0, 0, chunk.codec).read(self.descriptor)
        dtype = np.dtype(KINDS[source.kind][1]).newbyteorder("<")
        if page is None or len(page) < count * dtype.itemsize:
            raise UnlikeError
        return start + packed, wide(np.frombuffer(page, dtype=dtype, count=count)), chunk.unpacked - unpacked


def _source(file: pq.ParquetFile, column: Column) -> Source | None:
    """Where a column of numbers stands; None: it is not one that can be read so."""
    meta, kind = file.metadata, str(file.schema_arrow.field(column.name).type)
    places = [i for i in range(meta.num_columns) if meta.schema.column(i).path == column.name]
    if kind not in KINDS or len(places) != 1 or is_fraction(column) != (KINDS[kind][0] in {"DOUBLE", "FLOAT"}):
        return None
    about = meta.schema.column(places[0])
    if about.physical_type != KINDS[kind][0] or about.max_repetition_level or about.max_definition_level > 1:
        return None
    chunks = [_chunk(meta.row_group(group).column(places[0])) for group in range(meta.num_row_groups)]
    good = [chunk for chunk in chunks if chunk is not None]
    optional = about.max_definition_level == 1
    return Source(good, about.physical_type, kind, optional) if len(good) == len(chunks) else None


def _chunk(about: pq.ColumnChunkMetaData) -> Chunk | None:
    if about.compression not in _CODECS or about.file_path:
        return None
    start = about.data_page_offset
    if about.has_dictionary_page and 0 < about.dictionary_page_offset < start:
        start = about.dictionary_page_offset
    size = about.total_compressed_size
    if size <= 0 or start < 0:
        return None
    return Chunk(start, start + size, about.total_uncompressed_size, _CODECS[about.compression])
