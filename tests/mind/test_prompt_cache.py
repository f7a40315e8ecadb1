"""The prompt cache: what it says is there is there, in whole chunks, in a context that is otherwise empty."""

from hypothesis import given
from hypothesis import strategies as st

from batos.mind.prompt_cache import PromptCache, common_length

CHUNK = 4


class FakeContext:
    """A context that knows which tokens its first sequence has read."""

    def __init__(self, *, room=True):
        self.tokens, self.room = [], room

    def cut(self, sequence, start=0):
        self.tokens = self.tokens[:start]

    def save(self, sequence):
        return list(self.tokens)

    def restore(self, sequence, state):
        assert self.tokens == []
        self.tokens = list(state) if self.room else ["half"]
        return self.room


def read(cache, context, prompt):
    """Read a prompt as the engine does; gives how many tokens were there already."""
    start = cache.begin(prompt)
    assert context.tokens == prompt[:start]
    for end in [*range(start + CHUNK, len(prompt), CHUNK), len(prompt)]:
        context.tokens = list(prompt[:end])
        cache.note(prompt, end)
    context.tokens += ["generated"]
    return start


PROMPT = st.builds(
    lambda base, cut, tail: [base] * cut + tail, st.integers(0, 2), st.integers(0, 20), st.lists(st.integers(0, 3))
).filter(bool)


@given(st.lists(PROMPT, max_size=8), st.booleans())
def test_what_it_says_is_there_is_there(prompts, room):
    """After any prompts, what needs no reading is just what the context holds: whole chunks, never the last token."""
    context = FakeContext(room=room)
    cache = PromptCache(context, CHUNK, limit=40)
    for prompt in prompts:
        start = read(cache, context, prompt)
        assert start < len(prompt)
        assert start % CHUNK == 0


def test_states_that_ask_in_turn_find_their_beginnings():
    """Two kinds of prompts in turn are each read only from the chunk in which they differ from their last."""
    context = FakeContext()
    cache = PromptCache(context, CHUNK)
    one, two = list(range(10)), list(range(100, 110))
    read(cache, context, [*one, 1])
    read(cache, context, [*two, 1])
    assert read(cache, context, [*one, 2]) == 8
    assert read(cache, context, [*two, 2]) == 8
    assert cache.reused == 16


def test_kept_beginnings_are_limited():
    """Over the limit the beginning that was used least lately is forgotten."""
    context = FakeContext()
    cache = PromptCache(context, CHUNK, limit=10)
    kinds = [[kind] * 5 for kind in range(3)]
    for kind in kinds:
        read(cache, context, kind)
    assert [read(cache, context, kind) for kind in reversed(kinds)] == [4, 4, 0]


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_common_length(one, other):
    """It is the longest beginning that both have."""
    size = common_length(one, other)
    assert one[:size] == other[:size]
    assert size == min(len(one), len(other)) or one[size] != other[size]
