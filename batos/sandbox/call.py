"""One top-level call: its deadline, its budgets and its overlay, shared by every activation that it leads to."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from batos.errors import DeadlineExceeded, MessageNotUnderstood, MethodError, Quarantined
from batos.sandbox.activation import Activation, Ended, ending
from batos.sandbox.world import Outcome

if TYPE_CHECKING:
    from batos.codec import Ref
    from batos.errors import BatosError
    from batos.sandbox.pool import Pool
    from batos.sandbox.world import Limits, Reach, World

BYTES_FACTOR = 8  # a call's frames together, in multiples of the limit of one


class Candidate(NamedTuple):
    """A source that stands in for what an object understands under one selector; without a `reach` it is not held to one."""

    receiver: Ref
    selector: str
    source: str
    reach: Reach | None = None


class Call:
    """One top-level message: one overlay, one deadline, one budget for all its activations.

    Args:
        pool: Where workers come from.
        world: The overlay.
        limits: The budget.
        candidate: A source to try, if any.
        fixed: Frozen clock and seeded chance.
    """

    def __init__(
        self, pool: Pool, world: World, limits: Limits, candidate: Candidate | None = None, *, fixed: bool = False
    ) -> None:
        self.pool = pool
        self.world = world
        self.limits = limits
        self.fixed = fixed
        self.errors: list[BatosError] = []
        self.writes = 0
        self.activity = 0
        self._candidate = candidate
        self._requests = 0
        self._bytes = 0
        self._slots = 0
        self._printed: list[str] = []
        self._print_room = limits.output
        self._cut = False

    async def run(self, receiver: Ref, selector: str, args: list[Any], kwargs: dict[str, Any]) -> Outcome:
        """Run the call to its end.

        Raises:
            BatosError: Whatever ended it; the world's writes are as they were before.
        """
        mark, begun = self.world.savepoint(), time.monotonic()
        try:
            async with asyncio.timeout(self.limits.seconds) as clock:
                result = await self.send(receiver, selector, args, kwargs, 0)
        except BaseException as error:
            self.world.restore(mark)
            if isinstance(error, Ended):
                raise error.error from None
            if isinstance(error, TimeoutError) and clock.expired():
                text = f"the call took longer than {self.limits.seconds:g} s"
                raise DeadlineExceeded(text, selector=selector, output=self.output) from None
            raise
        return Outcome(result, self.output, self.writes > 0, time.monotonic() - begun)

    @property
    def output(self) -> str:
        """What the call has printed so far."""
        notice = f"\n… [output cut at {self.limits.output} bytes]\n" if self._cut else ""
        return "".join(self._printed) + notice

    async def send(
        self,
        receiver: Ref,
        selector: str,
        args: list[Any],
        kwargs: dict[str, Any],
        depth: int,
        sender: tuple[Ref, str] | None = None,
    ) -> Any:
        """Send one message, at the top or from a method, the sender.

        Raises:
            BatosError: The sender may catch it.
            Ended: Nobody may.
        """
        if depth > self.limits.depth:
            raise MethodError(f"messages are nested more than {self.limits.depth} deep", error_type="RecursionError")
        candidate = self._candidate
        if candidate is not None and (receiver, selector) == candidate[:2]:
            tried = Activation(self, receiver, selector, candidate.source, depth, candidate.reach)
            return await tried.run(args, kwargs)
        looked = await ending(self.world.look(receiver, selector))
        if looked.kind == "method":
            return await Activation(self, receiver, selector, looked.source, depth).run(args, kwargs)
        if looked.kind == "primitive":
            return await self.world.primitive(looked.primitive, receiver, args, kwargs)
        if looked.kind == "data":
            return _data(selector, looked.value, args, kwargs)
        if looked.kind == "quarantined":
            raise Quarantined(f"{selector!r} failed too often and is shut off", selector=selector)
        why = await ending(self.world.missing(receiver, selector, args, kwargs, sender)) if sender else ""
        text = f"nobody understands {selector!r}" + (f": {why}" if why else "")
        raise MessageNotUnderstood(text, selector=selector, target=receiver.hex, nested=sender is not None)

    def count_frame(self, size: int) -> None:
        """Count what a worker sent.

        Raises:
            Ended: The budget is used up.
        """
        self._requests += 1
        if self._requests > self.limits.requests:
            raise Ended(MethodError(f"more than {self.limits.requests} requests in one call"))
        self.count_bytes(size)

    def count_bytes(self, size: int) -> None:
        """Count what goes in either direction.

        Raises:
            Ended: The budget is used up.
        """
        self._bytes += size
        if self._bytes > self.limits.bytes * BYTES_FACTOR:
            raise Ended(MethodError(f"more than {self.limits.bytes * BYTES_FACTOR} bytes moved in one call"))

    def write(self, ref: Ref, name: str, value: Any) -> None:
        """Write a slot to the world.

        Raises:
            Ended: The budget is used up.
        """
        self._slots += 1
        if self._slots > self.limits.slots:
            raise Ended(MethodError(f"more than {self.limits.slots} slots written in one call"))
        self.world.write(ref, name, value)
        self.writes += 1
        self.activity += 1

    def print_out(self, text: str) -> None:
        """Keep what a method printed, up to the limit."""
        data = text.encode()
        kept = data[: self._print_room]
        self._cut = self._cut or len(kept) < len(data)
        self._print_room -= len(kept)
        if kept:
            self._printed.append(kept.decode(errors="ignore"))


def _data(selector: str, value: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    if args or kwargs:
        raise MethodError(
            f"{selector!r} is a data slot and takes no arguments", error_type="TypeError", selector=selector
        )
    return value
