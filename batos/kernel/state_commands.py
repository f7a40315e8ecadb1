"""The command `bind`: how a state of the PSM behaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batos.image import machine
from batos.kernel.image_commands import for_operators

if TYPE_CHECKING:
    from batos import wire_image
    from batos.kernel.bridge import Emit, Message, Peer
    from batos.kernel.commands import Handler
    from batos.kernel.uvm import BatOS_UVM


class StateCommands:
    """Replaces the behaviour of states."""

    def __init__(self, uvm: BatOS_UVM) -> None:
        self._uvm = uvm

    def handlers(self) -> dict[str, Handler]:
        """Give what each command's name calls."""
        return {"bind": self._bind}

    async def _bind(self, request: wire_image.Bind, peer: Peer, emit: Emit) -> Message:
        for_operators(peer, "change how the system thinks")
        note = f"bind {request.state} to {request.primitive}"
        done = await self._uvm.image.transact(machine.bind, request.state, request.primitive, note=note)
        return {"status": "OK", "before": done.value, "tid": done.tid}
