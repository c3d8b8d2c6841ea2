"""Compiled loops of rasters: which cells count, and the counting cells of a window end to end."""

import numpy as np

from datasets.canonical import Array
from datasets.kernels import compiled

BLOCK = 64  # cells whose marks are looked at together
_ROWS = "Array({}, 2, 'C', readonly=True)"
_MARKS = "Array(uint8, 2, 'C', readonly=True)"


@compiled(*(f"void({_ROWS.format(name)}, {_MARKS}, boolean, uint8[:, ::1])" for name in ("float32", "float64")))
def mark_numbers(values: Array, given: Array, every: bool, marks: Array) -> None:
    """1 in ``marks`` for cells that are no NaN and, unless ``every`` cell counts, not 0 in ``given``; else 0."""
    for r in range(values.shape[0]):
        row, mark = values[r], marks[r]
        if every:
            for i in range(row.size):
                mark[i] = row[i] == row[i]
        else:
            valid = given[r]
            for i in range(row.size):
                mark[i] = (valid[i] != 0) & (row[i] == row[i])


@compiled(*(f"int64({_ROWS.format(name)})" for name in ("float32", "float64")))
def count_nan(values: Array) -> int:
    """How many cells are NaN."""
    found = 0
    for r in range(values.shape[0]):
        row, here = values[r], np.int32(0)
        for i in range(row.size):
            here += np.int32(row[i] != row[i])
        found += int(here)
    return found


@compiled(f"boolean({_MARKS}, int64, int64, uint8)")
def every(marks: Array, left: int, right: int, wanted: int) -> bool:
    """Whether all cells in columns left … right have the mark ``wanted``; soon said where a row has another."""
    for r in range(marks.shape[0]):
        row, other = marks[r, left:right], np.uint8(0)
        for i in range(right - left):
            other |= row[i] ^ wanted
        if other != 0:
            return False
    return True


@compiled(
    *(f"int64({_ROWS.format(name)}, int64, {_MARKS}, int64, int64, uint8, {name}[::1])"
      for name in ("uint8", "uint16", "uint32", "uint64"))
)  # fmt: skip
def gather(values: Array, top: int, marks: Array, left: int, right: int, wanted: int, out: Array) -> int:
    """The cells with the mark ``wanted`` in columns left … right, row after row; how many they are.

    ``marks`` lie over the rows of ``values`` from ``top`` on. ``out`` has room for the whole window.
    """
    count = 0
    for r in range(marks.shape[0]):
        row, mark = values[top + r, left:right], marks[r, left:right]
        for start in range(0, right - left, BLOCK):
            stop = min(start + BLOCK, right - left)
            here, held = mark[start:stop], np.int32(0)
            for i in range(stop - start):
                held += np.int32(here[i] == wanted)
            cells = row[start:stop]
            if held == stop - start:
                to = out[count : count + stop - start]
                for i in range(stop - start):
                    to[i] = cells[i]
                count += stop - start
            elif held > 0:
                for i in range(stop - start):
                    if here[i] == wanted:
                        out[count] = cells[i]
                        count += 1
    return count


@compiled(f"void({_MARKS}, int64[::1], int64[::1])")
def count_tiles(marks: Array, edges: Array, counts: Array) -> None:
    """Add to ``counts`` the marked cells between each two successive column ``edges``."""
    for r in range(marks.shape[0]):
        for tile in range(counts.size):
            here, held = marks[r, edges[tile] : edges[tile + 1]], 0
            for i in range(here.size):
                held += here[i] != 0
            counts[tile] += held


@compiled("void(float64[::1], float64[::1], float64, uint8[:, ::1], int64, int64)")
def mark_near(down: Array, across: Array, limit: float, marks: Array, top: int, left: int) -> None:
    """Turn marks 1 into 2 where the squares of the distances along both axes add up to less than ``limit``."""
    for r in range(down.size):
        if down[r] < limit:
            row, rest = marks[top + r, left : left + across.size], down[r]
            for i in range(across.size):
                row[i] = 2 if (row[i] == 1) & (across[i] + rest < limit) else row[i]


@compiled(
    *(f"int64(Array({name}, 1, 'C', readonly=True), int64, uint8[::1], uint8[::1])"
      for name in ("uint8", "int16", "uint16", "int32", "float32", "float64"))
)  # fmt: skip
def look_up(values: Array, first: int, table: Array, out: Array) -> int:
    """``table[value - first]`` of each value; 255 for what is no whole number within the table, and their count."""
    strange = 0
    for i in range(values.size):
        value = values[i]
        code = 255
        if first <= value < first + table.size:
            place = np.int64(value)
            code = table[place - first] if place == value else 255
        strange += code == 255
        out[i] = code
    return strange


@compiled(f"int64({_MARKS}, {_MARKS}, {_MARKS}, int64, int64, uint8, uint8, uint8[:, ::1])")
def mask_codes(y: Array, f: Array, marks: Array, left: int, right: int, wanted: int, classes: int, out: Array) -> int:
    """Codes of the cells in columns left … right: 1 where some have the mark ``wanted``, 2 added where one is no class.

    True codes go to the first row of ``out`` and submitted ones to the second; ``classes`` and 0 where no cell counts.
    """
    some, strange, width = np.uint8(0), np.uint8(0), right - left
    for r in range(marks.shape[0]):
        truth, entry, mark = y[r, left:right], f[r, left:right], marks[r, left:right]
        ours, theirs = out[0, r * width : (r + 1) * width], out[1, r * width : (r + 1) * width]
        for i in range(width):
            ours[i] = truth[i] if mark[i] == wanted else classes
        for i in range(width):
            theirs[i] = entry[i] if mark[i] == wanted else np.uint8(0)
        for i in range(width):
            some |= np.uint8(mark[i] == wanted)
        for i in range(width):
            strange |= np.uint8((mark[i] == wanted) & ((truth[i] >= classes) | (entry[i] >= classes)))
    return int(some | strange << np.uint8(1))
