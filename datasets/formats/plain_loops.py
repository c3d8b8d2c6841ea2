"""Compiled loops over the bytes of a plain CSV: fields found 64 bytes at a time, then read column by column.

A strip of rows stays in the nearest cache while its columns are read. Whoever calls makes sure that the bytes end with
a line feed, that FRONT bytes before them and BACK bytes behind them can be read, and that the arrays hold as many rows
as there can be: no row is shorter than its number of fields.
"""

# ruff: noqa: PLR0913, PLR0917 - flat loops are what a compiler makes fast

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from datasets.formats.number_loops import (
    EXACT,
    TENS,
    as_float,
    byte_at,
    digits_at,
    eight_digits,
    exponent_at,
    leading_zeros,
    lowest,
    rounded,
    word_at,
)
from datasets.kernels import compiled

SKIP, FLOAT, INT, WHOLE, TEXT, LABEL = range(6)
RAGGED = -1  # what is neither rows of that many fields nor plain text
LABELS = 64  # different labels of a column in one piece of the file
LABEL_BYTES = 16
FRONT, BACK = 16, 64
STRIP = 256
_WIDE = 64
_NONE, _ONE, _THREE, _FOUR, _SEVEN, _EIGHT = (np.uint64(number) for number in (0, 1, 3, 4, 7, 8))
_SIXTEEN, _TOP, _ALL = np.uint64(16), np.uint64(63), np.uint64(0xFFFFFFFFFFFFFFFF)
_MOST_BITS = np.uint64(64)
_BYTE, _MINUS = np.uint64(0xFF), np.uint64(45)
_SIGN = np.uint64(1 << 63)
_MOST_DIGITS = np.uint64(18)
_HIGH = np.uint64(0x8080808080808080)
_LOW = np.uint64(0x7F7F7F7F7F7F7F7F)
_DOTS = np.uint64(0x2E2E2E2E2E2E2E2E)
_ZEROS = np.uint64(0x3030303030303030)
_ABOVE_NINE = np.uint64(0x7676767676767676)
_MARK = np.uint64(56)
_SPREAD, _MORE = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)


def _native(maker: Any) -> Any:
    """A function of kernels that is given in the compiler's own terms."""
    return intrinsic(maker)


@_native
def _marks(_context: Any, _address: Any) -> Any:
    """Of the 64 bytes at an address, a bit each: field ends; neither plain text nor line end; CR; LF."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte, wide = ir.IntType(8), ir.VectorType(ir.IntType(8), _WIDE)
        text = builder.load(builder.inttoptr(arguments[0], wide.as_pointer()), align=1)

        def all_of(code: int) -> Any:
            return ir.Constant(wide, [ir.Constant(byte, code)] * _WIDE)

        feed, carriage, comma, quote = (builder.icmp_unsigned("==", text, all_of(ord(c))) for c in '\n\r,"')
        control = builder.icmp_signed("<", text, all_of(32))  # bytes beyond ASCII are negative
        wrong = builder.or_(builder.and_(control, builder.not_(builder.or_(feed, carriage))), quote)
        masks = (builder.or_(feed, comma), wrong, carriage, feed)
        return context.make_tuple(
            builder, signature.return_type, [builder.bitcast(mask, ir.IntType(_WIDE)) for mask in masks]
        )

    made: Any = types
    return made.UniTuple(types.uint64, 4)(types.uint64), make


@_native
def _ones(_context: Any, _bits: Any) -> Any:
    """How many bits are set."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), make


@_native
def _int_at(_context: Any, _address: Any) -> Any:
    """The int32 at an address."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        one = builder.load(builder.inttoptr(arguments[0], ir.IntType(32).as_pointer()))
        return builder.sext(one, ir.IntType(64))

    return types.uint64(types.uint64), make


@_native
def _as_bits(_context: Any, _value: Any) -> Any:
    """The bits of a float64."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.uint64(types.float64), make


@compiled()
def _cut(place: Any, stop: Any, fields: Any, ends: Any) -> Any:
    """(rows, whether any ends with CR LF) of the bytes at place … stop − 1; rows -1: they are not plain.

    ``ends``: -1, then where each field ends, counted from ``place``.
    """
    base, count, rows = place, 1, 0
    carry, wrong, carriages = _NONE, _NONE, _NONE
    ends[0] = -1
    while place < stop:
        mask, bad, carriage, feed = _marks(place)
        if stop - place < _MOST_BITS:
            keep = (_ONE << (stop - place)) - _ONE
            mask, bad, carriage, feed = mask & keep, bad & keep, carriage & keep, feed & keep
        wrong |= bad | (((carriage << _ONE) | carry) & ~feed)
        carry = carriage >> _TOP
        carriages |= carriage
        rows += _ones(feed)
        more, first = _ones(mask), np.int64(place - base)
        for at in range(8):
            ends[count + at] = first + np.int64(lowest(mask))
            mask &= mask - _ONE
        if more > 8:
            for at in range(8, more):
                ends[count + at] = first + np.int64(lowest(mask))
                mask &= mask - _ONE
        count += more
        place += _MOST_BITS
    if wrong != _NONE or count != rows * fields + 1:
        return RAGGED, False
    for row in range(1, rows + 1):
        if byte_at(base + np.uint64(ends[row * fields])) != 10:
            return RAGGED, False
    return rows, carriages != _NONE


