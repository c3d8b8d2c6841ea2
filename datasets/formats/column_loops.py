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
