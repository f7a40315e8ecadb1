"""The Synaptic Bridge: a ROUTER socket that hands each request to a task of its own and sends what comes back.

It knows frames, peers and limits; what a command does is the handler's business. The socket is read in batches as
often as it has something, without a task for each wait: asyncio watches its descriptor, which ZeroMQ makes ready once
for everything that happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import zmq

from batos import codec, wire
from batos.errors import BadField, BatosError, Busy, MethodError, Stopping, TooLarge, to_wire
from batos.kernel import binding
from batos.kernel.doorkeeper import Doorkeeper
from batos.kernel.outgoing import Outgoing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batos.settings import Settings

_log = logging.getLogger("batos.bridge")

Message = dict[str, Any]
Emit = Callable[[Message], Awaitable[None]]
_BATCH = 64
_BYTES_IN_PROGRESS = 8
_QUIET_SECONDS = 30.0
_ALWAYS = frozenset({"ping", "status", "cycle", "cycles", "cancel", "approve", "shutdown"})
"""Commands that are answered when the queue is full: they show it, or clear it."""
_AT_ONCE = frozenset({"ping"})
"""Commands whose handler waits for nothing: they need no task."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who asks: the routing envelope, whether the key is an operator's, and the key as Z85 text."""

    envelope: tuple[bytes, ...]
    operator: bool
    key: str = ""


