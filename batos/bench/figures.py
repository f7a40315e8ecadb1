"""What a bench gives: figures, each with what it must reach."""

from __future__ import annotations

import gc
import operator
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    Tell = Callable[[str], None]
    Bench = Callable[[argparse.Namespace, Tell], "list[Figure]"]


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    Args:
        figure: What was measured, in words.
        value: The figure.
        bound: What it must reach; None for one that is only reported.
        sense: Whether the bound is the least or the most that is right, or must be passed.
        unit: Of the value; empty for a ratio.
        note: What else to know: the absolute times, the peer.
    """

    figure: str
    value: float
    bound: float | None = None
    sense: Literal["<=", ">=", ">"] = "<="
    unit: str = ""
    note: str = ""

    @property
    def must(self) -> str:
        """What the figure must reach, in words."""
        if self.bound is None:
            return "reported"
        return f"{self.sense} {self.bound:g}" + (f" {self.unit}" if self.unit else "")

    @property
    def holds(self) -> bool:
        """Whether it does; a figure that is only reported always holds."""
        if self.bound is None:
            return True
        compare = {"<=": operator.le, ">=": operator.ge, ">": operator.gt}[self.sense]
        return bool(compare(self.value, self.bound))

    def plain(self) -> dict[str, Any]:
        """The figure as data for programs."""
        told: dict[str, Any] = {"figure": self.figure, "value": self.value, "must": self.must, "holds": self.holds}
        return told | {key: value for key, value in (("unit", self.unit), ("note", self.note)) if value}


def seconds(work: Callable[[], object]) -> float:
    """How long one run of `work` takes, in seconds; the garbage collector rests meanwhile."""
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    finally:
        gc.enable()


def paired(ours: Callable[[], object], peer: Callable[[], object], rounds: int = 7) -> tuple[float, float, float]:
    """Measure two works in turns.

    Returns:
        The median of the ratios of each round (ours to peer), and the medians of both in seconds.
    """
    pairs = [(seconds(ours), seconds(peer)) for _ in range(rounds)]
    ratio = statistics.median(mine / theirs for mine, theirs in pairs)
    return ratio, statistics.median(mine for mine, _ in pairs), statistics.median(theirs for _, theirs in pairs)
