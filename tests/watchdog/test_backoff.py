"""Pauses between restarts."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from batos.watchdog.backoff import HEALTHY_SECONDS, Backoff


@given(st.floats(0.5, 600), st.integers(1, 200), st.integers())
def test_pauses_stay_between_nothing_and_the_most(most, ends, seed):
    """However often the kernel ends, no pause is longer than the most or negative."""
    backoff = Backoff(most, draw=random.Random(seed))
    assert all(0 < backoff.pause(0) <= most for _ in range(ends))


def test_pauses_double():
    """Without jitter each pause is twice the one before, up to the most."""
    backoff = Backoff(4, jitter=0)
    assert [backoff.pause(0) for _ in range(5)] == [0.5, 1, 2, 4, 4]


def test_good_service_is_remembered():
    """A kernel that served a minute starts the count anew."""
    backoff = Backoff(60, jitter=0)
    for _ in range(5):
        backoff.pause(0)
    assert backoff.pause(HEALTHY_SECONDS) == 0.5


def test_jitter_varies():
    """Two machines do not restart in step."""
    assert Backoff(60, draw=random.Random(1)).pause(0) != Backoff(60, draw=random.Random(2)).pause(0)
