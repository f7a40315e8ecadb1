"""Vectors in the image: what was put is read again, near enough, and what goes leaves nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batos.memory.vectors import ROWS, VectorIndex

_NUMBERS = st.integers(0, 5 * ROWS)


@settings(max_examples=50, deadline=None)
@given(put=st.sets(_NUMBERS), gone=st.sets(_NUMBERS), seed=st.integers(0, 1000))
def test_what_was_put_is_read_again(put: set[int], gone: set[int], seed: int) -> None:
    """Each vector comes back within half a step of its scale, dropped ones are gone, and empty blocks too."""
    rng = np.random.default_rng(seed)
    vectors = {number: rng.normal(size=8).tolist() for number in put}
    index = VectorIndex("m", 8)
    index.put(vectors)
    index.drop(gone)
    assert index.numbers() == sorted(put - gone)
    assert set(index.blocks) == {number // ROWS for number in put - gone}
    for number in put - gone:
        scales, rows = index.read(number // ROWS)
        assert np.abs(rows[number % ROWS] - vectors[number]).max() <= scales[number % ROWS] * 0.51


def test_a_vector_of_another_length_is_refused() -> None:
    """Vectors of one index have one length."""
    with pytest.raises(ValueError, match="8 components"):
        VectorIndex("m", 8).put({1: [1.0, 2.0]})


def test_stamps_tell_what_changed() -> None:
    """A block's stamp changes when the block does, and only then."""
    index = VectorIndex("m", 2)
    index.put({1: [1, 0], ROWS: [0, 1]})
    before = dict(index.stamps)
    index.put({ROWS + 1: [1, 1]})
    assert index.stamps[0] == before[0]
    assert index.stamps[1] != before[1]
