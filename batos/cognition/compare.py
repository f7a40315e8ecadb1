"""Are two plain results the same? By type and equality, floats to a relative 1e-6."""

from __future__ import annotations

import math
from typing import Any

RELATIVE = 1e-6


def same(left: Any, right: Any) -> bool:
    """Compare plain data as acceptance examples do: types count, the order of maps and sets does not."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return math.isclose(left, right, rel_tol=RELATIVE, abs_tol=0.0) or (math.isnan(left) and math.isnan(right))
    if isinstance(left, complex):
        return same(left.real, right.real) and same(left.imag, right.imag)
    if isinstance(left, dict):
        return _same_maps(left, right)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, (set, frozenset)):
        return len(left) == len(right) and all(any(same(a, b) for b in right) for a in left)
    return bool(left == right)


def _same_maps(left: dict[Any, Any], right: dict[Any, Any]) -> bool:
    if len(left) != len(right):
        return False
    kinds = {key: type(key) for key in right}
    return all(key in right and kinds[key] is type(key) and same(value, right[key]) for key, value in left.items())
