"""Methods that change their object: the trial sees that they change it, storably, and that a second call goes on from there."""

import pytest

from tests.kernel.harness import Client, Kernel, writes


def _method(selector, body, parameters="self, thing"):
    return f"def {selector}({parameters}):\n    {body}\n    self._p_changed = True\n    return thing\n"


KEEPS = "self.{0} = [*getattr(self, '{0}', []), thing]"
FORGETS = "self.{0} = [thing]"
WRONG_FIRST = {
    "remember_shell": "def remember_shell(self, thing):\n    return thing\n",
    "add_pebble": _method("add_pebble", FORGETS.format("pebbles")),
    "collect_stamp": _method("collect_stamp", FORGETS.format("stamps")),
    "store_leaf": _method("store_leaf", "self.leaves = iter([thing])"),
    "keep_feather": _method("keep_feather", "self.feathers.append(thing)"),
    "record_ticket": _method(
        "record_ticket",
        "if getattr(self, 'tickets', None):\n        return self.tickets[99]\n    self.tickets = [thing]",
    ),
}
SLOTS = {
    "remember_shell": "shells",
    "add_pebble": "pebbles",
    "collect_stamp": "stamps",
    "store_leaf": "leaves",
    "keep_feather": "feathers",
    "record_ticket": "tickets",
}
FINDINGS = {
    "remember_shell": "changed nothing",
    "add_pebble": "what calls before kept is gone",
    "collect_stamp": "what calls before kept is gone",
    "store_leaf": "leaves",
    "keep_feather": "feathers",
    "record_ticket": "again raised IndexError",
}
STUBBORN = _method("collect_nut", FORGETS.format("nuts"))
RIGHTLY = _method("save_name", "self.name = thing")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A kernel whose mind is wrong once, and right the second time."""
    rules = [writes(selector, source, times=1) for selector, source in WRONG_FIRST.items()]
    rules += [writes(selector, _method(selector, KEEPS.format(SLOTS[selector]))) for selector in WRONG_FIRST]
    rules += [writes("remember_nothing", "def remember_nothing(self, thing):\n    return thing\n")]
    rules += [writes("collect_nut", STUBBORN), writes("save_name", RIGHTLY)]
    running = Kernel(tmp_path_factory.mktemp("home"), rules, ATTEMPTS="2").start()
    yield running
    running.stop()


@pytest.fixture
def client(kernel):
    """A client of that kernel."""
    with Client(kernel) as connected:
        yield connected


def _slots(client):
    return client.ask({"command": "inspect", "target_oid": "genesis_obj"})["slots"]


@pytest.mark.parametrize("selector", WRONG_FIRST)
def test_what_does_not_keep_goes_back(client, selector):
    """What keeps nothing, replaces, cannot be stored, needs what is not there or fails the second time is told so; the next attempt keeps it all."""
    shown = [{"args": ["a"], "result": "a"}] if selector == "collect_stamp" else []
    reply = client.teach(selector, parameters=[{"name": "thing"}], args=["a"], examples=shown)
    assert reply["status"] == "COMPLETE", reply
    findings = [event["finding"] for event in client.events if event["event"] == "attempt"]
    assert len(findings) == 1
    assert FINDINGS[selector] in findings[0]
    assert client.call(selector, "b")["result"] == "b"
    assert _slots(client)[SLOTS[selector]] == ["a", "b"]


def test_what_must_change_its_object_and_never_does_fails(client):
    """Words that are beyond doubt to change the object refuse what changes nothing, at the last attempt too."""
    reply = client.teach("remember_nothing", parameters=[{"name": "thing"}], args=["a"])
    assert reply["status"] == "FAILED"
    assert [attempt["n"] for attempt in reply["attempts"]] == [1, 2]
    assert all("changed nothing" in attempt["finding"] for attempt in reply["attempts"])


def test_a_doubt_is_not_the_last_word(client):
    """Where every attempt replaces, the last one is taken: the doubt stands in its evidence."""
    reply = client.teach("collect_nut", parameters=[{"name": "thing"}], args=["a"])
    assert reply["status"] == "COMPLETE"
    history = client.ask({"command": "history", "target_oid": "genesis_obj", "selector": "collect_nut"})
    provenance = history["versions"][0]["provenance"]
    assert [attempt["n"] for attempt in provenance["attempts"]] == [1]
    doubts = [run["doubt"] for run in provenance["evidence"] if run.get("doubt")]
    assert len(doubts) == 1
    assert "self.nuts is ['xa']" in doubts[0]


def test_what_is_rightly_replaced_passes_at_once(client):
    """A setter comes through at its first attempt; the evidence has both calls of the trial and what they changed."""
    reply = client.teach("save_name", parameters=[{"name": "thing"}], args=["Ada"])
    assert (reply["status"], reply["result"]) == ("COMPLETE", "Ada")
    history = client.ask({"command": "history", "target_oid": "genesis_obj", "selector": "save_name"})
    provenance = history["versions"][0]["provenance"]
    assert provenance["attempts"] == []
    runs = [(run["kind"], run["changed"]) for run in provenance["evidence"]]
    assert runs == [("call", ["name"]), ("second call", ["name"]), ("another call", ["name"])]
