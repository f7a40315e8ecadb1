"""What each command of the Synaptic Bridge does: requests in, last words out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from batos import plain, wire
from batos.calls.lessons import Wishes
from batos.cognition.brief import missing_values
from batos.cognition.orchestrator import Mandate
from batos.errors import MessageNotUnderstood, NotAllowed
from batos.image import cycles, mirrors, registry
from batos.image.acting import ACTING
from batos.kernel import learned
from batos.kernel.clients import Clients
from batos.kernel.cognition_commands import CognitionCommands
from batos.kernel.follow_commands import FollowCommands
from batos.kernel.grant_commands import GrantCommands
from batos.kernel.image_commands import ImageCommands
from batos.kernel.memory_commands import MemoryCommands
from batos.kernel.model_commands import ModelCommands
from batos.kernel.state_commands import StateCommands
from batos.kernel.time_commands import TimeCommands
from batos.memory import catalog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batos import wire_image
    from batos.calls.caller import Sent
    from batos.codec import Ref
    from batos.image.store import View
    from batos.kernel.bridge import Emit, Message, Peer
    from batos.kernel.uvm import BatOS_UVM

    Handler = Callable[[Any, Peer, Emit], Awaitable[Message]]

_RECENT = 3
_GROUPS: tuple[type[Group], ...] = (
    CognitionCommands,
    FollowCommands,
    GrantCommands,
    ImageCommands,
    MemoryCommands,
    ModelCommands,
    StateCommands,
    TimeCommands,
)
"""Further commands, each group in a module of its own (`kernel/<group>_commands.py`)."""


class Group(Protocol):
    """Commands that belong together."""

    def __init__(self, uvm: BatOS_UVM) -> None: ...

    def handlers(self) -> dict[str, Handler]:
        """Give what each command's name calls."""


