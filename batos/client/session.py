"""One Architect's session: a line comes in, a request goes out, and the reporter hears what becomes of it.

Console, missions and pipes share it. It knows the present target and what runs, so that a mission can be cancelled.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from batos import wire
from batos.client import slash
from batos.codec import CodecError
from batos.cognition.translation import DEFAULT_TARGET
from batos.errors import BadField, BatosError, Cancelled, Unreachable

if TYPE_CHECKING:
    from batos.client.bridge import Client
    from batos.client.show import Reporter
    from batos.client.translator import Translator

Message = dict[str, Any]
CANCEL_SECONDS = 10.0
GOOD = frozenset({"COMPLETE", "OK"})


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
        self._detach = detach
        self._waits = asyncio.Event()
        self._cycle: str | None = None
        self._running: asyncio.Task[bool] | None = None
        self._left: set[asyncio.Task[Message]] = set()

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
        self._cycle = None
        self._waits.clear()
        self.show.started(request)
        task = asyncio.create_task(self.client.request(request, self._event))
        waiting = asyncio.create_task(self._waits.wait())
        try:
            await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                self._leave(request, task)
                return True
            return self._ended(request, task.result())
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            self._cycle = None
            waiting.cancel()

    async def cancel(self) -> None:
        """Cancel what runs: its cycle where it has one, the wait for it otherwise."""
        if self._cycle is not None:
            try:
                await self.client.call("cancel", cycle_id=self._cycle, timeout=CANCEL_SECONDS)
            except BatosError as error:
                self.show.failed(error)
            else:
                self.show.notice("Cancelling the mission; once more Ctrl-C leaves.")
        elif self._running is not None:
            self._running.cancel()

    async def _line(self, text: str) -> bool:
        try:
            if text.startswith("/"):
                return await self._slash(text)
            self.show.started({"command": "translate"})
            translation = await self.translator.translate(text, self.target)
            self.show.translated(text, translation)
            if translation.request is None:
                return translation.kind != "unclear"
            return await self.run(translation.request)
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
        make = slash.SLASHES[name].request
        if make is None:
            return True
        request = make(args, self.target)
        wire.read_request(request)
        return await self.run(request)

    def _help(self) -> None:
        width = max(len(f"/{name} {item.usage}") for name, item in slash.SLASHES.items())
        for name, item in slash.SLASHES.items():
            self.show.notice(f"{f'/{name} {item.usage}':<{width}}  {item.does}")
        self.show.notice("Anything else is a mission, a call like greet_user('Ada'), or a question.")

    def _event(self, event: Message) -> None:
        if isinstance(event.get("cycle_id"), str):
            self._cycle = event["cycle_id"]
        self.show.event(event)
        if event.get("event") == "approval_needed":
            if self._detach:
                self._waits.set()
            self.show.notice(f"/approve {self._cycle} installs it, /reject {self._cycle} does not.")

    def _leave(self, request: Message, task: asyncio.Task[Message]) -> None:
        """Go on without a mission that waits; its last word is shown when it comes."""

        def ended(done: asyncio.Task[Message]) -> None:
            self._left.discard(done)
            if not done.cancelled() and done.exception() is None:
                self._ended(request, done.result())

        self._left.add(task)
        task.add_done_callback(ended)
        self.show.pause()

    def _ended(self, request: Message, reply: Message) -> bool:
        self.show.last_word(request, reply)
        return reply.get("status") in GOOD
