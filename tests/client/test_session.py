"""A session: lines become requests, missions can be cancelled or left waiting for an approval."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from batos.client.session import Session
from batos.cognition.rulebook import Translation
from batos.errors import Unreachable

if TYPE_CHECKING:
    from batos.client.bridge import Client
    from batos.errors import BatosError
    from tests.client.double import Double

Message = dict[str, Any]


class Heard:
    """A reporter that keeps what it hears."""

    detailed = True

    def __init__(self) -> None:
        self.notices: list[str] = []
        self.events: list[str] = []
        self.replies: list[Message] = []
        self.errors: list[BatosError] = []
        self.paused = 0

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def translated(self, text: str, translation: Translation) -> None:
        self.events.append(translation.kind)

    def started(self, request: Message) -> None:
        self.events.append(request["command"])

    def event(self, event: Message) -> None:
        self.events.append(event["event"])

    def last_word(self, request: Message, reply: Message) -> None:
        self.replies.append(reply)

    def failed(self, error: BatosError) -> None:
        self.errors.append(error)

    def pause(self) -> None:
        self.paused += 1

    def correcting(self, request: Message) -> None:
        self.events.append("correcting")


class Fixed:
    """A translator that always answers the same."""

    def __init__(self, translation: Translation | Exception) -> None:
        self.translation = translation

    async def translate(self, text: str, target: Any) -> Translation:
        if isinstance(self.translation, Exception):
            raise self.translation
        return self.translation


class Held:
    """Stands for a client whose requests end when the test says so."""

    def __init__(self) -> None:
        self.hear: dict[str, Any] = {}
        self.ends: dict[str, asyncio.Future[Message]] = {}
        self.asked = asyncio.Event()
        self.cancelled: list[str] = []

    async def request(self, message: Message, on_event: Any) -> Message:
        self.hear[message["selector"]] = on_event
        self.ends[message["selector"]] = asyncio.get_running_loop().create_future()
        self.asked.set()
        return await self.ends[message["selector"]]

    async def call(self, command: str, *, cycle_id: str, timeout: float) -> Message:
        assert command == "cancel"
        self.cancelled.append(cycle_id)
        return {"status": "OK"}

    def tell(self, selector: str, event: Message) -> None:
        self.hear[selector](event)


MISSION = {"command": "initiate_cognitive_cycle", "target_oid": "genesis_obj", "mission_brief": {}}
TEACH = Translation(kind="teach", request=MISSION)


def session(
    client: Client, translation: Translation | Exception = TEACH, *, detach: bool = False
) -> tuple[Session, Heard]:
    """A session of its parts."""
    heard = Heard()
    return Session(client, Fixed(translation), heard, detach=detach), heard  # type: ignore[arg-type]


class TestLines:
    @pytest.mark.parametrize(
        ("status", "well"),
        [("COMPLETE", True), ("OK", True), ("FAILED", False), ("ERROR", False), ("NOT_UNDERSTOOD", False)],
    )
    async def test_an_end_is_well_or_not(self, kernel: Double, client: Client, status: str, well: bool) -> None:
        """COMPLETE and OK end well, everything else does not."""
        kernel.answers["initiate_cognitive_cycle"] = lambda _r, _s: {"status": status}
        one, heard = session(client)
        assert await one.line("teach it") is well
        assert [reply["status"] for reply in heard.replies] == [status]
        assert heard.events == ["translate", "teach", "initiate_cognitive_cycle"]

    async def test_a_question_back_is_not_well(self, client: Client) -> None:
        """Unclear words send nothing and do not count as done; small talk does."""
        one, heard = session(client, Translation(kind="unclear", question="Which?"))
        assert await one.line("hm") is False
        one.translator.translation = Translation(kind="talk", question="Hello.")  # type: ignore[attr-defined]
        assert await one.line("hello") is True
        assert heard.replies == []

    async def test_errors_are_shown_not_raised(self, client: Client) -> None:
        """An unreachable kernel and a value that is not plain data end the line, not the session."""
        one, heard = session(client, Unreachable("gone"))
        assert await one.line("x") is False
        assert one.unreachable
        one.translator.translation = Translation(kind="send", request={"command": "send", "args": [object()]})  # type: ignore[attr-defined]
        assert await one.line("x") is False
        assert [type(error).__name__ for error in heard.errors] == ["Unreachable", "BadField"]

    async def test_slash_commands(self, kernel: Double, client: Client) -> None:
        """/use changes the target of what follows; /help needs no kernel; a mistake is shown."""
        kernel.answers["inspect"] = lambda r, _s: {"status": "OK", "name": r["target_oid"]}
        kernel.answers["history"] = lambda _r, _s: {"status": "OK", "versions": []}
        one, heard = session(client)
        assert await one.line("/use abacus")
        assert await one.line("/history add_up")
        assert kernel.heard[-1]["target_oid"] == "abacus"
        assert await one.line("/help")
        assert any("/rollback SELECTOR VERSION" in line for line in heard.notices)
        assert await one.line("/nonsense") is False
        assert await one.line("/history not-a-selector") is False
        assert len(heard.errors) == 2


class TestCourse:
    async def test_cancelling_names_the_cycle(self, kernel: Double, client: Client) -> None:
        """Ctrl-C on an accepted mission sends `cancel` with its cycle, and its last word is still shown."""
        cancelled = asyncio.Event()
        accepted = asyncio.Event()

        async def cycle(_request: Any, say: Any) -> None:
            async def rest() -> None:
                await say({"event": "accepted", "cycle_id": "c1", "seq": 1})
                await cancelled.wait()
                await say({"status": "FAILED", "error": {"type": "Cancelled", "message": ""}})

            tasks.append(asyncio.create_task(rest()))

        def cancel(request: Message, _say: Any) -> Message:
            assert request["cycle_id"] == "c1"
            cancelled.set()
            return {"status": "OK"}

        tasks: list[Any] = []
        kernel.answers |= {"initiate_cognitive_cycle": cycle, "cancel": cancel}
        one, heard = session(client)
        hear, heard.event = heard.event, lambda event: (hear(event), accepted.set())[0]  # type: ignore[method-assign]
        line = asyncio.create_task(one.line("x"))
        await accepted.wait()
        await one.cancel()
        assert await line is False
        assert heard.replies[0]["status"] == "FAILED"

    async def test_cancelling_before_the_kernel_heard_it(self, client: Client) -> None:
        """What is not accepted yet is given up at once; the session goes on."""
        one, heard = session(client)
        started = asyncio.Event()
        heard.started = lambda request: started.set() if request is MISSION else None  # type: ignore[method-assign]
        client.endpoint = "tcp://127.0.0.1:1"
        line = asyncio.create_task(one.line("x"))
        await started.wait()
        await one.cancel()
        assert await line is False
        assert type(heard.errors[0]).__name__ == "Cancelled"

    @pytest.mark.parametrize("detach", [True, False])
    async def test_a_mission_that_waits_for_approval(self, kernel: Double, client: Client, detach: bool) -> None:
        """At a prompt the mission is left to itself and its last word shown when it comes; otherwise it is waited for."""
        approved = asyncio.Event()

        async def cycle(_request: Any, say: Any) -> None:
            async def rest() -> None:
                await say({"event": "accepted", "cycle_id": "c1", "seq": 1})
                await say({"event": "approval_needed", "source": "", "seq": 2})
                await approved.wait()
                await say({"status": "COMPLETE"})

            tasks.append(asyncio.create_task(rest()))

        tasks: list[Any] = []
        kernel.answers["initiate_cognitive_cycle"] = cycle
        one, heard = session(client, detach=detach)
        if detach:
            assert await one.line("x") is True
            assert heard.paused == 1
            assert heard.replies == []
            approved.set()
            while not heard.replies:
                await asyncio.sleep(0.01)
        else:
            line = asyncio.create_task(one.line("x"))
            while not heard.notices:
                await asyncio.sleep(0.01)
            approved.set()
            assert await line is True
        assert "/approve" in heard.notices[0]
        assert "c1" in heard.notices[0]
        assert heard.replies == [{"id": heard.replies[0]["id"], "status": "COMPLETE"}]

    async def test_a_waiting_mission_that_is_lost_is_told(self, kernel: Double, client: Client) -> None:
        """A call whose method waits for an approval and whose kernel dies is shown as lost, not forgotten in silence."""

        async def send(_request: Any, say: Any) -> None:
            await say({"event": "approval_needed", "source": "", "seq": 5, "cycle_id": "c2"})

        kernel.answers["send"] = send
        request = {"command": "send", "target_oid": "genesis_obj", "selector": "outer"}
        one, heard = session(client, Translation(kind="send", request=request), detach=True)
        assert await one.line("outer()") is True
        assert "/approve installs it, /reject does not (c2)" in heard.notices[0]
        await kernel.stop()
        while not heard.errors:
            await asyncio.sleep(0.01)
        assert "not known whether" in heard.errors[0].message

    async def test_a_call_that_was_left_takes_over_no_other(self) -> None:
        """Events of a call that was left are shown; what runs meanwhile stays what is cancelled, and is waited for."""
        kernel = Held()
        one, heard = session(cast("Client", kernel), detach=True)
        left = asyncio.create_task(one.run({"command": "send", "selector": "left"}))
        await kernel.asked.wait()
        kernel.tell("left", {"event": "approval_needed", "cycle_id": "lesson 1"})
        assert await left is True
        kernel.asked.clear()
        running = asyncio.create_task(one.run({"command": "send", "selector": "running"}))
        await kernel.asked.wait()
        kernel.tell("running", {"event": "accepted", "cycle_id": "mine"})
        kernel.tell("left", {"event": "approval_needed", "cycle_id": "lesson 2"})
        assert "/approve installs it, /reject does not (lesson 2)" in heard.notices
        await one.cancel()
        assert kernel.cancelled == ["mine"]
        kernel.ends["running"].set_result({"status": "FAILED"})
        assert await running is False
        kernel.ends["left"].set_result({"status": "OK"})
        await asyncio.gather(*one._left)
        await asyncio.sleep(0)
        assert [reply["status"] for reply in heard.replies] == ["FAILED", "OK"]