@compiled()
def _stop(base: Any, place: Any, trim: Any) -> Any:
    """Where the field ends whose start is told at ``place``; ``trim``: a CR before it does not belong to it."""
    stop = base + _int_at(place + _FOUR)
    return stop - _ONE if trim and byte_at(stop - _ONE) == 13 else stop


@compiled()
def _decimal(place: Any, stop: Any, fives: Any) -> Any:
    """(whether it is plain, value) of the number at place … stop − 1."""
    negative = byte_at(place) == 45
    if negative or byte_at(place) == 43:
        place += _ONE
    start = place
    place, digits = digits_at(place, _NONE)
    count, power = np.int64(place - start), np.int64(0)
    if byte_at(place) == 46:
        point = place + _ONE
        place, digits = digits_at(point, digits)
        power = -np.int64(place - point)
        count -= power
    if count == 0 or (count > 19 and count - leading_zeros(start) > 19):
        return False, 0.0
    if byte_at(place) | 32 == 101:
        place, more = exponent_at(place + _ONE)
        power += more
    if place != stop:
        return False, 0.0
    if digits <= EXACT and -22 <= power <= 22:
        value = np.float64(np.int64(digits))
        value = value / TENS[-power] if power < 0 else value * TENS[power]
    else:
        value = rounded(digits, power, fives)
        if value < 0.0:
            return False, 0.0
    return True, -value if negative else value


@compiled()
def _short_decimals(words: Any, sizes: Any, rows: Any, values: Any, bad: Any) -> Any:
    """Numbers like -12.375 of up to eight bytes, which end the ``words``; whether there is any other, marked ``bad``.

    Nothing branches here, so that several numbers are read at once.
    """
    wrong = _NONE
    for row in range(rows):
        size = sizes[row]
        void = ((_EIGHT - size) << _THREE) & _TOP
        word = words[row] >> void
        minus = _ALL if word & _BYTE == _MINUS else _NONE
        word = (word & ~(_BYTE & minus)) << void
        void += _EIGHT & minus
        other = word ^ _DOTS
        dot = ~(((other & _LOW) + _LOW) | other) & _HIGH
        pointed = _NONE if dot == _NONE else _ALL
        bit = dot >> _SEVEN
        word = (word & ~(((bit << _EIGHT) - _ONE) & pointed)) | ((word & (bit - _ONE) & pointed) << _EIGHT)
        places = _SEVEN - (lowest(dot | (_SIGN & ~pointed)) >> _THREE)
        void += _EIGHT & pointed
        plain = (word ^ _ZEROS) & (_ALL << (void & _TOP))
        fault = ((plain + _ABOVE_NINE) | plain) & _HIGH
        fault |= _NONE if size - _ONE < _EIGHT else _ONE
        fault |= _NONE if void < _MOST_BITS else _ONE
        bad[row] = fault
        wrong |= fault
        value = np.float64(np.int64(eight_digits(word))) / TENS[places]
        values[row] = as_float(_as_bits(value) ^ (minus << _TOP))
    return wrong != _NONE


@compiled()
def _decimals(
    base: Any, place: Any, step: Any, rows: Any, trim: Any, fives: Any, words: Any, sizes: Any, bad: Any, values: Any
) -> Any:
    """Whether all numbers of a strip are plain; each is told every ``step`` bytes from ``place`` on."""
    at = place
    for row in range(rows):
        stop = _stop(base, at, trim)
        sizes[row] = stop - base - _int_at(at) - _ONE
        words[row] = word_at(stop - _EIGHT)
        at += step
    if _short_decimals(words, sizes, rows, values, bad):
        at = place
        for row in range(rows):
            if bad[row] != _NONE:
                good, value = _decimal(base + _int_at(at) + _ONE, _stop(base, at, trim), fives)
                if not good:
                    return False
                values[row] = value
            at += step
    return True


@compiled()
def _odd(word: Any, void: Any) -> Any:
    """Not 0 where a byte of ``word`` from bit ``void`` on is no digit."""
    plain = (word ^ _ZEROS) & (_ALL << void)
    return ((plain + _ABOVE_NINE) | plain) & _HIGH


@compiled()
def _integers(base: Any, place: Any, step: Any, rows: Any, trim: Any, strict: Any, values: Any) -> Any:
    """Whether all of a strip are -?[0-9]{1,18}; ``strict``: and none has leading zeros."""
    for row in range(rows):
        start, stop = base + _int_at(place) + _ONE, _stop(base, place, trim)
        place += step
        negative = byte_at(start) == 45
        if negative:
            start += _ONE
        size = stop - start
        if size - _ONE >= _MOST_DIGITS or (strict and size > _ONE and byte_at(start) == 48):
            return False
        if size <= _EIGHT:
            void = (_EIGHT - size) << _THREE
            word = word_at(stop - _EIGHT) >> void << void
            fault, digits = _odd(word, void), eight_digits(word)
        elif size <= _SIXTEEN:
            void = (_SIXTEEN - size) << _THREE
            last, word = word_at(stop - _EIGHT), word_at(stop - _SIXTEEN) >> void << void
            fault = _odd(last, _NONE) | _odd(word, void)
            digits = eight_digits(word) * np.uint64(100000000) + eight_digits(last)
        else:
            after, digits = digits_at(start, _NONE)
            fault = after ^ stop
        if fault != _NONE:
            return False
        values[row] = -np.int64(digits) if negative else np.int64(digits)
    return True


@compiled()
def _labels(
    base: Any, place: Any, step: Any, rows: Any, trim: Any, labels: Any, quick: Any, known: Any, codes: Any
) -> Any:
    """How many labels are known after a strip's; -1: they are too many, or one is longer than LABEL_BYTES."""
    for row in range(rows):
        start, stop = base + _int_at(place) + _ONE, _stop(base, place, trim)
        place += step
        size = stop - start
        if size > _SIXTEEN:
            return -1
        one, two = word_at(start), _NONE
        if size < _EIGHT:
            one &= (_ONE << (size << _THREE)) - _ONE
        elif size > _EIGHT:
            void = (_SIXTEEN - size) << _THREE
            two = word_at(start + _EIGHT) << void >> void
        mark = np.int64(((one ^ (two * _MORE)) * _SPREAD) >> _MARK)
        code: Any = np.int64(quick[mark])
        if code >= known or labels[code, 0] != one or labels[code, 1] != two:
            code = 0
            while code < known and (labels[code, 0] != one or labels[code, 1] != two):
                code += 1
            if code == LABELS:
                return -1
            labels[code, 0], labels[code, 1] = one, two
            quick[mark] = code
            known = max(known, code + 1)
        codes[row] = code
    return known


@compiled()
def _texts(base: Any, place: Any, step: Any, rows: Any, trim: Any, data: Any, ends: Any) -> Any:
    """Append a strip's texts to ``data``, which may be written PAD bytes beyond its end; ends[0] is where to go on."""
    end = ends[0]
    for row in range(rows):
        start, stop = base + _int_at(place) + _ONE, _stop(base, place, trim)
        place += step
        size = np.int64(stop - start)
        for at in range(size):
            data[end + at] = byte_at(start + np.uint64(at))
        end += size
        ends[row + 1] = end


@compiled(
    "i8(u8, u8, i4[::1], i1[::1], i4[::1], u8, f8[:, ::1], i8[:, ::1], "
    "u1[:, ::1], i8[:, ::1], u8[:, :, ::1], i8[::1], u1[:, ::1])"
)
def read_rows(
    place: Any,
    stop: Any,
    ends: Any,
    kinds: Any,
    slots: Any,
    fives: Any,
    reals: Any,
    wholes: Any,
    texts: Any,
    text_ends: Any,
    labels: Any,
    counts: Any,
    codes: Any,
) -> Any:
    """Read the rows of the bytes at place … stop − 1 into the first rows of the arrays.

    Field k goes to column ``slots[k]`` of the arrays of its kind: ``reals``, ``wholes``, ``codes`` into ``labels``
    (``counts`` of them), or ``texts`` (bytes) with ``text_ends``. ``ends`` is room for one number more than bytes,
    and eight. ``fives``: the address of FIVES.

    Returns:
        The number of rows; RAGGED, or RAGGED less the kind of a field that is not plain.
    """
    fields = len(kinds)
    rows, trims = _cut(place, stop, fields, ends)
    words, sizes, bad = np.empty(STRIP, np.uint64), np.empty(STRIP, np.uint64), np.empty(STRIP, np.uint64)
    quick = np.full((len(codes), 256), LABELS, np.uint8)
    spans, step = np.uint64(ends.ctypes.data), np.uint64(4 * fields)
    for first in range(0, rows, STRIP):
        some = min(STRIP, rows - first)
        for field in range(fields):
            kind, slot, good = kinds[field], slots[field], True
            trim = trims and field == fields - 1
            at = spans + np.uint64(first) * step + np.uint64(4 * field)
            if kind == FLOAT:
                good = _decimals(
                    place, at, step, some, trim, fives, words, sizes, bad, reals[slot, first : first + some]
                )
            elif kind in (INT, WHOLE):
                good = _integers(place, at, step, some, trim, kind == WHOLE, wholes[slot, first : first + some])
            elif kind == LABEL:
                counts[slot] = _labels(
                    place,
                    at,
                    step,
                    some,
                    trim,
                    labels[slot],
                    quick[slot],
                    counts[slot],
                    codes[slot, first : first + some],
                )
                good = counts[slot] >= 0
            elif kind == TEXT:
                _texts(place, at, step, some, trim, texts[slot], text_ends[slot, first : first + some + 1])
            if not good:
                return RAGGED - kind
    return rows
