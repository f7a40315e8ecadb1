"""The context as a budget: optional parts go first and in order, nothing else is ever cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batos.errors import ContextTooLong
from batos.mind.budget import fit
from batos.mind.protocol import GenerateRequest


def words(messages):
    """Tokens of a double: one for each word."""
    return [len(word) for message in messages for word in message["content"].split()]


def request(kept, parts, max_tokens):
    """A request whose one message has `kept` words and each part's words."""
    listed = tuple(f" part{i}" + " x" * (size - 1) for i, size in enumerate(parts))
    content = "word " * kept + "".join(listed)
    message = {"role": "user", "content": content}
    return GenerateRequest(state="X", messages=(message,), optional=listed, max_tokens=max_tokens)


@given(st.integers(0, 40), st.lists(st.integers(1, 9), max_size=6), st.integers(1, 30), st.integers(8, 60))
def test_what_is_kept_and_what_goes(kept, parts, max_tokens, context):
    """What must stay is never cut; of the rest the longest beginning that leaves the answer its room stays."""
    asked = request(kept, parts, max_tokens)
    room = min(max_tokens, context // 4)
    stays = len(parts)
    while stays and kept + sum(parts[:stays]) + room > context:
        stays -= 1
    size = kept + sum(parts[:stays])
    if size + 1 > context:
        with pytest.raises(ContextTooLong) as caught:
            fit(asked, words, context)
        assert caught.value.details == {"tokens": size, "context": context, "over": size + 1 - context}
        assert str(size + 1 - context) in str(caught.value)
    else:
        fitted = fit(asked, words, context)
        assert (len(fitted.tokens), fitted.dropped) == (size, len(parts) - stays)


@pytest.mark.parametrize(("size", "fits"), [(15, True), (16, False), (17, False), (64, False)])
def test_at_the_border(size, fits):
    """One token less than the context leaves room for one of the answer; exactly that many, one more and four times do not."""
    asked = request(size, [], 100)
    if fits:
        assert len(fit(asked, words, 16).tokens) == size
    else:
        with pytest.raises(ContextTooLong) as caught:
            fit(asked, words, 16)
        assert caught.value.details["over"] == size - 15
