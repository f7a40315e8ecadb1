"""Who is asked for what: BRICK decomposes, the target's persona writes, ALFRED translates and asks back."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from batos.cognition import deciding, finishing
from batos.cognition.services import Context
from batos.cognition.states import decomposing, synthesizing
from batos.image import registry
from batos.settings import Settings
from batos.testing.scripted import ScriptedMind

if TYPE_CHECKING:
    from batos.cognition.services import Services
    from batos.mind.protocol import GenerateReply, GenerateRequest, OnToken

IDENTITIES = {
    "BRICK": "BRICK, the Deconstruction Engine",
    "ROBIN": "ROBIN, the Embodied Heart",
    "BABS": "BABS, the Knowledge Weaver",
    "ALFRED": "ALFRED, the System Steward",
}


class Listening(ScriptedMind):
    """A mind that keeps what it was asked."""

    def __init__(self, rules: Any) -> None:
        super().__init__(rules)
        self.asked: list[GenerateRequest] = []

    async def generate(self, request: GenerateRequest, on_token: OnToken | None = None) -> GenerateReply:
        self.asked.append(request)
        return await super().generate(request, on_token)


@pytest.fixture
def mind() -> Listening:
    """It plans, writes and answers."""
    rules = [{"state": "DECOMPOSING", "text": '["a", "b"]'}, {"state": "SYNTHESIZING", "text": "    return n\n"}]
    return Listening([*rules, {"text": '{"kind": "unclear", "question": "Which one?"}'}])


@pytest.fixture
def heard(services: Services, mind: Listening) -> Services:
    """The parts of the system, with that mind."""
    return dataclasses.replace(services, mind=mind, settings=Settings())


async def _context(services: Services, persona: str) -> Context:
    target = (await services.image.read(lambda view: view.ref(view.root["genesis_obj"]))).value
    brief = {"selector": "thing", "intent": "do a thing", "parameters": [{"name": "n"}]}
    record = {"target": target, "brief": brief, "persona": persona, "attempts": [], "data": {}}
    return Context(services, record, lambda _text: None)


def _speaker(request: GenerateRequest) -> list[str]:
    """The personas whose identity is in the instructions of a request."""
    return [name for name, words in IDENTITIES.items() if words in request.messages[0]["content"]]


@pytest.mark.parametrize("persona", ["ROBIN", "ALFRED"])
async def test_brick_decomposes_whoever_writes(heard: Services, mind: Listening, persona: str) -> None:
    """DECOMPOSING asks BRICK, by model and by words, whoever the mission's persona is; events and log name BRICK."""
    step = await decomposing(await _context(heard, persona))
    (request,) = mind.asked
    assert (request.persona, _speaker(request)) == ("BRICK", ["BRICK"])
    assert step.data["research_plan"] == ["a", "b"]
    assert [event["persona"] for event in step.events] == ["BRICK"]
    assert [fields["persona"] for _, fields in step.log] == ["BRICK"]


async def test_brick_speaks_by_the_codex_in_the_image(heard: Services, mind: Listening) -> None:
    """What `set` writes into the codex is what the next plan is asked by."""
    codex = {"persona": "BRICK", "core_identity": "BRICK, freshly laid"}
    await heard.image.transact(registry.set_slots, "brick_prototype_obj", {"codex": codex})
    await decomposing(await _context(heard, "ROBIN"))
    assert "You are BRICK, freshly laid." in mind.asked[0].messages[0]["content"]


@pytest.mark.parametrize("persona", ["ROBIN", "BABS"])
async def test_the_mission_s_persona_writes(heard: Services, mind: Listening, persona: str) -> None:
    """SYNTHESIZING asks the mission's persona; the author is told with the digest of the very prompt, seed and sampling."""
    step = await synthesizing(await _context(heard, persona))
    (request,) = mind.asked
    assert (request.persona, _speaker(request)) == (persona, [persona])
    author = step.data["author"]
    prompt = [*request.messages, {"role": "assistant", "content": request.prefill}]
    assert author["prompt_sha256"] == finishing.digest(prompt)
    assert finishing.digest([*prompt[:-1], {"role": "assistant", "content": "other"}]) != author["prompt_sha256"]
    assert (author["persona"], author["seed"], author["temperature"]) == (persona, request.seed, request.temperature)
    assert {event["persona"] for event in step.events} == {persona}


async def test_alfred_asks_back(mind: Listening) -> None:
    """Words that say too little are put to ALFRED, and the question back carries the name."""
    found = await deciding.by_model(mind.generate, "fizz the thing", [])
    assert {request.persona for request in mind.asked} == {"ALFRED"}
    assert (found.kind, found.persona) == ("unclear", "ALFRED")
