"""Missions about what an object keeps, with the answers that small models give to them."""

import pytest

from tests.kernel.harness import Client, Kernel, writes

NEXT = "def next_number(self):\n    self.n = getattr(self, 'n', 0) + 1\n    self._p_changed = True\n    return self.n\n"
ITEMS = "def items(self):\n    return getattr(self, 'items', [])\n"
STORED = "def items(self):\n    return getattr(self, 'stored', [])\n"
ONLY_LAST = (
    "def push_one(self, value):\n    self.kept = [value]\n    self._p_changed = True\n    return len(self.kept)\n"
)
COUNTS = """\
from collections import Counter
def add_word(self, word):
    if not hasattr(self, 'counts'):
        self.counts = Counter()
    self.counts[word] += 1
    self._p_changed = True
    return self.counts[word]
"""
GETS = """\
def add_word(self, word):
    counts = getattr(self, 'counts', None) or {}
    counts[word] = counts.get(word, 0) + 1
    self.counts = counts
    self._p_changed = True
    return counts[word]
"""
BESIDE = """\
STEP = 2
def doubled(n):
    return n * STEP
def add_double(self, n):
    self.sum = getattr(self, 'sum', 0) + doubled(n)
    self._p_changed = True
    return self.sum
"""
NO_DEFAULT = "def step_by(self, step):\n    return step + 1\n"
DEFAULT = "def step_by(self, step=1):\n    return step + 1\n"
BROKEN = "def push_one(self, value):\n    return ]\n"
RULES = [
    writes("next_number", NEXT),
    writes("items", ITEMS, times=1),
    writes("items", STORED),
    writes("push_one", ONLY_LAST, times=1),
    writes("push_one", BROKEN),
    writes("add_word", COUNTS, times=1),
    writes("add_word", GETS),
    writes("add_double", BESIDE),
    writes("step_by", NO_DEFAULT, times=1),
    writes("step_by", DEFAULT),
]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A kernel whose mind writes methods that keep things."""
    running = Kernel(tmp_path_factory.mktemp("home"), RULES).start()
    yield running
    running.stop()


@pytest.fixture
def client(kernel):
    """A client of that kernel."""
    with Client(kernel) as connected:
        yield connected


def _findings(client):
    return [event["finding"] for event in client.events if event["event"] == "attempt"]


def test_a_session_in_the_words_is_one(client):
    """Examples in the words that hold one after the other are one session, as a doctest is."""
    words = "give the next number, counted from 1\n>>> next_number()\n1\n>>> next_number()\n2"
    assert client.teach("next_number", intent=words, parameters=[], request={"proceed": False})["status"] == "COMPLETE"
    assert _findings(client) == []
    assert [client.call("next_number")["result"] for _ in range(3)] == [1, 2, 3]


def test_a_slot_with_the_name_of_the_method_is_found_out(client):
    """A method that reads a slot of its own name would only ever get itself: the trial shows that, as a call would."""
    told = {"parameters": [], "examples": [{"args": [], "result": []}], "request": {"proceed": False}}
    assert client.teach("items", intent="return the items", **told)["status"] == "COMPLETE"
    assert "a slot of another name" in _findings(client)[0]
    assert client.call("items")["result"] == []


def test_what_was_doubted_has_to_do_where_nothing_better_comes(client):
    """A candidate that passed, but loses what it should keep, goes back; when all that follows is broken it is taken."""
    told = {"parameters": [{"name": "value"}], "examples": [{"args": [5], "result": 1}], "request": {"proceed": False}}
    reply = client.teach("push_one", intent="push a value onto the stack and return its size", **told)
    assert (reply["status"], reply["source"]) == ("COMPLETE", ONLY_LAST)
    provenance = client.ask({"command": "history", "target_oid": "genesis_obj", "selector": "push_one"})["versions"][0][
        "provenance"
    ]
    assert "what calls before kept is gone" in provenance["attempts"][0]["finding"]
    assert provenance["chosen"]["attempt"] == 1


def test_a_counter_that_comes_back_as_a_dict_is_found_out(client):
    """A further call of another word stumbles over the plain dict that a slot gives back: that is the finding."""
    told = {"parameters": [{"name": "word"}], "examples": [{"args": ["a"], "result": 1}], "request": {"proceed": False}}
    reply = client.teach("add_word", intent="count a word, and return how often it came so far", **told)
    assert (reply["status"], reply["source"]) == ("COMPLETE", GETS)
    assert "comes back as a dict" in _findings(client)[0]


def test_what_a_method_uses_beside_it_comes_along(client):
    """A helper and a constant beside a method with self are taken into it."""
    told = {"parameters": [{"name": "n"}], "examples": [{"args": [2], "result": 4}], "request": {"proceed": False}}
    assert client.teach("add_double", intent="add twice a number to the total so far", **told)["status"] == "COMPLETE"
    assert _findings(client) == []
    assert [client.call("add_double", n)["result"] for n in (1, 2)] == [2, 6]


def test_a_default_that_the_brief_names_is_kept(client):
    """A candidate without the brief's default goes back."""
    told = {"parameters": [{"name": "step", "default": 1}], "examples": [{"args": [2], "result": 3}]}
    assert (
        client.teach("step_by", intent="one more than a step", request={"proceed": False}, **told)["status"]
        == "COMPLETE"
    )
    assert "no default" in _findings(client)[0]
    assert client.call("step_by")["result"] == 2


def test_what_an_object_does_not_have_is_told_in_words(client):
    """An unknown version or method is refused with the object's oid and where to look, without Python's own names."""
    target = {"target_oid": "genesis_obj", "selector": "nothing_such"}
    for request in ({"command": "explain", **target}, {"command": "rollback", **target, "version": 9}):
        error = client.ask(request)["error"]
        assert error["type"] == "UnknownTarget"
        assert error["message"].startswith("The object 00000000000")
        assert "UvmObject" not in error["message"]
        assert "`inspect`" in error["hint"]
