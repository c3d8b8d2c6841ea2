"""Compiled loops that read decimal numbers from text, by address and eight bytes at a time.

Whoever calls makes sure that PAD bytes more than the text can be read, and that something that is no digit follows
it. Decimals of up to 19 digits become the nearest float64: exactly by one division (Clinger 1990) where digits and
power of ten are exact floats, else by one 128-bit product (Lemire 2021; Mushtak & Lemire 2023 prove that no further
check is needed).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from datasets.kernels import compiled

PAD = 16  # bytes behind a text that a word may take in
LEAST, MOST = -342, 308  # powers of ten that a float64 can hold with up to 19 digits before them
EXACT = np.uint64(1 << 53)
TENS = np.array([10.0**n for n in range(23)])
_ONE, _THREE, _NINE = np.uint64(1), np.uint64(3), np.uint64(9)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_TAIL = np.uint64(0x1FF)
_HIDDEN = np.uint64(1 << 52)
_FRACTION = np.uint64((1 << 52) - 1)
_SIGN = np.uint64(1 << 63)
_EIGHT = np.uint64(8)
_HIGH = np.uint64(0x8080808080808080)
_ZEROS = np.uint64(0x3030303030303030)
_ABOVE_NINE = np.uint64(0x7676767676767676)
_WHOLE_TENS = np.array([10**n for n in range(9)], dtype=np.uint64)


@intrinsic
def _word_at(_context: Any, _address: Any) -> Any:
    """The eight bytes at an address as one little-endian number."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.load(builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()), align=1)

    return types.uint64(types.uint64), make


@intrinsic
def _byte_at(_context: Any, _address: Any) -> Any:
    """The byte at an address."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        one = builder.load(builder.inttoptr(arguments[0], ir.IntType(8).as_pointer()))
        return builder.zext(one, ir.IntType(64))

    return types.int64(types.uint64), make


@intrinsic
def _lowest(_context: Any, _bits: Any) -> Any:
    """The number of zero bits below the lowest one; 64 without any."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), make


@intrinsic
def _as_float(_context: Any, _bits: Any) -> Any:
    """The float64 of these bits."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.uint64), make


word_at: Any = _word_at
byte_at: Any = _byte_at
lowest: Any = _lowest
as_float: Any = _as_float


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
def eight_digits(word: Any) -> Any:
    """The number that eight digits make."""
    word = ((word & np.uint64(0x0F0F0F0F0F0F0F0F)) * np.uint64(2561)) >> _EIGHT
    word = ((word & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601)) >> np.uint64(16)
    return ((word & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001)) >> _HALF


@compiled()
def digits_at(place: Any, digits: Any) -> Any:
    """(place after the digits at ``place``, ``digits`` followed by them); beyond 19 digits the number wraps."""
    while True:
        word = word_at(place)
        plain = word ^ _ZEROS
        count = lowest(((plain + _ABOVE_NINE) | plain) & _HIGH) >> _THREE
        if count == _EIGHT:
            digits = digits * np.uint64(100000000) + eight_digits(word)
            place += _EIGHT
            continue
        if count > np.uint64(0):
            digits = digits * _WHOLE_TENS[count] + eight_digits(word << (np.uint64(64) - (count << _THREE)))
        return place + count, digits


@compiled()
def leading_zeros(place: Any) -> Any:
    """How many zeros stand before the first other digit."""
    count = 0
    while byte_at(place) == 48 or byte_at(place) == 46:
        count += byte_at(place) == 48
        place += _ONE
    return count


@compiled()
def exponent_at(place: Any) -> Any:
    """(place after, exponent) of the digits after an e; place 0: none, or too many."""
    sign = 44 - byte_at(place)
    if abs(sign) == 1:
        place += _ONE
    after, value = digits_at(place, np.uint64(0))
    if after == place or after - place > np.uint64(4):
        return np.uint64(0), 0
    return after, -np.int64(value) if sign == -1 else np.int64(value)


@compiled()
def rounded(digits: Any, power: Any, fives: Any) -> Any:
    """The float64 nearest to digits · 10**power; -1 where it is infinite or subnormal.

    ``fives``: the address of FIVES.
    """
    if digits == np.uint64(0):
        return 0.0
    if power < LEAST or power > MOST:
        return -1.0
    entry = fives + np.uint64(16 * (power - LEAST))
    bits = _nearest(digits, power, word_at(entry), word_at(entry + _EIGHT))
    return -1.0 if bits == ~np.uint64(0) else as_float(bits)


@compiled()
def varint(data: Any, at: Any, stop: Any, bits: Any) -> Any:
    """(value, place after) of a number in groups of seven bits, the lowest first, ``bits`` at most; place -1: none."""
    value, shift = np.int64(0), 0
    while at < stop and shift < bits:
        byte = np.int64(data[at])
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    return np.int64(0), -1
