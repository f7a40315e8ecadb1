"""The command `image`: what operators do with the image as a whole, in threads of its own, with progress as events."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from batos.errors import NotAllowed
from batos.image import importing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batos import wire_image
    from batos.kernel.bridge import Emit, Message, Peer
    from batos.kernel.uvm import BatOS_UVM

_END = None


class ImageCommands:
    """Answers `image`."""

    def __init__(self, uvm: BatOS_UVM) -> None:
        self._uvm = uvm

    def handlers(self) -> dict[str, Callable[[Any, Peer, Emit], Awaitable[Message]]]:
        """Give what each command's name calls."""
        return {"image": self._image}

    async def _image(self, request: wire_image.ImageWork, peer: Peer, emit: Emit) -> Message:
        for_operators(peer, "look after the image")
        if request.action == "import" and not request.force:
            await self._audit(request.files or {})
        loop, words = asyncio.get_running_loop(), asyncio.Queue[dict[str, Any] | None]()

        def tell(what: str, done: int, total: int) -> None:
            event = {"event": "progress", "what": what, "done": done, "total": total}
            loop.call_soon_threadsafe(words.put_nowait, event)

        def ended(work: asyncio.Future[Message]) -> None:
            # Looked at here too: whoever asked may be gone, and the work has come to its end without them.
            if not work.cancelled():
                work.exception()
            words.put_nowait(_END)

        work = asyncio.ensure_future(asyncio.to_thread(self._uvm.upkeep.do, request, tell))
        work.add_done_callback(ended)
        seq = 0
        while (event := await words.get()) is not _END:
            seq += 1
            await emit({**event, "seq": seq})
        told = await work
        if request.action == "import":
            self._uvm.memory.wake()
        return {"status": "OK", **told}

    async def _audit(self, files: dict[str, bytes]) -> None:
        """Audit what would become active, where all audits run: in the sandbox.

        Raises:
            CovenantViolationError, PolicyViolation: A method breaks the Guardian's rules.
        """
        policy = self._uvm.settings.guardian_policy
        for selector, source in importing.active_sources(files):
            verdict = await self._uvm.sandbox.audit(source, selector, policy=policy)
            unkept = [{"kind": "covenant", "line": 1, "message": mend} for mend in verdict.mends]
            importing.refuse(selector, [*verdict.findings, *unkept])


def for_operators(peer: Peer, what: str) -> None:
    """See that an operator asks.

    Raises:
        NotAllowed: Somebody else does.
    """
    if not peer.operator:
        raise NotAllowed(f"Only operators may {what}")
