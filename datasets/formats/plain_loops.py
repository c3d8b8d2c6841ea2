"""Compiled loops over the bytes of a plain CSV: fields to numbers, short labels and texts, row by row.

Bytes are looked at eight at a time, as one word. Every loop stops at a line feed, and whoever calls makes sure that a
buffer holds one at ``stop - 1`` and PAD more bytes behind it, so nothing is read beyond them. Decimals of up to 19
digits become the nearest float64: exactly by one division (Clinger 1990) where digits and power of ten are exact
floats, else by one 128-bit product (Lemire 2021; Mushtak & Lemire 2023 prove that no further check is needed).
"""

# ruff: noqa: PLR0912, PLR0913, PLR0917, C901, PLR1714, SIM109 - one flat loop per row is what a compiler makes fast

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from datasets.kernels import compiled

SKIP, FLOAT, INT, WHOLE, TEXT, LABEL = range(6)
LABELS = 64  # different labels of a column in one piece of the file
LABEL_BYTES = 16
PAD = 16  # bytes behind the last line feed that a word may take in
LEAST, MOST = -342, 308  # powers of ten that a float64 can hold with up to 19 digits before them
_TENS = np.array([10.0**n for n in range(23)])
_EXACT = np.uint64(1 << 53)
_LOW = np.uint64(0xFFFFFFFF)
_ONE, _THREE, _NINE = np.uint64(1), np.uint64(3), np.uint64(9)
_HALF = np.uint64(32)
_TAIL = np.uint64(0x1FF)
_HIDDEN = np.uint64(1 << 52)
_FRACTION = np.uint64((1 << 52) - 1)
_SIGN = np.uint64(1 << 63)
_EIGHT = np.uint64(8)
_EACH = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)
_ZEROS = np.uint64(0x3030303030303030)
_ABOVE_NINE = np.uint64(0x7676767676767676)
_COMMAS = np.uint64(0x2C2C2C2C2C2C2C2C)
_QUOTES = np.uint64(0x2222222222222222)
_BLANKS = np.uint64(0x2020202020202020)
_WHOLE_TENS = np.array([10**n for n in range(9)], dtype=np.uint64)


def _native(maker: Any) -> Any:
    """A function of kernels that is given in the compiler's own terms."""
    return intrinsic(maker)


@_native
def _word(_context: Any, _address: Any) -> Any:
    """The eight bytes at an address as one little-endian number."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.load(builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()), align=1)

    return types.uint64(types.uint64), make


@_native
def _byte(_context: Any, _address: Any) -> Any:
    """The byte at an address."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        one = builder.load(builder.inttoptr(arguments[0], ir.IntType(8).as_pointer()))
        return builder.zext(one, ir.IntType(64))

    return types.int64(types.uint64), make


@_native
def _lowest(_context: Any, _bits: Any) -> Any:
    """The number of zero bits below the lowest one; 64 without any."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), make


@_native
def _as_float(_context: Any, _bits: Any) -> Any:
    """The float64 of these bits."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.uint64), make


def _fives() -> npt.NDArray[np.uint64]:
    """The 128 leading bits of 5**q for q = LEAST … MOST as (high, low); rounded up where q < 0."""
    table = np.zeros((MOST - LEAST + 1, 2), dtype=np.uint64)
    for q in range(LEAST, MOST + 1):
        power = 5 ** abs(q)
        bits = power.bit_length()
        if q >= 0:
            value = power << (128 - bits) if bits <= 128 else power >> (bits - 128)
        else:
            value = (1 << (bits + 127 - (power & (power - 1) == 0))) // power + 1
            value >>= max(0, value.bit_length() - 128)
        table[q - LEAST] = value >> 64, value & ((1 << 64) - 1)
    return table


FIVES = _fives()


@compiled()
def _product(a: Any, b: Any) -> Any:
    """High and low half of the 128-bit product."""
    a0, a1, b0, b1 = a & _LOW, a >> _HALF, b & _LOW, b >> _HALF
    low = a0 * b0
    one = a1 * b0 + (low >> _HALF)
    two = a0 * b1 + (one & _LOW)
    return a1 * b1 + (one >> _HALF) + (two >> _HALF), (two << _HALF) | (low & _LOW)


