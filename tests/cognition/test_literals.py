"""Values in words: literals, calls, examples."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batos.cognition import literals
from batos.cognition.literals import Illustrated

SCALARS = st.one_of(
    st.integers(-(10**12), 10**12),
    st.booleans(),
    st.none(),
    st.text(alphabet="abc xyz", max_size=8),
    st.floats(-1e6, 1e6),
)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("greet 'Ada' 3 times", ["Ada", 3]),
        ("it's Bob's 2.5 and -7", [2.5, -7]),
        ('say "hello, world"', ["hello, world"]),
        ("sort [3, 1, 2] please", [[3, 1, 2]]),
        ("merge {'a': [1]} now", [{"a": [1]}]),
        ("the 3rd of v2", []),
        ("broken [1, 2", [1, 2]),
    ],
)
def test_literals_are_found_in_order(text: str, values: list[Any]) -> None:
    """Quoted texts, numbers, lists and maps are values; apostrophes, ordinals and names are not."""
    assert [item.value for item in literals.literals(text)] == values


@pytest.mark.parametrize(
    ("text", "examples"),
    [
        ("double a number: f(2) == 4", [([2], 4)]),
        ("double(2) == 4, double(3) == 6.", [([2], 4), ([3], 6)]),
        ("double(2) is 4 and double(3) returns 6", [([2], 4), ([3], 6)]),
        (">>> double(2)\n4", [([2], 4)]),
        ("pair(1) -> (1, 1)", [([1], (1, 1))]),
        ("shout('a)b') gives 'A)B'", [(["a)b"], "A)B")]),
        ("f(x) == 4", []),
        ("call print('x') now", []),
    ],
)
def test_examples_are_read(text: str, examples: list[Any]) -> None:
    """Calls with their answers are examples, however they are written; others are not."""
    found = literals.examples(text).examples
    assert [(example["args"], example["result"]) for example in found] == examples
    assert all(type(e["result"]) is type(want[1]) for e, want in zip(found, examples, strict=True))


def test_examples_leave_the_text_and_name_the_function() -> None:
    """What was read as an example is gone from the rest; `f` and `g` are nobody's name."""
    found = literals.examples("double a number; double(2) == 4 ok")
    assert (found.name, found.rest.split()) == ("double", ["double", "a", "number;", "ok"])
    assert literals.examples("f(2) == 4") == Illustrated("", [{"args": [2], "kwargs": {}, "result": 4}], " ")


@given(st.lists(SCALARS, max_size=4), st.dictionaries(st.sampled_from(["a", "bc"]), SCALARS))
def test_a_call_reads_as_it_was_written(args: list[Any], kwargs: dict[str, Any]) -> None:
    """Arguments that Python would write come back as they were."""
    shown = ", ".join([*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())])
    assert literals.call(f"thing.act({shown})") == ("thing", "act", args, kwargs)


@pytest.mark.parametrize(
    "text", ["f(x)", "f(*[1])", "f(**{})", "a.b.c(1)", "1 + 1", "f(", "f()()", "(" * 500, "f({[]: 1})"]
)
def test_what_is_no_plain_call_is_none(text: str) -> None:
    """Names as arguments, unpacking, nesting and broken code are no calls."""
    assert literals.call(text) is None


@given(st.text(max_size=300))
def test_no_text_breaks_the_readers(text: str) -> None:
    """Any text gives values that stand within it, and examples and calls without an error."""
    found = literals.literals(text)
    assert all(0 <= item.start < item.end <= len(text) for item in found)
    assert len(literals.examples(text).rest) <= len(text) + text.count("(")
    literals.call(text)


@pytest.mark.parametrize(
    ("value", "text", "stands"),
    [
        (12, "the factorial of twelve", True),
        (12, "the factorial of 12", True),
        (13, "the factorial of 12", False),
        ("Ada", "greet ada", True),
        ("Bob", "greet ada", False),
        ([1, "b"], "sort 1 and B", True),
        ([1, 2], "sort 1", False),
        ({"a": 3}, "a is 3", True),
    ],
)
def test_values_are_grounded_in_the_words(value: Any, text: str, stands: bool) -> None:
    """A value counts only when it stands in the words, as a figure, a word or a text."""
    assert literals.grounded(value, text) is stands


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("twenty-five of them", {20, 5, 25}),
        ("two hundred and fifty thousand", {2, 200, 50, 250, 250_000}),
        ("three and five", {3, 5}),
        ("one million, then two", {1, 1_000_000, 2}),
        ("a hundred and more", set()),
    ],
)
def test_spoken_numbers(text: str, numbers: set[int]) -> None:
    """Numbers in words are read, whole and in their parts; words that only join two numbers do not add them up."""
    assert literals.spoken_numbers(text) == numbers
