"""Replies on their way out: never waits, and costs bounded memory however slowly a peer reads.

ZeroMQ keeps `PIPE` messages for each peer. What it does not take is kept here, in order, up to a limit of bytes for one
peer and for all. Past the limit of a peer its events are dropped, and a last word becomes a short error, so that each
request still gets one; past twice the limit that is dropped too. A peer that is gone costs nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import zmq

from batos import codec
from batos.errors import Busy, to_wire

if TYPE_CHECKING:
    from collections.abc import Callable

Message = dict[str, Any]
Envelope = tuple[bytes, ...]

PIPE = 500
LARGE = 32 << 10
OVERHEAD = 256
"""About the bytes that a small message costs beside its own."""
PEERS = 4
RETRY_SECONDS = 0.02
_TOO_SLOW = to_wire(
    Busy("The answer was dropped: you read more slowly than the kernel writes", "Read faster, then ask again.")
)


@dataclass(slots=True)
class _Backlog:
    """What waits for one peer: its frames, what they cost in bytes, and the large ones that ZeroMQ still has."""

    frames: deque[tuple[Envelope, bytes]] = field(default_factory=deque)
    bytes: int = 0
    large: list[tuple[zmq.MessageTracker, int]] = field(default_factory=list)

    def held(self) -> int:
        """Bytes that are in memory for this peer."""
        self.large = [item for item in self.large if not item[0].done]
        return self.bytes + sum(size for _, size in self.large)


class Outgoing:
    """Sends replies on a ROUTER socket.

    Args:
        socket: The socket; it must refuse what it cannot route (`ROUTER_MANDATORY`).
        limit: Bytes that may wait for one peer; for all peers together `PEERS` times as many.
        used: Called after each use of the socket, also one that failed: any of them may swallow what its descriptor
            would have told of messages that came in.
    """

    def __init__(self, socket: zmq.Socket[bytes], limit: int, used: Callable[[], None]) -> None:
        self._socket = socket
        self._limit = limit
        self._used = used
        self._waiting: dict[bytes, _Backlog] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._counts = {"dropped": 0, "unreachable": 0}

    def statistics(self) -> dict[str, int]:
        """Messages that were dropped or had no peer any more; peers that read slowly, and bytes that wait for them."""
        held = [backlog.held() for backlog in self._waiting.values()]
        return {**self._counts, "slow_peers": len(held), "waiting_bytes": sum(held)}

    def send(self, envelope: Envelope, message: Message, data: bytes) -> bool:
        """Send a message, or keep it until the peer reads; False when the peer is gone.

        Args:
            envelope: Where to.
            message: What; it tells an event from a last word.
            data: The message, packed.
        """
        backlog = self._waiting.get(envelope[0])
        if backlog is None and len(data) < LARGE:
            try:
                self._socket.send_multipart((*envelope, data), zmq.NOBLOCK)
            except zmq.Again:
                backlog = self._waiting[envelope[0]] = _Backlog()
            except zmq.ZMQError:
                self._counts["unreachable"] += 1
                return False
            else:
                return True
            finally:
                self._used()
        if backlog is None:
            backlog = self._waiting[envelope[0]] = _Backlog()
        if not self._keep(backlog, envelope, message, data):
            self._counts["dropped"] += 1
        return self._flush(envelope[0], backlog)

    def close(self) -> None:
        """Hand over what the peers still take, and forget the rest."""
        self._turn()
        if self._timer is not None:
            self._timer.cancel()
        self._waiting.clear()

    def _keep(self, backlog: _Backlog, envelope: Envelope, message: Message, data: bytes) -> bool:
        """Keep a message in its order; False when it, or all but word of it, is dropped."""
        held = backlog.held()
        fits = not held or (held + len(data) <= self._limit and self._held() + len(data) <= PEERS * self._limit)
        if not fits and ("event" in message or held > 2 * self._limit):
            return False
        if not fits:
            data = codec.pack({"id": message.get("id"), "status": "ERROR", "error": _TOO_SLOW})
        backlog.frames.append((envelope, data))
        backlog.bytes += len(data) + OVERHEAD
        return fits

    def _held(self) -> int:
        return sum(backlog.held() for backlog in self._waiting.values())

    def _flush(self, peer: bytes, backlog: _Backlog) -> bool:
        """Hand over what the peer takes; False when it is gone."""
        while backlog.frames:
            envelope, data = backlog.frames[0]
            try:
                self._hand_over(backlog, envelope, data)
            except zmq.Again:
                break
            except zmq.ZMQError:
                self._counts["unreachable"] += len(backlog.frames)
                del self._waiting[peer]
                return False
            finally:
                self._used()
            backlog.frames.popleft()
            backlog.bytes -= len(data) + OVERHEAD
        if not backlog.frames and not backlog.held():
            del self._waiting[peer]
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(RETRY_SECONDS, self._turn)
        return True

    def _hand_over(self, backlog: _Backlog, envelope: Envelope, data: bytes) -> None:
        if len(data) < LARGE:
            self._socket.send_multipart((*envelope, data), zmq.NOBLOCK)
        else:
            # ZeroMQ tells when it needs a large message no more; at most the limit of them is on its way at once.
            if backlog.held() - backlog.bytes > self._limit:
                raise zmq.Again
            tracker = self._socket.send_multipart((*envelope, data), zmq.NOBLOCK, copy=False, track=True)
            assert tracker is not None
            backlog.large.append((tracker, len(data)))

    def _turn(self) -> None:
        self._timer = None
        for peer, backlog in list(self._waiting.items()):
            if peer in self._waiting:
                self._flush(peer, backlog)
