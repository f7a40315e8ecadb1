"""Plain data as JSON that people read, that git compares line by line, and that loses nothing.

What JSON has stands as it is. Anything else is a map with one key that begins with `$`: `{"$tuple": […]}`,
`{"$bytes": "hex"}`, `{"$map": [[key, value], …]}` for maps with other keys. References become `{"$object": "…"}`, a
name that the writer gives.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from batos import codec
from batos.codec import Ref
from batos.errors import BadField

if TYPE_CHECKING:
    from collections.abc import Callable

    Name = Callable[[Ref], str]
    Find = Callable[[str], Any]

_LONG_INTEGER_BITS = 14_000
_SEQUENCES: dict[str, type] = {"$tuple": tuple, "$set": set, "$frozenset": frozenset}
_KINDS: dict[type, str] = {kind: mark for mark, kind in _SEQUENCES.items()}


def dumps(value: Any, name: Name) -> str:
    """Give plain data as text; `name` says what a reference is called."""
    return json.dumps(to_json(value, name), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_json(value: Any, name: Name) -> Any:
    """Give plain data as values of JSON.

    Raises:
        BadField: It is not plain data.
    """
    kind = type(value)
    if value is None or kind in (bool, str):
        return value
    if kind is int:
        return value if value.bit_length() <= _LONG_INTEGER_BITS else {"$int": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    if kind is list:
        return [to_json(item, name) for item in value]
    if kind is dict:
        return _map(value, name)
    if kind in _KINDS:
        if kind is tuple:
            return {"$tuple": [to_json(item, name) for item in value]}
        # References get their names in the order of their oids, and stand in the order of their names.
        items = [to_json(item, name) for item in sorted(value, key=codec.pack)]
        return {_KINDS[kind]: sorted(items, key=lambda item: json.dumps(item, sort_keys=True))}
    if kind is Ref:
        return {"$object": name(value)}
    return _scalar(value)


def from_json(value: Any, find: Find) -> Any:
    """Give the plain data back; `find` gives what a name of a reference means.

    Raises:
        BadField: A mark is unknown, or what stands under it is not what it says.
    """
    if isinstance(value, list):
        return [from_json(item, find) for item in value]
    if not isinstance(value, dict):
        return value
    marks = [key for key in value if key.startswith("$")]
    if not marks:
        return {key: from_json(item, find) for key, item in value.items()}
    if len(value) != 1:
        raise BadField(f"A map with the mark {marks[0]!r} has other keys too")
    try:
        return _marked(marks[0], value[marks[0]], find)
    except (ValueError, TypeError, KeyError, InvalidOperation) as error:
        raise BadField(f"What stands under {marks[0]!r} cannot be read: {error}") from None


def _map(value: dict[Any, Any], name: Name) -> Any:
    if all(type(key) is str and not key.startswith("$") for key in value):
        return {key: to_json(item, name) for key, item in value.items()}
    return {"$map": [[to_json(key, name), to_json(item, name)] for key, item in value.items()]}


def _scalar(value: Any) -> Any:  # one case a type
    if type(value) is bytes:
        return {"$bytes": value.hex()}
    if type(value) is Decimal:
        return {"$decimal": str(value)}
    if type(value) is complex:
        return {"$complex": [repr(value.real), repr(value.imag)]}
    if type(value) is dt.timedelta:
        return {"$timedelta": [value.days, value.seconds, value.microseconds]}
    if type(value) is dt.date:
        return {"$date": value.isoformat()}
    if type(value) in (dt.datetime, dt.time):
        mark = "$datetime" if type(value) is dt.datetime else "$time"
        if isinstance(value.tzinfo, ZoneInfo):
            return {mark: [value.replace(tzinfo=None).isoformat(), value.tzinfo.key, value.fold]}
        return {mark: [value.isoformat(), None, 1] if value.fold else value.isoformat()}
    raise BadField(f"A {type(value).__name__} is not plain data")


def _marked(mark: str, inside: Any, find: Find) -> Any:  # noqa: C901  # one case a mark
    if mark in _SEQUENCES:
        return _SEQUENCES[mark](from_json(item, find) for item in inside)
    match mark:
        case "$map":
            return {from_json(key, find): from_json(item, find) for key, item in inside}
        case "$object":
            return find(inside)
        case "$int":
            return int(inside, 16)
        case "$float":
            return float(inside)
        case "$bytes":
            return bytes.fromhex(inside)
        case "$decimal":
            return Decimal(inside)
        case "$complex":
            return complex(float(inside[0]), float(inside[1]))
        case "$timedelta":
            return dt.timedelta(*inside)
        case "$date":
            return dt.date.fromisoformat(inside)
        case "$datetime" | "$time":
            read = dt.datetime.fromisoformat if mark == "$datetime" else dt.time.fromisoformat
            if isinstance(inside, str):
                return read(inside)
            found = read(inside[0]).replace(fold=inside[2])
            return found.replace(tzinfo=ZoneInfo(inside[1])) if inside[1] else found
    raise ValueError("the mark is not known")
