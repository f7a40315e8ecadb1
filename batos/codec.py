"""Plain data as bytes: msgpack with the extension types of the contract, and nothing that runs code.

Used on the Synaptic Bridge, between the kernel and its sandbox and mind host, and wherever plain data needs
a canonical form. Schemas of messages live in `wire`; this module imports only the standard library and ormsgpack,
because the sandbox's zygote loads it too.
"""

from __future__ import annotations

import datetime as dt
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import ormsgpack

TUPLE, SET, BIGINT, DATETIME, DATE, REF, DECIMAL, FROZENSET, COMPLEX, TIMEDELTA, TIME, MAP = range(1, 13)

MAX_BIGINT_BYTES = 1 << 16
MAX_NESTING = 64
_SCALAR_LIMIT = 4096
_SHOWN = 60
_LATER = "_fold=1"  # of the two times that a clock shows alike, where no offset tells; a tag in the form of RFC 9557

_PACK = (
    ormsgpack.OPT_NON_STR_KEYS
    | ormsgpack.OPT_PASSTHROUGH_TUPLE
    | ormsgpack.OPT_PASSTHROUGH_BIG_INT
    | ormsgpack.OPT_PASSTHROUGH_DATETIME
    | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
    | ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_ENUM
    | ormsgpack.OPT_PASSTHROUGH_UUID
)
_CONTAINERS: dict[type, int] = {tuple: TUPLE, set: SET, frozenset: FROZENSET}
_KEY_TYPES = (str, int, bool, type(None))
_BASES: tuple[type, ...] = (bool, int, float, str, bytes, dict, tuple, list, set, frozenset)


class CodecError(ValueError):
    """The value is not plain data, or the bytes are not a value."""


class Ref(NamedTuple):
    """A reference to an object of the image by its oid (8 bytes, big-endian)."""

    oid: bytes

    @property
    def hex(self) -> str:
        """The oid as 16 hex digits."""
        return self.oid.hex()

    def __repr__(self) -> str:
        return f"<ref {self.oid.hex()}>"


RefOut = Callable[[Any], "bytes | None"]
RefIn = Callable[[bytes], Any]


def _ref_out(value: Any) -> bytes | None:
    return value.oid if type(value) is Ref else None


def _ref_in(payload: bytes) -> Ref:
    if len(payload) != 8:
        raise CodecError("a reference has 8 bytes")
    return Ref(payload)


