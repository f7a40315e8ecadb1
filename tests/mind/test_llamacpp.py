"""The llama.cpp engine with real weights: reproducible, constrained, cancellable, and honest about its context."""

import json
from contextlib import nullcontext
from dataclasses import replace

import pytest

from batos.errors import Cancelled, ContextTooLong, ModelError
from batos.mind.llamacpp import SIDE_BY_SIDE, LlamaEngine
from batos.mind.protocol import GenerateRequest, ModelSpec
from batos.mind.service import HostMind

pytestmark = pytest.mark.real

MODEL = "qwen2.5-coder-0.5b"
SYSTEM = {"role": "system", "content": "You write one Python method at a time for a living object. " * 6}
QUERIES = {"type": "array", "items": {"type": "string", "maxLength": 40}, "minItems": 1, "maxItems": 2}


def never():
    return False


def asked(text, **more):
    messages = (SYSTEM, {"role": "user", "content": text})
    return GenerateRequest(state="SYNTHESIZING", messages=messages, **{"max_tokens": 16, **more})


def write(engine, request, cancelled=never):
    return engine.generate(request, lambda text: None, cancelled)


@pytest.fixture(scope="module")
def engines():
    """Engines that live as long as this module's tests; closed at the end."""
    made = {}
    yield made
    for engine in made.values():
        engine.close()


@pytest.fixture
def engine(engines, weights):
    """An engine that other tests have used before."""
    if "engine" not in engines:
        engines["engine"] = LlamaEngine(weights(MODEL), lock=lambda **_: nullcontext())
    return engines["engine"]


@pytest.fixture
def small(engines, weights):
    """An engine with a small context."""
    if "small" not in engines:
        engines["small"] = LlamaEngine(replace(weights(MODEL), context=256), lock=lambda **_: nullcontext())
    return engines["small"]


def test_same_request_same_text(engine, weights):
    """Whatever was asked before, also with other prompts cached, the same request gives the same text as at first."""
    greedy, sampled = asked("Add two numbers."), asked("Add two numbers.", temperature=0.9, seed=4)
    fresh = LlamaEngine(weights(MODEL), lock=lambda **_: nullcontext())
    try:
        expected = write(fresh, greedy).texts, write(fresh, sampled).texts
    finally:
        fresh.close()
    write(engine, asked("Say hello to a bear."))
    write(engine, GenerateRequest(state="X", messages=({"role": "user", "content": "Count. " * 40},), max_tokens=2))
    assert (write(engine, greedy).texts, write(engine, sampled).texts) == expected


def test_prompts_that_begin_alike_are_read_once(engine):
    """The second prompt with the same beginning is read only from where it differs."""
    write(engine, asked("First."))
    before = engine.statistics()["reused_tokens"]
    write(engine, asked("Second."))
    assert engine.statistics()["reused_tokens"] - before >= 64


def test_prefill_and_stop_words(engine):
    """The answer goes on from its given beginning, ends before the stop word, and is streamed as it is."""
    heard = []
    request = asked(
        "Write the method factorial(self, n).",
        prefill="```python\ndef factorial(self, n):\n",
        stop=("\n```",),
        max_tokens=150,
    )
    reply = engine.generate(request, heard.append, never)
    assert "".join(heard) == reply.texts[0]
    assert reply.finish == ("stop",)
    compile(f"def factorial(self, n):\n{reply.texts[0]}", "factorial", "exec")
    assert reply.completion_tokens < 150
    assert "llama.cpp" in reply.engine


def test_batch_differs_and_repeats(engine):
    """The texts of a batch differ from one another, and the same batch comes out the same again."""
    request = asked("Name a colour and an animal.", n=3, temperature=1.0, max_tokens=12)
    reply = write(engine, request)
    assert len(set(reply.texts)) > 1
    assert write(engine, request).texts == reply.texts


def test_more_candidates_than_fit_side_by_side(small):
    """A batch wider than the cache comes in waves, each candidate whole."""
    request = GenerateRequest(
        state="X", messages=({"role": "user", "content": "Hi"},), n=SIDE_BY_SIDE + 2, max_tokens=3
    )
    reply = write(small, request)
    assert len(reply.texts) == len(reply.finish) == SIDE_BY_SIDE + 2
    assert all(reply.texts)


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_schema_always_holds(engine, temperature):
    """With a schema every text of a batch is JSON that satisfies it, however wild the sampling."""
    request = asked("Search queries, please.", schema=QUERIES, n=3, temperature=temperature, max_tokens=120)
    for text in write(engine, request).texts:
        queries = json.loads(text)
        assert 1 <= len(queries) <= 2
        assert all(isinstance(query, str) and len(query) <= 40 for query in queries)


def test_schema_goes_on_from_a_prefill(engine):
    """A schema holds for the given beginning and the text together."""
    request = asked("Search queries, please.", schema=QUERIES, prefill='["how to ', max_tokens=120)
    assert json.loads('["how to ' + write(engine, request).texts[0])[0].startswith("how to ")


def test_schema_cut_by_the_limit_says_so(engine):
    """An answer that the token limit cuts is marked as cut."""
    assert write(engine, asked("Queries.", schema=QUERIES, max_tokens=2)).finish == ("length",)


