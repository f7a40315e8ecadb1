"""Socratic Contrapunto: who speaks when, from which sources, and that the second voice refers to the first."""

import pytest

from tests.kernel.harness import Client, Kernel

RULES = [
    {
        "state": "CONVERSING",
        "match": "ROBIN answered: The image is home",
        "text": "As ROBIN says, it is home; 1. it lasts.",
    },
    {"state": "CONVERSING", "match": "says: What is the Living Image", "text": "The image is home."},
    {"state": "CONVERSING", "match": "ROBIN answered: Rain is a gift", "text": "Water falls.", "times": 1},
    {"state": "CONVERSING", "match": "ROBIN answered: Rain is a gift", "text": "is true: water falls."},
    {"state": "CONVERSING", "match": "says: What is rain", "text": "Rain is a gift."},
    {"state": "CONVERSING", "match": "BRICK answered: Read the traceback", "text": "BRICK is right; breathe first."},
    {"state": "CONVERSING", "match": "function raise an error", "text": "Read the traceback."},
]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A kernel with a few lines to say, which has learned the codex."""
    running = Kernel(tmp_path_factory.mktemp("home"), RULES).start()
    yield running
    running.stop()


@pytest.fixture
def client(kernel, until):
    """A client of that kernel, once the codex is learned."""
    with Client(kernel) as connected:
        search = {"command": "search", "query": "What is the Living Image?"}
        until(lambda: connected.ask(search)["results"], "the golden dataset")
        yield connected


def _said(client):
    return [(e["persona"], e["text"]) for e in client.events if e["event"] == "utterance"]


class TestConverse:
    def test_robin_then_brick_from_memory(self, client):
        """ROBIN opens, BRICK refers to it, both give the chunks of Fractal Memory that they had; tokens come before."""
        reply = client.ask({"command": "converse", "text": "What is the Living Image?"})
        assert reply["status"] == "OK"
        assert _said(client) == [("ROBIN", "The image is home."), ("BRICK", "As ROBIN says, it is home; 1. it lasts.")]
        assert all(item["sources"] for item in reply["utterances"])
        tokens = [e for e in client.events if e["event"] == "token"]
        assert "".join(e["text"] for e in tokens if e["persona"] == "BRICK").strip() == reply["utterances"][1]["text"]
        assert [e["seq"] for e in client.events if e["event"] == "utterance"] == [1, 2]

    def test_a_second_voice_that_does_not_refer_is_asked_again(self, client):
        """An answer that leaves the first voice out is taken back unheard, and made to begin with it."""
        reply = client.ask({"command": "converse", "text": "What is rain?"})
        assert reply["utterances"][1]["text"] == "What ROBIN says is true: water falls."
        assert not any("Water falls" in e["text"] for e in client.events)

    def test_a_technical_question_turns_the_order(self, client):
        """BRICK opens where code is asked about; whoever is named speaks alone."""
        client.ask({"command": "converse", "text": "Why does my function raise an error?"})
        assert [persona for persona, _ in _said(client)] == ["BRICK", "ROBIN"]
        reply = client.ask({"command": "converse", "text": "What is rain?", "personas": ["robin"]})
        assert [item["persona"] for item in reply["utterances"]] == ["ROBIN"]

    def test_nobody_of_that_name(self, client):
        """A persona that there is not is an error."""
        reply = client.ask({"command": "converse", "text": "Hello", "personas": ["JOKER"]})
        assert reply["error"]["type"] == "BadField"
