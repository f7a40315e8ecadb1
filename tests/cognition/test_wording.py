"""How words are put: the verbs that they mean, and which way round they go."""

import pytest

from batos.cognition import capabilities
from tests.kernel.recall_words import CAPABILITIES

KNOWN = capabilities.read(
    {"selector": selector, "summary": summary, "signature": f"({parameter})"}
    for selector, parameter, summary, _body in CAPABILITIES
)


@pytest.mark.parametrize(
    ("text", "selector", "args"),
    [
        ("the number of words in 'a b'", "word_count", ["a b"]),
        ("give me 'abc' reversed", "reverse_text", ["abc"]),
        ("what is 12.5 celsius in fahrenheit?", "convert_celsius_to_fahrenheit", [12.5]),
        ("how much is -3 celsius as fahrenheit?", "convert_celsius_to_fahrenheit", [-3]),
        ("convert to fahrenheit 20 celsius", "convert_celsius_to_fahrenheit", [20]),
        ("the area of this circle with radius 4", "area_of_circle", [4]),
    ],
)
def test_verbs_that_are_not_said_are_understood(text, selector, args):
    """Words that mean a deed without its verb are answered by the capability that does it, with their values."""
    assert capabilities.match(text, KNOWN) == capabilities.Matched(selector, args)


@pytest.mark.parametrize(
    "text",
    [
        "convert 20 degrees fahrenheit to celsius",
        "what is 20 fahrenheit in celsius?",
        "what is the radius of a circle with area 12?",
        "is 'abc' reversed?",
        "greet a group of users",
        "greet a user in French",
        "count consonants in a text",
        "find the largest factorial below a number",
        "count vowels in each word of a text",
        "count the sentences of a text",
        "give the second largest of some numbers",
    ],
)
def test_what_goes_another_way_is_not_recalled(text):
    """The way back, another property of the same thing, a yes-or-no question and a kind of thing are no match."""
    assert not isinstance(capabilities.match(text, KNOWN), capabilities.Matched)
