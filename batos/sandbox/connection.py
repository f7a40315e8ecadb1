"""The kernel's end of one worker: frames in and out on asyncio, and the kill."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Any

from batos.sandbox.codec import LENGTH, frame

if TYPE_CHECKING:
    from collections.abc import Callable

_READ_AHEAD = 1 << 18


class Worker(asyncio.Protocol):
    """One worker: idle in the pool, then busy with its one task, then killed.

    Attributes:
        number: Its number in this kernel.
        frame_limit: Bytes of a frame that it may send; one over it kills it.
        stop: Has the process killed, by its number, where the system gives no pidfd.
        fault: Why the kernel killed it, where it did so for a fault of the worker.
        exit_status: Its exit status once it has ended: negative for a signal.
        memory_used: Most memory that it held, bytes, once it has ended.
    """

    def __init__(self, number: int, frame_limit: int, stop: Callable[[int], None] | None = None) -> None:
        self.number = number
        self.frame_limit = frame_limit
        self.stop = stop
        self.fault = ""
        self.exit_status: int | None = None
        self.memory_used = 0
        self.born = time.monotonic()
        self.started = asyncio.Event()
        self.ended = asyncio.Event()
        self.closed = False
        self._handle: int | None = None
        self._killed = False
        self._buffer = bytearray()
        self._waiting: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._paused = False
        self._transport: Any = None

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take bytes in; stop reading well before they pile up."""
        self._buffer += data
        if len(self._buffer) >= LENGTH.size and self._wanted() > self.frame_limit + LENGTH.size:
            self.kill("it sent a frame over the limit")
        elif len(self._buffer) > self.frame_limit + _READ_AHEAD and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """Note the end."""
        del error
        self.closed = True
        self._writable.set()
        self._wake()

    def pause_writing(self) -> None:
        """Note that the worker does not read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Note that it reads again."""
        self._writable.set()

    # --- our side

    @property
    def connected(self) -> bool:
        """Whether asyncio has taken the socket over."""
        return self._transport is not None

    async def receive(self) -> bytes | None:
        """Wait for a frame; None when the worker is gone."""
        while not self._complete():
            if self.closed or self._killed:
                return None
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        size = self._wanted()
        payload = bytes(memoryview(self._buffer)[LENGTH.size : size])
        del self._buffer[:size]
        if self._paused and not self.closed:
            self._paused = False
            self._transport.resume_reading()
        return payload

    async def transmit(self, payload: bytes) -> None:
        """Send a frame; waits while the worker does not read."""
        await self._writable.wait()
        if not self.closed and not self._killed:
            self._transport.write(frame(payload))

    def adopt(self, handle: int | None) -> None:
        """Take the pidfd of the process; a kill that came earlier is done now."""
        self._handle = handle
        self.started.set()
        if self._killed:
            self._signal()

    def kill(self, fault: str = "") -> None:
        """Kill the process, at once and for good."""
        self.fault = self.fault or fault
        if not self._killed:
            self._killed = True
            self._signal()
            if self._transport is not None:
                self._transport.abort()
        self._wake()

    def finish(self, status: int, memory: int) -> None:
        """Note that the process has ended."""
        self.exit_status = status
        self.memory_used = memory
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        self.started.set()
        self.ended.set()

    def _signal(self) -> None:
        if self._handle is not None:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        elif self.stop is not None and self.started.is_set() and self.exit_status is None:
            self.stop(self.number)

    def _wanted(self) -> int:
        size: int = LENGTH.unpack_from(self._buffer)[0]
        return size + LENGTH.size

    def _complete(self) -> bool:
        return len(self._buffer) >= LENGTH.size and len(self._buffer) >= self._wanted()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
