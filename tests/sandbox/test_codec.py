"""Handles, and the values that a worker may send."""

from __future__ import annotations

from decimal import Decimal

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batos.codec import FROZENSET, MAP, REF, SET, Codec, CodecError, Ref
from batos.sandbox.codec import Handles, KernelCodec, ProtocolFault, frame
from batos.sandbox.guest import activation

ONE, TWO = Ref(b"\0" * 7 + b"\1"), Ref(b"\0" * 7 + b"\2")
OPEN = Codec(lambda value: value if type(value) is bytes else None, bytes)


def test_handles_are_given_in_order_and_once():
    """A reference has one handle in an activation; oids never cross."""
    codec = KernelCodec(Handles())
    data = codec.pack([ONE, TWO, ONE])
    assert ONE.oid not in data
    assert codec.unpack(data) == [ONE, TWO, ONE]


@pytest.mark.parametrize("payload", [b"\0\0\0\2", b"\xff\xff\xff\xff", b"\0\0\0", b"", ONE.oid])
def test_a_guessed_handle_is_a_fault(payload):
    """A handle that was never given, or is none, is a protocol fault."""
    codec = KernelCodec(Handles())
    codec.pack([ONE, TWO])
    with pytest.raises(ProtocolFault, match="never given"):
        codec.unpack(ormsgpack.packb(ormsgpack.Ext(REF, payload)))


@pytest.mark.parametrize("code", [SET, FROZENSET])
def test_sets_with_one_hash_are_refused(code):
    """A set whose elements share one hash would take the kernel quadratic time."""
    flood = Codec().pack([1 + k * ((1 << 61) - 1) for k in range(500)])
    with pytest.raises(ProtocolFault, match="one hash"):
        KernelCodec().unpack(ormsgpack.packb(ormsgpack.Ext(code, flood)))


def test_maps_with_one_hash_are_refused():
    """The same holds for maps with other keys; ordinary ones pass."""
    pairs = [[1 + k * ((1 << 61) - 1), 0] for k in range(500)]
    with pytest.raises(ProtocolFault, match="one hash"):
        KernelCodec().unpack(ormsgpack.packb(ormsgpack.Ext(MAP, Codec().pack(pairs))))
    plain = {(k, "x"): k for k in range(500)}
    assert KernelCodec().unpack(KernelCodec().pack(plain)) == plain


def test_maps_of_msgpacks_own_have_text_keys_alone():
    """Tuples of one hash as keys of msgpack's own map would not be looked at; every other map comes as extension 12."""
    forged = b"\x81\x93" + b"\xcb" * 3 + bytes(24)
    for data in (b"\x81\x91\x01\xc0", b"\x91\x81\x01\xc0", forged):
        with pytest.raises(CodecError):
            KernelCodec().unpack(data)
    plain = {1: {"a": {None: [True]}}, False: {1.5: 2}}
    assert KernelCodec().unpack(KernelCodec().pack(plain)) == plain
    assert activation.codec.unpack(KernelCodec().pack(plain)) == plain
    assert KernelCodec().unpack(activation.codec.pack(plain)) == plain


def test_keys_that_are_slow_to_compare_are_a_fault():
    """A Decimal and a huge integer of one hash are what no honest worker sends."""
    keys = [1 << 500_000, Decimal((1 << 500_000) % ((1 << 61) - 1))]
    with pytest.raises(ProtocolFault, match="one hash"):
        KernelCodec().unpack(ormsgpack.packb(ormsgpack.Ext(SET, Codec().pack(keys))))


def _set_in_set(inner):
    return frozenset([inner])


def _map_in_map(inner):
    return {(0, 1): inner}


@pytest.mark.parametrize("wrap", [_set_in_set, _map_in_map])
def test_what_lies_in_it_is_unpacked_once(wrap, monkeypatch):
    """Sets in sets, and maps in maps, take the kernel a step or two a level, however deep they lie."""
    value, depth, calls = frozenset(), 8, []
    for _ in range(depth):
        value = wrap(value)
    data = Codec().pack(value)
    unpackb = ormsgpack.unpackb
    monkeypatch.setattr("ormsgpack.unpackb", lambda *args, **options: calls.append(1) or unpackb(*args, **options))
    assert KernelCodec().unpack(data) == value
    assert len(calls) <= 2 * depth + 2


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_an_error(data):
    """Whatever a worker sends is a value or a `CodecError`, and nothing else."""
    try:
        KernelCodec().unpack(data)
    except CodecError:
        return
    assert data


def test_a_frame_tells_its_length():
    """A frame is its length in four bytes, then the value."""
    assert frame(b"abc") == b"\0\0\0\3abc"
