"""How long to wait before the next restart: exponential, with jitter, and slow once the kernel ended too often."""

from __future__ import annotations

import random
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_SECONDS = 0.1
HEALTHY_SECONDS = 3.0
"""A kernel that served this long before it ended does not count: it is started again at once."""


@dataclass
class Backoff:
    """Pauses between restarts.

    Args:
        most: The longest pause, in seconds; the pause of one that ended too often.
        limit: So many quick ends within the window are tried again soon.
        window: The time that ends are remembered, in seconds.
        jitter: The share by which a pause is varied both ways, so that several machines do not restart in step.
        draw: Gives a number from 0 to 1; tests replace it.
        clock: Seconds that only grow; tests replace it.
    """

    most: float
    limit: int = 8
    window: float = 300.0
    jitter: float = 0.25
    draw: random.Random = field(default_factory=random.Random)
    clock: Callable[[], float] = time.monotonic
    _ends: deque[float] = field(default_factory=deque, init=False)

    @property
    def failures(self) -> int:
        """Quick ends within the window."""
        while self._ends and self.clock() - self._ends[0] > self.window:
            self._ends.popleft()
        return len(self._ends)

    @property
    def exhausted(self) -> bool:
        """Whether the kernel ended more often than the limit allows."""
        return self.failures > self.limit

    def pause(self, served_seconds: float) -> float:
        """Count one end of the kernel and give the pause before the next start, in seconds.

        Args:
            served_seconds: How long the kernel that ended had served.
        """
        if served_seconds < HEALTHY_SECONDS:
            self._ends.append(self.clock())
        exponent = min(max(0, self.failures - 1), 32)
        plain = self.most if self.exhausted else min(self.most, FIRST_SECONDS * 2.0**exponent)
        return min(self.most, plain * (1 + self.jitter * (2 * self.draw.random() - 1)))
