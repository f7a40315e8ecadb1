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
        return len(left) == len(right) and _same_sets(left, right)
    return bool(left == right)


def _same_maps(left: dict[Any, Any], right: dict[Any, Any]) -> bool:
    if len(left) != len(right):
        return False
    kinds = {key: type(key) for key in right}
    return all(key in right and kinds[key] is type(key) and same(value, right[key]) for key, value in left.items())


_FUZZY_MEMBERS = 200


def _same_sets(left: Any, right: Any) -> bool:
    """Compare sets: scalars of the same type by hash, the rest one by one while there are few."""
    plain = {(type(item), item) for item in right if isinstance(item, _SCALARS)}
    left_rest = [item for item in left if (type(item), item) not in plain]
    plain = {(type(item), item) for item in left if isinstance(item, _SCALARS)}
    right_rest = [item for item in right if (type(item), item) not in plain]
    if len(left_rest) != len(right_rest) or len(left_rest) > _FUZZY_MEMBERS:
        return left == right if len(left_rest) == len(right_rest) else False
    return all(any(same(item, other) for other in right_rest) for item in left_rest)


_SCALARS = (bool, int, str, bytes, type(None))
