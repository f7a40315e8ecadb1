"""The client's end of the bridge: one last word a request, events in order, repetition only of what may be repeated."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import zmq.auth

from batos.client.bridge import Client, checked
from batos.errors import BadField, NotAllowed, Unreachable
from tests.client.double import Double

if TYPE_CHECKING:
    from pathlib import Path

BRIEF = {"type": "unhandled_message", "selector": "greet_user"}
MISSION = {"command": "initiate_cognitive_cycle", "target_oid": "genesis_obj", "mission_brief": BRIEF}


class TestRequests:
    async def test_many_at_once_get_their_own_answer(self, kernel: Double, client: Client) -> None:
        """Replies find their request by id, in whatever order they come."""
        release = asyncio.Event()

        async def later(request: dict[str, Any], say: Any) -> None:
            async def answer() -> None:
                await release.wait()
                await say({"status": "OK", "query": request["query"]})

            if request["query"] == "0":
                tasks.append(asyncio.create_task(answer()))
            else:
                await say({"status": "OK", "query": request["query"]})
                release.set()

        tasks: list[Any] = []
        kernel.answers["search"] = later
        replies = await asyncio.gather(*(client.request({"command": "search", "query": str(n)}) for n in range(20)))
        assert [reply["query"] for reply in replies] == [str(n) for n in range(20)]

    async def test_the_id_stands_first(self, kernel: Double, client: Client) -> None:
        """The kernel can name the request when a message is too large to be read; an id of the caller's is replaced."""
        kernel.answers["search"] = lambda _request, _say: {"status": "OK"}
        await client.request({"command": "search", "query": "q", "id": "mine"})
        assert next(iter(kernel.heard[-1])) == "id"
        assert kernel.heard[-1]["id"] != "mine"

    async def test_events_come_in_order_before_the_last_word(self, kernel: Double, client: Client) -> None:
        """Events reach `on_event` in the order that they were sent, all before the request ends."""

        async def cycle(_request: Any, say: Any) -> dict[str, Any]:
            await say({"event": "accepted", "cycle_id": "c", "seq": 1})
            for n in range(50):
                await say({"event": "token", "text": str(n), "seq": 1})
            await say({"event": "transition", "to": "COMPLETE", "seq": 2})
            return {"status": "COMPLETE"}

        kernel.answers["initiate_cognitive_cycle"] = cycle
        heard: list[dict[str, Any]] = []
        reply = await client.request(MISSION, heard.append)
        assert reply["status"] == "COMPLETE"
        assert [e["text"] for e in heard if e["event"] == "token"] == [str(n) for n in range(50)]
        assert (heard[0]["event"], heard[-1]["event"]) == ("accepted", "transition")

    async def test_cycles_get_a_durable_name(self, kernel: Double, client: Client) -> None:
        """A request that starts a cycle carries a `request_id`; a plain read does not."""
        kernel.answers["initiate_cognitive_cycle"] = lambda _r, _s: {"status": "COMPLETE"}
        await client.request(MISSION)
        await client.request({**MISSION, "request_id": "mine"})
        await client.request({"command": "ping"})
        named = [request.get("request_id") for request in kernel.heard]
        assert named[0]
        assert named[1:] == ["mine", None]

    async def test_an_error_in_a_handler_reaches_its_own_caller(self, kernel: Double, client: Client) -> None:
        """What `on_event` raises ends that request alone; the client goes on."""

        async def cycle(_request: Any, say: Any) -> dict[str, Any]:
            await say({"event": "accepted", "cycle_id": "c", "seq": 1})
            return {"status": "COMPLETE"}

        def fault(_event: Any) -> None:
            raise ZeroDivisionError

        kernel.answers["initiate_cognitive_cycle"] = cycle
        with pytest.raises(ZeroDivisionError):
            await client.request(MISSION, fault)
        assert (await client.request({"command": "ping"}))["ready"] is True

    async def test_errors_come_typed(self, kernel: Double, client: Client) -> None:
        """`call` raises the error of a reply as its own class, with its hint."""
        error = {"type": "BadField", "message": "no", "hint": "do this"}
        kernel.answers["inspect"] = lambda _r, _s: {"status": "ERROR", "error": error}
        with pytest.raises(BadField) as caught:
            await client.call("inspect", target_oid="x")
        assert caught.value.hint == "do this"
        assert checked({"status": "OK"}) == {"status": "OK"}


