"""Honest data passes the guard, whatever its keys; what is made to keep its reader busy is refused before it does."""

from __future__ import annotations

import itertools
from decimal import Decimal

import ormsgpack
import pytest
from hypothesis import given, settings

from batos.codec import MAP, SET, Codec, CodecError, pack
from batos.guarded import ROOM, GuardedCodec, check_keys, weight
from tests.test_codec import plain

PRIME = (1 << 61) - 1
HUGE = 1 << 500_000
NEAR = range(-5, 6)
GRID = list(itertools.product(NEAR, repeat=2))
HONEST = {
    "points": set(GRID),
    "points in space": dict.fromkeys(itertools.product(NEAR, repeat=4), 0),
    "points that are complex": {complex(x, y) for x, y in GRID},
    "points of floats": {(x / 1, y / 1): 1 for x, y in GRID},
    "edges": {frozenset([(x, y), (x + 1, y)]) for x, y in GRID},
    "powers": {2**n: n for n in range(1000)},
    "powers of floats": {2.0**n for n in range(-500, 500)},
    "prices": {Decimal(n) / 4 for n in range(-500, 500)},
    "numbers of each kind": {Decimal(-1), -2, 1, Decimal(2**61), 2.0**61 * 2, Decimal("1e999999"), Decimal("NaN")},
}


def refused(data, codec=None):
    """Whether the guard refuses it, for its keys."""
    with pytest.raises(CodecError) as caught:
        (codec or GuardedCodec()).unpack(data)
    return str(caught.value)


def test_honest_keys_may_share_a_hash():
    """Points of a grid, edges between them, powers of two, and numbers of each kind pass, alone and in one message."""
    for name, value in HONEST.items():
        assert len(GuardedCodec().unpack(pack(value))) == len(value), name
    assert len(GuardedCodec().unpack(pack(list(HONEST.values())))) == len(HONEST)


@given(plain)
@settings(max_examples=200)
def test_plain_data_passes(value):
    """What `pack` gives passes: with other keys in extension 12, or with text keys alone in maps of msgpack's own."""
    check_keys(pack(value))
    GuardedCodec().unpack(pack(value))
    texts = Codec(text_keys=True).pack(value)
    assert pack(GuardedCodec(text_keys=True).unpack(texts)) == pack(Codec().unpack(texts))


@pytest.mark.parametrize("wrap", [lambda key: key, lambda key: (0, key), lambda key: frozenset([key])])
def test_a_decimal_is_not_compared_with_a_huge_integer(wrap):
    """Two keys of one hash, a Decimal and an integer of 60 kB, would take a second to tell apart."""
    keys = [wrap(HUGE), wrap(Decimal(HUGE % PRIME))]
    assert hash(keys[0]) == hash(keys[1])
    assert "one hash" in refused(ormsgpack.packb(ormsgpack.Ext(SET, pack(keys))))


def test_sets_of_one_hash_in_each_other():
    """Two sets in a set, each of two sets, and so on: telling them apart takes near the square of their number."""
    level = [frozenset([1 + n * PRIME]) for n in range(1 << 10)]
    while len(level) > 1:
        level = [frozenset(level[n : n + 2]) for n in range(0, len(level), 2)]
    assert "one hash" in refused(pack(level[0]))


def test_the_work_of_a_message_is_counted_together():
    """Sets that pass one by one are refused when a message has many of them; the next message starts anew."""
    keys = [1 + n * PRIME for n in range(60)]
    some, many = pack([set(keys)] * 200), pack([set(keys)] * (2 * ROOM // 60**2))
    codec = GuardedCodec()
    assert len(codec.unpack(some)) == 200
    assert "one hash" in refused(many, codec)
    assert len(codec.unpack(some)) == 200


def test_entries_are_pairs():
    """An entry that is a map, whose first key would be the key, hides no keys."""
    entries = [{(0, n): 0, 0: n} for n in range(3)]
    assert "no pairs" in refused(ormsgpack.packb(ormsgpack.Ext(MAP, pack(entries))))


@pytest.mark.parametrize(
    "key", [b"\x91\x01", b"\x90", b"\xcb" + bytes(8), b"\xc4\1a", b"\xdc\0\1\1", b"\xd4\7" + b"1", b"\x80"]
)
@pytest.mark.parametrize(
    "head", [b"\x81%s\xc0", b"\x92\x01\x81%s\xc0", b"\x82\xa1a\xd9\x02bc%s\xa0", b"\xde\0\1%s\1", b"\xdf\0\0\0\1%s\1"]
)
def test_keys_of_other_kinds_are_no_keys(head, key):
    """Arrays, floats and bytes as keys of msgpack's own maps are refused before a map is made of them."""
    with pytest.raises(CodecError, match="extension 12"):
        check_keys(head % key)
    assert "extension 12" in refused(head % key)


def test_what_is_no_text_is_a_key_on_the_bridge_alone():
    """Integers, booleans and nil are keys, as the contract has it; a worker's maps have none of them."""
    value = {1: "a", False: [2, {None: 3}], -(1 << 63): {"b": 1.5}, "c": {(1 << 64) - 1: b"x" * 300}}
    assert GuardedCodec().unpack(pack(value)) == value
    with pytest.raises(CodecError):
        GuardedCodec(text_keys=True).unpack(pack(value))
    assert GuardedCodec(text_keys=True).unpack(Codec(text_keys=True).pack(value)) == value


def test_maps_with_integer_keys_in_each_other_are_read_twice_a_level(monkeypatch):
    """Looking at the keys first takes a second look at each level, and no more."""
    value, calls, unpackb = {1: 1}, [], ormsgpack.unpackb
    for _ in range(12):
        value = {1: (value,)}
    data = pack(value)
    monkeypatch.setattr("ormsgpack.unpackb", lambda *args, **options: calls.append(1) or unpackb(*args, **options))
    assert GuardedCodec().unpack(data) == value
    assert len(calls) <= 2 * 13


def test_a_key_weighs_what_it_may_cost():
    """A number or text is one step; a Decimal, a huge integer and what holds many are more; it stops over what is asked."""
    assert {weight(key, 99) for key in ("text", 7, None, True, b"x")} == {1}
    assert weight((1, (2, 3)), 99) == 5
    assert weight(Decimal(1), 99) > weight(1.5, 99) > 1
    assert weight(HUGE, 99) > 500_000
    assert weight(((1,) * 1000,) * 1000, 99) == 1001
