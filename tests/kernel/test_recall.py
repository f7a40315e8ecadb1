"""Recall before writing, by rules alone: who asks for what is there is answered by it; what only looks like it is not."""

import pytest

from tests.kernel.harness import Client, Kernel
from tests.kernel.recall_words import CAPABILITIES, LOOKALIKES, PARAPHRASES


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A client of a kernel that has ten capabilities and no model."""
    kernel = Kernel(tmp_path_factory.mktemp("home"), [], TRANSLATOR="rules").start()
    with Client(kernel) as connected:
        for selector, parameter, summary, body in CAPABILITIES:
            head = f"def {selector}(self{', ' + parameter if parameter else ''}):"
            request = {"command": "install", "target_oid": "genesis_obj", "selector": selector}
            installed = connected.ask({**request, "source": f'{head}\n    """{summary}"""\n    return {body}\n'})
            assert installed["status"] == "COMPLETE"
        yield connected
    kernel.stop()


def _meant(client, text):
    """What some words became: the kind, and the selector of the request."""
    reply = client.ask({"command": "translate", "target_oid": "genesis_obj", "text": text})
    request = reply["request"] or {}
    return reply["kind"], request.get("selector") or request.get("mission_brief", {}).get("selector")


def test_paraphrases_are_answered_by_what_is_there(client):
    """Of thirty ways to ask for a capability rules alone find nearly all; none is taken for another capability."""
    meant = [(text, wanted, *_meant(client, text)) for text, wanted in PARAPHRASES]
    recalled = [text for text, wanted, kind, got in meant if (kind, got) == ("send", wanted)]
    mistaken = [text for text, wanted, kind, got in meant if kind == "send" and got != wanted]
    assert len(recalled) >= 27
    assert mistaken == []


def test_what_only_looks_alike_is_not_taken_for_it(client):
    """Of thirty missions for something else at most one is taken for a capability that is there."""
    selectors = {selector for selector, *_ in CAPABILITIES}
    meant = [(text, *_meant(client, text)) for text in LOOKALIKES]
    assert len([text for text, kind, got in meant if kind == "send" or got in selectors]) <= 1


def test_alfred_asks_back_where_words_say_too_little(client):
    """A question back names ALFRED, who asks it; what is clear carries no persona."""
    unclear = client.ask({"command": "translate", "target_oid": "genesis_obj", "text": "fizz"})
    assert (unclear["kind"], unclear["request"], unclear["persona"]) == ("unclear", None, "ALFRED")
    assert unclear["question"]
    clear = client.ask({"command": "translate", "target_oid": "genesis_obj", "text": PARAPHRASES[0][0]})
    assert (clear["kind"], "persona" in clear) == ("send", False)


@pytest.mark.parametrize(
    ("selector", "near"),
    [
        ("factorial_of", "calculate_factorial"),
        ("greet", "greet_user"),
        ("count_the_vowels", "count_vowels"),
        ("circle_area", "area_of_circle"),
        ("count_number_of_words", "word_count"),
        ("frobnicate", None),
    ],
)
def test_what_is_not_understood_is_offered_what_is_near(client, selector, near):
    """A message that may not be learned is answered with at most three selectors that mean something close, nearest first."""
    reply = client.call(selector, 1)
    assert (reply["status"], reply["selector"]) == ("NOT_UNDERSTOOD", selector)
    assert reply["similar"][:1] == ([near] if near else [])
    assert len(reply["similar"]) <= 3
    history = client.ask({"command": "history", "target_oid": "genesis_obj", "selector": selector})
    assert history["error"]["type"] == "UnknownTarget"


def test_what_is_gone_is_not_offered(client):
    """A capability that was removed is no near miss any more."""
    source = "def yodel_loudly(self):\n    return 'hollareidulijö'\n"
    request = {"command": "install", "target_oid": "genesis_obj", "selector": "yodel_loudly", "source": source}
    assert client.ask(request)["status"] == "COMPLETE"
    assert client.call("yodel")["similar"] == ["yodel_loudly"]
    client.ask({"command": "remove", "target_oid": "genesis_obj", "selector": "yodel_loudly"})
    assert client.call("yodel")["similar"] == []
