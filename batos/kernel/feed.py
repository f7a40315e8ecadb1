"""What happens in the system, for whoever subscribed: cycles that move, transactions of the image, models that come and go.

A subscriber that is far behind loses its oldest events and is told how many; the system never waits for one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from batos.errors import Stopping

if TYPE_CHECKING:
    from batos.cognition.services import Record, Step
    from batos.kernel.bridge import Emit, Message

KEPT = 1000
LOOK_SECONDS = 0.2
Look = Callable[[], dict[str, Any]]


class Feed:
    """The subscribers, and what they are told.

    Args:
        looks: For each topic that is looked at rather than told: what gives its state as event fields.
    """

    def __init__(self, looks: dict[str, Look]) -> None:
        self._looks = looks
        self._subscribers: dict[bytes, list[_Subscriber]] = {}
        self._closed = False

    def statistics(self) -> dict[str, int]:
        """How many subscriptions there are."""
        return {"subscriptions": sum(map(len, self._subscribers.values()))}

    async def subscribe(self, peer: bytes, topics: Iterable[str], emit: Emit) -> Message:
        """Tell a peer what happens until it unsubscribes; gives the last word.

        Raises:
            Stopping: The kernel goes down.
        """
        subscriber = _Subscriber(frozenset(topics), self._looks)
        self._subscribers.setdefault(peer, []).append(subscriber)
        try:
            await emit({"event": "subscribed", "seq": 0, "topics": sorted(subscriber.topics)})
            while not subscriber.ended and not self._closed:
                for event in await subscriber.next():
                    await emit(event)
        finally:
            left = [item for item in self._subscribers.get(peer, ()) if item is not subscriber]
            if left:
                self._subscribers[peer] = left
            else:
                self._subscribers.pop(peer, None)
        if self._closed and not subscriber.ended:
            raise Stopping
        return {"status": "OK", "events": subscriber.seq}

    def unsubscribe(self, peer: bytes) -> int:
        """End a peer's subscriptions, each with its last word; gives how many there were."""
        ending = self._subscribers.get(peer, [])
        for subscriber in ending:
            subscriber.end()
        return len(ending)

    def cycle(self, record: Record, step: Step) -> None:
        """A cycle took a step."""
        event = {
            "event": "cycle",
            "cycle_id": record["cycle_id"],
            "selector": record["selector"],
            "from": record["state"],
        }
        if step.to is not None:
            event["to"] = step.to
        if step.changes.get("awaiting"):
            event["awaiting"] = step.changes["awaiting"]
        if step.last_word is not None:
            event["ended"] = step.last_word["status"]
        for listed in self._subscribers.values():
            for subscriber in listed:
                subscriber.hear("cycles", event)

    def close(self) -> None:
        """End all subscriptions: the kernel goes down."""
        self._closed = True
        for listed in self._subscribers.values():
            for subscriber in listed:
                subscriber.wake()


class _Subscriber:
    """One subscription: its topics, and the events that it has not had yet."""

    def __init__(self, topics: frozenset[str], looks: dict[str, Look]) -> None:
        self.topics = topics
        self.seq = 0
        self.ended = False
        self._looks = {topic: look for topic, look in looks.items() if topic in topics}
        self._seen = {topic: look() for topic, look in self._looks.items()}
        self._events: deque[Message] = deque(maxlen=KEPT)
        self._missed = 0
        self._wake = asyncio.Event()

    def hear(self, topic: str, event: Message) -> None:
        """Take an event of a topic, where it is subscribed to."""
        if topic not in self.topics:
            return
        self._missed += len(self._events) == KEPT
        self.seq += 1
        self._events.append({**event, "seq": self.seq})
        self._wake.set()

    def end(self) -> None:
        """No more events."""
        self.ended = True
        self._wake.set()

    def wake(self) -> None:
        """Look up now."""
        self._wake.set()

    async def next(self) -> list[Message]:
        """Wait for events and give them; may give none."""
        # Only a topic that has to be looked at needs a clock.
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS if self._looks else None):
                await self._wake.wait()
        self._wake.clear()
        for topic, look in self._looks.items():
            state = look()
            if state != self._seen[topic]:
                self._seen[topic] = state
                self.hear(topic, {"event": topic, **state})
        events = list(self._events)
        self._events.clear()
        if self._missed:
            events.insert(0, {"event": "missed", "seq": events[0]["seq"] - 1, "count": self._missed})
            self._missed = 0
        return events
