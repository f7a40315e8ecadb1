"""The prompt cache: what it says is there is there, and prompts that begin alike find their beginning again."""

from hypothesis import given
from hypothesis import strategies as st

from batos.mind.prompt_cache import SEQUENCE, WORTHWHILE, PromptCache, common_length


class FakeContext:
    """A context that knows which tokens its first sequence has read."""

    def __init__(self, *, room=True):
        self.tokens, self.room = [], room

    def cut(self, sequence, start=0):
        if sequence in (SEQUENCE, -1):
            self.tokens = self.tokens[:start]

    def save(self, sequence):
        return list(self.tokens)

    def restore(self, sequence, state):
        assert self.tokens == []
        self.tokens = list(state) if self.room else self.tokens
        return self.room


def read(cache, context, prompt):
    """Read a prompt as the engine does; gives how many tokens were there already."""
    start = cache.begin(prompt)
    assert context.tokens == prompt[:start]
    context.tokens = list(prompt)
    cache.holds(prompt)
    return start


PROMPT = st.builds(
    lambda base, cut, tail: [base] * cut + tail, st.integers(0, 2), st.integers(0, 200), st.lists(st.integers(0, 3))
).filter(bool)


@given(st.lists(PROMPT, max_size=8), st.booleans())
def test_what_it_says_is_there_is_there(prompts, room):
    """After any prompts, the tokens that need no reading are just those that the context holds; one is always left."""
    context = FakeContext(room=room)
    cache = PromptCache(context, limit=400)
    for prompt in prompts:
        assert read(cache, context, prompt) < len(prompt)


def test_states_that_ask_in_turn_find_their_beginnings():
    """Two kinds of prompts in turn are each read only from where they differ from their last."""
    context = FakeContext()
    cache = PromptCache(context)
    one, two = list(range(300)), list(range(1000, 1300))
    read(cache, context, [*one, 1])
    read(cache, context, [*two, 1])
    assert read(cache, context, [*one, 2]) == 300
    assert read(cache, context, [*two, 2]) == 300


def test_saved_prompts_are_limited():
    """Over the limit the prompt that was used least lately is forgotten."""
    context = FakeContext()
    cache = PromptCache(context, limit=2 * WORTHWHILE + 10)
    kinds = [[kind] * WORTHWHILE for kind in range(4)]
    for kind in kinds:
        read(cache, context, [*kind, 9])
    assert read(cache, context, [*kinds[0], 8]) == 0


def test_reset_forgets_what_the_context_lost():
    """After a reset nothing is taken to be there."""
    context = FakeContext()
    cache = PromptCache(context)
    read(cache, context, [1, 2, 3])
    cache.reset()
    assert read(cache, context, [1, 2, 3]) == 0


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_common_length(one, other):
    """It is the longest beginning that both have."""
    size = common_length(one, other)
    assert one[:size] == other[:size]
    assert size == min(len(one), len(other)) or one[size] != other[size]