@compiled()
def _nearest(digits: Any, power: Any, high: Any, low: Any) -> Any:
    """The bits of the float64 nearest to digits · 10**power; all ones where it is not a normal number.

    ``digits`` > 0; ``high``, ``low``: the entry of FIVES for ``power``.
    """
    shift = 0
    while digits < _SIGN:
        digits <<= _ONE
        shift += 1
    upper, lower = _product(digits, high)
    if upper & _TAIL == _TAIL:
        more, _ = _product(digits, low)
        lower += more
        if more > lower:
            upper += _ONE
    top = upper >> np.uint64(63)
    mantissa = upper >> (top + _NINE)
    exponent = ((217706 * power) >> 16) + 63 + np.int64(top) - shift + 1023
    if exponent <= 0:
        return ~np.uint64(0)
    if lower <= _ONE and -4 <= power <= 23 and mantissa & _THREE == _ONE and mantissa << (top + _NINE) == upper:
        mantissa &= ~_ONE
    mantissa = (mantissa + (mantissa & _ONE)) >> _ONE
    if mantissa >= _HIDDEN << _ONE:
        mantissa = _HIDDEN
        exponent += 1
    if exponent >= 2047:
        return ~np.uint64(0)
    return (mantissa & _FRACTION) | (np.uint64(exponent) << np.uint64(52))


@compiled()
def _eight(word: Any) -> Any:
    """The number that eight digits make."""
    word = ((word & np.uint64(0x0F0F0F0F0F0F0F0F)) * np.uint64(2561)) >> _EIGHT
    word = ((word & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601)) >> np.uint64(16)
    return ((word & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001)) >> _HALF


@compiled()
def _digits(place: Any, digits: Any) -> Any:
    """(place after the digits at ``place``, ``digits`` followed by them); beyond 19 digits the number wraps."""
    while True:
        word = _word(place)
        plain = word ^ _ZEROS
        count = _lowest(((plain + _ABOVE_NINE) | plain) & _HIGH) >> _THREE
        if count == _EIGHT:
            digits = digits * np.uint64(100000000) + _eight(word)
            place += _EIGHT
            continue
        if count > np.uint64(0):
            digits = digits * _WHOLE_TENS[count] + _eight(word << (np.uint64(64) - (count << _THREE)))
        return place + count, digits


@compiled()
def _leading(place: Any) -> Any:
    """How many zeros stand before the first other digit."""
    count = 0
    while _byte(place) == 48 or _byte(place) == 46:
        count += _byte(place) == 48
        place += _ONE
    return count


@compiled()
def _exponent(place: Any) -> Any:
    """(place after, exponent) of the digits after an e; place 0: none, or too many."""
    sign = 44 - _byte(place)
    if sign == -1 or sign == 1:
        place += _ONE
    after, value = _digits(place, np.uint64(0))
    if after == place or after - place > np.uint64(4):
        return np.uint64(0), 0
    return after, -np.int64(value) if sign == -1 else np.int64(value)


@compiled()
def _decimal(place: Any, fives: Any) -> Any:
    """(place after, value) of the number at ``place``; place 0: it is not plain."""
    negative = _byte(place) == 45
    if negative or _byte(place) == 43:
        place += _ONE
    start = place
    place, digits = _digits(place, np.uint64(0))
    count, power = np.int64(place - start), np.int64(0)
    if _byte(place) == 46:
        point = place + _ONE
        place, digits = _digits(point, digits)
        power = -np.int64(place - point)
        count -= power
    if count == 0 or (count > 19 and count - _leading(start) > 19):
        return np.uint64(0), 0.0
    if _byte(place) | 32 == 101:
        place, more = _exponent(place + _ONE)
        power += more
    if digits <= _EXACT and -22 <= power <= 22:
        value = np.float64(np.int64(digits))
        value = value / _TENS[-power] if power < 0 else value * _TENS[power]
    else:
        value = _rounded(digits, power, fives)
        if value < 0.0:
            return np.uint64(0), 0.0
    return place, -value if negative else value


@compiled()
def _rounded(digits: Any, power: Any, fives: Any) -> Any:
    """The float64 nearest to digits · 10**power; -1: infinite or subnormal. ``fives``: the address of FIVES."""
    if digits == np.uint64(0):
        return 0.0
    if power < LEAST or power > MOST:
        return -1.0
    entry = fives + np.uint64(16 * (power - LEAST))
    bits = _nearest(digits, power, _word(entry), _word(entry + _EIGHT))
    return -1.0 if bits == ~np.uint64(0) else _as_float(bits)


