"""The objects that fill the gaps in Python's pools before the first worker is forked."""

from __future__ import annotations

import pytest

from batos.sandbox.library import _fill, _filler, fill_pools

PAGE = 1 << 12


@pytest.mark.parametrize("size", [16, 32, 48, 256, 512])
def test_what_is_made_afterwards_lies_side_by_side(size):
    """After the gaps of one size are filled, objects of that size lie on hardly more pages than they need."""
    kept = _fill(size)
    made = [_filler(size, number) for number in range(100)]
    pages = {id(thing) // PAGE for thing in made}
    assert len(kept) > 0
    assert len(pages) <= 100 * size // PAGE + 4


def test_it_comes_to_an_end():
    """Filling takes some thousands of objects, not memory without end."""
    assert 0 < len(fill_pools()) < 100_000
