"""The objects that fill the gaps in Python's pools before the first worker is forked."""

from __future__ import annotations

import subprocess
import sys

import pytest

from batos.sandbox.library import fill_pools

PAGE = 1 << 12
LOOK = f"""
import sys
from batos.sandbox.library import _fill, _filler
size = int(sys.argv[1])
kept = _fill(size)
made = [_filler(size, number) for number in range(100)]
print(len(kept), len({{id(thing) // {PAGE} for thing in made}}))
"""


@pytest.mark.parametrize("size", [16, 32, 48, 256, 512])
def test_what_is_made_afterwards_lies_side_by_side(size):
    """After the gaps of one size are filled, objects of that size lie on hardly more pages than they need.

    It is looked at in a process of its own, as a zygote is: what others free meanwhile makes new gaps.
    """
    done = subprocess.run([sys.executable, "-c", LOOK, str(size)], capture_output=True, text=True, check=True)
    kept, pages = map(int, done.stdout.split())
    assert kept > 0
    assert pages <= 100 * size // PAGE + 4


def test_it_comes_to_an_end():
    """Filling takes some thousands of objects, not memory without end."""
    assert 0 < len(fill_pools()) < 100_000