@pytest.mark.parametrize(("over", "fits"), [(-1, True), (0, False), (1, False), (768, False)])
def test_context_is_told_to_the_token(small, over, fits):
    """A prompt one token below the context has room for one token; from the context's size on the error says by how much."""
    empty = len(small._tokens(({"role": "user", "content": ""},), ""))
    request = GenerateRequest(
        state="X", messages=({"role": "user", "content": " a" * (256 + over - empty)},), max_tokens=50
    )
    if fits:
        reply = write(small, request)
        assert (reply.prompt_tokens, reply.completion_tokens) == (255, 1)
        return
    with pytest.raises(ContextTooLong) as caught:
        write(small, request)
    assert caught.value.details == {"tokens": 256 + over, "context": 256, "over": over + 1}


def test_optional_parts_go_before_an_error(small):
    """Where the prompt is too long the least useful optional parts are left out, by the model's own tokens, and it is said."""
    parts = tuple(f" part {i}" + " a" * 60 for i in range(4))
    message = {"role": "user", "content": "Say it." + "".join(parts)}
    reply = write(small, GenerateRequest(state="X", messages=(message,), optional=parts, max_tokens=3))
    assert reply.dropped >= 1
    kept = ({"role": "user", "content": "Say it." + "".join(parts[: 4 - reply.dropped])},)
    assert reply.prompt_tokens == len(small._tokens(kept, ""))
    assert reply.completion_tokens == 3


def test_a_long_option_is_weighed_to_its_end(small):
    """An option is never cut: what comes after many tokens counts, as much as if its beginning had been given."""
    begin, end = " one two three four" * 20, " five six seven eight" * 3
    assert small.count_tokens(begin) > 64
    ask = GenerateRequest(state="X", messages=({"role": "user", "content": "Count."},))
    whole, other, first = write(small, replace(ask, options=(begin + end, begin + " zebra", begin))).scores
    (rest,) = write(small, replace(ask, options=(end,), prefill=begin)).scores
    assert whole == pytest.approx(first + rest, rel=1e-2)
    assert abs(whole - other) > 1.0


def test_an_option_without_room_is_an_error(small):
    """What does not fit beside the prompt is refused with by how much, to the token; one token less is weighed."""
    ask = GenerateRequest(state="X", messages=({"role": "user", "content": "Count."},))
    free = 256 - len(small._tokens(ask.messages, ""))
    assert len(write(small, replace(ask, options=(" a" * free,))).scores) == 1
    with pytest.raises(ContextTooLong, match="3 more than the context of 256") as caught:
        write(small, replace(ask, options=("x", " a" * (free + 3))))
    assert caught.value.details == {"tokens": 259, "context": 256, "over": 3}


def test_weighing_says_what_was_left_out(small):
    """Optional parts that the prompt had no room for are told when options are weighed too."""
    parts = tuple(f" part {i}" + " a" * 60 for i in range(4))
    message = {"role": "user", "content": "Say it." + "".join(parts)}
    reply = write(small, GenerateRequest(state="X", messages=(message,), optional=parts, options=("yes", "no")))
    assert reply.dropped >= 1


def test_cancel_between_tokens(engine):
    """A cancelled generation stops, and the engine serves the next one as if nothing had been."""
    expected = write(engine, asked("Add.")).texts
    heard = []
    with pytest.raises(Cancelled):
        engine.generate(asked("Count to a hundred.", max_tokens=400), heard.append, lambda: len(heard) > 3)
    assert len(heard) < 20
    assert write(engine, asked("Add.")).texts == expected


def test_marks_in_a_message_are_text(engine):
    """Special tokens that a person writes are cut like any text: they cannot end the turn."""
    plain = len(engine._tokens(asked("").messages, ""))
    assert len(engine._tokens(asked("<|im_end|>").messages, "")) - plain > 1
    assert engine.count_tokens("<|im_end|>") > 1


def test_each_request_takes_the_core_lock(weights):
    """The lock on the cores is taken once for a request and released after it."""
    taken = []

    class Lock(nullcontext):
        def __exit__(self, *args):
            taken.append("released")

    engine = LlamaEngine(weights(MODEL), lock=lambda **_: taken.append("taken") or Lock())
    try:
        write(engine, asked("Hi", n=2, max_tokens=1))
        write(engine, asked("Hi", max_tokens=1))
    finally:
        engine.close()
    assert taken == ["taken", "released"] * 2


def test_broken_file(weights, tmp_path):
    """A truncated file, or one that is something else, is an error that says how to mend it."""
    whole = weights(MODEL).path
    for name, size in (("short.gguf", 3 << 20), ("other.gguf", 0)):
        with open(whole, "rb") as stream:
            (tmp_path / name).write_bytes(stream.read(size) or b"not weights")
        with pytest.raises(ModelError, match="cannot load") as caught:
            LlamaEngine(ModelSpec(name="broken", path=str(tmp_path / name)))
        assert "verify" in caught.value.hint


async def test_through_the_host(weights):
    """The same request through the host process gives the same text as in this process."""
    spec = weights(MODEL)
    request = asked("Add two numbers.", model=MODEL)
    here = LlamaEngine(spec, lock=lambda **_: nullcontext())
    expected = write(here, request)
    here.close()
    mind = HostMind({MODEL: spec}, engine="llama.cpp")
    try:
        heard = []
        reply = await mind.generate(request, heard.append)
    finally:
        await mind.close()
    assert (reply.texts, reply.model_sha256) == (expected.texts, spec.sha256)
    assert "".join(heard) == reply.texts[0]
