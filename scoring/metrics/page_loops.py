"""Compiled loops that count float32 one by one: every value that occurs has its own counters.

A *page* is ``KEYS`` neighbouring keys (see cell_loops) of one stream, its number ``stream · PAGES + key // KEYS``. A
*code* says which value of its page a row has, and its column: ``(key % KEYS) · 2 + column``. A *mark* is
``page · CODES + code``: marks in rising order are values in rising order.
"""

# ruff: noqa: PLR0913, PLR0917 - loops take plain arrays and numbers

from typing import Any

import numpy as np

from datasets.kernels import compiled

KEY_BITS = 15
KEYS = 1 << KEY_BITS
CODES = 2 * KEYS
PAGES = 1 << (32 - KEY_BITS)
LINE = 64  # bytes that come to the cache together
RUN = 512  # neighbouring keys that are one cell for those who need no more
SIGN = 1 << 31
FULL = 0xFFFF_FFFF


@compiled()
def _key(bits: Any) -> Any:
    """The ordered bits of a float32, −0.0 being 0.0."""
    word = np.int64(bits)
    if word < SIGN:
        return word + SIGN
    return FULL - word if word > SIGN else np.int64(SIGN)


@compiled("int64(uint32[::1], uint8[::1], int64, int32[::1], int32[::1], int32[::1], uint16[::1])")
def sort_pages(raw: Any, column: Any, stream: Any, room: Any, pages: Any, counts: Any, codes: Any) -> Any:
    """Codes of the bits of float32 ``raw`` (n,), those of a page side by side; how many pages there are.

    ``room`` (PAGES,): zeros, before and after. ``pages`` and ``counts`` (n or PAGES,): number and rows of each page.
    """
    found = 0
    for i in range(len(raw)):
        page = _key(raw[i]) >> KEY_BITS
        if room[page] == 0:
            pages[found] = page
            found += 1
        room[page] += 1
    start = 0
    for k in range(found):
        counts[k] = room[pages[k]]
        room[pages[k]] = start
        start += counts[k]
    for i in range(len(raw)):
        key = _key(raw[i])
        page = key >> KEY_BITS
        at = room[page]
        room[page] = at + 1
        codes[at] = np.uint16(((key & (KEYS - 1)) << 1) | np.int64(column[i]))
    for k in range(found):
        room[pages[k]] = 0
        pages[k] += stream * PAGES
    return found


@compiled(
    "int64(int32[::1], int32[::1], int64[::1], uint16[::1], int32[::1], int64[::1], int64, uint8[:,::1], "
    "int64[::1], int64[::1], int64[::1])"
)
def add_pages(
    pages: Any, counts: Any, starts: Any, codes: Any, slots: Any, seen: Any, few: Any, low: Any, over: Any, rare: Any,
    at: Any,
) -> Any:  # fmt: skip
    """Add codes, ``counts[k]`` from ``starts[k]`` on for ``pages[k]``, to the counters of their pages.

    ``slots`` (all pages,): the row of ``low`` that counts a page, or −1: up to ``few`` rows a page are only listed, as
    marks in ``rare``. Counters are bytes; the mark of one that runs over is listed in ``over``. ``seen`` (all pages,):
    rows so far. ``at`` (3,): how many rows of ``low`` are taken, and how long ``over`` and ``rare`` have become.
    """
    warm: Any = np.int64(0)
    before: Any = np.int64(-1)
    for k in range(len(pages)):
        seen[pages[k]] += counts[k]
    for k in range(len(pages)):
        page, start = np.int64(pages[k]), starts[k]
        stop = start + counts[k]
        if slots[page] < 0 and seen[page] > few and at[0] < len(low):
            slots[page] = at[0]
            at[0] += 1
        slot = np.int64(slots[page])
        if slot < 0:
            for i in range(start, stop):
                rare[at[2] + i - start] = page * CODES + np.int64(codes[i])
            at[2] += stop - start
            continue
        if slot != before and stop - start > few:  # read in order first: so many rows come to most of its memory
            for line in range(0, CODES, LINE):
                warm += np.int64(low[slot, line])
        before = slot
        for i in range(start, stop):
            code = np.int64(codes[i])
            count = np.int64(low[slot, code]) + 1
            low[slot, code] = np.uint8(count)
            if count == 256:
                over[at[1]] = page * CODES + code
                at[1] += 1
    return warm


@compiled("int64(int64, int64[::1], int64, uint32[::1], int64)")
def _listed(page: Any, marks: Any, last: Any, counts: Any, times: Any) -> Any:
    """Add ``times`` for every mark of the page, ``marks[last]`` and those before it; where the next page's begin."""
    while last >= 0 and marks[last] >= page * CODES:
        counts[marks[last] - page * CODES] += np.uint32(times)
        last -= 1
    return last


