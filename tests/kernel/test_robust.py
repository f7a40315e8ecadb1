"""Odd moments and odd values: every accepted cycle still gets its last word."""

import pytest

from tests.kernel.harness import Client, Kernel, mission, writes

DEEP = "def deep(self):\n    v = []\n    for _ in range(250):\n        v = [v]\n    return v\n"
RULES = [
    writes("slow", "def slow(self):\n    return 1\n", delay_s=20),
    writes("other", "def other(self):\n    return 1\n"),
    writes("deep", DEEP),
    writes("nested", DEEP.replace("deep", "nested").replace("250", "50")),
]


def _accepted(client):
    while (event := client.receive(20))["event"] != "accepted":
        pass
    return event["cycle_id"]


def test_cancelling_twice(tmp_path):
    """A cycle that is cancelled again while it fails still gets its last word."""
    kernel = Kernel(tmp_path, RULES).start(TEST_PAUSE="FAILED:2")
    try:
        with Client(kernel) as client, Client(kernel) as other:
            number = client.send(mission("slow"))
            cancel = {"command": "cancel", "cycle_id": _accepted(client)}
            assert [other.ask(cancel)["status"] for _ in range(3)] == ["OK"] * 3
            assert client.last_word(number, 20)["error"]["type"] == "Cancelled"
    finally:
        kernel.stop()


def test_cancelling_what_waits_for_a_worker(tmp_path):
    """A cycle that waits for a worker is cancelled durably: a restart does not bring it back."""
    kernel = Kernel(tmp_path, RULES, WORKERS="1").start()
    try:
        with Client(kernel) as client:
            client.send(mission("slow"))
            _accepted(client)
            client.send(mission("other"))
            cycle_id = _accepted(client)
            assert client.ask({"command": "cancel", "cycle_id": cycle_id})["status"] == "OK"
        kernel.kill()
        kernel.start()
        with Client(kernel) as client:
            slow = client.ask({"command": "cycles"})["cycles"][-1]["cycle_id"]
            client.ask({"command": "cancel", "cycle_id": slow})
            assert client.ask({"command": "follow", "cycle_id": cycle_id})["error"]["type"] == "Cancelled"
            assert client.call("other")["status"] == "NOT_UNDERSTOOD"
    finally:
        kernel.stop()


@pytest.fixture(scope="module")
def robust(tmp_path_factory):
    """One kernel for the other tests."""
    kernel = Kernel(tmp_path_factory.mktemp("home"), RULES).start()
    yield kernel
    kernel.stop()


def test_results_nested_deeply(robust):
    """A result too deep to send ends in a last word; one that can be sent is installed and sent."""
    with Client(robust) as client:
        assert client.teach("deep")["status"] in ("COMPLETE", "FAILED")
        reply = client.teach("nested")
        assert reply["status"] == "COMPLETE"
        assert client.ask({"command": "ping"})["status"] == "OK"


def test_own_source_is_not_rehearsed(robust):
    """The Architect's own method may raise or print: without examples it is installed as it is."""
    with Client(robust) as client:
        for selector, body in (("boom", "raise ValueError('x')"), ("say_hi", "print('hi')")):
            source = f"def {selector}(self):\n    {body}\n"
            request = {"command": "install", "target_oid": "genesis_obj", "selector": selector, "source": source}
            assert client.ask(request)["status"] == "COMPLETE"
        assert client.call("boom")["error"]["type"] == "MethodError"
        assert client.call("say_hi")["output"] == "hi\n"


def test_words_full_of_calls_hold_nobody_up(robust):
    """An intent made of hundreds of broken examples ends as a cycle; the kernel answers meanwhile."""
    with Client(robust) as client, Client(robust) as other:
        number = client.send(mission("other", intent="other(1) is " * 1000))
        _accepted(client)
        assert other.ask({"command": "ping"}, timeout=10)["status"] == "OK"
        assert client.last_word(number, 60) is not None


def test_a_full_queue_can_be_looked_at_and_cleared(tmp_path):
    """With the queue full a new mission is Busy, while ping, status and cancel are answered."""
    kernel = Kernel(tmp_path, RULES, QUEUE_LIMIT="1").start()
    try:
        with Client(kernel) as client, Client(kernel) as other:
            number = client.send(mission("slow"))
            cycle_id = _accepted(client)
            assert other.teach("other")["error"]["type"] == "Busy"
            assert other.ask({"command": "ping"})["status"] == "OK"
            assert other.ask({"command": "cancel", "cycle_id": cycle_id})["status"] == "OK"
            assert client.last_word(number)["error"]["type"] == "Cancelled"
    finally:
        kernel.stop()
