"""Results are compared by type and equality, floats to a relative 1e-6."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batos.cognition.compare import same

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.floats(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=12,
)


@given(plain)
def test_everything_equals_itself(value):
    """Each plain value is the same as itself, NaN too."""
    assert same(value, value)


@pytest.mark.parametrize(
    ("left", "right"),
    [(1, True), (1, 1.0), ((1,), [1]), ({1}, frozenset({1})), ({1: 2}, {True: 2}), (0.1, 0.2), ("1", 1)],
)
def test_types_and_values_count(left, right):
    """Values of different types, or different values, are not the same."""
    assert not same(left, right)


@pytest.mark.parametrize(
    ("left", "right"), [(0.1 + 0.2, 0.3), ({"a": [1.0]}, {"a": [1.0 + 1e-9]}), ({1.5, 2.5}, {2.5, 1.5})]
)
def test_floats_have_a_tolerance(left, right):
    """Floats that differ by less than a millionth are the same, at any depth."""
    assert same(left, right)


def test_large_sets_are_compared_by_hash():
    """Sets of many scalars are told apart without comparing each with each; types count in sets too."""
    assert same(set(range(200_000)), set(range(199_999, -1, -1)))
    assert not same(set(range(200_000)), set(range(1, 200_001)))
    assert not same({1}, {True})
    assert not same({(1,)}, {(True,)})
    assert same({(1, 0.1 + 0.2)}, {(1, 0.3)})
