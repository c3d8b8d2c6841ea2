"""Chunks of an HDF5 array as they are stored, unpacked outside HDF5, whose lock lets in one thread at a time."""

import math
import operator
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import deflate
import h5py
import numpy as np
import numpy.typing as npt

from datasets.canonical import Array
from datasets.formats.cube import Selection, Unusual, chunks_of
from datasets.formats.cube_loops import unshuffle

MAX_CHUNKS = 1 << 17  # an index beyond that is left to HDF5
PIPELINES = (
    (),
    (h5py.h5z.FILTER_DEFLATE,),
    (h5py.h5z.FILTER_SHUFFLE,),
    (h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE),
)
_WORDS: Mapping[int, npt.DTypeLike] = {2: np.uint16, 4: np.uint32, 8: np.uint64}


@dataclass(frozen=True)
class DirectChunks:
    """A chunked array whose every chunk is in the file's index, through deflate and shuffle at most.

    ``lengths``: stored bytes of each chunk by its number along each axis. HDF5 itself finds the chunk: in a damaged
    index there are some that are listed and not found.
    """

    source: h5py.h5d.DatasetID
    dtype: np.dtype[Any]
    chunks: tuple[int, ...]
    deflated: bool
    shuffled: bool
    lengths: Mapping[tuple[int, ...], int]

    @classmethod
    def of(cls, dataset: h5py.Dataset, file: int) -> "DirectChunks | None":
        """None: something about the array is unusual, and HDF5 itself has to read it."""
        plan = dataset.id.get_create_plist()
        if dataset.chunks is None or not dataset.shape or not dataset.dtype.isnative or dataset.dtype.kind not in "fiu":
            return None
        if not dataset.id.get_type().equal(h5py.h5t.py_create(dataset.dtype)):  # bits that numpy would read otherwise
            return None
        filters = [plan.get_filter(i) for i in range(plan.get_nfilters())]
        kinds = tuple(found[0] for found in filters)
        shuffled = h5py.h5z.FILTER_SHUFFLE in kinds
        width = dataset.dtype.itemsize
        if kinds not in PIPELINES or (shuffled and (filters[0][2][:1] != (width,) or width not in _WORDS)):
            return None
        deflated = h5py.h5z.FILTER_DEFLATE in kinds
        lengths = _lengths(dataset, deflated=deflated, end=os.fstat(file).st_size)
        if lengths is None:
            return None
        return cls(dataset.id, dataset.dtype, dataset.chunks, deflated, shuffled, lengths)

    def load(self, selection: Selection, out: Array) -> None:
        """See ``cube.Variable``."""
        for number, inside, used in chunks_of(selection, self.chunks):
            values = self._unpacked(number)
            if self.shuffled:
                self._unshuffle(values, out, inside)
            else:
                out[inside] = values.view(self.dtype).reshape(self.chunks)[used]

    def _unpacked(self, number: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        size = math.prod(self.chunks) * self.dtype.itemsize
        skipped, stored = self.source.read_direct_chunk(tuple(map(operator.mul, number, self.chunks)))
        if skipped or len(stored) != self.lengths[number]:
            raise Unusual("a chunk that is not the one in the index")
        try:
            data = deflate.zlib_decompress(stored, size) if self.deflated else bytearray(stored)
        except deflate.DeflateError as error:
            raise Unusual("a chunk that is no zlib stream of its size") from error
        if len(data) != size:
            raise Unusual("a chunk of another size")
        return np.frombuffer(data, dtype=np.uint8)

    def _unshuffle(self, planes: npt.NDArray[np.uint8], out: Array, inside: Selection) -> None:
        target, chunk = _steps(out.shape), _steps(self.chunks)
        first = sum(part.start * step for part, step in zip(inside, target, strict=True))
        size = [part.stop - part.start for part in inside]
        words = out.reshape(-1).view(_WORDS[self.dtype.itemsize])
        unshuffle(planes, words, *(np.array(a, dtype=np.int64) for a in (size, chunk, [*target, first])))


def _steps(shape: Sequence[int]) -> list[int]:
    """Values from one step of an axis to the next."""
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def _lengths(dataset: h5py.Dataset, *, deflated: bool, end: int) -> dict[tuple[int, ...], int] | None:
    """How long every chunk is; None unless the index names each exactly once, unmasked, inside the file and of a size
    such a chunk can have."""
    shape, chunks = dataset.shape, dataset.chunks
    wanted = math.prod(-(-size // chunk) for size, chunk in zip(shape, chunks, strict=True))
    if wanted > MAX_CHUNKS or int(dataset.id.get_num_chunks()) != wanted:
        return None
    size = math.prod(chunks) * dataset.dtype.itemsize
    longest = size + size // 8 + 4096 if deflated else size
    found: list[Any] = []
    dataset.id.chunk_iter(found.append)
    lengths: dict[tuple[int, ...], int] = {}
    for chunk in found:
        where = tuple(zip(chunk.chunk_offset, chunks, shape, strict=True))
        if any(start % step or not 0 <= start < stop for start, step, stop in where) or chunk.filter_mask:
            return None
        start, length = chunk.byte_offset, chunk.size
        if start is None or start < 0 or start + length > end or not (deflated or length == size) or length > longest:
            return None
        lengths[tuple(first // step for first, step, _ in where)] = int(length)
    return lengths if len(lengths) == wanted else None
