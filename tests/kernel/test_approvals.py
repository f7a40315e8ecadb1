"""With approvals on a cycle waits, durably, for the Architect's verdict."""

import pytest

from tests.kernel.harness import Client, Kernel, mission, writes

RULES = [
    writes("greet", "def greet(self):\n    return 'hello'\n"),
    writes("other", "def other(self):\n    return 1\n"),
    writes("halve", "def halve(self, n):\n    return n / 2 if n else 0\n"),
    writes("helper", "def helper(self):\n    return 'helped'\n"),
]
TARGET = {"target_oid": "genesis_obj"}
WRONG = "def halve(self, n):\n    return n / (2 if n else 0)\n"
CALLS_HELPER = "def outer(self):\n    return self.helper() + '!'\n"


@pytest.fixture
def asking(tmp_path):
    """A kernel that asks before each install, with one worker."""
    kernel = Kernel(tmp_path, RULES, APPROVALS="on", WORKERS="1").start()
    yield kernel
    kernel.stop()


@pytest.fixture
def trusting(tmp_path):
    """A kernel that installs at once, unless a request says otherwise."""
    kernel = Kernel(tmp_path, RULES).start()
    yield kernel
    kernel.stop()


def _until_asked(client, number):
    while True:
        event = client.receive(20)
        assert event is not None
        assert event["id"] == number
        assert "status" not in event, event
        if event["event"] == "accepted":
            cycle_id = event["cycle_id"]
        if event["event"] == "approval_needed":
            return cycle_id, event


def test_a_waiting_cycle_survives_a_crash_and_is_installed(asking):
    """The cycle shows its source, diff and evidence, holds no worker, outlives `kill -9`, and ends when it is approved."""
    request = mission("greet", request={"request_id": "mine"})
    with Client(asking) as client:
        cycle_id, event = _until_asked(client, client.send(request))
        assert event["source"] in event["diff"].replace("+", "")
        assert event["evidence"]
        assert client.call("greet")["status"] == "NOT_UNDERSTOOD"
        _until_asked(client, client.send(mission("other")))
    asking.kill()
    asking.start()
    with Client(asking) as client:
        assert client.ask({"command": "cycle", "cycle_id": cycle_id})["awaiting"] == "approval"
        number = client.send(request)
        with Client(asking) as other:
            assert other.ask({"command": "approve", "cycle_id": cycle_id, "verdict": "install"})["status"] == "OK"
            again = other.ask({"command": "approve", "cycle_id": cycle_id, "verdict": "install"})
            assert again["error"]["type"] == "BadField"
        reply = client.last_word(number)
    assert (reply["status"], reply["result"]) == ("COMPLETE", "hello")


def test_a_rejected_cycle_installs_nothing(asking):
    """A rejected cycle fails with a reason, and nobody understands the selector."""
    with Client(asking) as client:
        number = client.send(mission("greet"))
        cycle_id, _ = _until_asked(client, number)
        with Client(asking) as other:
            assert other.ask({"command": "approve", "cycle_id": cycle_id, "verdict": "reject"})["status"] == "OK"
        assert client.last_word(number)["error"]["type"] == "Cancelled"
        assert client.call("greet")["status"] == "NOT_UNDERSTOOD"


def test_a_waiting_cycle_can_be_cancelled(asking):
    """`cancel` ends a cycle that waits for an approval."""
    with Client(asking) as client:
        number = client.send(mission("greet"))
        cycle_id, _ = _until_asked(client, number)
        with Client(asking) as other:
            other.ask({"command": "cancel", "cycle_id": cycle_id})
        assert client.last_word(number)["error"]["type"] == "Cancelled"


FIRST = "def half(self, n):\n    return n // 2\n"
EDITED = "def half(self, n):\n    return n / 2\n"
DIFF = "--- active\n+++ new\n@@ -1,2 +1,2 @@\n def half(self, n):\n-    return n // 2\n+    return n / 2\n"


def _edit(source, result, name):
    request = {"command": "install", "target_oid": "genesis_obj", "selector": "half", "source": source}
    return {**request, "examples": [{"args": [5], "result": result}], "request_id": name}


def _decide(kernel, cycle_id, verdict):
    with Client(kernel) as other:
        assert other.ask({"command": "approve", "cycle_id": cycle_id, "verdict": verdict})["status"] == "OK"


def _versions(client):
    asked = {"command": "history", "target_oid": "genesis_obj", "selector": "half"}
    return [row["source"] for row in client.ask(asked).get("versions", [])]


