"""Compiled checks of columns: quick answers for what is plainly right; whoever hears no looks again, slowly."""

from typing import Any

from datasets.kernels import compiled


@compiled("boolean(Array(float64, 1, 'C', readonly=True), float64, float64)")
def all_inside(values: Any, low: Any, high: Any) -> Any:
    """Whether every value lies in low … high; NaN does not."""
    outside = 0
    for row in range(len(values)):
        outside += not low <= values[row] <= high
    return outside == 0


@compiled("void(float64[::1], Array(float64, 1, 'C', readonly=True))")
def add_to(total: Any, values: Any) -> Any:
    """total += values."""
    for row in range(len(total)):
        total[row] += values[row]


@compiled("void(Array(uint8, 1, 'C', readonly=True), int64[::1], int64[::1])")
def recode(indices: Any, codes: Any, out: Any) -> Any:
    """out = codes[indices]; every index must be one of ``codes``."""
    for row in range(len(out)):
        out[row] = codes[indices[row]]


@compiled("boolean(Array(int64, 1, 'C', readonly=True), uint8[::1], uint8[::1])")
def small_codes(values: Any, codes: Any, seen: Any) -> Any:
    """codes = values, where all lie in 0 … 255; marks them in ``seen`` (256,)."""
    outside = 0
    for row in range(len(values)):
        outside |= values[row]
        codes[row] = values[row]
    if outside & ~255:
        return False
    for row in range(len(codes)):
        seen[codes[row]] = 1
    return True
