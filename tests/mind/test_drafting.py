"""A draft: what is streamed is never taken back, stop words end it, half characters wait."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batos.mind.drafting import SAMPLED_TEMPERATURE, Draft, goes_round, samplings
from batos.mind.protocol import GenerateRequest

TEXT = st.text(st.sampled_from("ab`\nä→🧱"), max_size=40)
STOPS = st.lists(st.text(st.sampled_from("ab`\n→"), min_size=1, max_size=3), max_size=3)


def pieces_of(data, cuts):
    """Cut bytes at some places, also within characters."""
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


@given(TEXT, STOPS, st.lists(st.integers(0, 200), max_size=30))
def test_draft_is_the_text_up_to_its_first_stop_word(text, stops, cuts):
    """However the bytes are cut, the draft ends where the first completed stop word begins, and the stream is the draft."""
    sent = []
    draft = Draft(stops, sent.append)
    for piece in pieces_of(text.encode(), cuts):
        draft.add(piece)
        if draft.done:
            break
    draft.end("length")
    assert "".join(sent) == draft.text
    assert not any(stop in draft.text for stop in stops)
    assert text.startswith(draft.text)
    assert draft.finish == ("stop" if any(stop in text for stop in stops) else "length")
    if draft.finish == "length":
        assert draft.text == text


def test_beginning_of_a_stop_word_waits():
    """What may become a stop word is not streamed before it is certain."""
    sent = []
    draft = Draft(["\n```"], sent.append)
    draft.add(b"return 1\n``")
    assert sent == ["return 1"]
    draft.add(b"x")
    assert "".join(sent) == "return 1\n``x"


def test_half_a_character_at_the_end_is_shown_as_such():
    """Bytes that never become a character end as a replacement character, not as an error."""
    draft = Draft()
    draft.add("→".encode()[:2])
    draft.end("length")
    assert draft.text == "\ufffd"


def test_tokens_are_counted():
    """Every piece is a token, empty ones too."""
    draft = Draft()
    for piece in (b"a", b"", b"b"):
        draft.add(piece)
    assert draft.tokens == 3


@given(st.integers(1, 8), st.floats(0, 2), st.integers(0, 2**31))
def test_samplings_differ_within_a_batch(n, temperature, seed):
    """Each text has its own seed; of a greedy batch only the first is greedy."""
    made = samplings(GenerateRequest(state="X", n=n, temperature=temperature, seed=seed))
    assert [own for _, own in made] == list(range(seed, seed + n))
    assert made[0][0] == temperature
    assert all(t == (temperature or SAMPLED_TEMPERATURE) for t, _ in made[1:])


CIRCLES = {
    "one line": "    x = x + 1\n" * 30,
    "numbers that grow": "".join(f"    if n == {n}:\n        return {n * n}\n" for n in range(20)),
    "five lines": "for a in b:\n    c(a)\n\n    d(a)\n# again\n" * 8,
}
STRAIGHT = {
    "a table": "PRIMES = [\n" + "".join(f"    {n},\n" for n in range(60)) + "]\n",
    "names": "".join(f"    '{chr(97 + n % 26)}{chr(97 + n // 26)}': {n},\n" for n in range(60)),
    "a few alike": "    x = x + 1\n" * 20,
    "code": "def f(n):\n    if n < 2:\n        return n\n    return f(n - 1) + f(n - 2)\n",
}


@pytest.mark.parametrize("name", CIRCLES)
def test_a_text_that_goes_round_in_circles_ends(name):
    """The same few lines again and again end a draft, whatever numbers are in them."""
    assert goes_round(CIRCLES[name])
    draft = Draft()
    for piece in itertools.cycle(CIRCLES[name].encode().splitlines(keepends=True)):
        draft.add(piece)
        if draft.done:
            break
    assert draft.finish == "loop"
    assert draft.tokens <= 48


@pytest.mark.parametrize("name", STRAIGHT)
def test_a_text_that_only_looks_so_goes_on(name):
    """Tables of numbers, lines that differ in words and short repetitions are no circles."""
    draft = Draft()
    for piece in STRAIGHT[name].encode().splitlines(keepends=True):
        draft.add(piece)
    assert not draft.done
