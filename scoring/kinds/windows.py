"""Windows of arrays that may be far larger than memory, read by plain reads: mapped pages would count as memory."""

import mmap
import os
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.canonical import Array, release

Ints = npt.NDArray[np.int64]
SHORT = 2048  # bytes; where stretches are shorter, mapping the file is faster
WASTE = 4  # how many times the window's size may be read to pick scattered labels


def window(array: Array, cut: Sequence[slice | Ints], order: Sequence[int]) -> Array:
    """``array[cut]`` axis by axis, its axes in ``order``, as a C-contiguous array of its own.

    ``cut``: for every axis of ``array`` a range, or the positions to take.
    """
    spans = [part if isinstance(part, slice) else _span(part) for part in cut]
    wanted = prod(_length(part) for part in cut)
    if prod(map(_length, spans)) > WASTE * wanted:
        return _mapped(array, cut, order)
    found = _read(array, spans, order)
    if found is None:
        found = _mapped(array, spans, order)
    for place, axis in enumerate(order):
        part = cut[axis]
        if not isinstance(part, slice):
            found = np.take(found, part - spans[axis].start, axis=place)
    return found


def _span(positions: Ints) -> slice:
    return slice(int(positions.min()), int(positions.max()) + 1) if len(positions) else slice(0, 0)


def _length(part: slice | Ints) -> int:
    return int(part.stop - part.start) if isinstance(part, slice) else len(part)


def _mapped(array: Array, cut: Sequence[slice | Ints], order: Sequence[int]) -> Array:
    found: Any = array
    for axis, part in enumerate(cut):
        found = found[(slice(None),) * axis + (part,)]
    taken = np.array(np.transpose(found, order), order="C")
    release(array)
    return taken


def _read(array: Array, spans: Sequence[slice], order: Sequence[int]) -> Array | None:
    """The window out of the file of a mapped array, stretch by stretch; None where they are short or there is none."""
    if not isinstance(array, np.memmap) or not isinstance(array.base, mmap.mmap) or not array.flags.c_contiguous:
        return None
    if array.filename is None:
        return None
    shape = tuple(_length(spans[axis]) for axis in order)
    split = array.ndim  # axes from here on lie in the file as in the window
    while split and order[split - 1] == split - 1:
        split -= 1
        if shape[split] != array.shape[split]:
            break
    stretch = prod(shape[split:]) * array.itemsize
    if stretch < SHORT:
        return None
    taken = np.empty(shape, dtype=array.dtype)
    into = taken.reshape(-1).view(np.uint8).data
    first = int(array.offset) + sum(span.start * step for span, step in zip(spans, array.strides, strict=True))
    try:
        file = os.open(array.filename, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # a truth that was removed meanwhile; what is mapped of it stays
        return None
    try:
        for number, place in enumerate(np.ndindex(*shape[:split])):
            start = first + sum(i * array.strides[axis] for i, axis in zip(place, order, strict=False))
            _fill(file, into[number * stretch : (number + 1) * stretch], start)
    finally:
        os.close(file)
    return taken


def _fill(file: int, into: memoryview, start: int) -> None:
    done = 0
    while done < len(into):
        count = os.preadv(file, [into[done:]], start + done)
        if not count:
            raise EOFError("a canonical array is cut short")
        done += count
