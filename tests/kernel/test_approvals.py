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
