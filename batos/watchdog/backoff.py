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
"""A kernel that served this long before it ended is started again at once, as long as the limit allows it."""


@dataclass
class Backoff:
    """Pauses between restarts.

    Args:
        most: The longest pause, in seconds; the pause of one that ended too often.
        limit: After so many ends within the window each pause is the longest.
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
    _ends: deque[tuple[float, bool]] = field(default_factory=deque, init=False)

    @property
    def failures(self) -> int:
        """Ends within the window."""
        while self._ends and self.clock() - self._ends[0][0] > self.window:
            self._ends.popleft()
        return len(self._ends)

    @property
    def quick(self) -> int:
        """Those of them that came before the kernel had served for a while."""
        return sum(quick for _, quick in self._ends) if self.failures else 0

    @property
    def exhausted(self) -> bool:
        """Whether the kernel ended more often than the limit allows."""
        return self.failures > self.limit

    def pause(self, served_seconds: float) -> float:
        """Count one end of the kernel and give the pause before the next start, in seconds.

        Args:
            served_seconds: How long the kernel that ended had served.
        """
        healthy = served_seconds >= HEALTHY_SECONDS
        self._ends.append((self.clock(), not healthy))
        exponent = 0 if healthy else min(max(0, self.quick - 1), 32)
        plain = self.most if self.exhausted else min(self.most, FIRST_SECONDS * 2.0**exponent)
        return min(self.most, plain * (1 + self.jitter * (2 * self.draw.random() - 1)))
