"""`kill -9` in every state: what was accepted ends, once, and its client gets its last word by `request_id`."""

import json
import os

import pytest

from tests.kernel.harness import ROOT, Client, Kernel, mission, writes

STATES = ["IDLE", "DECOMPOSING", "DELEGATING", "SYNTHESIZING", "VALIDATING", "COMPLETE", "FAILED"]
COUNT = "def counted(self):\n    self.n = getattr(self, 'n', 0) + 1\n    self._p_changed = True\n    return self.n\n"
RULES = [writes("counted", COUNT), writes("hopeless", "def hopeless(self):\n    return ]\n")]


def _wait_for(client, number, state):
    """Read events until the cycle has entered a state."""
    while True:
        event = client.receive(20)
        assert event is not None
        assert event["id"] == number
        if event["event"] == ("accepted" if state == "IDLE" else "transition") and event.get("to", "IDLE") == state:
            return


@pytest.mark.parametrize("state", STATES)
def test_killed_in_a_state(tmp_path, state):
    """A cycle whose kernel is killed in a state goes on after the restart; its effect is there once."""
    kernel = Kernel(tmp_path, RULES)
    selector = "hopeless" if state == "FAILED" else "counted"
    request = mission(selector, request={"request_id": "mine"})
    kernel.start(TEST_PAUSE=f"{state}:60")
    try:
        with Client(kernel) as client:
            _wait_for(client, client.send(request), state)
        kernel.kill()
        kernel.start()
        with Client(kernel) as client:
            reply = client.ask(request)
            assert reply["status"] == ("FAILED" if state == "FAILED" else "COMPLETE")
            durable = [e["seq"] for e in client.events if e["event"] != "token"]
            assert durable == list(range(1, 1 + len(durable)))
            if state != "FAILED":
                assert reply["result"] == 1
                assert client.call("counted")["result"] == 2
            assert len(client.ask({"command": "cycles"})["cycles"]) == 1
        assert kernel.stop() == 0
    finally:
        kernel.stop()
    lines = [json.loads(line) for line in (tmp_path / "metacognition.jsonl").read_text().splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert [line["event_type"] for line in lines].count("FINAL_OUTCOME") == 1


NEWER = """
from batos.cognition import schema
schema.VERSION += 1
schema.UPGRADES[schema.VERSION - 1] = lambda record: {**record, "renamed": record["selector"]}
"""


@pytest.mark.parametrize("state", STATES)
def test_a_newer_build_goes_on(tmp_path, state):
    """A cycle whose kernel is killed in a state is ended by a build with a newer schema: the same end, its effect once."""
    kernel = Kernel(tmp_path, RULES)
    selector = "hopeless" if state == "FAILED" else "counted"
    request = mission(selector, request={"request_id": "mine"})
    kernel.start(TEST_PAUSE=f"{state}:60")
    try:
        with Client(kernel) as client:
            _wait_for(client, client.send(request), state)
        kernel.kill()
        patch = tmp_path / "newer"
        patch.mkdir()
        (patch / "sitecustomize.py").write_text(NEWER)
        kernel.env["PYTHONPATH"] = os.pathsep.join([str(patch), str(ROOT)])
        kernel.start()
        with Client(kernel) as client:
            reply = client.ask(request)
            assert reply["status"] == ("FAILED" if state == "FAILED" else "COMPLETE")
            if state != "FAILED":
                assert client.call("counted")["result"] == 2
        assert kernel.stop() == 0
    finally:
        kernel.stop()
    lines = [json.loads(line) for line in (tmp_path / "metacognition.jsonl").read_text().splitlines()]
    assert [line["event_type"] for line in lines].count("FINAL_OUTCOME") == 1


def test_killed_between_the_end_and_its_answer(tmp_path, until):
    """A mission that ended while its client was away answers by its request_id, and its effect is there once."""
    kernel = Kernel(tmp_path, RULES).start()
    try:
        request = mission("counted", request={"request_id": "mine"})
        with Client(kernel) as client:
            _wait_for(client, client.send(request), "IDLE")
        with Client(kernel) as other:
            ended = {"command": "cycles", "state": "COMPLETE"}
            until(lambda: other.ask(ended)["cycles"], "the end of the mission")
        kernel.kill()
        kernel.start()
        with Client(kernel) as client:
            reply = client.ask(request)
            assert (reply["status"], reply["result"]) == ("COMPLETE", 1)
            assert client.call("counted")["result"] == 2
    finally:
        kernel.stop()


def test_stopping_tells_those_who_wait(tmp_path):
    """A kernel that is asked to stop answers waiting requests with Stopping and the cycle to follow, and exits 0."""
    kernel = Kernel(tmp_path, [writes("slow", "def slow(self):\n    return 1\n", delay_s=30)]).start()
    try:
        with Client(kernel) as client:
            number = client.send(mission("slow"))
            _wait_for(client, number, "SYNTHESIZING")
            kernel.process.terminate()
            reply = client.last_word(number, 20)
        assert reply["error"]["type"] == "Stopping"
        assert reply["error"]["cycle_id"]
        assert kernel.process.wait(20) == 0
    finally:
        kernel.stop()