class Commands:
    """Answers requests; holds no state of its own."""

    def __init__(self, uvm: BatOS_UVM) -> None:
        self._uvm = uvm
        self._clients = Clients(uvm.settings.keys_path)
        self._handlers: dict[str, Handler] = {
            "initiate_cognitive_cycle": self._initiate,
            "send": self._send,
            "install": self._install,
            "follow": self._follow,
            "cancel": self._cancel,
            "approve": self._approve,
            "cycle": self._cycle,
            "cycles": self._cycles,
            "inspect": self._inspect,
            "objects": self._objects,
            "history": self._history,
            "explain": self._explain,
            "rollback": self._rollback,
            "create": self._create,
            "clone": self._clone,
            "set": self._set,
            "remove": self._remove,
            "translate": self._translate,
            "status": self._status,
            "ping": self._ping,
            "shutdown": self._shutdown,
        }
        for group in _GROUPS:
            self._handlers.update(group(uvm).handlers())

    async def handle(self, message: Message, peer: Peer, emit: Emit) -> Message:
        """Answer one request with its last word; errors are raised."""
        request = wire.read_request(message)
        await self._uvm.proof.admit(request.command)
        ACTING.set(self._clients.acting(request, peer))
        if isinstance(request, (wire.InitiateCognitiveCycle, wire.Install, wire.Send)):
            return await self._handlers[request.command](_WithBody(request, message), peer, emit)
        return await self._handlers[request.command](request, peer, emit)

    async def _initiate(self, asked: _WithBody, peer: Peer, emit: Emit) -> Message:
        request: wire.InitiateCognitiveCycle = asked.request
        brief = request.mission_brief.given()
        mandate = asked.mandate(request.target_oid, brief, asked.body["mission_brief"], proceed=request.proceed)
        there = await self._uvm.orchestrator.known(mandate)
        if there is None and request.mission_brief.version != "new":
            direct = await self._direct(request, mandate, emit)
            if direct is not None:
                return direct
        return await self._cycle_of(mandate, emit)

    async def _direct(self, request: wire.InitiateCognitiveCycle, mandate: Mandate, emit: Emit) -> Message | None:
        """Send the message when it is understood already; None when it is not."""
        brief = request.mission_brief
        found = (await self._uvm.image.read(learned.about, mandate.target, brief.selector)).value
        if found is None:
            return None
        word: Message = {"status": "COMPLETE", "cycle_id": None, "selector": brief.selector, "installed": False}
        word.update(
            version=found["version"], source=found["source"], message=f"{brief.selector} was understood already."
        )
        needs = missing_values(found["signature"], brief.args, brief.kwargs)
        if needs and request.proceed:
            return {**word, "needs": needs}
        if request.proceed:
            wishes = Wishes(brief.approve, emit)
            sent = await self._uvm.caller.send(found["target"], brief.selector, brief.args, brief.kwargs, wishes=wishes)
            word.update(_sent_fields(sent))
        return word

    async def _cycle_of(self, mandate: Mandate, emit: Emit) -> Message:
        cycle_id = await self._uvm.orchestrator.accept(mandate)
        return await self._uvm.orchestrator.follow(cycle_id, 0, emit)

    async def _send(self, asked: _WithBody, peer: Peer, emit: Emit) -> Message:
        request: wire.Send = asked.request
        target, selector = request.target_oid, request.selector
        brief: Message = {
            "type": "unhandled_message",
            "selector": selector,
            "args": request.args,
            "kwargs": request.kwargs,
        }
        if request.intent:
            brief["intent"] = request.intent
        if request.approve:
            brief["approve"] = True
        if request.request_id:
            there = await self._uvm.orchestrator.known(asked.mandate(target, brief, brief))
            if there is not None:
                return await self._uvm.orchestrator.follow(there, 0, emit)
        try:
            wishes = Wishes(request.approve, emit)
            sent = await self._uvm.caller.send(
                target, selector, request.args, request.kwargs, learn=request.learn, wishes=wishes
            )
        except MessageNotUnderstood as error:
            if error.details.get("selector") != selector or error.details.get("nested"):
                raise
        else:
            return {"status": "OK", "tid": sent.tid, "output": sent.output, **_sent_fields(sent)}
        if request.learn:
            return await self._cycle_of(asked.mandate(target, brief, brief), emit)
        similar = (await self._uvm.image.read(_similar, target, selector.replace("_", " "))).value
        return {"status": "NOT_UNDERSTOOD", "selector": selector, "similar": similar}

    async def _install(self, asked: _WithBody, peer: Peer, emit: Emit) -> Message:
        request: wire.Install = asked.request
        brief: Message = {"type": "unhandled_message", "selector": request.selector}
        if request.examples:
            brief["examples"] = [example.given() for example in request.examples]
        if request.approve:
            brief["approve"] = True
        return await self._cycle_of(
            asked.mandate(request.target_oid, brief, brief, kind="install", source=request.source), emit
        )

    async def _follow(self, request: wire.Follow, peer: Peer, emit: Emit) -> Message:
        return await self._uvm.orchestrator.follow(request.cycle_id, request.from_seq, emit)

    async def _cancel(self, request: wire.Cancel, peer: Peer, emit: Emit) -> Message:
        await self._uvm.orchestrator.cancel(request.cycle_id)
        return {"status": "OK"}

    async def _approve(self, request: wire.Approve, peer: Peer, emit: Emit) -> Message:
        await self._uvm.orchestrator.approve(request.cycle_id, request.verdict)
        return {"status": "OK"}

    async def _cycle(self, request: wire.CycleInfo, peer: Peer, emit: Emit) -> Message:
        record = (await self._uvm.image.read(learned.cycle, request.cycle_id)).value
        return {"status": "OK", **record}

    async def _cycles(self, request: wire.Cycles, peer: Peer, emit: Emit) -> Message:
        listed = (await self._uvm.image.read(cycles.listing, request.state, request.limit)).value
        return {"status": "OK", "cycles": [learned.shown(record) for record in listed]}

    async def _inspect(self, request: wire.Inspect, peer: Peer, emit: Emit) -> Message:
        return {"status": "OK", **(await self._uvm.image.read(mirrors.inspect, request.target_oid)).value}

    async def _objects(self, request: wire.Objects, peer: Peer, emit: Emit) -> Message:
        listed = (await self._uvm.image.study(mirrors.objects, request.prototype, request.limit)).value
        return {"status": "OK", "objects": listed}

    async def _history(self, request: wire.History, peer: Peer, emit: Emit) -> Message:
        versions = (await self._uvm.image.read(learned.history, request.target_oid, request.selector)).value
        law = (await self._uvm.image.read(learned.law, request.target_oid, request.selector)).value
        return {"status": "OK", "versions": versions, "examples": law}

    async def _explain(self, request: wire_image.Explain, peer: Peer, emit: Emit) -> Message:
        told = (
            await self._uvm.image.read(
                learned.explain, request.target_oid, request.selector, request.version, request.tid
            )
        ).value
        return {"status": "OK", **told}

    async def _rollback(self, request: wire.Rollback, peer: Peer, emit: Emit) -> Message:
        note = f"roll back {request.selector} to version {request.version}"
        done = await self._uvm.image.transact(
            learned.rollback, request.target_oid, request.selector, request.version, note=note
        )
        self._uvm.memory.wake()
        return {"status": "OK", "version": done.value, "tid": done.tid}

    async def _create(self, request: wire.Create, peer: Peer, emit: Emit) -> Message:
        done = await self._uvm.image.transact(
            registry.create, request.parents, request.slots, request.name, note="create"
        )
        return {"status": "OK", "oid": done.value, "tid": done.tid}

    async def _clone(self, request: wire.Clone, peer: Peer, emit: Emit) -> Message:
        done = await self._uvm.image.transact(registry.clone, request.target_oid, request.name, note="clone")
        return {"status": "OK", "oid": done.value, "tid": done.tid}

    async def _set(self, request: wire.SetSlots, peer: Peer, emit: Emit) -> Message:
        done = await self._uvm.image.transact(registry.set_slots, request.target_oid, request.slots, note="set")
        return {"status": "OK", "tid": done.tid}

    async def _remove(self, request: wire.Remove, peer: Peer, emit: Emit) -> Message:
        done = await self._uvm.image.transact(
            learned.remove, request.target_oid, request.selector, request.slot, note="remove"
        )
        return {"status": "OK", "tid": done.tid}

    async def _translate(self, request: wire.Translate, peer: Peer, emit: Emit) -> Message:
        return {"status": "OK", **await self._uvm.translator.translate(request)}

    async def _status(self, request: wire.Bare, peer: Peer, emit: Emit) -> Message:
        return {"status": "OK", **self._uvm.statistics()}

    async def _ping(self, request: wire.Bare, peer: Peer, emit: Emit) -> Message:
        return {"status": "OK", **self._uvm.proof.answer()}

    async def _shutdown(self, request: wire.Shutdown, peer: Peer, emit: Emit) -> Message:
        if not peer.operator:
            raise NotAllowed("Only operators may stop the kernel")
        self._uvm.stop(request.grace_s)
        return {"status": "OK"}


class _WithBody:
    """A request that may start a cycle, with the map that it came as: digests are taken of what was received."""

    def __init__(self, request: Any, body: Message) -> None:
        self.request = request
        self.body = body

    def mandate(self, target: str | Ref, brief: Message, received: Any, **more: Any) -> Mandate:
        """Say what the requester wants of a cycle."""
        named = self.request.request_id or ""
        body = {key: value for key, value in self.body.items() if key not in ("id", "request_id")}
        return Mandate(
            target=target,
            brief=brief,
            brief_hash=plain.brief_hash(received),
            request_id=named,
            body_hash=plain.brief_hash(body) if named else "",
            **more,
        )


def _sent_fields(sent: Sent) -> Message:
    return {"result": sent.result, "output": sent.output} if sent.output else {"result": sent.result}


def _similar(view: View, target: str | Ref, words: str) -> list[str]:
    ref = view.ref(view.resolve(target))
    return [hit["selector"] for hit in catalog.similar(view, ref, words, _RECENT)]
