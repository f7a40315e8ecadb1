"""Examples speak of the state that they were given for: a repair, a law and the heartbeat judge by it, not by what is there now."""

import json

from tests.kernel.harness import Client, Kernel, writes

ADDS = """\
def put_in(self, amount):
    self.total = getattr(self, 'total', 0) + amount
    self._p_changed = True
    return self.total
"""
FORGETS = "def put_in(self, amount):\n    self.total = amount\n    self._p_changed = True\n    return self.total\n"
REFUSES = """\
def put_in(self, amount):
    if amount < 0:
        return self.total
    self.total = getattr(self, 'total', 0) + amount
    self._p_changed = True
    return self.total
"""
RULES = [writes("put_in", ADDS, times=1), writes("put_in", FORGETS, times=1), writes("put_in", REFUSES)]
BRIEF = {"intent": "put an amount in and return the total", "parameters": [{"name": "amount"}]}
TARGET = {"target_oid": "genesis_obj", "selector": "put_in"}


def _taught(client):
    """Teach it and use it, so that its example does not hold any more on what is there."""
    assert (
        client.teach("put_in", examples=[{"args": [10], "result": 10}], request={"proceed": False}, **BRIEF)["status"]
        == "COMPLETE"
    )
    assert [client.call("put_in", amount)["result"] for amount in (10, 20)] == [10, 30]


def _versions(client):
    return [version["source"] for version in client.ask({"command": "history", **TARGET})["versions"]]


def test_a_repair_leaves_a_right_method_alone(tmp_path):
    """The example that a method was installed with holds on the state before it: there is nothing to repair."""
    kernel = Kernel(tmp_path, RULES).start()
    try:
        with Client(kernel) as client:
            _taught(client)
            reply = client.ask({"command": "repair", **TARGET})
            assert (reply["status"], reply["installed"]) == ("COMPLETE", False)
            assert _versions(client) == [ADDS]
    finally:
        kernel.stop()


def test_a_correction_is_held_against_its_own_moment(tmp_path, until):
    """A right mend passes the old example and the new law, also when calls after it move the state, and in the heartbeat."""
    kernel = Kernel(tmp_path, RULES, HEARTBEAT_SECONDS="2", RETENTION_DAYS="0").start()
    try:
        with Client(kernel) as client:
            _taught(client)
            reply = client.ask({"command": "correct", **TARGET, "args": [-5], "kwargs": {}, "result": 30})
            assert (reply["status"], reply["installed"]) == ("COMPLETE", True)
            assert _versions(client) == [ADDS, REFUSES]
            assert [client.call("put_in", amount)["result"] for amount in (-5, 1)] == [30, 31]
            assert client.ask({"command": "repair", **TARGET})["installed"] is False

            def beats():
                lines = [json.loads(line) for line in (tmp_path / "metacognition.jsonl").read_text().splitlines()]
                return [line for line in lines if line["event_type"] == "HEARTBEAT" and line.get("rerun")]

            # Two beats pack what they may: the third finds the moments gone, and tells nothing false of it.
            until(lambda: len(beats()) >= 3, "beats that ran the examples")
            assert [beat["failing"] for beat in beats()] == [[]] * len(beats())
            assert client.ask({"command": "repair", **TARGET})["installed"] is False
    finally:
        kernel.stop()
