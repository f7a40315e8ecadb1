"""The Synaptic Bridge: a ROUTER socket that hands each request to a task of its own and sends what comes back.

It knows frames, peers and limits; what a command does is the handler's business.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import zmq
import zmq.asyncio
import zmq.auth.asyncio

from batos import codec, wire
from batos.errors import BatosError, Busy, EndpointTaken, MethodError, Stopping, TooLarge, to_wire
from batos.kernel import keys

if TYPE_CHECKING:
    from batos.settings import Settings

_log = logging.getLogger("batos.bridge")

Message = dict[str, Any]
Emit = Callable[[Message], Awaitable[None]]
_CUT_OFF = 4
_HIGH_WATER = 10_000
_ALWAYS = frozenset({"ping", "status", "cycle", "cycles", "cancel", "approve", "shutdown"})
"""Commands that are answered when the queue is full: they show it, or clear it."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who asks: the routing envelope, and whether the key is an operator's."""

    envelope: tuple[bytes, ...]
    operator: bool


Handler = Callable[[Message, Peer, Emit], Awaitable[Message]]


class Bridge:
    """The kernel's end of the bridge.

    Args:
        settings: Endpoint, keys and limits.
        handler: Answers a request with its last word; its exceptions become error replies.
    """

    def __init__(self, settings: Settings, handler: Handler) -> None:
        self._settings = settings
        self._handler = handler
        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._auth: zmq.auth.asyncio.AsyncioAuthenticator | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._roles: dict[str, str] = {}
        self._counts = {"requests": 0, "errors": 0}
        self._stopping = False

    def statistics(self) -> dict[str, int]:
        """Requests and error replies since the start, and requests in progress."""
        return {**self._counts, "in_progress": len(self._tasks)}

    def bind(self) -> None:
        """Make the keys that are missing, and bind.

        Raises:
            EndpointTaken: The address is in use.
        """
        self._socket.linger = 1000
        self._socket.sndhwm = self._socket.rcvhwm = _HIGH_WATER
        self._socket.maxmsgsize = _CUT_OFF * self._settings.max_message_bytes
        self._socket.ipv6 = "[" in self._settings.zmq_endpoint
        # Written whatever the setting says: switching CURVE back on then needs no new keys.
        keys.ensure_keys(self._settings.keys_path)
        if self._settings.curve == "on":
            self._secure()
        try:
            self._socket.bind(self._settings.zmq_endpoint)
        except zmq.ZMQError as error:
            raise EndpointTaken(f"{self._settings.zmq_endpoint} cannot be bound: {error}") from None

    def _secure(self) -> None:
        folder = self._settings.keys_path
        self._roles = keys.roles(folder)
        self._auth = zmq.auth.asyncio.AsyncioAuthenticator(self._context)
        self._auth.start()
        self._auth.configure_curve(domain="*", location=str(folder / "authorized"))
        self._socket.curve_publickey, self._socket.curve_secretkey = keys.server_keys(folder)
        self._socket.curve_server = True

    async def serve(self) -> None:
        """Take requests until `close`."""
        while True:
            frames = await self._socket.recv_multipart(copy=False)
            user = frames[-1].get("User-Id") if self._auth is not None else ""
            parts = [bytes(frame.buffer) for frame in frames]
            self._take(parts, operator=self._auth is None or self._roles.get(str(user)) == keys.OPERATOR)

    def _take(self, parts: list[bytes], *, operator: bool) -> None:
        delimiter = len(parts) == 3 and parts[1] == b""
        peer = Peer(tuple(parts[:2] if delimiter else parts[:1]), operator)
        frame = parts[-1] if len(parts) == 2 or delimiter else b""
        task = asyncio.create_task(self._answer(frame, peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, frame: bytes, peer: Peer) -> None:
        """Answer one frame with exactly one last word."""
        self._counts["requests"] += 1
        request_id: Any = None

        async def emit(event: Message) -> None:
            await self._send(peer, {"id": request_id, **event})

        try:
            if len(frame) > self._settings.max_message_bytes:
                request_id = peek_id(frame)
                raise TooLarge(
                    f"The message has {len(frame)} bytes, the limit MAX_MESSAGE_BYTES is {self._settings.max_message_bytes}"
                )
            message = wire.read_frame(frame)
            request_id = message.get("id")
            if len(self._tasks) > self._settings.queue_limit and message.get("command") not in _ALWAYS:
                raise Busy(f"{len(self._tasks)} requests are in progress, the limit is QUEUE_LIMIT")
            last_word = await self._handler(message, peer, emit)
        except BatosError as error:
            last_word = error_reply(error)
        except asyncio.CancelledError:
            last_word = error_reply(Stopping())
        except Exception as error:
            _log.exception("a fault of the kernel while it answered a request")
            last_word = error_reply(error)
        self._counts["errors"] += last_word.get("status") == "ERROR"
        await self._send(peer, {"id": request_id, **last_word})

    async def _send(self, peer: Peer, message: Message) -> None:
        try:
            data = codec.pack(message)
        except codec.CodecError as error:
            _log.exception("a reply is not plain data")
            if "event" in message:
                return
            fault = MethodError(f"The answer cannot be sent: {error}", "Answer with less, or with fewer levels.")
            data = codec.pack({"id": message.get("id"), **error_reply(fault)})
        await self._socket.send_multipart([*peer.envelope, data])

    async def drain(self, seconds: float) -> None:
        """Give requests in progress their last words: wait for them, then cut them short."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def close(self) -> None:
        """Close the socket; replies that were sent still go out."""
        self._socket.close()
        if self._auth is not None:
            self._auth.stop()
        self._context.term()


def error_reply(error: BaseException) -> Message:
    """The last word that tells of an error."""
    return {"status": "ERROR", "error": to_wire(error)}


def peek_id(frame: bytes) -> Any:
    """The `id` of a map that is too large to read, where it is the first entry and short; else None."""
    start = {0xDE: 3, 0xDF: 5}.get(frame[0], 1)
    if frame[start : start + 3] != b"\xa2id":
        return None
    head = frame[start + 3 : start + 3 + 300] or b"\xc0"
    kind = head[0]
    size = (
        1 + (kind & 0x1F)
        if 0xA0 <= kind <= 0xBF
        else 2 + head[1]
        if kind == 0xD9
        else {0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9}.get(kind, 1)
    )
    try:
        return codec.unpack(head[:size])
    except codec.CodecError:
        return None