class Codec:
    """Packs and unpacks plain data.

    Args:
        ref_out: Gives the payload of extension 6 for a reference, None for anything else. It is asked for each
            value that msgpack has no form for.
        ref_in: Makes the reference from that payload.
        text_keys: Take every map with another key for one with other keys, which extension 12 is for.
    """

    def __init__(self, ref_out: RefOut = _ref_out, ref_in: RefIn = _ref_in, *, text_keys: bool = False) -> None:
        self._ref_out = ref_out
        self._ref_in = ref_in
        self._text_keys = text_keys

    def pack(self, value: Any) -> bytes:
        """Encode plain data.

        Raises:
            CodecError: The value, or something in it, is not plain data; or it is nested too deeply.
        """
        return self._pack(value, 0)

    def unpack(self, data: bytes | bytearray | memoryview) -> Any:
        """Decode bytes made by `pack`, or by any msgpack library that knows the extension types.

        Raises:
            CodecError: The bytes are not one well-formed value.
        """
        return self._unpack(data, 0)

    def _pack(self, value: Any, depth: int) -> bytes:
        if depth > MAX_NESTING:
            raise CodecError("nested too deeply")
        faults: list[CodecError] = []
        try:
            return ormsgpack.packb(self._with_pairs(value), partial(self._default, depth, faults), _PACK)
        except CodecError:
            raise
        except (TypeError, ValueError, RecursionError) as error:
            # ormsgpack drops what `_default` raised, and that says more.
            raise faults[0] if faults else CodecError(str(error) or type(error).__name__) from None

    def _with_pairs(self, value: Any) -> Any:
        """Replace each map with other keys by its pairs; gives the value itself where there is none.

        What lies in tuples, sets and pairs gets its turn when they are packed.
        """
        if isinstance(value, dict):
            fits = _is_text if self._text_keys else _is_key
            if not all(map(fits, dict.__iter__(value))):
                return _MapPairs(value)
            fitted = {key: self._with_pairs(item) for key, item in _items(value)}
            return (
                fitted
                if any(new is not old for new, (_, old) in zip(fitted.values(), _items(value), strict=True))
                else value
            )
        if isinstance(value, list):
            items = [self._with_pairs(item) for item in list.__iter__(value)]
            return items if any(new is not old for new, old in zip(items, list.__iter__(value), strict=True)) else value
        return value

    def _default(self, depth: int, faults: list[CodecError], value: Any) -> Any:
        try:
            return self._extension(depth, value)
        except CodecError as error:
            faults.append(error)
            raise

    def _extension(self, depth: int, value: Any) -> Any:
        payload = self._ref_out(value)
        if payload is not None:
            return ormsgpack.Ext(REF, payload)
        kind = type(value)
        if kind in (tuple, set, frozenset):
            code = _CONTAINERS[kind]
            return ormsgpack.Ext(code, self._pack(list(value), depth + 1))
        if kind is _MapPairs:
            return ormsgpack.Ext(MAP, self._pack(value.pairs, depth + 1))
        scalar = _scalar_out(value)
        if scalar is not None:
            return ormsgpack.Ext(*scalar)
        for base in _BASES:
            if isinstance(value, base):
                return _to_base(value, base)
        raise CodecError(f"a {kind.__name__} is not plain data")

    def _unpack(self, data: bytes | bytearray | memoryview, depth: int) -> Any:
        if depth > MAX_NESTING:
            raise CodecError("nested too deeply")
        try:
            return ormsgpack.unpackb(data, ext_hook=partial(self._ext, depth), option=self._keys_option(data))
        except CodecError:
            raise
        except (ValueError, TypeError, ArithmeticError, RecursionError, KeyError, OSError) as error:
            raise CodecError(str(error) or type(error).__name__) from None

    def _keys_option(self, data: bytes | bytearray | memoryview) -> int | None:
        del data
        return None if self._text_keys else ormsgpack.OPT_NON_STR_KEYS

    def _ext(self, depth: int, code: int, data: bytes) -> Any:
        payload = bytes(data)
        if code == REF:
            return self._ref_in(payload)
        if code in (TUPLE, SET, FROZENSET, MAP, TIMEDELTA):
            return self._container(code, self._unpack(payload, depth + 1))
        return _scalar_in(code, payload)

    def _container(self, code: int, items: Any) -> Any:
        return _container_in(code, items)


class _MapPairs:
    """A map whose keys msgpack has no form for, as pairs."""

    __slots__ = ("pairs",)

    def __init__(self, mapping: dict[Any, Any]) -> None:
        self.pairs = [[key, item] for key, item in _items(mapping)]


def _items(mapping: dict[Any, Any]) -> Iterable[tuple[Any, Any]]:
    """The entries by the base's own method: a subclass may override it. An OrderedDict has an order of its own."""
    return OrderedDict.items(mapping) if isinstance(mapping, OrderedDict) else dict.items(mapping)


def _is_text(key: Any) -> bool:
    return type(key) is str


def _is_key(key: Any) -> bool:
    kind = type(key)
    if kind is int:
        return bool(-(1 << 63) <= key < 1 << 64)
    return kind in _KEY_TYPES


def _to_base(value: Any, base: type) -> Any:
    """A subclass as its plain base, by the base's own methods: the subclass may override them."""
    if base is dict:
        return dict(_items(value))
    if base in (tuple, list, set, frozenset):
        return base(base.__iter__(value))
    if base is str:
        return str.__str__(value)
    if base is int:
        return int.__index__(value)
    return base(value)


def _scalar_out(value: Any) -> tuple[int, bytes] | None:
    kind = type(value)
    if kind is int:
        size = value.bit_length() // 8 + 1
        if size > MAX_BIGINT_BYTES:
            raise CodecError(f"an integer of {size} bytes is too large; the limit is {MAX_BIGINT_BYTES}")
        return BIGINT, value.to_bytes(size, "big", signed=True)
    if kind is Decimal:
        return DECIMAL, _decimal_out(value)
    if kind is complex:
        return COMPLEX, struct.pack(">dd", value.real, value.imag)
    return _time_out(value, kind)


