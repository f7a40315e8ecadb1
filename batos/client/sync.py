"""The blocking client: a `Client` on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

from batos.client.bridge import Client, Message, OnEvent, OnLink
from batos.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path
    from types import TracebackType

    from batos.settings import Settings

T = TypeVar("T")


def new_loop() -> asyncio.AbstractEventLoop:
    """An event loop that ZeroMQ works with: on Windows the selector loop."""
    if sys.platform == "win32":  # pragma: no cover
        return asyncio.SelectorEventLoop()
    return asyncio.new_event_loop()


class SyncClient:
    """Speaks to a kernel from plain blocking code; safe to use from several threads.

    Args:
        endpoint: The address of the bridge.
        keys: The folder with the keys; None: without CURVE.
        on_link: As of `Client`; called in the client's thread.
        patience: As of `Client`, in seconds.
    """

    def __init__(
        self, endpoint: str, keys: Path | None, *, on_link: OnLink | None = None, patience: float | None = None
    ) -> None:
        self._client = Client(endpoint, keys, on_link=on_link, patience=patience)
        self._loop = new_loop()
        self._submitting = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._loop.run_forever, name="batos-client", daemon=True)
        self._thread.start()

    @classmethod
    def from_settings(
        cls, settings: Settings, *, on_link: OnLink | None = None, patience: float | None = None
    ) -> SyncClient:
        """A client for the kernel of these settings."""
        like = Client.from_settings(settings)
        return cls(like.endpoint, like.keys, on_link=on_link, patience=patience)

    def __enter__(self) -> Self:
        """Use as a context; the socket opens with the first request."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close."""
        self.close()

    def request(self, message: Message, on_event: OnEvent | None = None, timeout: float | None = None) -> Message:
        """As `Client.request`; `on_event` runs in the client's thread."""
        return self._run(self._client.request(message, on_event, timeout))

    def call(self, command: str, *, timeout: float | None = None, **fields: Any) -> Message:
        """As `Client.call`."""
        return self._run(self._client.call(command, timeout=timeout, **fields))

    def statistics(self) -> dict[str, Any]:
        """As `Client.statistics`."""
        return self._client.statistics()

    def close(self) -> None:
        """Close the socket and end the thread; requests of other threads end with `Unreachable`, a second call does nothing."""
        with self._submitting:
            if self._closed:
                return
            self._closed = True
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        await self._client.close()
        # The loop may stop only when those who wait have heard of it.
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        with self._submitting:
            if self._closed:
                work.close()
                raise Unreachable("The client was closed", "Open another client.")
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise
