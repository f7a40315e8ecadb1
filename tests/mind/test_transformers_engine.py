"""The transformers engine with real weights in NF4: the same promises as llama.cpp's, in a few tokens."""

import json

import pytest

from batos.errors import Cancelled, ContextTooLong
from batos.mind.device import installed
from batos.mind.protocol import GenerateRequest

NEEDED = [name for name in ("torch", "transformers", "bitsandbytes", "accelerate", "gguf") if not installed(name)]

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(bool(NEEDED), reason=f"not installed: {', '.join(NEEDED)}"),
    pytest.mark.filterwarnings("ignore"),  # of libraries that we do not steer
]
WORD = {"enum": ["red", "green"]}


@pytest.fixture(scope="module")
def engines():
    """The engine lives as long as this module's tests."""
    made = []
    yield made
    for engine in made:
        engine.close()


@pytest.fixture
def engine(engines, weights):
    """The engine; the first time on a machine its weights are quantised and kept."""
    from batos.mind.transformers_engine import TransformersEngine

    if not engines:
        engines.append(TransformersEngine(weights("qwen2.5-coder-0.5b")))
    return engines[0]


def asked(text, **more):
    messages = ({"role": "user", "content": text},)
    return GenerateRequest(state="X", messages=messages, **{"max_tokens": 4, **more})


def test_batch_is_streamed_and_repeats(engine):
    """The texts of a batch come out the same each time, and the first is streamed as it is."""
    heard = []
    request = asked("Count.", n=2, temperature=0.8, prefill="One, ")
    reply = engine.generate(request, heard.append, lambda: False)
    assert "".join(heard) == reply.texts[0]
    assert reply.completion_tokens == sum((4, 4))
    assert reply.finish == ("length", "length")
    assert engine.generate(request, heard.append, lambda: False).texts == reply.texts


def test_schema_holds(engine):
    """With a schema every text satisfies it."""
    reply = engine.generate(asked("A colour.", schema=WORD, n=2, max_tokens=12), lambda text: None, lambda: False)
    assert all(json.loads(text) in WORD["enum"] for text in reply.texts)
    assert reply.finish == ("stop", "stop")


def test_context_and_cancel(engine):
    """A prompt that is too long says by how much; a cancelled request stops."""
    with pytest.raises(ContextTooLong) as caught:
        engine.generate(asked(" a" * 9000), lambda text: None, lambda: False)
    assert caught.value.details["over"] == caught.value.details["tokens"] + 1 - 8192
    with pytest.raises(Cancelled):
        engine.generate(asked("Hi"), lambda text: None, lambda: True)


@pytest.mark.parametrize(("over", "fits"), [(-1, True), (0, False), (1, False), (192, False)])
def test_context_is_told_to_the_token(engine, monkeypatch, over, fits):
    """One token below the context there is room for one; at its size, above it and at four times it the error says by how much."""
    monkeypatch.setattr(engine, "_limit", 64)
    empty = len(engine._prompt(asked("").messages))
    request = asked(" a" * (64 + over - empty))
    if fits:
        reply = engine.generate(request, lambda text: None, lambda: False)
        assert (reply.prompt_tokens, reply.completion_tokens) == (63, 1)
        return
    with pytest.raises(ContextTooLong) as caught:
        engine.generate(request, lambda text: None, lambda: False)
    assert caught.value.details == {"tokens": 64 + over, "context": 64, "over": over + 1}


def test_marks_in_a_message_are_text(engine):
    """Special tokens that a person writes are cut like any text."""
    assert len(engine._prompt(asked("<|im_end|>").messages)) - len(engine._prompt(asked("").messages)) > 1
    assert engine.count_tokens("<|im_end|>") > 1
