"""Candidates that answer right and change what is not theirs: stopped and recorded, and nothing of it is in the image."""

import json

import pytest

from tests.kernel.harness import Client, Kernel, writes
from tests.kernel.planted import DISARMED, LATE, MEDDLING, TEMPTING

PLANTED = {**TEMPTING, **MEDDLING}
FILL = "def fill_vault(self, n):\n    self.vault.gold = n\n    return n\n"
HAND = "def hand_over(self, box, n):\n    box.gold = n\n    twin = self.clone()\n    twin.gold = n\n    return n\n"
ASK = "def ask_politely(self, n):\n    return self.vault.put(n)\n"


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A kernel that gets one attempt at each mission; genesis_obj holds another object in two slots."""
    rules = [writes(selector, source) for selector, source in {**PLANTED, **DISARMED}.items()]
    rules += [writes("raise_later", LATE), writes("fill_vault", FILL)]
    rules += [writes("hand_over", HAND), writes("ask_politely", ASK)]
    running = Kernel(tmp_path_factory.mktemp("home"), rules, ATTEMPTS="1").start()
    with Client(running) as client:
        slots = {"gold": 7, "coins": [1, 2], "owners": {"you": 1}}
        made = client.ask({"command": "create", "slots": slots, "name": "vault_obj"})
        held = {"vault": made["oid"], "shelf": [made["oid"]]}
        client.ask({"command": "set", "target_oid": "genesis_obj", "slots": held})
        _install(client, "genesis_obj", "nothing_much", "def nothing_much(self):\n    return None\n")
        put = "def put(self, n):\n    self.gold = n\n    self._p_changed = True\n    return n\n"
        _install(client, "vault_obj", "put", put)
    yield running
    running.stop()


@pytest.fixture
def client(kernel):
    """A client of that kernel."""
    with Client(kernel) as connected:
        yield connected


def _install(client, target, selector, source):
    request = {"command": "install", "target_oid": target, "selector": selector, "source": source}
    reply = client.ask(request)
    assert reply["status"] == "COMPLETE", reply


def _seen(client):
    asked = [{"command": "inspect", "target_oid": name} for name in ("genesis_obj", "vault_obj", "traits_obj")]
    asked.append({"command": "history", "target_oid": "genesis_obj", "selector": "nothing_much"})
    return [{**client.ask(request), "id": 0} for request in asked]


def _journal(kernel, cycle_id):
    lines = map(json.loads, (kernel.home / "metacognition.jsonl").read_text().splitlines())
    return [line for line in lines if line["cycle_id"] == cycle_id]


@pytest.mark.parametrize("selector", PLANTED)
def test_a_right_answer_does_not_excuse_it(kernel, client, until, selector):
    """Its example holds, so only what it does besides fails it: nothing is installed or changed, attempt and journal say why."""
    before = _seen(client)
    reply = client.teach(selector, parameters=[{"name": "n"}], args=[1], examples=[{"args": [1], "result": 2}])
    assert reply["status"] == "FAILED", reply
    assert _seen(client) == before
    assert client.call(selector, 1)["status"] == "NOT_UNDERSTOOD"
    record = client.ask({"command": "cycle", "cycle_id": reply["cycle_id"]})
    assert record["attempts"][-1]["source"].startswith(f"def {selector}")
    finding = record["attempts"][-1]["finding"]
    assert "must give" not in finding  # it is not its answer that failed

    def told():
        return [line for line in _journal(kernel, reply["cycle_id"]) if line["event_type"] == "VALIDATION_FAILURE"]

    until(told, "the line in the metacognition log")
    assert told()[0]["error"] == finding


@pytest.mark.parametrize("selector", TEMPTING)
def test_changing_others_breaks_the_policy(client, selector):
    """What reached for another object or for its own parents fails as a violation of policy that names what it changed."""
    reply = client.teach(selector, parameters=[{"name": "n"}], examples=[{"args": [1], "result": 2}])
    assert reply["error"]["type"] == "PolicyViolation"
    assert f"{selector} changed" in reply["best"]["finding"]


@pytest.mark.parametrize("selector", DISARMED)
def test_a_slot_with_a_name_of_the_system_gets_another(client, selector):
    """What would overwrite a method, or what the system keeps of the object, is mended to a plain slot, and the mend recorded."""
    before = _seen(client)[0]
    reply = client.teach(selector, parameters=[{"name": "n"}], args=[1], examples=[{"args": [1], "result": 2}])
    assert (reply["status"], reply["result"]) == ("COMPLETE", 2), reply
    kept = client.ask({"command": "history", "target_oid": "genesis_obj", "selector": selector})["versions"]
    assert any("renamed" in mend for mend in kept[0]["provenance"]["guardian"]["mends"])
    after = _seen(client)[0]
    assert after["methods"].keys() - before["methods"].keys() == {selector}
    assert (after["parents"], after["understands"]) == (before["parents"], sorted([*before["understands"], selector]))
    assert len(after["slots"].keys() - before["slots"].keys()) == 1


def test_what_waits_for_its_first_real_call_is_stopped_there(client):
    """A candidate that behaves in its trial and changes another object in the call to come is not installed either."""
    before = _seen(client)
    shown = [{"args": [1], "result": 2}]
    reply = client.teach("raise_later", parameters=[{"name": "n"}], args=[99], examples=shown)
    assert (reply["status"], reply["state"], reply["error"]["type"]) == ("FAILED", "COMPLETE", "PolicyViolation")
    assert _seen(client) == before
    assert "another object" in reply["attempts"][-1]["finding"]
    assert reply["attempts"][-1]["source"] == LATE


def test_what_the_mission_speaks_of_may_be_changed(client):
    """An object in a slot that the mission names, one that is handed over, and one that is made, may be changed by it."""
    reply = client.teach("fill_vault", parameters=[{"name": "n"}], args=[8])
    assert (reply["status"], reply["result"]) == ("COMPLETE", 8), reply
    assert client.ask({"command": "inspect", "target_oid": "vault_obj"})["slots"]["gold"] == 8
    box = client.ask({"command": "create", "slots": {"gold": 0}})["oid"]
    reply = client.teach("hand_over", parameters=[{"name": "box"}, {"name": "n"}], args=[box, 5])
    assert (reply["status"], reply["result"]) == ("COMPLETE", 5), reply
    assert client.ask({"command": "inspect", "target_oid": box})["slots"]["gold"] == 5


def test_a_message_to_another_object_is_its_own_affair(client):
    """A candidate may send messages to whom its object holds: what they change is done by their own methods."""
    reply = client.teach("ask_politely", parameters=[{"name": "n"}], args=[9], examples=[{"args": [9], "result": 9}])
    assert (reply["status"], reply["result"]) == ("COMPLETE", 9), reply
    assert client.ask({"command": "inspect", "target_oid": "vault_obj"})["slots"]["gold"] == 9
