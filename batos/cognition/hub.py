"""Who listens to which cycle: events go out as they are committed, the last word ends the stream."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from batos.errors import Stopping

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

Message = dict[str, Any]

_BACKLOG = 2000


class Listener:
    """One listener's stream of a cycle's events; a last word, which has a `status`, is its last item."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Message] = asyncio.Queue()

    def put(self, message: Message) -> None:
        """Hand a message on; pieces of text are dropped when the listener is far behind, events never."""
        if message.get("event") == "token" and self._queue.qsize() > _BACKLOG:
            return
        self._queue.put_nowait(message)

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Give messages until the last word has been given."""
        while True:
            message = await self._queue.get()
            yield message
            if "status" in message:
                return


class Hub:
    """The listeners of all cycles."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str, set[Listener]] = defaultdict(set)

    def listen(self, cycle_id: str) -> Listener:
        """Begin to listen; `leave` ends it."""
        listener = Listener()
        self._listeners[cycle_id].add(listener)
        return listener

    def leave(self, cycle_id: str, listener: Listener) -> None:
        """Stop listening."""
        listeners = self._listeners.get(cycle_id)
        if listeners is not None:
            listeners.discard(listener)
            if not listeners:
                del self._listeners[cycle_id]

    def publish(self, cycle_id: str, message: Message) -> None:
        """Give a message to everybody who listens to the cycle."""
        for listener in self._listeners.get(cycle_id, ()):
            listener.put(message)

    def publish_all(self, make: Any) -> None:
        """Give every listener of every cycle the message that `make(cycle_id)` gives."""
        for cycle_id in list(self._listeners):
            self.publish(cycle_id, make(cycle_id))


async def relay(listener: Listener, seq: int, reply: Callable[[Message], Awaitable[None]]) -> Message:
    """Hand on live messages; pieces of text carry the number of the event that they follow.

    Returns:
        The last word.
    """
    async for message in listener:
        if "status" in message:
            return dict(message)
        if "seq" not in message:
            await reply({**message, "seq": seq})
        elif message["seq"] > seq:
            seq = message["seq"]
            await reply(message)
    raise Stopping
