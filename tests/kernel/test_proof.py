"""A kernel in its proof: it works, serves nobody, and opens or ends with the watchdog's word."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time

import pytest

from batos.errors import Busy
from batos.kernel import proof
from batos.kernel.proof import Proof
from tests.kernel.harness import DECOMPOSE, ROOT, Client, Kernel, mission, writes


class Proving(Kernel):
    """A kernel process that is started as an upgrade does it."""

    def prove(self) -> Client:
        """Start it in its proof; gives a client once it has answered."""
        self.record = self.home / "upgrade.json"
        self.say("proving")
        with (self.home / "kernel.log").open("ab") as log:
            command = [sys.executable, str(ROOT / "batos.py"), "--prove", str(self.record)]
            self.process = subprocess.Popen(command, cwd=self.home, env=self.env, stdout=log, stderr=log)
        while not (self.home / "keys" / "server.key").exists():  # the last of them
            assert self.process.poll() is None, self.log()
            time.sleep(0.02)
        client = Client(self)
        assert client.ask({"command": "ping"})["ready"] is False
        return client

    def say(self, stage: str) -> None:
        """Write the upgrade's record, as the watchdog does."""
        new = self.home / "upgrade.new"
        new.write_text(json.dumps({"id": "x", "stage": stage}))
        new.replace(self.record)


@pytest.fixture
def kernel(tmp_path):
    """A kernel that is ended afterwards."""
    made = Proving(tmp_path, [DECOMPOSE, writes("tell_seven", "def tell_seven(self):\n    return 7\n")])
    yield made
    made.stop()


def _proven(client: Client) -> dict:
    while not (answer := client.ask({"command": "ping"})["proof"])["done"]:
        time.sleep(0.02)
    return answer


def test_a_request_waits_for_the_proof(kernel):
    """Before the word only `ping` and `status` are answered; a mission that came meanwhile is done after it, once."""
    with kernel.prove() as client:
        assert _proven(client)["mission"].startswith("COMPLETE")
        waiting = client.send(mission("tell_seven"))
        assert client.ask({"command": "status"})["cycles"]["accepted"] == 0
        assert client.receive(0.5) is None
        kernel.say("proven")
        assert client.last_word(waiting)["result"] == 7
        assert client.ask({"command": "ping"})["ready"] is True
        assert len(client.ask({"command": "cycles"})["cycles"]) == 1


def test_the_proof_leaves_no_trace(kernel):
    """The Living Image is the same before and after the proof: no object, no cycle, no transaction."""
    with kernel.prove() as client:
        _proven(client)
        told = client.ask({"command": "status"})
        assert told["tid"] == told["image"]["tid"]
        before = told["image"]
        kernel.say("proven")
        while not client.ask({"command": "ping"})["ready"]:
            time.sleep(0.02)
        assert client.ask({"command": "cycles"})["cycles"] == []
        names = [each.get("name") for each in client.ask({"command": "objects"})["objects"]]
        assert proof.SELECTOR not in str(names)
        assert before["commits"] <= 3  # the migrations of a first start


def test_a_kernel_that_is_taken_back_ends_and_tells_who_waits(kernel):
    """When the upgrade is taken back the kernel ends by itself, and a request that waited hears that it stops."""
    with kernel.prove() as client:
        _proven(client)
        waiting = client.send(mission("tell_seven"))
        assert client.receive(0.2) is None
        kernel.say("returning")
        assert client.last_word(waiting)["error"]["type"] == "Stopping"
    assert kernel.process.wait(30) == 0


async def test_nobody_waits_for_ever(tmp_path, monkeypatch):
    """After a while a request is told to come again, and why."""
    monkeypatch.setattr(proof, "HOLD_SECONDS", 0.05)
    gate = Proof(tmp_path / "record")
    await gate.admit("ping")
    with pytest.raises(Busy, match="being proven"):
        await gate.admit("send")


async def test_without_an_upgrade_everybody_is_served():
    """A kernel that has nothing to prove is ready from its start."""
    gate = Proof(None)
    assert gate.answer() == {"ready": True}
    await asyncio.wait_for(gate.admit("send"), 1)


def test_missions_rest_at_the_end_of_their_state(tmp_path):
    """A stop with grace lets a state that is in progress come to its end; without grace it begins again."""
    slow = writes("tell_seven", "def tell_seven(self):\n    return 7\n", delay_s=5)
    kernel = Kernel(tmp_path, [slow]).start()
    try:
        with Client(kernel) as client:
            number = client.send(mission("tell_seven"))
            while True:
                event = client.receive()
                if event.get("event") == "transition" and event["to"] == "SYNTHESIZING":
                    break
            with Client(kernel) as other:
                # The transition is told before the state begins: it has when its mind is asked, after that of the first state.
                while other.ask({"command": "status"})["mind"]["requests"] < 2:
                    time.sleep(0.02)
                assert other.ask({"command": "shutdown", "grace_s": 30})["status"] == "OK"
                assert other.ask(mission("another"))["error"]["type"] == "Stopping"
            assert client.last_word(number)["error"]["type"] == "Stopping"
        assert kernel.process.wait(30) == 0
        assert "SYNTHESIZING → VALIDATING" in kernel.log()
        kernel.start()
        with Client(kernel) as client:
            cycle = client.ask({"command": "cycles"})["cycles"][0]["cycle_id"]
            assert client.ask({"command": "follow", "cycle_id": cycle})["result"] == 7
        assert kernel.log().count("DELEGATING → SYNTHESIZING") == 1
    finally:
        kernel.stop()