@compiled("void(uint32[::1], int64, int64[::1], float64[::1], uint32[:,::1], int64[::1], int64[::1], int64[::1])")
def _read_page(counts: Any, page: Any, state: Any, area: Any, cells: Any, ones: Any, zeros: Any, above: Any) -> Any:
    """Go through a page from its greatest value on; see read_pages. ``ones`` … ``above`` (RUN + 1,) are scratch."""
    found, missed, true, false = state[0], state[1], state[2], state[3]
    base = (page % PAGES) * KEYS
    precision = 0.0
    for run in range(KEYS // RUN):
        low: Any = KEYS - (run + 1) * RUN
        high: Any = low + RUN - 1
        while high >= low and counts[2 * high] + counts[2 * high + 1] == np.uint32(0):
            high -= 1
        if high < low:
            continue
        while counts[2 * low] + counts[2 * low + 1] == np.uint32(0):
            low += 1
        first_true, first_false = true, false
        many: Any = 0
        for k in range(high - low + 1):  # no branch: none could be foreseen
            n, p = np.int64(counts[2 * (high - k)]), np.int64(counts[2 * (high - k) + 1])
            false += n
            ones[many], zeros[many], above[many] = p, n, false
            many += np.int64(p > 0)
        for k in range(many):
            p = ones[k]
            true += p
            missed += p * (2 * above[k] - zeros[k])
            precision += np.float64(p) * (np.float64(true) / np.float64(true + above[k]))
        cells[found, 0] = np.uint32(base + high)
        cells[found, 1] = ~np.uint32(base + low)
        cells[found, 2] = np.uint32(false - first_false)
        cells[found, 3] = np.uint32(true - first_true)
        found += 1
    total = area[0] + precision  # compensated as by Neumaier
    area[1] += (area[0] - total) + precision if area[0] >= precision else (precision - total) + area[0]
    area[0] = total
    state[0], state[1], state[2], state[3] = found, missed, true, false


@compiled("int64(int64[::1], int64, int64, int64[::1], float64[::1], uint32[:,::1])")
def _read_listed(marks: Any, last: Any, page: Any, state: Any, area: Any, cells: Any) -> Any:
    """As _read_page for a page whose rows are only listed, from ``marks[last]`` down; where the next page's begin."""
    found, missed, true, false = state[0], state[1], state[2], state[3]
    run: Any = np.int64(-1)
    precision = 0.0
    while last >= 0 and marks[last] >= page * CODES:
        value = marks[last] >> 1
        n, p = np.int64(0), np.int64(0)
        while last >= 0 and marks[last] >> 1 == value:
            p += marks[last] & 1
            n += 1 - (marks[last] & 1)
            last -= 1
        true += p
        false += n
        missed += p * (2 * false - n)
        if p > 0:
            precision += np.float64(p) * (np.float64(true) / np.float64(true + false))
        key = value % (PAGES * KEYS)
        if key // RUN != run:
            run = key // RUN
            cells[found, 0] = np.uint32(key)
            cells[found, 2] = np.uint32(0)
            cells[found, 3] = np.uint32(0)
            found += 1
        cells[found - 1, 1] = ~np.uint32(key)
        cells[found - 1, 2] += np.uint32(n)
        cells[found - 1, 3] += np.uint32(p)
    total = area[0] + precision
    area[1] += (area[0] - total) + precision if area[0] >= precision else (precision - total) + area[0]
    area[0] = total
    state[0], state[1], state[2], state[3] = found, missed, true, false
    return last


@compiled(
    "void(int64, int32[:,::1], uint8[:,::1], uint8[:,::1], uint8[:,::1], int64[::1], int64[::1], "
    "int64[::1], float64[::1], uint32[:,::1])"
)
def read_pages(
    stream: Any, slots: Any, low0: Any, low1: Any, low2: Any, over: Any, rare: Any, state: Any, area: Any, cells: Any
) -> Any:
    """Everything counted of one stream from the greatest value down, added up over up to three sides.

    ``slots`` (3, all pages) and ``low0`` … ``low2``: as in add_pages, of each side; ``over`` and ``rare``: the marks of
    all of them, in rising order. ``state`` (4,) zeros: becomes cells found, twice the pairs out of order (ties count
    one), positives and negatives. ``area`` (2,) zeros: Σ precision at each positive, in two parts. ``cells``: the
    values in runs of RUN keys, in falling order.
    """
    counts = np.zeros(CODES, dtype=np.uint32)
    ones, zeros, above = np.zeros(RUN + 1, np.int64), np.zeros(RUN + 1, np.int64), np.zeros(RUN + 1, np.int64)
    last_over, last_rare = len(over) - 1, len(rare) - 1
    for k in range(PAGES):
        page = (stream + 1) * PAGES - 1 - k
        while last_over >= 0 and over[last_over] >= (page + 1) * CODES:
            last_over -= 1
        while last_rare >= 0 and rare[last_rare] >= (page + 1) * CODES:
            last_rare -= 1
        if slots[0, page] < 0 and slots[1, page] < 0 and slots[2, page] < 0:
            last_rare = _read_listed(rare, last_rare, page, state, area, cells)
            continue
        counts[:] = np.uint32(0)
        for side in range(3):
            slot = np.int64(slots[side, page])
            if slot >= 0:
                low = low0[slot] if side == 0 else (low1[slot] if side == 1 else low2[slot])
                for code in range(CODES):
                    counts[code] += np.uint32(low[code])
        last_over = _listed(page, over, last_over, counts, 256)
        last_rare = _listed(page, rare, last_rare, counts, 1)
        _read_page(counts, page, state, area, cells, ones, zeros, above)
