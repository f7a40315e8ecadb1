"""Plain data as JSON, as a short text, as a hash."""

import hashlib
import json

from batos import plain
from batos.codec import Ref


class TestHash:
    def test_json_briefs_hash_as_json(self):
        """A brief of JSON values has the sha256 of its JSON with sorted keys."""
        brief = {"selector": "f", "args": [1, "a", None, 1.5], "type": "unhandled_message"}
        assert plain.brief_hash(brief) == hashlib.sha256(json.dumps(brief, sort_keys=True).encode()).hexdigest()

    def test_other_values_hash_by_their_wire_form(self):
        """Values that JSON lacks change the hash, and never break it."""
        hashes = {
            plain.brief_hash({"args": [value]})
            for value in ((1,), [1], {1}, b"1", Ref(b"12345678"), float("inf"), {1: 2})
        }
        assert len(hashes) == 7


def test_to_json_is_json():
    """Anything plain becomes something that json can write."""
    value = {1: (2, {3}), "r": Ref(b"12345678"), "b": b"\xff", "f": frozenset({"a"})}
    assert json.loads(json.dumps(plain.to_json(value))) == {
        "1": [2, [3]],
        "r": {"oid": "3132333435363738"},
        "b": "ff",
        "f": ["a"],
    }


def test_any_value_has_a_text():
    """Values whose text Python refuses to write, and values that hold themselves, are shown; long ones are folded."""
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert plain.shown(1 << 60_000) == "<int too large to show>"
    assert plain.shown(deep) == "<list too large to show>"
    assert len(plain.shown("x" * 1000)) == 200


def test_huge_integers_are_json():
    """An integer too long for decimal text goes into JSON and into hashes all the same."""
    huge = 1 << 60_000
    assert json.loads(json.dumps(plain.to_json({"n": huge}))) == {"n": hex(huge)}
    assert plain.brief_hash({"args": [huge]}) != plain.brief_hash({"args": [huge + 1]})
