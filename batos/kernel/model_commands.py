"""The command `models`: which are there, which are loaded, pinned and adapted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batos.errors import BadField
from batos.image import minds
from batos.mind.service import HostMind

if TYPE_CHECKING:
    from batos import wire
    from batos.kernel.bridge import Emit, Message, Peer
    from batos.kernel.commands import Handler
    from batos.kernel.uvm import BatOS_UVM


class ModelCommands:
    """Looks after models for clients."""

    def __init__(self, uvm: BatOS_UVM) -> None:
        self._uvm = uvm

    def handlers(self) -> dict[str, Handler]:
        """Give what each command's name calls."""
        return {"models": self._models}

    async def _models(self, request: wire.Models, peer: Peer, emit: Emit) -> Message:
        done: dict[str, Any] = {}
        match request.action:
            case "list":
                pass
            case "adopt":
                done = await self._uvm.adoption.adopt_all()
            case "attach" | "detach":
                await self._attach(request)
            case "load":
                await self._uvm.mind.load(_named(request))
            case "unload":
                await self._uvm.mind.unload(_named(request))
            case "pin" | "unpin":
                await self._pin(_named(request), pinned=request.action == "pin")
        return {"status": "OK", **await self._uvm.models(), **done}

    async def _attach(self, request: wire.Models) -> None:
        if not request.persona:
            raise BadField("`persona` is missing", f"It is one of {', '.join(minds.PERSONAS)}.")
        adapter = _named(request) if request.action == "attach" else ""
        note = f"{request.action} {adapter or 'the adapter'}, {request.persona}"
        await self._uvm.image.transact(minds.attach, request.persona, adapter, note=note)

    async def _pin(self, name: str, *, pinned: bool) -> None:
        mind = self._uvm.mind
        if not isinstance(mind, HostMind):
            raise BadField("This engine keeps no models in memory: nothing can be pinned")
        model = await mind.pin(name, pinned=pinned)
        note = f"{'pin' if pinned else 'unpin'} {model}"
        await self._uvm.image.transact(lambda view: minds.set_pin(view, model, pinned=pinned), note=note)


def _named(request: wire.Models) -> str:
    if not request.name:
        raise BadField("`name` is missing", "`models` without an action lists names.")
    return request.name
