"""Whose request goes next: requests for one loaded model go together, and nobody waits for ever.

The mind host works on one request at a time, and a change of models costs a load. So the request that has waited
longest goes first, unless its model would have to be loaded and another request's model is there already: then that
one may overtake, but only so often.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

OVERTAKES = 8


class _Waiting(NamedTuple):
    model: str
    go: asyncio.Future[None]


class Turns:
    """Gives one request at a time its turn.

    Args:
        resident: Tells whether a model is loaded.
        overtakes: How many requests in a row may go before the one that has waited longest.
    """

    def __init__(self, resident: Callable[[str], bool], overtakes: int = OVERTAKES) -> None:
        self._resident = resident
        self._overtakes = overtakes
        self._waiting: list[_Waiting] = []
        self._busy = False
        self._overtaken = 0
        self._last = ""
        self.switches = 0

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return len(self._waiting)

    @asynccontextmanager
    async def turn(self, model: str) -> AsyncIterator[None]:
        """Wait for the turn of a request for a model, and hold it."""
        if self._busy:
            await self._wait(model)
        self._busy = True
        self.switches += model != self._last
        self._last = model
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, model: str) -> None:
        mine = _Waiting(model, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        try:
            await mine.go
        except asyncio.CancelledError:
            if mine in self._waiting:
                self._waiting.remove(mine)
            elif not mine.go.cancelled():  # the turn had come just then
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Give the turn to the next; it stays taken meanwhile, so that nobody slips in."""
        # Who was cancelled in this very moment has not run yet to leave the queue.
        self._waiting = [waiting for waiting in self._waiting if not waiting.go.cancelled()]
        self._busy = bool(self._waiting)
        if self._waiting:
            self._waiting.pop(self._next()).go.set_result(None)

    def _next(self) -> int:
        """The place in the queue of the one that goes next."""
        there = next((i for i, waiting in enumerate(self._waiting) if self._resident(waiting.model)), 0)
        if there and self._overtaken < self._overtakes:
            self._overtaken += 1
            return there
        self._overtaken = 0
        return 0
