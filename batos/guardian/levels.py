"""The arithmetic of depths: how far a value is from the image, and what is made of it; `depths.py` says what they mean."""

from __future__ import annotations

CLEAN = 7


def holding(depth: int) -> int:
    """The depth of a new container of such elements; nothing that holds something of the image is ever clean."""
    return min(depth + 1, CLEAN - 1) if depth < CLEAN else CLEAN


def element_of(depth: int) -> int:
    """The depth of what lies in a container of such a depth."""
    return CLEAN if depth == CLEAN else depth and depth - 1


def copy_of(depth: int) -> int:
    """The depth of a new container with the same elements."""
    return depth or 1


def flattened(depth: int) -> int:
    """The depth of a new container of what lies in the elements: a map made of pairs, a sum of lists."""
    return copy_of(element_of(depth))


def opaque(depth: int) -> int:
    """The depth of something new that may give out anything that it was made of, however deep it lay."""
    return 1 if depth < CLEAN else CLEAN


def anything_of(depth: int) -> int:
    """The depth of what may have been taken out of something, however deep it lay."""
    return 0 if depth < CLEAN else CLEAN
