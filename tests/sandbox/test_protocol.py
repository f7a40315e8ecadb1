"""The shapes of a worker's words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batos.codec import Ref
from batos.sandbox.protocol import fits, is_selector, is_slot

REF = Ref(b"12345678")
GOOD = [
    ["load", REF, []],
    ["slot", REF, "name"],
    ["send", REF, "go", [1], {"a": 1}, [[REF, {"n": 1}]], "text"],
    ["done", object(), [], ""],
    ["broken", ["n"], ""],
    ["fail", {"type": "E", "text": "t", "line": 1, "traceback": ["x"], "remote": 0}, ""],
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(REF),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("message", GOOD, ids=lambda message: message[0])
def test_honest_words_fit(message):
    """Each kind of message fits in its own shape, and not with a field more, less or of another type."""
    assert fits(message)
    assert not fits([*message, 1])
    assert not fits(message[:-1])
    for place in range(1, len(message)):
        if message[0] != "done" or place != 1:
            assert not fits([*message[:place], 3.5, *message[place + 1 :]])


@given(VALUES)
def test_other_things_do_not(value):
    """Whatever else arrives is refused without an exception."""
    assert fits(value) in (True, False)
    if not isinstance(value, list) or not value or value[0] not in [good[0] for good in GOOD]:
        assert not fits(value)


@given(st.sampled_from([good[0] for good in GOOD]), st.lists(VALUES, max_size=7))
def test_half_right_things_do_not_raise(word, fields):
    """A known word with any fields is judged without an exception."""
    assert fits([word, *fields]) in (True, False)


@pytest.mark.parametrize("name", ["", "1a", "a b", "_x", "__class__", "class", "x" * 201, "a.b", None, 1, b"a"])
def test_bad_names_are_no_slots(name):
    """Only short identifiers without a leading underscore name slots."""
    assert not is_slot(name)


def test_protocol_messages_may_be_sent():
    """Two underscore names may be sent as messages, and no other."""
    assert is_slot("été")
    assert is_selector("_clone_persistent_")
    assert is_selector("_doesNotUnderstand_")
    assert not is_selector("_p_changed")
