"""The command `subscribe`: what happens in the system, as it happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batos import wire
    from batos.kernel.bridge import Emit, Message, Peer
    from batos.kernel.uvm import BatOS_UVM


class FollowCommands:
    """Answers `subscribe`."""

    def __init__(self, uvm: BatOS_UVM) -> None:
        self._feed = uvm.feed

    def handlers(self) -> dict[str, Callable[[Any, Peer, Emit], Awaitable[Message]]]:
        """Give what each command's name calls."""
        return {"subscribe": self._subscribe}

    async def _subscribe(self, request: wire.Subscribe, peer: Peer, emit: Emit) -> Message:
        """Tell what happens until the same peer subscribes to nothing."""
        if not request.topics:
            return {"status": "OK", "ended": self._feed.unsubscribe(peer.envelope[0])}
        return await self._feed.subscribe(peer.envelope[0], request.topics, emit)
