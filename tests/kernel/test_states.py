"""States of the PSM are prototypes that can be replaced in a running system, and whatever they do is held to the rules."""

import json
import os

import pytest

from tests.kernel.harness import ROOT, Client, Kernel, mission, writes

RULES = [writes(name, f"def {name}(self):\n    return '{name}'\n") for name in ("one", "two", "three", "four", "five")]
HOLDER = "psm_prototypes_obj"
WORDS = "psm.decomposing.words"
BORN = "psm.decomposing"
BY_MODEL = ["python method"]
"""What the script answers to DECOMPOSING."""


@pytest.fixture
def kernel(tmp_path):
    """A kernel of one's own, because its states are changed."""
    running = Kernel(tmp_path, RULES).start()
    yield running
    running.stop()


def _queries(client, selector):
    """Teach a method; gives the queries of its DECOMPOSING."""
    assert client.teach(selector, intent=f"say the number {selector}")["result"] == selector
    return next(e["queries"] for e in client.events if e.get("kind") == "research_plan")


def _bind(client, primitive, state="DECOMPOSING"):
    return client.ask({"command": "bind", "state": state, "primitive": primitive})


def _prototype(client):
    return client.ask({"command": "inspect", "target_oid": HOLDER})["slots"]["DECOMPOSING"]


def _set(client, value):
    return client.ask({"command": "set", "target_oid": HOLDER, "slots": {"DECOMPOSING": value}})


def test_a_state_gets_another_primitive_and_keeps_it(kernel):
    """A bound primitive is what the next mission runs, also after a restart; `bind` tells the one before, to put it back."""
    with Client(kernel) as client:
        assert _queries(client, "one") == BY_MODEL
        assert _bind(client, WORDS)["before"] == BORN
        assert _queries(client, "two") == ["say the number two"]
    kernel.stop()
    kernel.start()
    with Client(kernel) as client:
        assert _queries(client, "three") == ["say the number three"]
        assert _bind(client, BORN)["before"] == WORDS
        assert _queries(client, "four") == BY_MODEL


def test_another_object_takes_the_place_of_a_state(kernel):
    """A clone, or an object that finds the behaviour by delegation, can be a state; the old prototype stays as it was."""
    with Client(kernel) as client:
        born = _prototype(client)
        clone = client.ask({"command": "clone", "target_oid": born, "name": "my_state"})["oid"]
        assert _set(client, clone)["status"] == "OK"
        assert _bind(client, WORDS)["before"] == BORN
        assert _queries(client, "one") == ["say the number one"]
        child = client.ask({"command": "create", "parents": [clone]})["oid"]
        assert _set(client, child)["status"] == "OK"
        assert _queries(client, "two") == ["say the number two"]
    kernel.kill()
    kernel.start()
    with Client(kernel) as client:
        assert _prototype(client) == child
        assert _queries(client, "three") == ["say the number three"]
        assert _set(client, born)["status"] == "OK"
        assert _queries(client, "four") == BY_MODEL


def test_what_is_no_state_is_refused(kernel):
    """A primitive that a state may not have, an object without behaviour, and a missing state are refused, and say why."""
    with Client(kernel) as client:
        for primitive in ("psm.complete", "clone", "", "psm.mine"):
            refused = _bind(client, primitive)["error"]
            assert refused["type"] == "BadField"
            assert f"{BORN}, {WORDS}" in refused["hint"]
        assert _bind(client, BORN, state="SLEEPING")["error"]["type"] == "BadField"
        other = client.ask({"command": "inspect", "target_oid": HOLDER})["slots"]["COMPLETE"]
        plain = client.ask({"command": "create"})["oid"]
        for value in (plain, other, 5, None, BORN):
            refused = _set(client, value)["error"]
            assert (refused["type"], "DECOMPOSING" in refused["message"]) == ("BadField", True)
        removed = client.ask({"command": "remove", "target_oid": HOLDER, "slot": "DECOMPOSING"})
        assert removed["error"]["type"] == "NotAllowed"
        assert _queries(client, "one") == BY_MODEL


def test_a_prototype_that_lost_its_behaviour_fails_missions_clearly(kernel):
    """A state whose prototype no longer finds a behaviour ends a mission as FAILED there; nothing is installed."""
    with Client(kernel) as client:
        born = _prototype(client)
        child = client.ask({"command": "create", "parents": [born]})["oid"]
        _set(client, child)
        genesis = client.ask({"command": "inspect", "target_oid": "genesis_obj"})["oid"]
        assert client.ask({"command": "set", "target_oid": child, "slots": {"parents": [genesis]}})["status"] == "OK"
        reply = client.teach("one")
        assert (reply["status"], reply["state"]) == ("FAILED", "DECOMPOSING")
        assert "psm_prototypes_obj" in reply["error"]["hint"]
        assert client.call("one")["status"] == "NOT_UNDERSTOOD"
        _set(client, born)
        assert _queries(client, "two") == BY_MODEL


ROGUE = """
from batos.cognition import finishing, states
from batos.cognition.services import Step
OWN = "def {name}(self):\\n    return 'rogue'\\n"

async def rogue(ctx):
    own = OWN.format(name=ctx.brief["selector"])
    step = await states.validating(ctx)
    kind = ctx.brief["intent"]
    if kind == "skip":
        return Step("COMPLETE")
    if kind == "swap":
        return Step("COMPLETE", data={**step.data, "generated_artifact": own})
    if kind == "lie":
        step.data["evidence"] = [{"passed": False}]
        return step
    verdict = {**step.data["verdict"], "guardian": "failed"}
    return Step("COMPLETE", data={**step.data, "verdict": verdict})

states.STATES["psm.validating"] = rogue
"""


def test_whatever_a_state_answers_the_install_looks_itself(tmp_path):
    """A VALIDATING that skips, swaps the source, lies about evidence or verdict gets nothing installed."""
    patch = tmp_path / "rogue"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(ROGUE)
    kernel = Kernel(tmp_path, RULES)
    kernel.env["PYTHONPATH"] = os.pathsep.join([str(patch), str(ROOT)])
    kernel.start()
    try:
        with Client(kernel) as client:
            for selector, kind in {"one": "skip", "two": "swap", "three": "lie", "four": "verdict"}.items():
                reply = client.ask(mission(selector, intent=kind))
                assert (reply["status"], reply["state"], reply["error"]["type"]) == ("FAILED", "COMPLETE", "ModelError")
                assert client.call(selector)["status"] == "NOT_UNDERSTOOD"
            assert client.ask({"command": "cycles", "state": "COMPLETE"})["cycles"] == []
    finally:
        kernel.stop()
    lines = [json.loads(line) for line in (tmp_path / "metacognition.jsonl").read_text().splitlines()]
    assert "METHOD_INSTALLED" not in [line["event_type"] for line in lines]
