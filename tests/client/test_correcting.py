"""Corrections in words: which are one, and of which call."""

from __future__ import annotations

from typing import Any

import pytest

from batos import wire
from batos.client.correcting import Call, correction

ROMAN = Call("genesis_obj", "to_roman", [4], {}, "IIII")
SUM = Call("genesis_obj", "add_up", [2, 3], {}, 6)


@pytest.mark.parametrize(
    ("text", "last", "args", "result"),
    [
        ("no, 4 is IV", ROMAN, [4], "IV"),
        ("No: 9 should be 'IX'.", ROMAN, [9], "IX"),
        ("wrong, to_roman(9) == 'IX'", ROMAN, [9], "IX"),
        ("that's wrong, it should be IV", ROMAN, [4], "IV"),
        ("no, 'IV'", ROMAN, [4], "IV"),
        ("no, expected IV", ROMAN, [4], "IV"),
        ("no, it is 5", SUM, [2, 3], 5),
        ("nope. 5", SUM, [2, 3], 5),
        ("no, 2, 4 gives 6", SUM, [2, 4], 6),
        ("wrong - should be 5!", SUM, [2, 3], 5),
    ],
)
def test_words_that_correct(text: str, last: Call, args: list[Any], result: Any) -> None:
    """The call is the one that is named, or the last one; the value is of the kind that the last result was."""
    made = correction(text, last)
    assert made is not None
    wire.read_request(made)
    assert (made["selector"], made["args"], made["result"]) == (last.selector, args, result)


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("no, 4 is IV", None),
        ("what is 4", ROMAN),
        ("no", SUM),
        ("no, thank you", SUM),
        ("no, please greet Ada", ROMAN),
        ("nobody is home", SUM),
        ("no, other(4) == 5", SUM),
        ("no, 1, 2, 3 is 6", SUM),
    ],
)
def test_words_that_do_not(text: str, last: Call | None) -> None:
    """Without a result before, or without a value, they are words like others."""
    assert correction(text, last) is None


def test_a_call_is_one_with_a_result() -> None:
    """Sends and missions that gave a result are calls; other replies are none."""
    brief = {"selector": "to_roman", "args": [4]}
    mission = {"command": "initiate_cognitive_cycle", "target_oid": "x_obj", "mission_brief": brief}
    assert Call.of(mission, {"status": "COMPLETE", "result": "IV"}) == Call("x_obj", "to_roman", [4], {}, "IV")
    assert Call.of(mission, {"status": "COMPLETE", "needs": ["n"]}) is None
    assert Call.of({"command": "status"}, {"status": "OK", "result": 1}) is None
