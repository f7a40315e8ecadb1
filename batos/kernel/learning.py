"""A message that a method sent and nobody understands becomes a mission of its own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from batos import plain, wire
from batos.cognition.orchestrator import Mandate
from batos.errors import BatosError, Stopping

if TYPE_CHECKING:
    from batos.calls.lessons import Asker
    from batos.codec import Ref
    from batos.kernel.bridge import Emit, Message
    from batos.kernel.uvm import BatOS_UVM

_log = logging.getLogger("batos.kernel")


class Learner:
    """Has messages understood: starts a mission for the receiver and waits for its end."""

    def __init__(self, uvm: BatOS_UVM) -> None:
        self._uvm = uvm

    async def learn(self, receiver: Ref, selector: str, args: list[Any], kwargs: dict[str, Any], asker: Asker) -> bool:
        """Start the mission, or join the one that is on its way; tell whether the message is understood now.

        The message itself is sent by the call that begins again, so the mission does not proceed. The call waits for it, so
        it is nested: it takes no worker's place, and its provenance names the call. Of its events the requester hears that
        it waits for an approval, since nothing else would say why there is no answer.

        Raises:
            Stopping: The kernel is going down.
        """
        brief: Message = {"type": "unhandled_message", "selector": selector, "args": args, "kwargs": kwargs}
        if asker.wishes.approve:
            brief["approve"] = True
        message = {"command": "initiate_cognitive_cycle", "target_oid": receiver, "mission_brief": brief}
        try:
            request = wire.read_request(message)
            assert isinstance(request, wire.InitiateCognitiveCycle)
            asked = request.mission_brief.given()
            mandate = Mandate(
                target=receiver,
                brief=asked,
                brief_hash=plain.brief_hash(brief),
                proceed=False,
                origin=f"method {asker.selector} of {asker.receiver.hex}",
                depth=asker.depth,
            )
            cycle_id = await self._uvm.orchestrator.accept(mandate)
            word = await self._uvm.orchestrator.follow(cycle_id, 0, _waits_of(cycle_id, asker))
        except Stopping:
            raise
        except BatosError as error:
            _log.info("the message %r of a method cannot be learned: %s", selector, error.message)
            return False
        if word["status"] == "ERROR":
            raise Stopping
        return bool(word["status"] == "COMPLETE")


def _waits_of(cycle_id: str, asker: Asker) -> Emit:
    """Tells the requester that a mission waits; it waits for its own answer, other events belong to another cycle."""

    async def heard(event: Message) -> None:
        if event["event"] == "approval_needed" and asker.wishes.hear is not None:
            await asker.wishes.hear({**event, "cycle_id": cycle_id})

    return heard
