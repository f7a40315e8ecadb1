"""The scripted mind answers by the rules of the contract."""

import asyncio
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batos.errors import BadSetting, ModelError
from batos.mind.protocol import GenerateRequest
from batos.testing.scripted import ScriptedMind, hash_vector


def asked(state="SYNTHESIZING", *, selector="greet", intent="", prompt="", n=1, prefill=""):
    messages = ({"role": "user", "content": prompt},)
    return GenerateRequest(state=state, selector=selector, intent=intent, messages=messages, n=n, prefill=prefill)


async def test_first_fitting_rule_answers():
    """The first rule that fits the state and whose pattern is found answers; later ones are not looked at."""
    mind = ScriptedMind(
        [
            {"state": "DECOMPOSING", "text": "other state"},
            {"match": "^never$", "text": "other words"},
            {"state": "SYNTHESIZING", "match": "gr.et", "text": "first"},
            {"text": "second"},
        ]
    )
    assert (await mind.generate(asked())).texts == ("first",)


@pytest.mark.parametrize("where", ["intent", "selector", "prompt"])
async def test_pattern_is_searched_in_three_places(where):
    """`match` may be found in the mission's intent, its selector or the prompt."""
    mind = ScriptedMind([{"match": "need+le", "text": "found"}])
    assert (await mind.generate(asked(**{"selector": "x", where: "hay needle hay"}))).texts == ("found",)


async def test_times_count_requests_not_candidates():
    """One request is one use, however many candidates it asks for; a used-up rule lets the next one answer."""
    mind = ScriptedMind([{"text": "a", "times": 2}, {"text": "b"}])
    answers = [(await mind.generate(asked(n=n))).texts for n in (3, 1, 2)]
    assert answers == [("a", "a", "a"), ("a",), ("b", "b")]


async def test_texts_serve_candidates_in_order_and_repeat_the_last():
    """`texts` go to the candidates of a request in order, the last repeated."""
    mind = ScriptedMind([{"texts": ["a", "b"]}])
    assert (await mind.generate(asked(n=4))).texts == ("a", "b", "b", "b")


async def test_decomposing_has_a_default():
    """Without a rule for DECOMPOSING the selector's words are the one query."""
    reply = await ScriptedMind().generate(asked("DECOMPOSING", selector="report_current_time"))
    assert json.loads(reply.texts[0]) == ["report current time"]


async def test_missing_rule_shows_the_prompt():
    """Without a rule for SYNTHESIZING the error shows the prompt."""
    with pytest.raises(ModelError, match="the whole prompt"):
        await ScriptedMind().generate(asked(prompt="the whole prompt"))


async def test_prefill_is_not_repeated():
    """A scripted text that begins with the prefill comes without it, as from a model."""
    reply = await ScriptedMind([{"text": "def f(self):\n    return 1"}]).generate(asked(prefill="def f(self):\n"))
    assert reply.texts == ("    return 1",)


async def test_tokens_are_streamed_and_counted_by_words():
    """The streamed pieces make the first text, and counts are counts of words."""
    pieces: list[str] = []
    reply = await ScriptedMind([{"texts": ["  one two\n three ", "x"]}]).generate(
        asked(prompt="a b c", n=2), pieces.append
    )
    assert "".join(pieces) == "  one two\n three "
    assert (reply.prompt_tokens, reply.completion_tokens) == (3, 4)


async def test_delay_holds_up_that_request_alone():
    """A delayed answer leaves others unharmed: a request that comes later is answered while the first still waits."""
    mind = ScriptedMind([{"match": "slow", "text": "late", "delay_s": 3600}, {"text": "soon"}])
    slow = asyncio.create_task(mind.generate(asked(selector="slow")))
    await asyncio.sleep(0)
    assert (await mind.generate(asked())).texts == ("soon",)
    assert not slow.done()
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow


@given(st.text(), st.text())
def test_embeddings_are_unit_vectors_that_depend_on_the_text_alone(one, other):
    """Every text, also an empty one, has a vector of length 1, the same each time."""
    for text in (one, other, f"{one} {other}"):
        assert math.isclose(math.hypot(*hash_vector(text)), 1.0)
        assert hash_vector(text) == hash_vector(text)


async def test_embeddings_of_shared_words_are_near():
    """Texts that share words are nearer than texts that share none."""
    one, near, far = await ScriptedMind().embed(["count the calls", "count calls", "roman numerals"])
    assert sum(a * b for a, b in zip(one, near, strict=True)) > sum(a * b for a, b in zip(one, far, strict=True))


@pytest.mark.parametrize(
    "rules",
    [
        {"text": "not a list"},
        ["not a map"],
        [{}],
        [{"text": "a", "texts": ["b"]}],
        [{"texts": []}],
        [{"text": 1}],
        [{"text": "a", "times": -1}],
        [{"text": "a", "times": True}],
        [{"text": "a", "delay_s": "1"}],
        [{"text": "a", "match": "("}],
        [{"text": "a", "colour": "red"}],
    ],
)
def test_bad_script_is_a_bad_setting(rules, tmp_path):
    """A script that breaks the form is refused when it is read, with a hint that shows the form."""
    file = tmp_path / "script.json"
    file.write_text(json.dumps(rules))
    with pytest.raises(BadSetting) as caught:
        ScriptedMind.load_file(file)
    assert "JSON list" in caught.value.hint


@pytest.mark.parametrize("content", [None, b"[", b"\xff"])
def test_unreadable_script_is_a_bad_setting(content, tmp_path):
    """A missing file, broken JSON or bytes that are no text are refused with the file's name."""
    file = tmp_path / "script.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadSetting, match=r"script\.json"):
        ScriptedMind.load_file(file)


async def test_statistics_count_requests():
    """`statistics` counts the requests and those that no rule answered."""
    mind = ScriptedMind([{"text": "a", "times": 1}])
    await mind.generate(asked())
    with pytest.raises(ModelError):
        await mind.generate(asked())
    assert (mind.statistics()["requests"], mind.statistics()["unanswered"]) == (2, 1)