@compiled()
def _integer(place: Any, strict: Any) -> Any:
    """(place after, value) of -?[0-9]{1,18}; strict: without leading zeros. Place 0: it is none."""
    negative = _byte(place) == 45
    if negative:
        place += _ONE
    after, digits = _digits(place, np.uint64(0))
    count = after - place
    if count == np.uint64(0) or count > np.uint64(18) or (strict and count > _ONE and _byte(place) == 48):
        return np.uint64(0), np.int64(0)
    return after, -np.int64(digits) if negative else np.int64(digits)


@compiled()
def _length(word: Any) -> Any:
    """How many of a word's bytes stand before a comma, a quote, a control character or anything beyond ASCII."""
    comma, quote = word ^ _COMMAS, word ^ _QUOTES
    ends = ((comma - _EACH) & ~comma) | ((quote - _EACH) & ~quote) | ((word - _BLANKS) & ~word) | word
    return _lowest(ends & _HIGH) >> _THREE


@compiled()
def _text_end(place: Any) -> Any:
    """The place after the plain text at ``place``."""
    while True:
        count = _length(_word(place))
        place += count
        if count < _EIGHT:
            return place


@compiled()
def _label(place: Any) -> Any:
    """(place after, first and second eight bytes) of a text of up to LABEL_BYTES; place 0: it is longer."""
    one, two = _word(place), np.uint64(0)
    count = _length(one)
    if count < _EIGHT:
        return place + count, one & ((_ONE << (count << _THREE)) - _ONE), two
    two = _word(place + _EIGHT)
    count = _length(two)
    if count == _EIGHT:
        return np.uint64(0), one, two
    return place + _EIGHT + count, one, two & ((_ONE << (count << _THREE)) - _ONE)


@compiled(
    "i8(u8, u8, i1[::1], i4[::1], i8, f8[:, ::1], i8[:, ::1], u8, "
    "u1[:, ::1], i8[:, ::1], u8[:, :, ::1], i8[::1], u1[:, ::1])"
)
def read_rows(
    place: Any,
    stop: Any,
    kinds: Any,
    slots: Any,
    row: Any,
    reals: Any,
    wholes: Any,
    fives: Any,
    texts: Any,
    ends: Any,
    labels: Any,
    counts: Any,
    codes: Any,
) -> Any:
    """Read the rows of the bytes at place … stop − 1, which end with a line feed, into row ``row`` and on.

    Field k goes to column ``slots[k]`` of the arrays of its kind: ``reals``, ``wholes``, ``codes`` into ``labels``
    (``counts`` of them), or ``texts`` (bytes) with ``ends``, which count from this piece's first row.

    Returns:
        -1, or the kind of the field that is not plain.
    """
    first, last = row, len(kinds) - 1
    while place < stop:
        for field in range(last + 1):
            kind, slot = kinds[field], slots[field]
            start = place
            if kind == FLOAT:
                place, real = _decimal(start, fives)
                reals[slot, row] = real
            elif kind == INT or kind == WHOLE:
                place, whole = _integer(start, kind == WHOLE)
                wholes[slot, row] = whole
            elif kind == LABEL:
                place, one, two = _label(start)
                code = 0
                while code < counts[slot] and (labels[slot, code, 0] != one or labels[slot, code, 1] != two):
                    code += 1
                if code == LABELS:
                    return LABEL
                if code == counts[slot]:
                    labels[slot, code, 0], labels[slot, code, 1] = one, two
                    counts[slot] = code + 1
                codes[slot, row] = code
            else:
                place = _text_end(start)
                if kind == TEXT:
                    end = ends[slot, row - first]
                    for at in range(np.int64(place - start)):
                        texts[slot, end + at] = _byte(start + np.uint64(at))
                    ends[slot, row - first + 1] = end + np.int64(place - start)
            if place == 0:
                return kind
            c = _byte(place)
            if c == 13 and field == last:
                place += _ONE
                c = _byte(place)
            if c != (10 if field == last else 44):
                return kind
            place += _ONE
        row += 1
    return -1
