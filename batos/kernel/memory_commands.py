"""Commands of Fractal Memory: remember, forget, documents, search."""

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
        return {
            "remember": self._remember,
            "forget": self._forget,
            "documents": self._documents,
            "search": self._search,
        }

    async def _remember(self, request: wire.Remember, peer: Peer, emit: Emit) -> Message:
        about = request.doc_id, request.text, request.metadata
        return _settled(await self._uvm.memory.remember(*about, wait=request.wait, origin=request.origin))

    async def _forget(self, request: wire.Forget, peer: Peer, emit: Emit) -> Message:
        return _settled(await self._uvm.memory.forget(request.doc_id, wait=request.wait, origin=request.origin))

    async def _documents(self, request: wire.Documents, peer: Peer, emit: Emit) -> Message:
        asked = request.prefix, request.origin, request.after, request.limit
        return {"status": "OK", "documents": await self._uvm.memory.names(*asked)}

    async def _search(self, request: wire.Search, peer: Peer, emit: Emit) -> Message:
        return {"status": "OK", **await self._uvm.memory.search(request.query, request.top_k, request.filter)}


def _settled(chunks: int | None) -> Message:
    return {"status": "OK", "queued": True} if chunks is None else {"status": "OK", "chunks": chunks}
