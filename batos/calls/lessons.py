"""Messages that a method sent and nobody understood: when they become missions.

A method that is written while a call waits would hold a worker and a transaction for as long as a model thinks. So the
call ends, the mission runs outside of it, and the call begins again; nothing is lost, since a call has no effect but
its overlay. Generated code could ask for new methods without end: here are the bounds.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from batos.errors import MessageNotUnderstood

if TYPE_CHECKING:
    from batos.codec import Ref

Learn = Callable[["Ref", str, list[Any], dict[str, Any], "Asker"], Awaitable[bool]]
"""Has a message of a method understood by its receiver, for the call that it came up in; False when that failed."""

Hear = Callable[[dict[str, Any]], Awaitable[None]]

HOUR = 3600.0


class Wishes(NamedTuple):
    """What the requester of a call wants of the missions that come up in it."""

    approve: bool = False
    """Whether they wait for an approval before they install."""
    hear: Hear | None = None
    """Told what the requester must know of while it waits: that one waits for an approval."""


NO_WISHES = Wishes()


class Asker(NamedTuple):
    """The top-level call in which a message came up that nobody understands.

    Attributes:
        receiver: The call's receiver.
        selector: Its selector.
        depth: 1 for a message of what was there before the call, 2 for one of what was learned for that, and so on.
        wishes: What its requester wants.
    """

    receiver: Ref
    selector: str
    depth: int = 1
    wishes: Wishes = NO_WISHES


class Unlearned(MessageNotUnderstood):
    """A method sent a message that nobody understands yet, and its call ends so that it can be learned."""

    def __init__(self, ref: Ref, selector: str, args: list[Any], kwargs: dict[str, Any], depth: int) -> None:
        super().__init__(f"nobody understands {selector!r} yet", selector=selector, target=ref.hex, nested=True)
        self.receiver = ref
        self.depth = depth
        self.said = args, kwargs


class Budget:
    """How many such missions an hour all calls together may start."""

    def __init__(self, hourly: int) -> None:
        self._hourly = hourly
        self._spent: deque[float] = deque()

    @property
    def left(self) -> int:
        """Missions that may still be started now."""
        while self._spent and self._spent[0] < time.monotonic() - HOUR:
            self._spent.popleft()
        return self._hourly - len(self._spent)

    def spend(self) -> None:
        """Count one."""
        self._spent.append(time.monotonic())


class Lessons:
    """What one top-level call may still have learned.

    Args:
        asker: The call.
        learn: Starts the mission and waits for its end; None: nothing is learned.
        generations: Missions of this call.
        budget: Missions of all calls.
        depth: How deep missions may come of missions: what a method learned in this call sends is one deeper than it.
    """

    def __init__(self, asker: Asker, learn: Learn | None, generations: int, budget: Budget, depth: int) -> None:
        self._asker = asker
        self._learn = learn
        self._left = generations
        self._budget = budget
        self._tried: set[tuple[Ref, str]] = set()
        self._most = depth
        self._depths: dict[tuple[Ref, str], int] = {}

    def missing(self, ref: Ref, selector: str, args: list[Any], kwargs: dict[str, Any], sender: tuple[Ref, str]) -> str:
        """End the call so that the message can be learned, where that is still allowed; else say why it is not.

        Raises:
            Unlearned: It is.
        """
        if self._learn is None or selector.startswith("_"):
            return "nothing is learned in this call"
        if (ref, selector) in self._tried:
            return "the mission for it failed"
        if self._left <= 0:
            return "this call has had as many messages learned as CALL_LESSONS allows"
        if self._budget.left <= 0:
            return "all calls of this hour have had as many messages learned as HOURLY_LESSONS allows"
        depth = self._depths.get(sender, 0) + 1
        if depth > self._most:
            return f"missions of methods may be nested {self._most} deep, as LESSON_DEPTH says"
        raise Unlearned(ref, selector, args, kwargs, depth)

    async def learn(self, gap: Unlearned) -> None:
        """Have the message learned; when that fails, the next run of the call gets `MessageNotUnderstood`."""
        assert self._learn is not None
        self._left -= 1
        self._budget.spend()
        selector = str(gap.details["selector"])
        self._depths[gap.receiver, selector] = gap.depth
        if not await self._learn(gap.receiver, selector, *gap.said, self._asker._replace(depth=gap.depth)):
            self._tried.add((gap.receiver, selector))
