"""Arguments from words: the form by signature, and only values that stand in the words or follow from them."""

from __future__ import annotations

from typing import Any

import pytest

from batos.cognition import capabilities
from batos.cognition.filling import believed, follows, schema

DOC = "Book a table.\n\nArgs:\n    city: The city.\n    seats (int): How many.\n\nReturns: nothing"
SIGNATURE = (
    "(self, city: str, seats: int, kind: Literal['inside', 'outside'] = 'inside', vegan_food: bool = False, "
    "hours: list[float] = None, note=None)"
)
BOOK = {"selector": "book_table", "signature": SIGNATURE, "summary": "Book a table.", "doc": DOC}


def book() -> capabilities.Capability:
    (item,) = capabilities.read([BOOK])
    return item


def test_the_form_is_that_of_the_signature() -> None:
    """Types, choices, lists and what is required come from the annotations; an unknown type takes any plain value."""
    form = schema(book())
    assert form["required"] == ["city", "seats"]
    fields = form["properties"]
    assert fields["seats"] == {"type": "integer"}
    assert fields["kind"] == {"enum": ["inside", "outside"]}
    assert fields["vegan_food"] == {"type": "boolean"}
    assert fields["hours"]["items"] == {"type": "number"}
    assert "anyOf" in fields["note"]


def test_a_capability_describes_itself_with_its_docstring() -> None:
    """A model sees signature, summary, and what the docstring says of each parameter."""
    shown = book().described.split("\n")
    assert shown[0].startswith("book_table(city: str, seats: int, kind: Literal['inside', 'outside'] = 'inside'")
    assert shown[1:] == ["    city: The city.", "    seats: How many."]


@pytest.mark.parametrize(
    ("said", "args", "kwargs", "missing"),
    [
        ({"city": "Rome", "seats": 4}, ["Rome", 4], {}, []),
        ({"city": "Rome", "seats": 5}, ["Rome"], {}, ["seats"]),
        ({"city": "Oslo", "seats": 4}, [], {"seats": 4}, ["city"]),
        ({"city": "Rome", "seats": 4, "kind": "inside"}, ["Rome", 4], {}, []),
        ({"city": "Rome", "seats": 4, "kind": "outside"}, ["Rome", 4, "outside"], {}, []),
        ({"city": "Rome", "seats": 4, "vegan_food": True}, ["Rome", 4], {"vegan_food": True}, []),
        ({"city": "Rome", "seats": 4, "note": "made up"}, ["Rome", 4], {}, []),
        ({"city": "Rome", "seats": 4, "hours": [8.5]}, ["Rome", 4], {"hours": [8.5]}, []),
        ({"city": "", "seats": None}, [], {}, ["city", "seats"]),
    ],
)
def test_made_up_values_are_left_out_or_missing(said: dict, args: list, kwargs: dict, missing: list) -> None:
    """What stands in the words is taken; an optional value that does not is left out; a required one is missing."""
    filled = believed(book(), said, "a table outside in Rome for four, vegan food, at 8.5")
    assert (filled.args, filled.kwargs, filled.missing) == (args, kwargs, missing)


def test_a_flag_is_as_the_words_have_it() -> None:
    """A flag that is denied in the words is False, whatever the model says; one that is not spoken of is left out."""
    said = {"city": "Rome", "seats": 2, "vegan_food": True}
    assert believed(book(), said, "Rome, 2 seats, without vegan food").kwargs == {"vegan_food": False}
    assert believed(book(), said, "Rome, 2 seats").kwargs == {}


def test_what_is_vouched_for_is_taken() -> None:
    """Required values, optional numbers and flags that are not in the words are doubted, and taken where they follow."""
    said = {"city": "Oslo", "seats": 4.0, "vegan_food": True, "note": "made up"}
    text = "a table in the capital of Norway for four"
    filled = believed(book(), said, text)
    assert (filled.args, filled.kwargs, filled.missing) == ([], {"seats": 4}, ["city"])
    assert filled.doubted == ["city", "vegan_food"]
    filled = believed(book(), said, text, filled.doubted)
    assert (filled.args, filled.kwargs, filled.missing) == (["Oslo", 4], {"vegan_food": True}, [])


def test_values_in_the_form_that_is_asked_for_are_believed() -> None:
    """A choice that the description quotes needs no word; an optional amount in another unit needs its name in the words."""
    doc = "Look.\n\nArgs:\n    level: How deep. Can be 'summary' or 'detailed'."
    signature = "(self, level: str, share: float = 0.5)"
    (item,) = capabilities.read([{"selector": "look", "signature": signature, "summary": "Look.", "doc": doc}])
    assert believed(item, {"level": "detailed", "share": 0.6}, "all of it, a share of 60 percent").args == [
        "detailed",
        0.6,
    ]
    assert believed(item, {"level": "detailed", "share": 0.6}, "all 60 of it").args == ["detailed"]
    assert believed(item, {"level": "shallow"}, "all of it").missing == ["level"]


@pytest.mark.parametrize(
    ("value", "text", "holds"),
    [
        (1_000_000, "a loan of 1,000,000", True),
        (0.6, "with 60 percent", True),
        (0.5, "half of it", True),
        (7200, "for 2 hours", True),
        (17, "give me 3", False),
        ("2023-01-15", "on January 15th, 2023", True),
        ("San Francisco, CA", "in San Francisco", True),
        ("Paris", "in London", False),
        (["a1", "b2"], "take b2", True),
        ({"x": 3}, "x is 3", True),
        ({"x": 9}, "it is 3", False),
    ],
)
def test_what_follows_from_words(value: Any, text: str, holds: bool) -> None:
    """A value follows that is written in another form; one that shares nothing with the words does not."""
    assert follows(value, text) is holds
