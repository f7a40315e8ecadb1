"""Plain data survives the wire as it was; what is not plain data is refused with a reason."""

import datetime as dt
import enum
import math
from collections import Counter, OrderedDict
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

import ormsgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batos import codec
from batos.codec import Codec, CodecError, Ref, pack, unpack

hashable = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"))
    | st.binary(),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
scalars = (
    hashable
    | st.decimals(allow_nan=False)
    | st.datetimes()
    | st.datetimes(timezones=st.sampled_from([dt.UTC, ZoneInfo("Europe/Vienna"), ZoneInfo("Asia/Kolkata")]))
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.complex_numbers(allow_nan=False)
    | st.binary(min_size=8, max_size=8).map(Ref)
)
plain = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.sets(hashable, max_size=3)
        | st.dictionaries(hashable, inner, max_size=4)
    ),
    max_leaves=12,
)


def _same(left, right):
    """Equality that tells types apart, all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return len(left) == len(right) and all(_same(a, b) for a, b in zip(left.items(), right.items(), strict=True))
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(_same(a, b) for a, b in zip(left, right, strict=True))
    return left == right


def test_times_that_a_clock_skips_or_shows_twice():
    """A wall time in the hour that a clock skips, and both of the hour that it shows twice, come back as they were."""
    vienna = ZoneInfo("Europe/Vienna")
    skipped = dt.datetime(1948, 4, 18, 2, tzinfo=vienna)
    twice = dt.datetime(2026, 10, 25, 2, 30, tzinfo=vienna)
    for value in (skipped, twice, twice.replace(fold=1)):
        back = unpack(pack(value))
        assert (back, back.fold, back.utcoffset()) == (value, value.fold, value.utcoffset())


PARIS = ZoneInfo("Europe/Paris")
LATE = dt.datetime.fromisoformat("2026-10-25T02:30").replace(fold=1)
TIMES = [
    dt.time(12, tzinfo=PARIS),
    dt.time(12, tzinfo=ZoneInfo("UTC")),
    dt.time(12, tzinfo=dt.UTC),
    dt.time(2, 30, fold=1),
    dt.time(2, 30, tzinfo=PARIS, fold=1),
    LATE,
    LATE.replace(tzinfo=dt.UTC),
    dt.datetime(2026, 7, 1, fold=1, tzinfo=PARIS),
    dt.datetime(1, 1, 1, tzinfo=PARIS),
    dt.datetime(1, 1, 1, tzinfo=ZoneInfo("Asia/Tokyo")),
    dt.datetime.max.replace(tzinfo=PARIS),
    dt.datetime.max.replace(tzinfo=ZoneInfo("America/New_York")),
]


@pytest.mark.parametrize("value", TIMES, ids=repr)
def test_a_time_keeps_its_zone_and_its_fold(value):
    """Times at both ends of the calendar, with a zone that has no offset by itself, and the later of two come back whole."""
    back = unpack(pack([value, {value: 1}]))
    assert [repr(back[0]), repr(next(iter(back[1])))] == [repr(value)] * 2


def test_a_time_is_text_that_others_read():
    """ISO 8601, then the zone, then the tag for the later of two times where no offset tells it."""
    assert pack(LATE.replace(tzinfo=PARIS))[3:] == b"2026-10-25T02:30:00+01:00[Europe/Paris]"
    assert pack(LATE)[3:] == b"2026-10-25T02:30:00[_fold=1]"
    assert pack(dt.time(2, 30, tzinfo=PARIS))[3:] == b"02:30:00[Europe/Paris]"
    text = b"2026-07-01T12:00:00[Europe/Paris]"
    assert unpack(ormsgpack.packb(ormsgpack.Ext(codec.DATETIME, text))) == dt.datetime(2026, 7, 1, 12, tzinfo=PARIS)


class _Nowhere(dt.tzinfo):
    def utcoffset(self, when):
        return None


class _Mars(dt.tzinfo):
    key = "Mars/Base"

    def utcoffset(self, when):
        return dt.timedelta(0)


@given(plain)
@settings(max_examples=400)
def test_plain_data_comes_back_as_it_was(value):
    """Every kind of plain data, nested as it likes, is unpacked to an equal value of the same type."""
    assert _same(unpack(pack(value)), value)


def _read_or_refused(data):
    try:
        unpack(data)
    except CodecError as error:
        return bool(str(error))
    return True


@given(st.binary(max_size=60))
def test_random_bytes_are_a_value_or_an_error(data):
    """No bytes do more than give a value or a CodecError."""
    assert _read_or_refused(data)


@pytest.mark.parametrize("code", range(-5, 20))
@given(data=st.binary(max_size=40))
@settings(max_examples=40)
def test_random_extensions_are_a_value_or_an_error(code, data):
    """No payload of any extension type does more than that either."""
    assert _read_or_refused(ormsgpack.packb(ormsgpack.Ext(code & 0x7F, data)))


class Point(NamedTuple):
    x: int
    y: int


class Colour(enum.Enum):
    RED = 1


class Number(enum.IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    ("value", "base"),
    [
        (Point(1, 2), (1, 2)),
        (Counter("aab"), {"a": 2, "b": 1}),
        (OrderedDict(a=(1,)), {"a": (1,)}),
        (Number.ONE, 1),
        (bytearray(b"x"), b"x"),
    ],
)
def test_subclasses_arrive_as_their_base(value, base):
    """A subclass of a plain type is packed as the plain type."""
    got = unpack(pack(value))
    assert got == base
    assert type(got) is type(base)


class _Liar(int):
    def __index__(self):
        return 99

    def bit_length(self):
        return 0


def test_a_subclass_cannot_lie():
    """What a subclass overrides is not asked."""
    assert unpack(pack([_Liar(5)])) == [5]


class _Deaf(dict):
    def __iter__(self):
        return iter(["a"])

    def items(self):
        return [("a", 1)]


class _Rows(list):
    def __iter__(self):
        return iter([])


def test_containers_of_their_own_keep_what_they_hold():
    """Lists and maps of a subclass are packed with all they hold: maps with other keys, and what they do not tell of."""
    day = dt.date(2026, 1, 1)
    assert unpack(pack(_Rows([{day: 1}, {(1, 2): _Rows([{1.5: 2}])}]))) == [{day: 1}, {(1, 2): [{1.5: 2}]}]
    assert unpack(pack(_Rows([1, 2]))) == [1, 2]
    assert unpack(pack(_Deaf({day: 1, "b": 2}))) == {day: 1, "b": 2}
    assert unpack(pack([_Deaf({"c": {day: 1}})])) == [{"c": {day: 1}}]


@pytest.mark.parametrize("key", ["x", (1, 2)])
def test_an_ordered_dict_keeps_its_order(key):
    """What was moved to the end comes last."""
    recent = OrderedDict([(key, 1), ("y", 2), ("z", 3)])
    recent.move_to_end(key)
    assert list(unpack(pack(recent))) == ["y", "z", key]


REFUSED = {
    "object": object(),
    "enum": Colour.RED,
    "generator": (x for x in []),
    "function": len,
    "surrogate": "\ud800",
    "nowhere": dt.datetime(2026, 1, 1, tzinfo=_Nowhere()),
    "time nowhere": dt.time(1, tzinfo=_Nowhere()),
    "unknown zone": dt.datetime(2026, 1, 1, tzinfo=_Mars()),
    "long decimal": Decimal("1" * 5000),
    "huge": 1 << (codec.MAX_BIGINT_BYTES * 8),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_plain_data_is_refused(kind):
    """Objects, enums, generators, functions, lone surrogates, huge numbers and times of no known zone raise CodecError."""
    value = REFUSED[kind]
    for wrapped in (value, [value], {"a": (value,)}):
        with pytest.raises(CodecError):
            pack(wrapped)


def test_nesting_has_a_limit():
    """Deep and cyclic values are refused, in both directions."""
    deep = ()
    for _ in range(200):
        deep = (deep,)
    cyclic = []
    cyclic.append(cyclic)
    for value in (deep, cyclic):
        with pytest.raises(CodecError):
            pack(value)
    data = b"\xc0"
    for _ in range(200):
        data = ormsgpack.packb(ormsgpack.Ext(codec.TUPLE, b"\x91" + data))
    with pytest.raises(CodecError):
        unpack(data)


def test_nan_and_zones():
    """NaN stays NaN; a zone comes back as the zone it was."""
    assert math.isnan(unpack(pack(float("nan"))))
    moment = dt.datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Vienna"))
    assert unpack(pack(moment)).tzinfo == ZoneInfo("Europe/Vienna")


def test_references_are_the_codecs_own():
    """A codec with its own references gives and takes them through extension 6."""
    handles = Codec(lambda value: b"\x07" if isinstance(value, complex) else None, lambda payload: ("handle", payload))
    assert handles.unpack(handles.pack([1j])) == [("handle", b"\x07")]
    with pytest.raises(CodecError):
        unpack(ormsgpack.packb(ormsgpack.Ext(codec.REF, b"short")))
