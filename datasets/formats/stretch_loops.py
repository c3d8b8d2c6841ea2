"""Number pages of Parquet decoded many at a time: headers, Snappy, levels, indices and numbers without a return.

A page costs no more than its bytes that way; going back to Python between the steps of every page made threads wait
for each other. Whatever is not as it plainly should be ends the reading.
"""

# ruff: noqa: C901, PLR0913, PLR0917 - one flat loop is what a compiler makes fast

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from datasets.formats import head_loops as head
from datasets.formats.head_loops import read_head
from datasets.formats.number_loops import varint, word_at
from datasets.formats.page_loops import MAX_WIDTH, all_present, look_up
from datasets.formats.snappy_loops import unsnap
from datasets.kernels import compiled

REAL, SHORT_REAL, WHOLE, SHORT_WHOLE = 0, 1, 2, 3  # float64, float32, int64, int32
PLACE, ROWS, BUDGET, BYTES, SCRATCH, ROOM = range(6)  # of a state
STATE = 6 + head.WORK
FINE, ODD = 0, 1
PAD = 8
_GIVEN = "Array({}, 1, 'C', readonly=True)"
_WORDS = _GIVEN.format("uint64")
_SIGNATURE = f"int64(uint8[::1], i8, i8, b1, b1, i8, {_WORDS}, uint8[::1], uint64[::1], int64[::1], {_WORDS})"


@intrinsic
def _real_at(_context: Any, _address: Any) -> Any:
    """The bits as float64 of the float32 at an address."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        one = builder.load(builder.inttoptr(arguments[0], ir.FloatType().as_pointer()), align=1)
        return builder.bitcast(builder.fpext(one, ir.DoubleType()), ir.IntType(64))

    return types.uint64(types.uint64), make


@intrinsic
def _whole_at(_context: Any, _address: Any) -> Any:
    """The bits as int64 of the int32 at an address."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        one = builder.load(builder.inttoptr(arguments[0], ir.IntType(32).as_pointer()), align=1)
        return builder.sext(one, ir.IntType(64))

    return types.uint64(types.uint64), make


real_at: Any = _real_at
whole_at: Any = _whole_at


@compiled()
def _copy(base: Any, form: int, out: Any, count: int) -> None:
    """out = the numbers at an address, widened to 64 bits."""
    if form == SHORT_REAL:
        for row in range(count):
            out[row] = real_at(base + np.uint64(4 * row))
    elif form == SHORT_WHOLE:
        for row in range(count):
            out[row] = whole_at(base + np.uint64(4 * row))
    else:
        for row in range(count):
            out[row] = word_at(base + np.uint64(8 * row))


@compiled()
def _admits(found: Any, optional: Any) -> Any:
    """Whether a header is that of a page of values, of which none is missing."""
    if found[head.KIND] == head.INDICES or min(found[head.UNPACKED], found[head.PACKED]) < 1:
        return False
    if found[head.KIND] == head.DATA:
        return True
    levels = found[head.LEVELS]
    if optional != (levels > 0) or levels > min(found[head.PACKED], found[head.UNPACKED]):
        return False
    return found[head.REPEATS] == 0 and found[head.NULLS] == 0 and found[head.ROWS] == found[head.VALUES]


@compiled()
def _decode(body: Any, first: int, last: int, found: Any, optional: Any, form: int, table: Any, out: Any) -> Any:
    """The values in body[first:last] into ``out``, behind their levels in a page of the first version."""
    values, encoding = len(out), found[head.ENCODING]
    if optional and found[head.KIND] == head.DATA:
        if last - first < 4:
            return False
        size = int(word_at(np.uint64(body.ctypes.data) + np.uint64(first)) & np.uint64(0xFFFFFFFF))
        if size > last - first - 4 or not all_present(body, first + 4, first + 4 + size, values):
            return False
        first += 4 + size
    if encoding == 0:
        if last - first != values * (4 if form in {SHORT_REAL, SHORT_WHOLE} else 8):
            return False
        _copy(np.uint64(body.ctypes.data) + np.uint64(first), form, out, values)
        return True
    if encoding not in {2, 8} or first >= last or body[first] > MAX_WIDTH:
        return False
    return look_up(body, first + 1, last, int(body[first]), table, out)


@compiled(_SIGNATURE)
def unpack(
    data: Any,
    stop: int,
    rest: int,
    snappy: Any,
    optional: Any,
    form: int,
    table: Any,
    scratch: Any,
    out: Any,
    state: Any,
    tags: Any,
) -> int:
    """Decode the pages of data[state[PLACE]:stop] one after the other into ``out``, as far as they are whole.

    ``rest``: bytes of the column behind ``stop``. ``table``: what indices count in. Afterwards the state's PLACE is
    that of the next page, ROWS how many values stand in ``out``, BUDGET what pages may still unpack to; BYTES, SCRATCH
    and ROOM are what the next page needs of ``data``, ``scratch`` and ``out``. FINE, or ODD.
    """
    found = state[6:]
    at, rows = state[PLACE], 0
    state[ROWS] = state[BYTES] = state[SCRATCH] = state[ROOM] = 0
    base = np.uint64(data.ctypes.data)
    while at < stop:
        if rest and stop - at < head.HEAD:
            state[BYTES] = head.HEAD
            break
        start = read_head(data, at, min(stop, at + head.HEAD), found)
        if start < 0:
            return ODD
        unpacked, packed, values = found[head.UNPACKED], found[head.PACKED], found[head.VALUES]
        if not _admits(found, optional) or unpacked > state[BUDGET] or packed > stop - start + rest:
            return ODD
        if packed > stop - start or unpacked > len(scratch) - PAD or values > len(out) - rows:
            state[BYTES], state[SCRATCH], state[ROOM] = start - at + packed, unpacked + PAD, values
            break
        levels = found[head.LEVELS] if found[head.KIND] == head.DATA2 else 0
        if levels and not all_present(data, start, start + levels, values):
            return ODD
        body, first, last = data, start + levels, start + packed
        if snappy and found[head.SQUEEZED] == 1:
            size, first = varint(data, first, last, 35)
            if first < 0 or size != unpacked - levels:
                return ODD
            if not unsnap(base, first, last, np.uint64(scratch.ctypes.data), size, tags):
                return ODD
            body, first, last = scratch, 0, size
        elif packed != unpacked:
            return ODD
        if not _decode(body, first, last, found, optional, form, table, out[rows : rows + values]):
            return ODD
        rows += values
        at = start + packed
        state[BUDGET] -= unpacked
        state[PLACE], state[ROWS] = at, rows
    return FINE
