"""Compiled loops over the values of n-d files: undoing the shuffle filter, and the checks of a whole piece."""

import numpy as np
import numpy.typing as npt

from datasets.canonical import Array
from datasets.kernels import compiled

Ints = npt.NDArray[np.int64]


@compiled(
    "void(u1[::1], u2[::1], i8[::1], i8[::1], i8[::1])",
    "void(u1[::1], u4[::1], i8[::1], i8[::1], i8[::1])",
    "void(u1[::1], u8[::1], i8[::1], i8[::1], i8[::1])",
)
def unshuffle(planes: Array, out: Array, size: Ints, chunk: Ints, place: Ints) -> None:
    """Write a shuffled chunk (byte 0 of every value, then byte 1 …) into ``out``, little-endian.

    ``size``: how much of the chunk counts along each axis; ``chunk``: values of the chunk from one step of an axis to
    the next; ``place``: the same for ``out``, and last its first value.
    """
    width = out.itemsize
    count = planes.size // width
    axes = size.size
    length = size[axes - 1]
    rows = 1
    for axis in range(axes - 1):
        rows *= size[axis]
    for row in range(rows):
        rest = row
        source, target = 0, place[axes]
        for axis in range(axes - 2, -1, -1):
            step = rest % size[axis]
            rest //= size[axis]
            source += step * chunk[axis]
            target += step * place[axis]
        target_row = out[target : target + length]
        for byte in range(0, width, 2):
            low = planes[byte * count + source : byte * count + source + length]
            high = planes[(byte + 1) * count + source : (byte + 1) * count + source + length]
            if byte == 0:
                for i in range(length):
                    target_row[i] = low[i] | high[i] << np.uint32(8)
            else:
                for i in range(length):
                    target_row[i] |= (low[i] | high[i] << np.uint32(8)) << (8 * byte)


@compiled("b1(f4[::1], f4, f4, f4, f4, f4)", "b1(f8[::1], f8, f8, f8, f8, f8)")
def all_good(values: Array, low: float, high: float, fill: float, other: float, third: float) -> bool:
    """Whether every value lies in ``low`` … ``high`` and is none of three fill values; nan and beyond are not good."""
    bad = np.uint32(0)
    for i in range(values.size):
        value = values[i]
        good = (value >= low) & (value <= high) & (value != fill) & (value != other) & (value != third)
        bad |= np.uint32(not good)
    return bool(bad == 0)
