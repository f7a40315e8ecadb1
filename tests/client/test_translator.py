"""The client's translator: memory, then what is certain, then the model, then rules that say what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batos.client.translator import LocalWriter, Translator
from batos.errors import ModelError, NoWeights
from batos.mind.protocol import GenerateReply
from batos.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from batos.client.bridge import Client
    from tests.client.double import Double

KNOWN = [{"selector": "greet_user", "signature": "(self, name)", "summary": "Greets."}]


class Words:
    """A kernel's `translate`, and a model that answers as told."""

    def __init__(self, kernel: Double, answer: str | Exception = "") -> None:
        self.answer = answer
        self.prompts: list[Any] = []
        self.notices: list[str] = []
        kernel.answers["translate"] = self.remember
        self.remembered: dict[str, Any] = {"kind": "unclear", "request": None, "source": "memory", "understands": KNOWN}

    def remember(self, request: dict[str, Any], _say: Any) -> dict[str, Any]:
        self.asked = request
        return {"status": "OK", **self.remembered}

    def __call__(self, request: Any, cancelled: Any) -> GenerateReply:
        self.prompts.append(request)
        assert not cancelled()
        if isinstance(self.answer, Exception):
            raise self.answer
        return GenerateReply(texts=(self.answer,))

    def close(self) -> None:
        self.closed = True

    def translator(self, client: Client, **settings: Any) -> Translator:
        return Translator(client, Settings.load(**settings), self.notices.append, self)


async def test_remembered_words_need_no_model(kernel: Double, client: Client) -> None:
    """Words that led to a completed mission come back as its request, by memory."""
    words = Words(kernel, ModelError())
    words.remembered = {"kind": "teach", "request": {"command": "status"}, "question": "", "source": "memory"}
    found = await words.translator(client).translate("the same words", "genesis_obj")
    assert (found.source, found.request) == ("memory", {"command": "status"})
    assert words.asked["remembered"] is True
    assert words.prompts == []


async def test_what_is_certain_needs_no_model(kernel: Double, client: Client) -> None:
    """A call and a mission that tells all are translated at once."""
    words = Words(kernel, ModelError())
    translator = words.translator(client)
    assert (await translator.translate("greet_user('Ada')", "genesis_obj")).kind == "send"
    assert (await translator.translate("create a method to report the current time", "genesis_obj")).kind == "teach"
    assert words.prompts == []


async def test_the_model_answers_in_its_thread(kernel: Double, client: Client) -> None:
    """Other words go to the model with a schema, and its answer is held to the words."""
    words = Words(kernel, '{"kind": "send", "selector": "greet_user", "args": ["Eve"]}')
    found = await words.translator(client).translate("a warm welcome for Eve", "genesis_obj")
    assert found.source == "model"
    assert found.request is not None
    assert found.request["args"] == ["Eve"]
    assert words.prompts[0].state == "TRANSLATING"
    assert words.prompts[0].schema["anyOf"]


async def test_closing_frees_the_model(kernel: Double, client: Client) -> None:
    """`close` waits until the model is free."""
    words = Words(kernel)
    words.translator(client).close()
    assert words.closed


async def test_rules_stand_in_and_say_so_once(kernel: Double, client: Client) -> None:
    """Without a model the rules translate, and a notice tells why, once for each reason, in a line."""
    words = Words(kernel, NoWeights("the weights are not here\nmore", "Fetch them."))
    translator = words.translator(client)
    for _ in range(2):
        found = await translator.translate("hello you", "genesis_obj")
        assert (found.kind, found.source) == ("talk", "rules")
    assert len(words.notices) == 1
    assert words.notices[0].startswith("Translated by rules, because")
    assert "\n" not in words.notices[0]


@pytest.mark.parametrize(
    ("settings", "remembered"),
    [
        ({"translator": "rules"}, True),
        ({"translator": "kernel"}, False),
        ({"engine": "scripted:x.json"}, False),
        ({"engine": "openai"}, False),
        ({"engine": "scripted:x.json", "translator": "rules"}, True),
    ],
)
async def test_other_translators_load_no_model(
    kernel: Double, client: Client, settings: dict[str, Any], remembered: bool
) -> None:
    """With `kernel`, `rules`, or models that live elsewhere, no model is asked in the client."""
    words = Words(kernel, ModelError())
    words.remembered["notice"] = "By rules."
    await words.translator(client, **settings).translate("hello you", "genesis_obj")
    assert words.prompts == []
    assert words.asked["remembered"] is remembered
    assert words.notices == ([] if remembered else ["By rules."])


async def test_an_older_kernel_is_inspected(kernel: Double, client: Client) -> None:
    """A kernel that does not say what the target understands is asked by `inspect`."""
    words = Words(kernel, ModelError())
    del words.remembered["understands"]
    methods = {"greet_user": {"version": 1, "signature": "(self, name)", "summary": ""}}
    kernel.answers["inspect"] = lambda _r, _s: {"status": "OK", "methods": methods, "understands": ["clone"]}
    found = await words.translator(client).translate("greet Ada", "genesis_obj")
    assert found.request is not None
    assert found.request["args"] == ["Ada"]


def test_missing_weights_name_the_setting(home: Path) -> None:
    """A LLAMA_MODEL_PATH that is not there, or is no GGUF, is an error with a mend."""
    from batos.mind.protocol import GenerateRequest

    writer = LocalWriter(Settings.load(llama_model_path=home / "none.gguf"))
    with pytest.raises(NoWeights, match="LLAMA_MODEL_PATH"):
        writer(GenerateRequest(state="TRANSLATING"), lambda: False)
    (home / "folder").mkdir()
    writer = LocalWriter(Settings.load(persona_models=str(home / "folder")))
    with pytest.raises(NoWeights, match="no GGUF"):
        writer(GenerateRequest(state="TRANSLATING"), lambda: False)
