"""Which capability some words mean, and with which arguments."""

from __future__ import annotations

from typing import Any

import pytest

from batos.cognition import capabilities
from batos.cognition.capabilities import Matched

KNOWN = capabilities.read(
    [
        {"selector": "calculate_factorial", "signature": "(self, number)", "summary": "The factorial of a number."},
        {"selector": "greet_user", "signature": "(self, name)", "summary": "Greets."},
        {"selector": "count_words", "signature": "(self, text, fold=True)", "summary": ""},
        {"selector": "report_the_time", "signature": "(self)", "summary": ""},
        {"selector": "infer_", "signature": "", "summary": ""},
        {"selector": "_doesNotUnderstand_", "signature": "", "summary": ""},
        {"selector": "clone", "signature": "", "summary": ""},
    ]
)


def test_the_systems_own_selectors_are_left_out() -> None:
    """Selectors with an underscore at an end are primitives that no words mean."""
    assert [item.selector for item in KNOWN] == [
        *("calculate_factorial", "greet_user", "count_words", "report_the_time", "clone")
    ]
    assert [item.shown for item in KNOWN] == ["(number)", "(name)", "(text, fold=…)", "()", "(…)"]


@pytest.mark.parametrize(
    ("text", "selector", "args"),
    [
        ("what is the factorial of 12?", "calculate_factorial", [12]),
        ("greet Ada", "greet_user", ["Ada"]),
        ("please greet Ada Lovelace", "greet_user", ["Ada Lovelace"]),
        ("how many words are in 'a b c'", "count_words", ["a b c"]),
        ("what time is it", "report_the_time", []),
    ],
)
def test_words_find_their_capability(text: str, selector: str, args: list[Any]) -> None:
    """The words that carry a selector's meaning find it; values in the text are its arguments."""
    assert capabilities.match(text, KNOWN) == Matched(selector, args)


@pytest.mark.parametrize("text", ["factorial of 3 and of 4", "make coffee", "the factorial history of Rome 3", ""])
def test_words_that_do_not_fit_find_nothing(text: str) -> None:
    """Too many values, or words that are no arguments, are no match."""
    assert capabilities.match(text, KNOWN) is None


def test_what_is_missing_is_asked_back() -> None:
    """A capability without its argument gives a question that names it."""
    question = capabilities.match("calculate the factorial", KNOWN)
    assert isinstance(question, str)
    assert "`number`" in question


def test_two_that_fit_are_asked_back() -> None:
    """Where two capabilities fit equally well, the question names both."""
    both = capabilities.read([{"selector": name, "signature": "(self)"} for name in ("show_weather", "tell_weather")])
    question = capabilities.match("the weather", both)
    assert isinstance(question, str)
    assert "show_weather" in question
    assert "tell_weather" in question


def test_the_nearest_are_kept() -> None:
    """Of many capabilities the ones nearest to the words stay, in their own order."""
    near = capabilities.nearest("count the words of a greeting", KNOWN, 2)
    assert "count_words" in [item.selector for item in near]
    assert len(near) == 2


@pytest.mark.parametrize("signature", ["(self, *args)", "(self, *, key)", "(", None, 5])
def test_unknown_signatures_take_anything(signature: Any) -> None:
    """A signature that does not read, or takes what it gets, fits any number of arguments."""
    (item,) = capabilities.read([{"selector": "act", "signature": signature}])
    assert item.parameters is None
    assert item.fits(0)
    assert item.fits(9)


def test_values_of_another_kind_are_no_match() -> None:
    """A number where the signature wants a text leaves the words to a model."""
    typed = {"selector": "calculate_derivative", "signature": "(self, function: str, at: float = 0.0)", "summary": ""}
    known = capabilities.read([typed])
    assert capabilities.match("calculate the derivative of 3x^2 + 2", known) is None
    assert capabilities.match("calculate the derivative of 'x**2' at 2", known) == Matched(
        "calculate_derivative", ["x**2", 2]
    )


def test_a_word_that_is_left_is_no_optional_value() -> None:
    """What stands beside the values fills a parameter that is missing, never one with a default."""
    signature = "(self, elements: list, order: str = 'asc')"
    known = capabilities.read([{"selector": "sort_list", "signature": signature, "summary": "Sort a list."}])
    assert not isinstance(capabilities.match("sort this list of names: ['b', 'a']", known), Matched)


def test_values_that_the_words_name_are_not_placed_by_their_order() -> None:
    """Where the words name parameters in another order than the signature, the rules leave the values to a model."""
    known = capabilities.read(
        [{"selector": "find_activity", "signature": "(self, rate, decay, weight=1.0)", "summary": "Find the activity."}]
    )
    placed = capabilities.match("find the activity for a rate of 200, decay 0.1 and weight 0.5", known)
    assert placed == Matched("find_activity", [200, 0.1, 0.5])
    assert capabilities.match("find the activity for a rate of 200, weight 0.5 and decay 0.1", known) is None