def _decimal_out(value: Decimal) -> bytes:
    text = str(value)
    if len(text) > _SCALAR_LIMIT:
        raise CodecError(f"a Decimal of {len(text)} characters is too long; the limit is {_SCALAR_LIMIT}")
    return text.encode()


def _time_out(value: Any, kind: type) -> tuple[int, bytes] | None:
    # Subclasses too: a frozen clock packs as plain time.
    if issubclass(kind, dt.datetime):
        return DATETIME, _stamp_out(value).encode()
    if issubclass(kind, dt.date):
        return DATE, value.isoformat().encode()
    if issubclass(kind, dt.time):
        return TIME, _stamp_out(value).encode()
    if issubclass(kind, dt.timedelta):
        return TIMEDELTA, ormsgpack.packb([value.days, value.seconds, value.microseconds])
    return None


def _stamp_out(value: Any) -> str:
    zone = getattr(value.tzinfo, "key", None)
    tags = [_place(zone).key] if isinstance(zone, str) else []
    if value.tzinfo is not None and not tags and value.utcoffset() is None:
        raise CodecError("a time in a zone that has neither a name nor an offset is not plain data")
    if value.fold and value.replace(fold=0).utcoffset() == value.utcoffset():
        tags.append(_LATER)
    return f"{value.isoformat()}{''.join(f'[{tag}]' for tag in tags)}"


def _place(zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise CodecError(f"the time zone {zone[:_SHOWN]!r} is not known here") from None


def _container_in(code: int, items: Any) -> Any:
    if type(items) is not list:
        raise CodecError("an extension of this kind holds an array")
    if code == TUPLE:
        return tuple(items)
    if code == SET:
        return set(items)
    if code == FROZENSET:
        return frozenset(items)
    if code == TIMEDELTA:
        return dt.timedelta(*items)
    return dict(items)


def _scalar_in(code: int, payload: bytes) -> Any:
    if code == BIGINT:
        if len(payload) > MAX_BIGINT_BYTES:
            raise CodecError("the integer is too large")
        return int.from_bytes(payload, "big", signed=True)
    if code == COMPLEX:
        return complex(*struct.unpack(">dd", payload))
    if len(payload) > _SCALAR_LIMIT:
        raise CodecError("the scalar is too long")
    text = payload.decode()
    if code == DATETIME:
        return _datetime_in(text)
    if code == DATE:
        return dt.date.fromisoformat(text)
    if code == TIME:
        return _time_in(text)
    if code == DECIMAL:
        return Decimal(text)
    raise CodecError(f"unknown extension type {code}")


def _stamp_in(text: str) -> tuple[str, ZoneInfo | None, int]:
    stamp, *tags = text.replace("]", "").split("[")
    zones = [tag for tag in tags if tag != _LATER]
    return stamp, _place(zones[0]) if zones else None, len(tags) - len(zones)


def _datetime_in(text: str) -> dt.datetime:
    stamp, place, fold = _stamp_in(text)
    value = dt.datetime.fromisoformat(stamp)
    if place is not None:
        value = _placed(value, place)
    return value.replace(fold=1) if fold else value


def _placed(value: dt.datetime, place: ZoneInfo) -> dt.datetime:
    # A time that a clock skips, or shows twice, is the one of its offset; the zone's rules may have changed since.
    for fold in (0, 1):
        told = value.replace(tzinfo=place, fold=fold)
        if value.tzinfo is None or told.utcoffset() == value.utcoffset():
            return told
    try:
        return value.astimezone(place)
    except OverflowError:
        return value.replace(tzinfo=place)


def _time_in(text: str) -> dt.time:
    stamp, place, fold = _stamp_in(text)
    value = dt.time.fromisoformat(stamp)
    return value.replace(tzinfo=value.tzinfo if place is None else place, fold=min(fold, 1))


PLAIN = Codec()
pack = PLAIN.pack
unpack = PLAIN.unpack
