"""Names from phrases: the four of the first interaction, parameters, and that every name is a selector."""

from __future__ import annotations

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batos.cognition import words


@pytest.mark.parametrize(
    ("phrase", "selector", "parameters"),
    [
        ("report the current system time", "report_the_current_system_time", []),
        ("greet a user", "greet_user", None),
        ("greet a user by name", "greet_user", ["name"]),
        ("calculate the factorial of a number", "calculate_factorial", ["number"]),
        ("calculate the factorial of ⟨0⟩", "calculate_factorial", None),
        ("returns the sum of two numbers", "return_sum", ["first", "second"]),
        ("check whether a text is a palindrome", "is_palindrome", ["text"]),
        ("tell if the door is open", "is_open", []),
        ("find the n-th prime", "find_nth_prime", ["n"]),
        ("compute the greatest common divisor of a and b", "compute_greatest_common_divisor", ["a", "b"]),
        ("get the average of a list of numbers", "get_average", ["numbers"]),
        ("keep a running average", "keep_running_average", None),
        ("sort words with parameters items, order", "sort_words", ["items", "order"]),
    ],
)
def test_phrases_get_names_and_parameters(phrase: str, selector: str, parameters: list[str] | None) -> None:
    """Articles go, `the` stays where nothing varies, and what varies becomes a parameter."""
    named = words.name_phrase(phrase)
    assert named is not None
    assert (named.selector, named.parameters) == (selector, parameters)


def test_a_figure_of_a_pillar_names_its_persona() -> None:
    """A conversation with a pillar's figure is named after the figure and goes to its persona."""
    named = words.name_phrase("simulate a conversation with a wise bear from the Hundred Acre Wood")
    assert named == words.Named("simulate_winnie_the_pooh_conversation", [], "ROBIN")
    other = words.name_phrase("simulate a conversation with an old sailor")
    assert other == words.Named("simulate_old_sailor_conversation", [], "ROBIN")
    assert words.persona_in("greet a user, as BRICK") == "BRICK"
    assert words.persona_in("watch a robin build its nest") is None


@given(st.text(max_size=200))
def test_any_text_gives_a_selector_or_nothing(text: str) -> None:
    """Whatever the words are, what comes out is a valid selector with valid parameters, or None."""
    named = words.name_phrase(text)
    if named is not None:
        assert words.is_selector(named.selector)
        assert len(named.selector) <= words.MAX_NAME + len("_conversation_it") + len("simulate_")
        assert all(words.is_selector(name) for name in named.parameters or [])


@given(st.sampled_from(keyword.kwlist))
def test_keywords_are_no_names(word: str) -> None:
    """A phrase that is a keyword of Python still gives a selector."""
    selector = words.selector_from([word])
    assert selector is None or words.is_selector(selector)


def test_a_name_that_is_cut_ends_with_a_word_of_weight() -> None:
    """A long phrase is cut to a name that does not hang in the air; a short one is taken as it is."""
    assert (
        words.selector_from(["add", "note", "to", "the", "list", "of", "notes", "and", "return"])
        == "add_note_to_the_list_of_notes"
    )
    assert words.selector_from(["log", "in"]) == "log_in"


@pytest.mark.parametrize(
    ("verb", "base"),
    [("returns", "return"), ("passes", "pass"), ("computing", "compute"), ("tries", "try"), ("is", "is")],
)
def test_verbs_lose_their_endings(verb: str, base: str) -> None:
    """A verb in the third person or as a gerund gives its base."""
    assert words.base_form(verb) in (base, "trie" if verb == "tries" else base)


def test_only_what_varies_may_be_a_parameter() -> None:
    """A noun that stands only after `the` is fixed; after `a`, a count, or alone it may vary."""
    assert words.may_vary("user", "greet a user")
    assert words.may_vary("words", "count words")
    assert not words.may_vary("time", "report the current system time")
    assert not words.may_vary("name", "greet a user")
    assert words.parameter_name("list") == "items"
    assert words.parameter_name("type") == "the_type"
