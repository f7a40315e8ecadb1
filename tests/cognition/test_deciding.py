"""Deciding by likelihood: sure is sent, doubtful is asked back, unlikely is something else; one answer where none weigh."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batos import wire
from batos.cognition.deciding import by_model
from batos.cognition.rulebook import KINDS
from batos.mind.protocol import GenerateReply, GenerateRequest

KNOWN = [
    {"selector": "calculate_tip", "signature": "(self, bill: float, percent: float)", "summary": "Calculate a tip."},
    {"selector": "greet_user", "signature": "(self, name: str)", "summary": "Greet a user."},
]


class Model:
    """Weighs kinds and fit as told, and answers the rest with a text."""

    def __init__(
        self, kinds: dict[str, float] | None = None, fit: float = 0.0, answer: Any = None, follows: float = -9.0
    ) -> None:
        self.kinds, self.fit, self.answer, self.follows = kinds, fit, json.dumps(answer), follows
        self.asked: list[GenerateRequest] = []

    async def __call__(self, request: GenerateRequest) -> GenerateReply:
        self.asked.append(request)
        if self.kinds is None or not request.options:
            return GenerateReply(texts=(self.answer,))
        if request.options == KINDS:
            return GenerateReply(texts=("",), scores=tuple(self.kinds.get(kind, -9.0) for kind in KINDS))
        likely = self.follows if request.options[-1] == " null" else self.fit
        return GenerateReply(texts=("yes",), scores=(likely, 0.0))


TIP = {"kind": "send", "selector": "calculate_tip", "arguments": {"bill": 50, "percent": 20}}
WORDS = "what would 20 percent on top of 50 be"


async def test_what_is_sure_is_sent() -> None:
    """A likely kind and a good fit send the message with the arguments of the words."""
    model = Model({"send": -0.1, "teach": -5.0}, 2.0, TIP)
    found = await by_model(model, WORDS, KNOWN)
    assert (found.kind, found.source) == ("send", "model")
    assert found.request is not None
    assert (found.request["selector"], found.request["args"]) == ("calculate_tip", [50, 20])
    assert len({asked.messages for asked in map(_key, model.asked[:2])}) == 1


def _key(request: GenerateRequest) -> Any:
    class Key:
        messages = json.dumps(request.messages)

    return Key


@pytest.mark.parametrize(("fit", "kind"), [(1.0, "send"), (0.0, "unclear"), (-2.0, "teach")])
async def test_the_fit_decides(fit: float, kind: str) -> None:
    """The same likely kind: a good fit is sent, a doubtful one asked back with the call, a bad one learned."""
    model = Model({"send": -0.1, "teach": -5.0}, fit, TIP)
    if kind == "teach":
        model.answer = json.dumps({"kind": "teach", "selector": "add_on_top", "parameters": [], "args": []})
    found = await by_model(model, WORDS if kind != "teach" else "fetch me 20 apples of 50", KNOWN)
    assert found.kind == kind
    if kind == "unclear":
        assert "calculate_tip(50, 20)" in found.question


async def test_missing_values_are_asked_back() -> None:
    """A required value that does not stand in the words gives a question that names it."""
    model = Model({"send": -0.1, "teach": -5.0}, 2.0, {**TIP, "arguments": {"bill": 50, "percent": 15}})
    found = await by_model(model, "the tip for 50 please", KNOWN)
    assert found.kind == "unclear"
    assert "`percent`" in found.question


async def test_values_that_follow_are_sent() -> None:
    """A value that is not in the words but follows from them is weighed beside none, and sent where it is far likelier."""
    said = {**TIP, "arguments": {"bill": 50, "percent": 15}}
    model = Model({"send": -0.1, "teach": -5.0}, 2.0, said, follows=2.0)
    found = await by_model(model, "the usual tip for 50 please", KNOWN)
    assert found.request is not None
    assert found.request["args"] == [50, 15]
    weighed = model.asked[-1]
    assert weighed.options == (" 15", " null")
    assert weighed.prefill == '{"bill": 50, "percent":'
    assert '"percent": null' in weighed.messages[0]["content"]
    model.follows = 1.0
    assert (await by_model(model, "the usual tip for 50 please", KNOWN)).kind == "unclear"


@pytest.mark.parametrize("kind", ["ask", "talk", "unclear"])
async def test_other_kinds_need_no_second_question(kind: str) -> None:
    """What is likely no message is answered by its kind after one weighing."""
    model = Model({kind: -0.1, "send": -8.0})
    assert (await by_model(model, "is your memory well", KNOWN)).kind in (kind, "ask")
    assert len(model.asked) == 1


async def test_an_engine_that_cannot_weigh_answers_at_once() -> None:
    """Without scores the first answer is taken as the whole one, with or without its beginning."""
    for answer in (TIP, None):
        model = Model(None, answer=answer)
        if answer is None:
            model.answer = json.dumps(TIP).removeprefix('{"kind": "')
        found = await by_model(model, WORDS + " as a tip", KNOWN)
        assert found.request is not None
        wire.read_request(found.request)
        assert found.request["args"] == [50, 20]
        assert len(model.asked) == 1
