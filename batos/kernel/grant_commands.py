"""The commands `grant` and `revoke`: which primitives methods may send to an object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batos.errors import BadField, NotAllowed
from batos.image import grants
from batos.kernel.image_commands import for_operators
from batos.settings import CAPABILITIES

if TYPE_CHECKING:
    from batos import wire_image
    from batos.kernel.bridge import Emit, Message, Peer
    from batos.kernel.commands import Handler
    from batos.kernel.uvm import BatOS_UVM


class GrantCommands:
    """Grants capabilities and takes them back."""

    def __init__(self, uvm: BatOS_UVM) -> None:
        self._uvm = uvm

    def handlers(self) -> dict[str, Handler]:
        """Give what each command's name calls."""
        return {"grant": self._grant, "revoke": self._revoke}

    async def _grant(self, request: wire_image.Grant, peer: Peer, emit: Emit) -> Message:
        for_operators(peer, "grant what methods may do")
        name, settings = request.capability, self._uvm.settings
        if name not in CAPABILITIES:
            raise BadField(
                f"There is no capability {name!r}", f"There are: {', '.join(CAPABILITIES)}.", field="capability"
            )
        if name not in settings.grants:
            raise NotAllowed(f"{name!r} may not be granted here", f"Name it in the setting GRANTS: GRANTS={name}.")
        limits = {"calls": request.limits.calls or settings.grant_calls}
        done = await self._uvm.image.transact(grants.grant, request.target_oid, name, limits, note=f"grant {name}")
        return {"status": "OK", "capability": name, "limits": limits, "tid": done.tid}

    async def _revoke(self, request: wire_image.Revoke, peer: Peer, emit: Emit) -> Message:
        for_operators(peer, "take back what methods may do")
        name = request.capability
        done = await self._uvm.image.transact(grants.revoke, request.target_oid, name, note=f"revoke {name}")
        return {"status": "OK", "capability": name, "tid": done.tid}