@pytest.mark.parametrize("verdict", ["install", "reject"])
def test_an_edit_of_own_source_waits_with_its_diff(asking, verdict):
    """The Architect's own source waits too, with the difference to what is there and its runs, over a restart, for the verdict."""
    with Client(asking) as client:
        number = client.send(_edit(FIRST, 2, "first"))
        cycle_id, event = _until_asked(client, number)
        assert event["diff"] == "--- active\n+++ new\n@@ -0,0 +1,2 @@\n+def half(self, n):\n+    return n // 2\n"
        _decide(asking, cycle_id, "install")
        assert client.last_word(number)["version"] == 1
        cycle_id, event = _until_asked(client, client.send(_edit(EDITED, 2.5, "second")))
        assert (event["source"], event["diff"]) == (EDITED, DIFF)
        (run,) = event["evidence"]
        assert (run["args"], run["expected"], run["got"], run["passed"]) == (
            [5],
            {"result": 2.5},
            {"result": 2.5},
            True,
        )
        assert client.call("half", 5)["result"] == 2
    asking.stop()
    asking.start()
    with Client(asking) as client:
        assert client.ask({"command": "cycle", "cycle_id": cycle_id})["awaiting"] == "approval"
        assert (client.call("half", 5)["result"], _versions(client)) == (2, [FIRST])
        number = client.send(_edit(EDITED, 2.5, "second"))
        joined, again = _until_asked(client, number)
        assert (joined, again["diff"], again["evidence"]) == (cycle_id, DIFF, event["evidence"])
        _decide(asking, cycle_id, verdict)
        word = client.last_word(number)
        if verdict == "install":
            assert (word["status"], word["version"], _versions(client)) == ("COMPLETE", 2, [FIRST, EDITED])
            told = client.ask({"command": "explain", "target_oid": "genesis_obj", "selector": "half"})
            assert (told["provenance"]["origin"], bool(told["provenance"]["approved_by"])) == ("architect", True)
        else:
            assert (word["status"], word["error"]["type"], _versions(client)) == ("FAILED", "Cancelled", [FIRST])
        assert client.call("half", 5)["result"] == (2.5 if verdict == "install" else 2)


def _install(client, selector, source, **more):
    request = {"command": "install", **TARGET, "selector": selector, "source": source, **more}
    return client.ask(request)


@pytest.mark.parametrize(
    "request_",
    [
        {"command": "install", "source": "def halve(self, n):\n    return n / 2 if n else 0\n"},
        {"command": "correct", "args": [0], "result": 0},
        {"command": "repair"},
    ],
    ids=lambda item: item["command"],
)
def test_what_mends_asks_where_the_request_says_so(trusting, request_):
    """`install`, `correct` and `repair` with `approve` wait like a mission; the old version answers until the verdict."""
    with Client(trusting) as client, Client(trusting) as other:
        assert _install(client, "halve", WRONG)["version"] == 1
        assert client.call("halve", 0)["status"] == "ERROR"
        number = client.send({**TARGET, "selector": "halve", **request_, "approve": True})
        cycle_id, event = _until_asked(client, number)
        assert "+    return n / 2 if n else 0" in event["diff"]
        assert other.call("halve", 0)["status"] == "ERROR"
        assert other.ask({"command": "approve", "cycle_id": cycle_id, "verdict": "install"})["status"] == "OK"
        assert client.last_word(number)["version"] == 2
        assert client.call("halve", 0)["result"] == 0


def test_what_a_called_method_lacks_asks_too(trusting):
    """A `send` with `approve`: the mission for a message of its method waits, the requester hears which; then it answers."""
    with Client(trusting) as client, Client(trusting) as other:
        _install(client, "outer", CALLS_HELPER)
        number = client.send({"command": "send", **TARGET, "selector": "outer", "approve": True})
        event = client.receive(30)
        assert (event["event"], "return 'helped'" in event["diff"]) == ("approval_needed", True)
        assert other.call("helper")["status"] == "NOT_UNDERSTOOD"
        assert other.ask({"command": "cycle", "cycle_id": event["cycle_id"]})["selector"] == "helper"
        other.ask({"command": "approve", "cycle_id": event["cycle_id"], "verdict": "install"})
        assert client.last_word(number)["result"] == "helped!"


@pytest.mark.parametrize("pause", ["SYNTHESIZING:3", "VALIDATING:3"])
def test_who_joins_a_mission_is_asked_too(tmp_path, pause):
    """A mission with `approve` that joins one without, also in its last state before the install: both wait for the verdict."""
    kernel = Kernel(tmp_path, RULES, TEST_PAUSE=pause).start()
    try:
        with Client(kernel) as client, Client(kernel) as other:
            first = client.send(mission("greet"))
            entered = pause.partition(":")[0]
            while client.receive(20).get("to") != entered:
                pass
            second = other.send(mission("greet", approve=True))
            cycle_id, _ = _until_asked(other, second)
            assert client.call("greet")["status"] == "NOT_UNDERSTOOD"
            _decide(kernel, cycle_id, "install")
            assert other.last_word(second)["version"] == 1
            assert client.last_word(first)["result"] == "hello"
    finally:
        kernel.stop()
