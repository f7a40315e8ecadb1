"""One Architect's session: a line comes in, a request goes out, and the reporter hears what becomes of it.

Console, missions and pipes share it. It knows the present target and what runs, so that a mission can be cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from batos import wire
from batos.client import errands, slash
from batos.client.correcting import Call, correction
from batos.codec import CodecError
from batos.cognition.translation import DEFAULT_TARGET
from batos.errors import BadField, BatosError, Cancelled, Unreachable

if TYPE_CHECKING:
    from batos.client.bridge import Client
    from batos.client.show import Reporter
    from batos.client.translator import Translator

Message = dict[str, Any]
CANCEL_SECONDS = 10.0
DETAIL_SECONDS = 3.0
GOOD = frozenset({"COMPLETE", "OK"})
ENDED = frozenset({"COMPLETE", "FAILED", "OK", "ERROR"})
"""States that `cycles` gives of a cycle that has ended."""
SPEECHLESS = frozenset({"NoWeights", "ModelError", "ContextTooLong", "UnknownCommand"})


@dataclass(slots=True)
class _Course:
    """What is known of one request on its way; one that was left keeps its own, and takes over no other's."""

    cycle: str | None = None
    waits: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it waits for an approval that it is not waited for."""


class Session:
    """Runs lines and requests, one at a time.

    Args:
        client: Speaks to the kernel.
        translator: Turns words into requests.
        show: Hears what happens.
        target: The object that is spoken to.
        detach: Whether a mission that waits for an approval is left to itself.
    """

    def __init__(
        self,
        client: Client,
        translator: Translator,
        show: Reporter,
        target: Any = DEFAULT_TARGET,
        *,
        detach: bool = False,
    ) -> None:
        self.client = client
        self.translator = translator
        self.show = show
        self.target = target
        self.unreachable = False
        self.asks = False
        """Whether missions wait for an approval before they install."""
        self.last: Call | None = None
        """The last call that gave a result: what "no, …" corrects."""
        self.watched: set[str] = set()
        """Cycles whose end this session hears."""
        self._detach = detach
        self._course: _Course | None = None
        self._running: asyncio.Task[bool] | None = None
        self._left: set[asyncio.Task[Message]] = set()
        self._speechless = False

    async def line(self, text: str) -> bool:
        """Take in a line: a slash command or the Architect's words. Gives whether it ended well."""
        self._running = asyncio.create_task(self._line(text.strip()))
        try:
            return await self._running
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            self.show.failed(Cancelled("Cancelled before the kernel had accepted it.", "Nothing was started."))
            return False
        finally:
            self._running = None

    async def run(self, request: Message) -> bool:
        """Send a request, show its events and its last word. Gives whether it ended well."""
        course = self._course = _Course()
        request = self._asking(request)
        self.show.started(request)
        task = asyncio.create_task(self.client.request(request, partial(self._event, course)))
        waiting = asyncio.create_task(course.waits.wait())
        try:
            await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                self._leave(request, task)
                return True
            return self._ended(request, await self._in_detail(request, task.result()))
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            self._course = None
            waiting.cancel()

    async def cancel(self) -> None:
        """Cancel what runs: its cycle where it has one, the wait for it otherwise."""
        if self._course is not None and self._course.cycle is not None:
            try:
                await self.client.call("cancel", cycle_id=self._course.cycle, timeout=CANCEL_SECONDS)
            except BatosError as error:
                self.show.failed(error)
            else:
                self.show.notice("Cancelling the mission; once more Ctrl-C leaves.")
        elif self._running is not None:
            self._running.cancel()

    async def unfinished(self, *, awaiting: bool = False) -> str | None:
        """The newest cycle that has not ended; with `awaiting` the newest that waits for an approval."""
        reply = await self.client.call("cycles", limit=50)
        for item in reply.get("cycles", []):
            if item.get("awaiting") == "approval" if awaiting else item.get("state") not in ENDED:
                return str(item["cycle_id"])
        return None

    async def _line(self, text: str) -> bool:
        try:
            if text.startswith("/"):
                return await self._slash(text)
            corrected = correction(text, self.last)
            if corrected is not None:
                self.show.correcting(corrected)
                return await self.run(corrected)
            self.show.started({"command": "translate"})
            translation = await self.translator.translate(text, self.target)
            self.show.translated(text, translation)
            if translation.request is None:
                return translation.kind != "unclear"
            well = await self.run(translation.request)
            if not well and translation.request["command"] == "converse" and self._speechless:
                self.show.notice("Nobody can speak just now; this is what Fractal Memory has.")
                return await self.run({"command": "search", "query": text, "top_k": 5})
            return well
        except (BatosError, CodecError) as error:
            self.unreachable |= isinstance(error, Unreachable)
            self.show.failed(error if isinstance(error, BatosError) else BadField(str(error)))
            return False

    async def _slash(self, text: str) -> bool:
        name, args = slash.parse(text)
        if name == "help":
            self._help()
            return True
        if name == "use":
            reply = await self.client.call("inspect", target_oid=args[0])
            self.target = args[0]
            self.show.notice(f"I speak to {reply.get('name') or args[0]} now.")
            return True
        if name in errands.ERRANDS:
            return await errands.ERRANDS[name](self, args)
        make = slash.SLASHES[name].request
        if make is None:
            return True
        request = make(args, self.target)
        wire.read_request(request)
        return await self.run(request)

    def _help(self) -> None:
        width = max(len(f"/{name} {item.usage}") for name, item in slash.SLASHES.items())
        lines = [f"{f'/{name} {item.usage}':<{width}}  {item.does}" for name, item in slash.SLASHES.items()]
        self.show.notice("\n  ".join(lines))
        self.show.notice("Anything else is a mission, a call like greet_user('Ada'), or a question.")

    def _event(self, course: _Course, event: Message) -> None:
        if isinstance(event.get("cycle_id"), str):
            course.cycle = event["cycle_id"]
            self.watched.add(event["cycle_id"])
        self.show.event(event)
        if event.get("event") == "approval_needed":
            if self._detach:
                course.waits.set()
            how = "/approve installs it, /reject does not" if self._detach else "/approve or /reject it at a prompt"
            self.show.notice(f"{how} ({course.cycle})")

    def _leave(self, request: Message, task: asyncio.Task[Message]) -> None:
        """Go on without a mission that waits; its last word is shown when it comes."""

        def ended(done: asyncio.Task[Message]) -> None:
            self._left.discard(done)
            error = None if done.cancelled() else done.exception()
            if isinstance(error, BatosError):
                self.show.failed(error)
            elif error is None and not done.cancelled():
                self._ended(request, done.result())

        self._left.add(task)
        task.add_done_callback(ended)
        self.show.pause()

    def _ended(self, request: Message, reply: Message) -> bool:
        error = reply.get("error")
        self._speechless = isinstance(error, dict) and error.get("type") in SPEECHLESS
        self.last = Call.of(request, reply) or self.last
        self.show.last_word(request, reply)
        return reply.get("status") in GOOD

    async def _in_detail(self, request: Message, reply: Message) -> Message:
        """A last word with what speaks for a method that was just installed, or with the names of an object's parents."""
        if not self.show.detailed:
            return reply
        with contextlib.suppress(BatosError):
            if reply.get("installed") and reply.get("version"):
                asked = {"target_oid": request.get("target_oid", self.target), "selector": reply.get("selector")}
                told = await self.client.call("explain", **asked, version=reply["version"], timeout=DETAIL_SECONDS)
                return {**reply, "provenance": told.get("provenance")}
            if request.get("command") == "inspect" and reply.get("parents"):
                told = await self.client.call("objects", timeout=DETAIL_SECONDS)
                names = {item["oid"].hex: item["name"] for item in told.get("objects", []) if item.get("name")}
                return {**reply, "names": names}
        return reply

    def _asking(self, request: Message) -> Message:
        """A request that may install something, told to wait for an approval where the Architect wants that."""
        if not self.asks:
            return request
        if request.get("command") in ("send", "correct"):
            return {**request, "approve": True}
        if request.get("command") == "initiate_cognitive_cycle":
            return {**request, "mission_brief": {**request["mission_brief"], "approve": True}}
        return request