class TestLinks:
    async def test_a_mission_survives_the_kernels_restart(self, kernel: Double, client: Client) -> None:
        """After the kernel's death the same `request_id` is sent again, and each event is told once."""

        async def first(_request: Any, say: Any) -> None:
            await say({"event": "accepted", "cycle_id": "c", "seq": 1})
            await say({"event": "transition", "to": "DECOMPOSING", "seq": 2})

        async def second(_request: Any, say: Any) -> dict[str, Any]:
            for seq, to in ((2, "DECOMPOSING"), (3, "COMPLETE")):
                await say({"event": "transition", "to": to, "seq": seq})
            return {"status": "COMPLETE"}

        links: list[str] = []
        client.on_link = links.append
        kernel.answers["initiate_cognitive_cycle"] = first
        heard: list[Any] = []
        arrived = asyncio.Event()

        def hear(event: dict[str, Any]) -> None:
            heard.append(event["seq"])
            if event["seq"] == 2:
                arrived.set()

        mission = asyncio.create_task(client.request(MISSION, hear))
        await arrived.wait()
        await kernel.stop()
        kernel.answers["initiate_cognitive_cycle"] = second
        await kernel.start()
        assert (await mission)["status"] == "COMPLETE"
        assert heard == [1, 2, 3]
        assert kernel.heard[0] == kernel.heard[1]
        assert links == ["linked", "lost", "linked"]

    async def test_a_stopping_kernel_is_outwaited(self, kernel: Double, client: Client) -> None:
        """`Stopping` is no last word for an accepted mission: it is followed after the restart."""
        stopping = {"status": "ERROR", "error": {"type": "Stopping", "message": ""}, "cycle_id": "c"}
        kernel.answers["initiate_cognitive_cycle"] = lambda _r, _s: stopping
        mission = asyncio.create_task(client.request(MISSION))
        while not client.statistics()["repeated"]:
            await asyncio.sleep(0.01)
        await kernel.stop()
        kernel.answers["initiate_cognitive_cycle"] = lambda _r, _s: {"status": "COMPLETE"}
        await kernel.start()
        assert (await mission)["status"] == "COMPLETE"

    async def test_a_message_with_effects_is_never_repeated(self, kernel: Double, client: Client) -> None:
        """A `send` that was on its way when the kernel died ends with an error that says so; it is sent once."""
        arrived = asyncio.Event()
        kernel.answers["send"] = lambda _r, _s: arrived.set()
        message = {"command": "send", "target_oid": "genesis_obj", "selector": "count_calls"}
        sent = asyncio.create_task(client.request(message))
        await arrived.wait()
        await kernel.stop()
        with pytest.raises(Unreachable, match="not known whether"):
            await sent
        await kernel.start()
        await client.request({"command": "ping"})
        assert [request["command"] for request in kernel.heard].count("send") == 1

    @pytest.mark.parametrize(
        "message",
        [
            {"command": "repair", "target_oid": "genesis_obj", "selector": "add_up"},
            {"command": "remember", "doc_id": "note", "text": "x"},
            {"command": "failures"},
        ],
        ids=lambda message: message["command"],
    )
    async def test_what_may_be_asked_twice_is(self, kernel: Double, client: Client, message: dict[str, Any]) -> None:
        """A repair, a text to remember and a read outlive the kernel's restart; what starts a cycle keeps its name."""
        arrived = asyncio.Event()
        kernel.answers[message["command"]] = lambda _r, _s: arrived.set()
        asked = asyncio.create_task(client.request(message))
        await arrived.wait()
        await kernel.stop()
        kernel.answers[message["command"]] = lambda _r, _s: {"status": "OK"}
        await kernel.start()
        assert (await asked)["status"] == "OK"
        assert kernel.heard[0] == kernel.heard[1]
        assert ("request_id" in kernel.heard[0]) is (message["command"] == "repair")

    async def test_a_subscription_begins_anew(self, kernel: Double, client: Client) -> None:
        """After the kernel's restart a subscriber is subscribed again, and hears what the new kernel tells from its first event."""

        async def subscribe(_request: Any, say: Any) -> None:
            await say({"event": "subscribed", "seq": 0, "topics": ["cycles"]})
            for seq in (1, 2):
                await say({"event": "cycle", "cycle_id": "c", "seq": seq})

        kernel.answers["subscribe"] = subscribe
        heard: asyncio.Queue[int] = asyncio.Queue()
        told = asyncio.create_task(
            client.request({"command": "subscribe", "topics": ["cycles"]}, lambda event: heard.put_nowait(event["seq"]))
        )
        assert [await heard.get() for _ in range(3)] == [0, 1, 2]
        await kernel.stop()
        await kernel.start()
        assert [await heard.get() for _ in range(3)] == [0, 1, 2]
        told.cancel()

    async def test_a_client_that_starts_first_waits_for_keys_and_kernel(self, tmp_path: Path) -> None:
        """Neither the key files nor the kernel need to be there when a request is made."""
        double = Double(tmp_path)
        await double.start()
        await double.stop()
        for file in double.keys.glob("*.key*"):
            file.unlink()
        async with Client(double.endpoint, double.keys) as client:
            asked = asyncio.create_task(client.request({"command": "ping"}))
            await asyncio.sleep(0)
            await double.start()
            assert (await asked)["ready"] is True
        await double.stop()

    async def test_an_absent_kernel_is_an_error_that_says_what_to_do(self, tmp_path: Path) -> None:
        """Without keys, and without a kernel, patience ends with `Unreachable` and a hint."""
        double = Double(tmp_path / "home", "tcp://127.0.0.1:1")
        async with Client(double.endpoint, double.keys, patience=0.05) as client:
            with pytest.raises(Unreachable, match="no keys") as caught:
                await client.request({"command": "ping"})
            assert "puter.sh" in caught.value.hint
            double.make_keys()
            with pytest.raises(Unreachable, match="No kernel answers"):
                await client.request({"command": "ping"})

    async def test_a_foreign_key_is_refused_in_words(self, kernel: Double, tmp_path: Path) -> None:
        """A client whose key is not authorised is told so instead of waiting for ever."""
        folder = tmp_path / "foreign"
        folder.mkdir()
        zmq.auth.create_certificates(folder, "client")
        (folder / "server.key").write_bytes((kernel.keys / "server.key").read_bytes())
        async with Client(kernel.endpoint, folder) as client:
            with pytest.raises(NotAllowed, match="does not accept the key"):
                await client.request({"command": "ping"})

    async def test_a_silent_kernel_ends_with_the_timeout(self, kernel: Double, client: Client) -> None:
        """A request whose time is up raises; its late reply harms nothing."""
        kernel.answers["status"] = lambda _r, _s: None
        with pytest.raises(Unreachable, match="no last word"):
            await client.request({"command": "status"}, timeout=0.05)
        assert client.statistics()["pending"] == 0

    async def test_closing_ends_what_waits(self, kernel: Double) -> None:
        """Requests in progress end with an error when the client is closed."""
        kernel.answers["status"] = lambda _r, _s: None
        client = Client(kernel.endpoint, kernel.keys)
        waiting = asyncio.create_task(client.request({"command": "status"}))
        while not kernel.heard:
            await asyncio.sleep(0.01)
        await client.close()
        with pytest.raises(Unreachable, match="closed"):
            await waiting

    async def test_closing_ends_what_waits_for_the_keys(self, tmp_path: Path) -> None:
        """Requests that wait for key files, one after the other, all end when the client is closed."""
        client = Client("tcp://127.0.0.1:1", tmp_path / "keys")
        waiting = [asyncio.create_task(client.request({"command": "status"})) for _ in range(3)]
        while client.statistics()["pending"] < 3:
            await asyncio.sleep(0)
        await client.close()
        async with asyncio.timeout(60):
            ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert {str(end) for end in ends} == {str(Unreachable("The client was closed", "Open another client."))}
        assert client.statistics()["pending"] == 0

    async def test_each_request_has_its_own_patience(self, tmp_path: Path) -> None:
        """An alarm that was set for requests that have ended does not ring for the next one."""
        async with Client(f"ipc://{tmp_path / 'nobody'}", None, patience=60) as client:
            with pytest.raises(Unreachable, match="No kernel answers"):
                await client.request({"command": "ping"}, timeout=0.01)
            assert client._alarm is None
            asked = [asyncio.create_task(client.request({"command": "ping"})) for _ in range(2)]
            await asyncio.sleep(0)
            alarm = client._alarm
            assert alarm is not None
            asked[0].cancel()
            await asyncio.gather(asked[0], return_exceptions=True)
            assert client._alarm is alarm, "the other one still waits"
            asked[1].cancel()
            await asyncio.gather(asked[1], return_exceptions=True)
            assert client._alarm is None
