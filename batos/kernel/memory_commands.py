"""Commands of Fractal Memory: remember, forget, search."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batos import wire
    from batos.kernel.bridge import Emit, Message, Peer
    from batos.kernel.commands import Handler
    from batos.kernel.uvm import BatOS_UVM


class MemoryCommands:
    """Hands documents to Fractal Memory, and finds them."""

    def __init__(self, uvm: BatOS_UVM) -> None:
        self._uvm = uvm

    def handlers(self) -> dict[str, Handler]:
        """Give what each command's name calls."""
        return {"remember": self._remember, "forget": self._forget, "search": self._search}

    async def _remember(self, request: wire.Remember, peer: Peer, emit: Emit) -> Message:
        count = await self._uvm.memory.remember(request.doc_id, request.text, request.metadata, wait=request.wait)
        return {"status": "OK", "queued": True} if count is None else {"status": "OK", "chunks": count}

    async def _forget(self, request: wire.Forget, peer: Peer, emit: Emit) -> Message:
        return {"status": "OK", "chunks": await self._uvm.memory.forget(request.doc_id)}

    async def _search(self, request: wire.Search, peer: Peer, emit: Emit) -> Message:
        return {"status": "OK", **await self._uvm.memory.search(request.query, request.top_k, request.filter)}
