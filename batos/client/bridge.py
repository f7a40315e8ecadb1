"""The client's end of the Synaptic Bridge: one DEALER socket, many requests at once, survives the kernel's restart.

A request is sent when the kernel is linked and waits until then. When the link breaks, what may be asked twice is asked
again on the next link: reads, subscriptions, and requests that start a cycle, because their `request_id` joins the cycle
that they started (its events are told once). What may not, like a message that changes its receiver, ends with `Unreachable`.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import zmq
import zmq.asyncio

from batos import codec, errors
from batos.client import wiring
from batos.errors import BatosError, NotAllowed, Unreachable

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from batos.settings import Settings

Message = dict[str, Any]
OnEvent = Callable[[Message], None]
OnLink = Callable[[str], None]

KEY_POLL_SECONDS = 0.1
RETRY_SECONDS = 0.01

_READS = frozenset(
    {
        *("ping", "status", "inspect", "objects", "history", "explain", "diff", "as_of", "capabilities"),
        *("cycle", "cycles", "follow", "search", "translate", "cancel", "failures", "replay", "changes", "subscribe"),
        "remember",
    }
)
"""What does nothing twice when it is asked twice; a text that is remembered again replaces itself."""
_NOT_STORED = frozenset({"token", "waiting"})
"""Events without a number of their own: theirs is that of the event before."""
_STARTS_CYCLE = frozenset({"initiate_cognitive_cycle", "install", "correct", "repair"})


@dataclass(slots=True)
class _Pending:
    """A request that has no last word yet."""

    message: Message
    frame: bytes
    done: asyncio.Future[Message]
    on_event: OnEvent | None
    link: int = 0
    """The number of the link that it was sent on; 0: not sent."""
    cycle_id: str | None = None
    seen: int = 0
    """The highest `seq` of its events that was passed on."""
    told: int = -1
    """Events with a `seq` up to this are repetitions."""

    @property
    def may_repeat(self) -> bool:
        """Whether asking again does nothing twice."""
        command = self.message.get("command")
        return command in _READS or command in _STARTS_CYCLE or self.cycle_id is not None


class Client:
    """Speaks to a kernel; safe to use from many tasks of one event loop.

    Args:
        endpoint: The address of the bridge, `tcp://…` or `ipc://…`.
        keys: The folder with `server.key` and `client.key_secret`; None: without CURVE.
        on_link: Told `linked`, `lost` and `refused` as they happen.
        patience: Seconds without a kernel after which requests end with `Unreachable`; None waits for ever.
    """

    def __init__(
        self, endpoint: str, keys: Path | None, *, on_link: OnLink | None = None, patience: float | None = None
    ) -> None:
        self.endpoint = endpoint
        self.keys = keys
        self.on_link = on_link
        self.patience = patience
        self._alarm: asyncio.TimerHandle | None = None
        self._context: zmq.asyncio.Context | None = None
        self._socket: zmq.asyncio.Socket | None = None
        self._monitor: zmq.asyncio.Socket | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._pending: dict[str, _Pending] = {}
        self._linked = asyncio.Event()
        self._opening = asyncio.Lock()
        self._sending = asyncio.Lock()
        self._links = 0
        self._refused = False
        self._numbers = itertools.count(1)
        self._name = uuid.uuid4().hex[:12]
        self._counts = {"requests": 0, "repeated": 0, "events": 0, "strays": 0}

    @classmethod
    def from_settings(
        cls, settings: Settings, *, on_link: OnLink | None = None, patience: float | None = None
    ) -> Client:
        """A client for the kernel of these settings."""
        keys = settings.keys_path if settings.curve == "on" else None
        return cls(settings.zmq_endpoint, keys, on_link=on_link, patience=patience)

    async def __aenter__(self) -> Self:
        """Use as a context; the socket opens with the first request."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()

    @property
    def linked(self) -> bool:
        """Whether the kernel is linked just now."""
        return self._linked.is_set()

    def statistics(self) -> dict[str, Any]:
        """Counts of requests, repetitions, events, stray replies, links, and what waits."""
        return {**self._counts, "links": self._links, "pending": len(self._pending), "linked": self.linked}

    async def request(
        self,
        message: Message,
        on_event: OnEvent | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Message:
        """Send a request and give its last word, whatever its status.

        Args:
            message: The request without `id`. Commands that start a cycle get a `request_id` where they have none.
            on_event: Called with each event, in order, on the event loop.
            timeout: Seconds to wait for the last word, the wait for the kernel included; None waits for ever.

        Raises:
            Unreachable: No last word in time; or the kernel went away and the request must not be repeated.
            NotAllowed: The kernel refuses this client's key.
            CodecError: The message is not plain data.
        """
        pending = self._prepare(message, on_event)
        # From here on `close` ends it, also while it waits for the key files.
        self._pending[pending.message["id"]] = pending
        try:
            async with asyncio.timeout(timeout):
                await self._open(pending)
                if self._refused:
                    raise self._refusal()
                if not self.linked and self._alarm is None:
                    self._set_alarm()
                await self._pump()
                return await pending.done
        except TimeoutError:
            raise self._too_late(timeout) from None
        finally:
            self._pending.pop(pending.message["id"], None)
            if not self._pending:
                self._stop_alarm()  # the next request has its own patience

    async def call(self, command: str, *, timeout: float | None = None, **fields: Any) -> Message:  # noqa: ASYNC109
        """Send a command and give its last word; one that tells of an error is raised as that error.

        Raises:
            BatosError: The error that the kernel answered, as its own class; or as `request`.
        """
        return checked(await self.request({"command": command, **fields}, timeout=timeout))

    async def close(self) -> None:
        """Close the socket; requests that wait end with `Unreachable`."""
        self._stop_alarm()
        if self._socket is not None:
            self._socket.disable_monitor()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._fail(Unreachable("The client was closed", "Open another client."))
        for socket in (self._monitor, self._socket):
            if socket is not None:
                socket.close(linger=0)
        self._monitor = self._socket = None
        self._linked.clear()
        if self._context is not None:
            self._context.term()
            self._context = None

    def _prepare(self, message: Message, on_event: OnEvent | None) -> _Pending:
        # It stands first: there the kernel finds it, and can answer, when a message is too large to be read.
        message = {"id": None, **message}
        message["id"] = f"{self._name}-{next(self._numbers)}"
        command = message.get("command")
        if command in _STARTS_CYCLE or (command == "send" and message.get("learn", True)):
            message.setdefault("request_id", uuid.uuid4().hex)
        self._counts["requests"] += 1
        done: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        return _Pending(message, codec.pack(message), done, on_event)

    async def _open(self, pending: _Pending) -> None:
        async with self._opening:
            if self._socket is not None:
                return
            try:
                async with asyncio.timeout(self.patience):
                    certificates = await self._certificates(pending) if self.keys is not None else None
            except TimeoutError:
                raise self._too_late(self.patience) from None
            self._context = zmq.asyncio.Context()
            socket = self._context.socket(zmq.DEALER)
            wiring.configure(socket)
            if certificates is not None:
                server, public, secret = certificates
                socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = server, public, secret
            watched = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_DISCONNECTED
            # Its reader must outlive it: libzmq's own thread waits, with a lock held, for a reader that is gone.
            self._monitor = socket.get_monitor_socket(watched)
            socket.connect(self.endpoint)
            self._socket = socket
            self._tasks = [asyncio.create_task(self._watch(self._monitor)), asyncio.create_task(self._read(socket))]

    async def _certificates(self, pending: _Pending) -> tuple[bytes, bytes, bytes]:
        """Wait for the key files, which the kernel's first start makes, and read them; unless the request ends before."""
        while not pending.done.done():
            found = wiring.read_certificates(self.keys) if self.keys is not None else None
            if found is not None:
                return found
            await asyncio.wait({pending.done}, timeout=KEY_POLL_SECONDS)
        pending.done.result()
        raise AssertionError  # only an error ends a request that was not sent

    async def _watch(self, monitor: zmq.asyncio.Socket) -> None:
        from zmq.utils.monitor import parse_monitor_message

        while True:
            event = parse_monitor_message(await monitor.recv_multipart())["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._links += 1
                self._refused = False
                self._linked.set()
                self._stop_alarm()
                self._tell("linked")
                await self._pump()
            elif event == zmq.EVENT_DISCONNECTED:
                self._lost()
            elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH and not self._refused:
                self._refused = True
                self._tell("refused")
                self._fail(self._refusal())

    def _lost(self) -> None:
        if not self._linked.is_set():
            return
        self._linked.clear()
        for pending in list(self._pending.values()):
            if pending.link == 0 or pending.done.done():
                continue
            if pending.may_repeat:
                self._repeat(pending)
            else:
                pending.done.set_exception(
                    Unreachable(
                        "The kernel went away before it answered, so it is not known whether the message was handled",
                        "Look at the object (`inspect`) before you send the message again.",
                    )
                )
        if self._pending:
            self._set_alarm()
        self._tell("lost")

    def _set_alarm(self) -> None:
        if self.patience is not None:
            self._alarm = asyncio.get_running_loop().call_later(self.patience, self._give_up)

    def _stop_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _give_up(self) -> None:
        self._alarm = None
        self._fail(self._too_late(self.patience))

    def _repeat(self, pending: _Pending) -> None:
        pending.link = 0
        # A subscription begins anew, with a count of its own; what happened in between is not told.
        pending.told = -1 if pending.message["command"] == "subscribe" else pending.seen
        self._counts["repeated"] += 1

    async def _pump(self) -> None:
        """Send what was not sent on this link."""
        async with self._sending:
            for pending in list(self._pending.values()):
                while self._linked.is_set() and pending.link == 0 and not pending.done.done():
                    pending.link = self._links
                    try:
                        assert self._socket is not None
                        await self._socket.send(pending.frame, zmq.NOBLOCK)
                    except zmq.Again:
                        pending.link = 0
                        await asyncio.sleep(RETRY_SECONDS)

    async def _read(self, socket: zmq.asyncio.Socket) -> None:
        while True:
            frames = await socket.recv_multipart()
            try:
                message = codec.unpack(frames[-1])
            except codec.CodecError:
                message = None
            if isinstance(message, dict):
                self._hear(message)

    def _hear(self, message: Message) -> None:
        ident = message.get("id")
        pending = self._pending.get(ident) if isinstance(ident, str) else None
        if pending is None or pending.done.done():
            self._counts["strays"] += 1
        elif "status" in message:
            self._last_word(pending, message)
        else:
            self._event(pending, message)

    def _last_word(self, pending: _Pending, message: Message) -> None:
        error = message.get("error")
        if isinstance(error, dict) and error.get("type") == "Stopping" and pending.may_repeat:
            # The kernel goes down; the cycle goes on after its restart, and so does this request.
            self._repeat(pending)
            pending.link = -1
            return
        pending.done.set_result(message)

    def _event(self, pending: _Pending, message: Message) -> None:
        # Other events name other cycles: one for a message that the called method sent, or one that a subscriber hears of.
        if message.get("event") == "accepted" and isinstance(message.get("cycle_id"), str):
            pending.cycle_id = message["cycle_id"]
        seq = message.get("seq")
        if isinstance(seq, int) and message.get("event") not in _NOT_STORED:
            if seq <= pending.told:
                return
            pending.seen = max(pending.seen, seq)
        self._counts["events"] += 1
        if pending.on_event is not None:
            try:
                pending.on_event(message)
            except Exception as error:  # noqa: BLE001  (the caller's own fault ends the caller's request alone)
                if not pending.done.done():
                    pending.done.set_exception(error)

    def _tell(self, what: str) -> None:
        if self.on_link is not None:
            self.on_link(what)

    def _fail(self, error: BatosError) -> None:
        for pending in self._pending.values():
            if not pending.done.done():
                pending.done.set_exception(error)

    def _refusal(self) -> NotAllowed:
        return NotAllowed(
            f"The kernel at {self.endpoint} does not accept the key in {self.keys}",
            "Use the BATOS_HOME of that kernel, or have its operator add your key.",
        )

    def _too_late(self, timeout: float | None) -> Unreachable:
        timeout = timeout or 0.0
        if self._socket is None:
            return Unreachable(
                f"There are no keys in {self.keys} after {timeout:g} s: the kernel makes them at its first start"
            )
        if not self.linked:
            return Unreachable(f"No kernel answers at {self.endpoint} after {timeout:g} s")
        return Unreachable(f"The kernel gave no last word in {timeout:g} s", "Wait longer, or look at its `status`.")


def checked(reply: Message) -> Message:
    """Give a last word that tells of success; raise the error of another.

    Raises:
        BatosError: The error in the reply, as its own class.
    """
    error = reply.get("error")
    if isinstance(error, dict):
        raise errors.from_wire({str(key): value for key, value in error.items()})
    return reply
