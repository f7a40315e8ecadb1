"""Commands about what objects can do and how it is mended: `correct`, `repair`, `capabilities`, `failures`, `replay`, `converse`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from batos import plain
from batos.calls.overlay import Overlay
from batos.cognition.acceptance import Mandate
from batos.cognition.conversation import Contrapunto, voices
from batos.errors import CodeError, UnknownTarget, to_wire
from batos.image import dispatch, failures
from batos.kernel import learned

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batos import wire_cognition
    from batos.codec import Ref
    from batos.cognition.conversation import Utterance
    from batos.image.view import View
    from batos.kernel.bridge import Emit, Message, Peer
    from batos.kernel.uvm import BatOS_UVM


class CognitionCommands:
    """Answers them; holds no state of its own."""

    def __init__(self, uvm: BatOS_UVM) -> None:
        self._uvm = uvm

    def handlers(self) -> dict[str, Callable[[Any, Peer, Emit], Awaitable[Message]]]:
        """Give what each command's name calls."""
        return {
            "correct": self._correct,
            "repair": self._repair,
            "capabilities": self._capabilities,
            "failures": self._failures,
            "replay": self._replay,
            "converse": self._converse,
        }

    async def _correct(self, request: wire_cognition.Correct, peer: Peer, emit: Emit) -> Message:
        example = {"args": request.args, "kwargs": request.kwargs, "result": request.result}
        brief: Message = {"type": "unhandled_message", "selector": request.selector, "examples": [example]}
        return await self._cycle(request, brief, "correct", emit)

    async def _repair(self, request: wire_cognition.Repair, peer: Peer, emit: Emit) -> Message:
        return await self._cycle(request, {"type": "unhandled_message", "selector": request.selector}, "repair", emit)

    async def _cycle(self, request: Any, brief: Message, kind: str, emit: Emit) -> Message:
        if request.approve:
            brief["approve"] = True
        body = {**brief, "kind": kind, "target": str(request.target_oid)}
        mandate = Mandate(
            target=request.target_oid,
            brief=brief,
            brief_hash=plain.brief_hash(brief),
            proceed=False,
            kind=kind,
            request_id=request.request_id or "",
            body_hash=plain.brief_hash(body) if request.request_id else "",
        )
        cycle_id = await self._uvm.orchestrator.accept(mandate)
        return await self._uvm.orchestrator.follow(cycle_id, 0, emit)

    async def _capabilities(self, request: wire_cognition.Capabilities, peer: Peer, emit: Emit) -> Message:
        ref, rows = (await self._uvm.image.read(_capabilities, request.target_oid)).value
        if request.query:
            lines = {row["selector"]: row["signature"] for row in rows}
            hits = await self._uvm.memory.similar(ref, request.query, request.limit)
            rows = [{**hit, "signature": lines.get(hit["selector"], hit["selector"])} for hit in hits]
        return {"status": "OK", "capabilities": rows[: request.limit]}

    async def _failures(self, request: wire_cognition.Failures, peer: Peer, emit: Emit) -> Message:
        listed = (await self._uvm.image.study(failures.listing, request.selector, request.limit)).value
        return {"status": "OK", "failures": listed}

    async def _replay(self, request: wire_cognition.Replay, peer: Peer, emit: Emit) -> Message:
        """Make a call that failed again, at its moment; nothing is written."""
        record = (await self._uvm.image.read(failures.load, request.failure)).value
        if record is None:
            raise UnknownTarget(f"There is no failure {request.failure!r}", "The command `failures` lists them.")
        call = record["receiver"], record["selector"], record["args"], record["kwargs"]
        word: Message = {"status": "OK", "failure": {"failure": request.failure, **record}, "reproduced": False}
        try:
            result, output = await self._again(record["tid"], record["sha256"], *call)
        except CodeError as error:
            reproduced = (type(error).__name__, error.message) == (record["error"], record["message"])
            return {**word, "reproduced": reproduced, "raised": to_wire(error)}
        return {**word, "result": result, "output": output}

    async def _again(
        self, tid: str, sha256: str, ref: Ref, selector: str, args: list[Any], kwargs: dict[str, Any]
    ) -> tuple[Any, str]:
        """Make a call at a moment; a version that was installed with this very call is not there yet, and lends its source."""
        image = self._uvm.image
        there = (await image.read(dispatch.look, ref, selector, at=tid)).value
        source = None
        if there.sha256 != sha256:
            source = (await image.read(learned.source_of, ref, selector, sha256)).value
        if source is None:
            sent = await self._uvm.caller.send(ref, selector, args, kwargs, at=tid, learn=False)
            return sent.result, sent.output
        overlay = Overlay(image, at=tid, selector=selector)
        outcome = await self._uvm.sandbox.call(overlay, ref, selector, args, kwargs, source=source)
        return overlay.described(outcome.result), outcome.output

    async def _converse(self, request: wire_cognition.Converse, peer: Peer, emit: Emit) -> Message:
        order = voices(request.text, request.personas)
        pieces: asyncio.Queue[Message | None] = asyncio.Queue()
        seq = 0

        async def pump() -> None:
            nonlocal seq
            while (event := await pieces.get()) is not None:
                seq += event["event"] != "token"
                await emit({**event, "seq": seq})

        def heard(persona: str, text: str) -> None:
            pieces.put_nowait({"event": "token", "persona": persona, "text": text})

        talk = Contrapunto(self._uvm.image, self._uvm.memory, self._uvm.mind, heard)
        pumping = asyncio.create_task(pump(), name="converse")
        said: list[Utterance] = []
        try:
            for persona in order:
                said.append(await talk.speak(request.text, persona, said))
                pieces.put_nowait({"event": "utterance", **said[-1].plain()})
            pieces.put_nowait(None)
            await pumping
        finally:
            pumping.cancel()
        return {"status": "OK", "utterances": [item.plain() for item in said]}


def _capabilities(view: View, target: str | Ref) -> tuple[Ref, list[Message]]:
    """An object, and the methods that it understands by name."""
    ref = view.ref(view.resolve(target))
    told = dispatch.summaries(view, ref)
    lines = {line.partition("(")[0]: line for line in dispatch.signatures(view, ref)}
    return ref, [{"selector": name, "signature": line, "summary": told.get(name, "")} for name, line in lines.items()]
