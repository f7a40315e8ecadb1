"""Pauses between restarts."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from batos.watchdog.backoff import HEALTHY_SECONDS, Backoff


class Clock:
    """A clock that stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.floats(0.5, 600), st.integers(1, 200), st.integers())
def test_pauses_stay_between_nothing_and_the_most(most, ends, seed):
    """However often the kernel ends, no pause is longer than the most or negative."""
    backoff = Backoff(most, draw=random.Random(seed))
    assert all(0 < backoff.pause(0) <= most for _ in range(ends))


def test_pauses_double_up_to_the_limit():
    """Without jitter each pause is twice the one before; beyond the limit it is the most."""
    backoff = Backoff(60, limit=4, jitter=0, clock=Clock())
    assert [backoff.pause(0) for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 60, 60]
    assert backoff.exhausted


def test_good_service_is_followed_by_a_start_at_once_up_to_the_limit():
    """A kernel that served a while is started again at once; one that does so again and again is tried slowly too."""
    backoff = Backoff(60, limit=4, jitter=0, clock=Clock())
    assert [backoff.pause(HEALTHY_SECONDS) for _ in range(5)] == [0.1, 0.1, 0.1, 0.1, 60]
    assert backoff.exhausted


def test_good_service_does_not_lengthen_the_pauses():
    """Only ends before good service double the pause."""
    backoff = Backoff(60, limit=10, jitter=0, clock=Clock())
    assert [backoff.pause(served) for served in (0, 0, HEALTHY_SECONDS, 0)] == [0.1, 0.2, 0.1, 0.4]


def test_ends_are_forgotten_after_the_window():
    """What ended before the window began counts no more."""
    clock = Clock()
    backoff = Backoff(60, limit=2, window=10, jitter=0, clock=clock)
    for _ in range(3):
        backoff.pause(0)
    assert backoff.exhausted
    clock.now = 10.5
    assert not backoff.exhausted
    assert backoff.pause(0) == 0.1


def test_jitter_varies():
    """Two machines do not restart in step."""
    assert Backoff(60, draw=random.Random(1)).pause(0) != Backoff(60, draw=random.Random(2)).pause(0)
