"""How long to wait before the next restart: exponential, with jitter, forgotten after a while of good service."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

FIRST_SECONDS = 0.5
HEALTHY_SECONDS = 60.0
"""A kernel that served this long starts the count anew."""


@dataclass
class Backoff:
    """Pauses between restarts.

    Args:
        most: The longest pause, in seconds.
        jitter: The share by which a pause is varied both ways, so that several machines do not restart in step.
        draw: Gives a number from 0 to 1; tests replace it.
    """

    most: float
    jitter: float = 0.25
    draw: random.Random = field(default_factory=random.Random)
    failures: int = 0

    def pause(self, served_seconds: float) -> float:
        """Count one end of the kernel and give the pause before the next start, in seconds.

        Args:
            served_seconds: How long the kernel that ended had served.
        """
        if served_seconds >= HEALTHY_SECONDS:
            self.failures = 0
        exponent = min(self.failures, 32)
        self.failures += 1
        plain = min(self.most, FIRST_SECONDS * 2.0**exponent)
        return min(self.most, plain * (1 + self.jitter * (2 * self.draw.random() - 1)))
