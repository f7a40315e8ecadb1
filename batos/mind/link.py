"""The kernel's line to a mind host: requests with numbers, typed errors, a new host after a death or a hang."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batos.errors import ModelError, from_wire
from batos.mind.process import HostProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batos.mind.protocol import OnToken

STALL_SECONDS = 120.0
LOADING_PATIENCE = 10
_AGAIN = "Send the request again: a new host is started for it."


@dataclass(slots=True)
class _Call:
    answer: asyncio.Future[Any]
    on_token: OnToken | None


class HostLink:
    """One mind host, started on first need.

    Args:
        arguments: Arguments of the host.
        command: Another program than the mind host; for tests.
        stall_seconds: A host that works and says nothing for so long hangs and is killed; ten times that while it
            starts or loads a model.
    """

    def __init__(
        self, arguments: Sequence[str], *, command: Sequence[str] | None = None, stall_seconds: float = STALL_SECONDS
    ) -> None:
        self._arguments = arguments
        self._command = command
        self._stall_seconds = stall_seconds
        self._numbers = itertools.count(1)
        self._calls: dict[int, _Call] = {}
        self._process: HostProcess | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._heard = 0.0
        self._greeted = False
        self.loading = ""
        self.models: list[dict[str, Any]] = []
        self.asleep: list[dict[str, Any]] = []
        self.loads = {"loads": 0, "wakes": 0}
        self.starts = 0
        self.deaths = 0
        self.last_death = ""

    async def call(self, frame: dict[str, Any], on_token: OnToken | None = None) -> Any:
        """Send a request and wait for its value; cancelling the task cancels the request in the host too.

        Raises:
            ModelError: The host died or hung, or the model failed.
            ContextTooLong: The prompt is too long.
            NoWeights: The weights are not there.
        """
        process = self._running()
        number = next(self._numbers)
        call = self._calls[number] = _Call(asyncio.get_running_loop().create_future(), on_token)
        if len(self._calls) == 1:
            self._heard = asyncio.get_running_loop().time()
        process.send({**frame, "id": number})
        try:
            return await call.answer
        except asyncio.CancelledError:
            process.send({"op": "cancel", "id": number})
            raise
        finally:
            self._calls.pop(number, None)

    @property
    def waiting(self) -> int:
        """How many requests have no answer yet."""
        return len(self._calls)

    def statistics(self) -> dict[str, Any]:
        """Process id, resident bytes, requests in progress, starts, deaths, and this host's loads: plain data."""
        process = self._process
        return {
            "pid": process.pid if process else 0,
            "memory": process.memory_bytes() if process else 0,
            "waiting": self.waiting,
            "starts": self.starts,
            "deaths": self.deaths,
            "last_death": self.last_death,
            **self.loads,
        }

    async def stop(self) -> None:
        """End the host; a later call starts a new one, also one that comes while this one ends."""
        ending = list(self._calls.values())
        process, self._process = self._process, None
        self.models, self.asleep, self.loading = [], [], ""
        watcher, self._watcher = self._watcher, None
        try:
            if watcher is not None:
                watcher.cancel()
                # Not by suppressing its CancelledError: that would swallow a cancel of the caller too.
                await asyncio.gather(watcher, return_exceptions=True)
        finally:
            if process is not None:
                await asyncio.to_thread(process.close)
            _fail(ending, "the mind host was stopped")

    def _running(self) -> HostProcess:
        if self._process is not None:
            return self._process
        loop = asyncio.get_running_loop()
        on_frame, on_end = self._from_threads(loop)
        self._process = HostProcess(self._arguments, on_frame, on_end, command=self._command)
        self.starts += 1
        self._greeted = False
        if self._watcher is None:
            self._watcher = loop.create_task(self._watch(), name="batos-mind-watch")
        return self._process

    def _from_threads(self, loop: asyncio.AbstractEventLoop) -> tuple[Callable[[Any], None], Callable[[str], None]]:
        """What one run's threads call: it reaches the loop, and only as long as that run is the current one."""
        run = self.starts + 1

        def post(function: Callable[[Any], None], value: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                loop.call_soon_threadsafe(lambda: function(value) if run == self.starts else None)

        return (lambda frame: post(self._on_frame, frame)), (lambda why: post(self._on_end, why))

    def _on_frame(self, frame: dict[str, Any]) -> None:
        self._heard = asyncio.get_running_loop().time()
        self._greeted = True
        if "models" in frame:
            self.models, self.asleep, self.loading = frame["models"], frame["asleep"], ""
            self.loads = {name: frame[name] for name in self.loads}
            return
        if "loading" in frame:
            self.loading = frame["loading"]
            return
        call = self._calls.get(frame.get("id", 0))
        if call is None or call.answer.done():
            return
        if "token" in frame:
            if call.on_token is not None:
                call.on_token(frame["token"])
        elif "error" in frame:
            call.answer.set_exception(from_wire(frame["error"]))
        else:
            call.answer.set_result(frame["value"])

    def _on_end(self, why: str) -> None:
        if self._process is None:
            return
        self._process = None
        self.models, self.asleep, self.loading = [], [], ""
        self.deaths += 1
        self.last_death = why
        _fail(list(self._calls.values()), why)

    def _patience(self) -> float:
        """Seconds that the host may be silent just now."""
        return self._stall_seconds * (LOADING_PATIENCE if self.loading or not self._greeted else 1)

    def _hangs(self, now: float) -> bool:
        """Whether requests wait and the host has been silent for too long."""
        return bool(self._calls) and now - self._heard > self._patience()

    async def _watch(self) -> None:
        """Kill a host that works and says nothing."""
        while True:
            await asyncio.sleep(self._stall_seconds / 4)
            process = self._process
            if process is not None and self._hangs(asyncio.get_running_loop().time()):
                process.kill()
                self._on_end(f"the mind host said nothing for {self._patience():g} s and was killed")
                await asyncio.to_thread(process.close)


def _fail(calls: Sequence[_Call], why: str) -> None:
    for call in calls:
        if not call.answer.done():
            call.answer.set_exception(ModelError(why, _AGAIN))
