"""Compiled loops that bring a prediction's rows into the truth's order."""

# ruff: noqa: SIM110 - plain loops are what the compiler takes

from typing import Any

from datasets.kernels import compiled

_KEPT = "Array({}, 1, 'C', readonly=True)"
_INTS, _BYTES = _KEPT.format("int64"), _KEPT.format("uint8")


@compiled(f"void({_KEPT.format('float64')}, {_KEPT.format('int32')}, float64[:, ::1], int64)")
def gather(values: Any, rows: Any, out: Any, place: int) -> None:
    """out[:, place] = values[rows]."""
    for row in range(len(rows)):
        out[row, place] = values[rows[row]]


@compiled(f"void({_KEPT.format('int8')}, {_KEPT.format('int32')}, int8[::1])")
def pick(codes: Any, rows: Any, out: Any) -> None:
    """out = codes[rows]."""
    for row in range(len(rows)):
        out[row] = codes[rows[row]]


@compiled(f"void({_KEPT.format('int32')}, int64, int32[::1])")
def turn(rows: Any, first: int, back: Any) -> None:
    """back[rows[i]] = first + i."""
    for row in range(len(rows)):
        back[rows[row]] = first + row


@compiled(f"boolean({_INTS}, {_BYTES}, {_INTS}, {_BYTES}, {_KEPT.format('int32')}, int64)")
def same_texts(offsets: Any, data: Any, others: Any, bytes_: Any, rows: Any, first: int) -> bool:
    """Whether text first + i equals the other side's text rows[i]; a row of -1 is left out."""
    for place in range(len(rows)):
        row = rows[place]
        if row < 0:
            continue
        start, other = offsets[first + place], others[row]
        length = offsets[first + place + 1] - start
        if others[row + 1] - other != length:
            return False
        for at in range(length):
            if data[start + at] != bytes_[other + at]:
                return False
    return True


@compiled(f"boolean({_INTS}, {_INTS}, {_KEPT.format('int32')}, int64)")
def same_words(words: Any, others: Any, rows: Any, first: int) -> bool:
    """Whether word first + i equals the other side's word rows[i]; a row of -1 is left out."""
    for place in range(len(rows)):
        if rows[place] >= 0 and words[first + place] != others[rows[place]]:
            return False
    return True
