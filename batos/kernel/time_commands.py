"""Commands about the image's past: `as_of`, `diff`, `snapshot`, `changes`, `undo`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batos import wire
from batos.errors import BadField, MessageNotUnderstood
from batos.image import changes, mirrors, moments, past, snapshots, undo
from batos.kernel import learned
from batos.kernel.clients import Clients
from batos.kernel.image_commands import for_operators

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batos import wire_image
    from batos.kernel.bridge import Emit, Message, Peer
    from batos.kernel.uvm import BatOS_UVM

PAST = ("inspect", "history", "send")
"""What can be asked of the past."""


class TimeCommands:
    """Answers them; holds no state of its own."""

    def __init__(self, uvm: BatOS_UVM) -> None:
        self._uvm = uvm
        self._clients = Clients(uvm.settings.keys_path)

    def handlers(self) -> dict[str, Callable[[Any, Peer, Emit], Awaitable[Message]]]:
        """Give what each command's name calls."""
        return {
            "as_of": self._as_of,
            "diff": self._diff,
            "snapshot": self._snapshot,
            "changes": self._changes,
            "undo": self._undo,
        }

    async def _as_of(self, request: wire_image.AsOf, peer: Peer, emit: Emit) -> Message:
        asked = request.request
        if asked.get("command") not in PAST:
            raise BadField(f"`request`: the past answers {', '.join(PAST)}")
        inner = wire.read_request(asked)
        tid = await self._moment(request.tid or request.time or "")
        image = self._uvm.image
        if isinstance(inner, wire.Inspect):
            return {"status": "OK", **(await image.study(mirrors.inspect, inner.target_oid, at=tid)).value}
        if isinstance(inner, wire.History):
            told = await image.study(learned.history, inner.target_oid, inner.selector, at=tid)
            return {"status": "OK", "versions": told.value}
        assert isinstance(inner, wire.Send)
        return await self._send(inner, tid)

    async def _send(self, request: wire.Send, tid: str) -> Message:
        """Send a message to the past: it runs in the sandbox on what was then, and what it writes is dropped."""
        target, selector = request.target_oid, request.selector
        try:
            sent = await self._uvm.caller.send(target, selector, request.args, request.kwargs, at=tid, learn=False)
        except MessageNotUnderstood as error:
            if error.details.get("selector") != selector or error.details.get("nested"):
                raise
            return {"status": "NOT_UNDERSTOOD", "selector": selector, "similar": []}
        return {"status": "OK", "result": sent.result, "tid": tid, "output": sent.output}

    async def _diff(self, request: wire_image.Diff, peer: Peer, emit: Emit) -> Message:
        image, target, selector = self._uvm.image, request.target_oid, request.selector
        if request.versions is not None:
            told = (await image.read(past.of_versions, target, selector, *request.versions)).value
            return {"status": "OK", **told}
        first, second = request.tids or []
        tids = (await self._moment(first), await self._moment(second))
        states = [(await image.study(past.state, target, selector, at=tid)).value for tid in tids]
        return {"status": "OK", **past.of_states(states[0], states[1], (first, second))}

    async def _snapshot(self, request: wire_image.Snapshot, peer: Peer, emit: Emit) -> Message:
        image, name = self._uvm.image, request.name
        if name is None:
            return {"status": "OK", "snapshots": (await image.read(snapshots.listing)).value}
        for_operators(peer, "name moments")
        if request.remove:
            done = await image.transact(snapshots.remove, name, note=f"remove the snapshot {name}")
        else:
            done = await image.transact(snapshots.take, name, self._clients.name(peer), note=f"snapshot {name}")
        return {"status": "OK", **done.value}

    async def _changes(self, request: wire_image.Changes, peer: Peer, emit: Emit) -> Message:
        for_operators(peer, "read the change log")
        told = await self._uvm.image.study(changes.listing, request.limit)
        return {"status": "OK", "changes": told.value}

    async def _undo(self, request: wire.Bare, peer: Peer, emit: Emit) -> Message:
        for_operators(peer, "undo")
        plan = (await self._uvm.image.study(undo.find)).value
        done = await self._uvm.image.transact(undo.take_back, plan, note=f"undo {plan.tid}", why={"undone": plan.tid})
        return {"status": "OK", "tid": done.tid, "undone": done.value}

    async def _moment(self, text: str) -> str:
        return (await self._uvm.image.read(moments.find, text)).value
