"""What a function is begun with."""

import doctest

import pytest

from batos.cognition import prompts

BRIEF = {
    "type": "unhandled_message",
    "selector": "double",
    "intent": "Double a number.",
    "parameters": [{"name": "n"}],
    "examples": [
        {"args": [2], "result": 4},
        {"args": ["ab"], "result": "abab"},
        {"args": [None], "error": "TypeError"},
    ],
}


def _function(opening, body):
    """The function that an opening and a body give."""
    space = {}
    exec(opening + body, space)
    return space["double"]


def test_a_docstring_holds_the_words_and_the_examples():
    """An opening with a docstring is Python, and its doctests are the examples: they judge right and wrong bodies."""
    opening = prompts.documented(BRIEF)
    assert opening.startswith(prompts.opening(BRIEF, "function"))
    for body, failures in (("    return n * 2\n", 0), ("    return n\n", 2)):
        function = _function(opening, body)
        assert "Double a number." in function.__doc__
        [found] = doctest.DocTestFinder().find(function, "double", globs={"double": function})
        assert doctest.DocTestRunner(verbose=False).run(found, out=lambda _: None) == (failures, 2)


@pytest.mark.parametrize("words", ['end it with """ now', "split at \\n", 'say "hello"', "two\nlines"])
def test_no_words_break_out_of_the_docstring(words):
    """Whatever the words are, what is begun with them is still one function."""
    assert _function(prompts.documented({**BRIEF, "intent": words}), "    return n * 2\n")(3) == 6


def test_a_method_is_told_what_its_calls_must_leave():
    """The prompt of a method has what each call of its examples must give or raise, and what slots must hold afterwards."""
    first = {"args": ["pear"], "result": 1, "slots": {"basket": ["pear"], "count": 1}}
    second = {"args": ["fig"], "slots": {"basket": ["pear", "fig"]}}
    examples = [{"steps": [first, second]}, {"args": [None], "error": "TypeError", "slots": {"basket": []}}]
    brief = {"selector": "add", "intent": "put fruit into the basket", "parameters": [{"name": "fruit"}]}
    asked = prompts.synthesizing(
        {}, {**brief, "examples": examples}, slots="basket = []", context=[], known=[], findings=[]
    )
    told = asked[1]["content"].partition("It must hold:\n")[2].partition("Write this")[0].splitlines()
    assert told == [
        "- add('pear') gives 1 and leaves self.basket = ['pear'], self.count = 1",
        "- add('fig') leaves self.basket = ['pear', 'fig']",
        "- add(None) raises TypeError and leaves self.basket = []",
    ]
