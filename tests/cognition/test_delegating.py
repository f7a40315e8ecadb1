"""DELEGATING: what Fractal Memory hands to a mission, by words and by meaning, and what stays out of the prompt."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batos.cognition.services import Context, Services
from batos.cognition.states import delegating
from batos.image import methods
from batos.memory import catalog, golden
from batos.memory.service import FractalMemory
from tests.cognition.knowing import woven
from tests.memory.weights import MODEL, embedding_mind

if TYPE_CHECKING:
    from batos.image.view import View

CODEX = Path(__file__).parents[2] / "persona_codex.jsonl"
PLAIN = [
    "create a method to shuffle a deck of cards",
    "create a method to convert miles to kilometres",
    "create a method to roll a twenty-sided die",
    "create a method to give the area of a square",
    "create a method to count the words of a text",
    "create a method to reverse a list of numbers",
    "create a method to tell whether a number is perfect",
    "create a method to find the largest number",
    "create a method to list the primes below a number",
    "create a method to give the circumference of a circle",
]
TELLING = [
    ("create a method to describe the promise of the Persistence Covenant", "What is the Persistence Covenant?"),
    ("create a method to tell who ALFRED is", "Who is ALFRED?"),
    ("create a method to name the states of the Prototypal State Machine", "What is the Prototypal State Machine?"),
]


async def _told(services: Services, intent: str, *queries: str) -> dict[str, Any]:
    """What DELEGATING leaves for a mission."""
    target = (await services.image.read(lambda view: view.ref(view.root["genesis_obj"]))).value
    record = {
        "target": target,
        "brief": {"selector": "thing", "intent": intent},
        "data": {"research_plan": list(queries) or [intent]},
    }
    step = await delegating(Context(services, record, lambda _text: None))
    assert step.to == "SYNTHESIZING"
    similar = next((event["selectors"] for event in step.events if event["event"] == "similar"), [])
    return {**step.data, "similar": similar}


@pytest.mark.parametrize("meaning", [False, True], ids=["words", "meaning"])
async def test_what_is_beside_the_point_stays_out(services: Services, meaning: bool) -> None:
    """No entry of the codex gets into the prompt of a mission that has nothing to do with BAT OS."""
    await services.image.transact(golden.index_golden, golden.read_codex(CODEX))
    if meaning:
        await woven(services)
    for intent in PLAIN:
        told = await _told(services, intent, intent, "python method", "python function")
        assert told["retrieved_context"] == [], intent


@pytest.mark.parametrize(("intent", "prompt"), TELLING)
async def test_what_is_to_the_point_comes_in(services: Services, intent: str, prompt: str) -> None:
    """A mission that is about something in the codex is told of it, by words alone."""
    await services.image.transact(golden.index_golden, golden.read_codex(CODEX))
    told = await _told(services, intent)
    assert [snippet["text"].splitlines()[0] for snippet in told["retrieved_context"]][:1] == [prompt]


@pytest.mark.real
async def test_real_vectors_tell_the_point_too(services: Services) -> None:
    """With the real embedding model the same missions are told of the codex, and the same ones are not."""
    mind = embedding_mind()
    memory = FractalMemory(services.image, mind.embed, MODEL)
    try:
        await services.image.transact(golden.index_golden, golden.read_codex(CODEX))
        await memory.start()
        meant = dataclasses.replace(services, memory=memory)
        await woven(meant)
        for intent in PLAIN:
            told = await _told(meant, intent, intent, "python method", "python function")
            assert told["retrieved_context"] == [], intent
        for intent, prompt in TELLING:
            told = await _told(meant, intent)
            assert [snippet["text"].splitlines()[0] for snippet in told["retrieved_context"]][:1] == [prompt]
    finally:
        await memory.close()
        await mind.close()


async def test_meaning_tells_of_what_shares_no_word(services: Services) -> None:
    """With vectors, a text that means the same comes in without a word in common; one that means something else does not."""
    await services.memory.remember("insects", "Beware of the wasp.", {})
    await services.memory.remember("travel", "Take a ship.", {})
    assert (await _told(services, "warn of a sting"))["retrieved_context"] == []
    await woven(services)
    told = await _told(services, "warn of a sting")
    assert [snippet["id"] for snippet in told["retrieved_context"]] == ["insects::0"]


async def test_methods_are_known_by_words_and_by_meaning(services: Services) -> None:
    """What the target can do already is told, also under other words when there are vectors; what is far is not."""

    def teach(view: View) -> None:
        for selector, summary in (("dodge_wasp", "Flee."), ("sail", "Steer a ship."), ("add_up", "Add numbers.")):
            source = f'def {selector}(self):\n    """{summary}"""\n    return 1\n'
            genesis = view.root["genesis_obj"]
            methods.install(view, genesis, selector, source, {}, signature="(self)", summary=summary)
            catalog.index_capability(view, view.ref(genesis).hex, selector, "(self)", summary, "")

    await services.image.transact(teach)
    told = await _told(services, "steer a ship home")
    assert told["similar"] == ["sail"]
    assert [line.partition("(")[0] for line in told["known"]] == ["sail"]
    assert (await _told(services, "evade a sting"))["similar"] == []
    services.memory.wake()
    await woven(services)
    assert (await _told(services, "evade a sting"))["similar"] == ["dodge_wasp"]


async def test_a_mission_about_nothing_is_told_nothing(services: Services) -> None:
    """Where the mission has only words that are in every mission, no text is relevant."""
    await services.memory.remember("note", "Create a method to list numbers.", {})
    assert (await _told(services, "create a method to list numbers"))["retrieved_context"] == []


def test_services_name_the_memory() -> None:
    """States reach Fractal Memory through what they are handed, not through the kernel."""
    assert "memory" in {field.name for field in dataclasses.fields(Services)}