class PeerGone(Exception):
    """The peer that waits for an answer is there no more; what it waited for goes on without it."""


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
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._door = Doorkeeper(settings.keys_path) if settings.curve == "on" else None
        self._out = Outgoing(self._socket, settings.max_message_bytes, self._look_again)
        self._tasks: set[asyncio.Task[None]] = set()
        self._counts = {"requests": 0, "errors": 0}
        self._bytes = 0
        self._again = False
        self._fault: asyncio.Future[None] | None = None

    def statistics(self) -> dict[str, int]:
        """Requests and error replies since the start, requests in progress and their bytes, and how peers read."""
        return {**self._counts, "in_progress": len(self._tasks), "bytes": self._bytes, **self._out.statistics()}

    def bind(self) -> None:
        """Make the keys that are missing, and bind.

        Raises:
            EndpointTaken: The address is in use.
        """
        binding.configure(self._socket, self._settings)
        if self._door is not None:
            self._door.guard(self._context, self._socket)
        binding.bind(self._socket, self._settings.zmq_endpoint)

    async def serve(self) -> None:
        """Take requests until cancelled."""
        loop = asyncio.get_running_loop()
        self._fault = loop.create_future()
        loop.add_reader(self._socket.fileno(), self._read)
        try:
            self._read()
            await self._fault
        finally:
            loop.remove_reader(self._socket.fileno())
            self._fault = None

    def _read(self) -> None:
        """Take a batch; what is left has its turn after everybody else's."""
        self._again = False
        if self._fault is None or self._fault.done():
            return
        try:
            for _ in range(_BATCH):
                self._take(self._socket.recv_multipart(zmq.NOBLOCK, copy=False))
        except zmq.Again:
            return
        except Exception as error:
            self._fault.set_exception(error)
            return
        self._look_again()

    def _look_again(self) -> None:
        """Read soon: after a send, a failed one too, or a full batch the descriptor does not tell of what came before."""
        if not self._again and self._fault is not None:
            self._again = True
            asyncio.get_running_loop().call_soon(self._read)

    def _take(self, frames: Sequence[zmq.Frame]) -> None:
        key = ""
        if self._door is not None:
            key = str(frames[-1].get("User-Id"))
            if not self._door.admits(key):
                return  # revoked while it was connected
        parts = [bytes(frame.buffer) for frame in frames[:-1]]
        delimiter = len(parts) == 2 and parts[1] == b""
        operator = self._door is None or self._door.is_operator(key)
        peer = Peer(tuple(parts[:2] if delimiter else parts[:1]), operator, key)
        frame = bytes(frames[-1].buffer) if len(parts) == 1 or delimiter else b""
        self._counts["requests"] += 1
        try:
            message = self._message(frame)
        except BatosError as error:
            self._last_word(peer, error.details.pop("request_id", None), error_reply(error))
            return
        if message["command"] in _AT_ONCE:
            self._answer_at_once(message, peer)
        else:
            self._begin(message, peer, len(frame))

    def _message(self, frame: bytes) -> Message:
        """Read a frame and look at the limits."""
        limit = self._settings.max_message_bytes
        if len(frame) > limit:
            text = f"The message has {len(frame)} bytes, the limit MAX_MESSAGE_BYTES is {limit}"
            raise TooLarge(text, request_id=peek_id(frame))
        message = wire.read_frame(frame)
        if not isinstance(message.get("command"), str):
            raise BadField("`command` is missing or is not a text", request_id=message.get("id"))
        if message["command"] in _ALWAYS:
            return message
        if len(self._tasks) >= self._settings.queue_limit:
            raise Busy(
                f"{len(self._tasks)} requests are in progress, the limit is QUEUE_LIMIT", request_id=message.get("id")
            )
        if self._bytes + len(frame) > _BYTES_IN_PROGRESS * limit:
            raise Busy(f"The requests in progress have {self._bytes} bytes already", request_id=message.get("id"))
        return message

    def _answer_at_once(self, message: Message, peer: Peer) -> None:
        coroutine: Any = self._handler(message, peer, _no_events)
        try:
            coroutine.send(None)
        except StopIteration as done:
            self._last_word(peer, message.get("id"), done.value)
        except Exception as error:
            self._last_word(peer, message.get("id"), error_reply(error))
        else:  # pragma: no cover - a fault that the first test of the command shows
            coroutine.close()
            raise RuntimeError("a command that is answered at once must not wait")

    def _begin(self, message: Message, peer: Peer, size: int) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(message, peer))
        self._tasks.add(task)
        self._bytes += size
        task.add_done_callback(lambda done: self._ended(done, size))

    def _ended(self, task: asyncio.Task[None], size: int) -> None:
        self._tasks.discard(task)
        self._bytes -= size

    async def _answer(self, message: Message, peer: Peer) -> None:
        """Answer one request with exactly one last word."""
        stream = _Stream(self, peer, message.get("id"))
        try:
            last_word = await self._handler(message, peer, stream.emit)
        except PeerGone:
            return
        except BatosError as error:
            last_word = error_reply(error)
        except asyncio.CancelledError:
            if stream.gone:
                return
            last_word = error_reply(Stopping())
        except Exception as error:
            _log.exception("a fault of the kernel while it answered a request")
            last_word = error_reply(error)
        finally:
            stream.close()
        self._last_word(peer, message.get("id"), last_word)

    def _last_word(self, peer: Peer, request_id: Any, last_word: Message) -> None:
        self._counts["errors"] += last_word.get("status") == "ERROR"
        self.send(peer, {"id": request_id, **last_word})

    def send(self, peer: Peer, message: Message) -> bool:
        """Send a message without waiting; False when the peer is gone, or may hear nothing any more."""
        if self._door is not None and not self._door.admits(peer.key):
            return False
        try:
            data = codec.pack(message)
        except codec.CodecError as error:
            _log.exception("a reply is not plain data")
            if "event" in message:
                return True
            fault = MethodError(f"The answer cannot be sent: {error}", "Answer with less, or with fewer levels.")
            message = {"id": message.get("id"), **error_reply(fault)}
            data = codec.pack(message)
        return self._out.send(peer.envelope, message, data)

    async def drain(self, seconds: float) -> None:
        """Give requests in progress their last words: wait for them, then cut them short."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def close(self) -> None:
        """Close the socket; replies that were sent still go out."""
        self._out.close()
        self._socket.close()
        if self._door is not None:
            self._door.close()
        self._context.term()


class _Stream:
    """The events of one request: in order, and never silent for long, so that a peer that left is noticed."""

    def __init__(self, bridge: Bridge, peer: Peer, request_id: Any) -> None:
        self._bridge = bridge
        self._peer = peer
        self._id = request_id
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._began = self._heard = time.monotonic()
        self._seq = 0
        self._timer = self._loop.call_later(_QUIET_SECONDS, self._look)
        self.gone = False

    async def emit(self, event: Message) -> None:
        """Send an event.

        Raises:
            PeerGone: Nobody is there to hear it.
        """
        self._heard = time.monotonic()
        self._seq = event.get("seq", self._seq)
        if not self._bridge.send(self._peer, {"id": self._id, **event}):
            self.gone = True
            raise PeerGone

    def close(self) -> None:
        """The request has ended."""
        self._timer.cancel()

    def _look(self) -> None:
        now = time.monotonic()
        quiet = now - self._heard
        if quiet >= _QUIET_SECONDS:
            waiting = {"event": "waiting", "seq": self._seq, "seconds": round(now - self._began)}
            if not self._bridge.send(self._peer, {"id": self._id, **waiting}) and self._task is not None:
                self.gone = True
                self._task.cancel()
                return
            quiet = 0.0
            self._heard = now
        self._timer = self._loop.call_later(_QUIET_SECONDS - quiet, self._look)


async def _no_events(event: Message) -> None:
    """For commands that are answered at once."""
    raise RuntimeError(f"a command that is answered at once has no event {event.get('event')!r}")


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
    with contextlib.suppress(codec.CodecError):
        return codec.unpack(head[:size])
    return None
