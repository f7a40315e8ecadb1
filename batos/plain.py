"""Plain data for people, logs and digests: as JSON, as a short text, as a hash. Its wire form is in `codec`."""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING, Any

from batos import codec
from batos.codec import Ref

if TYPE_CHECKING:
    from collections.abc import Iterator

# Python refuses to write integers of more than 4300 digits as text.
_LONG_INTEGER_BITS = 14_000


def to_json(value: Any) -> Any:
    """Plain data as JSON can hold it: tuples and sets as lists, references and times as text."""
    if type(value) is int:
        return value if value.bit_length() <= _LONG_INTEGER_BITS else hex(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Ref):
        return {"oid": value.hex}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key if isinstance(key, str) else shown(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((to_json(item) for item in value), key=repr)
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    return str(value)


def references(value: Any) -> Iterator[Ref]:
    """The objects that plain data refers to, as often as it does."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, dict):
        yield from references([*value.keys(), *value.values()])
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from references(item)


def shown(value: Any, limit: int = 200) -> str:
    """A value as Python writes it, folded to `limit` characters; any value has a text."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        text = f"<{type(value).__name__} too large to show>"
    return text if len(text) <= limit else text[: limit - 2] + " …"


def brief_hash(brief: Any) -> str:
    """The sha256 of a brief as received: its JSON with sorted keys, what JSON lacks by its wire form in hex."""
    return hashlib.sha256(json.dumps(_exact(brief), sort_keys=True).encode()).hexdigest()


def _exact(value: Any) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int) and value.bit_length() <= _LONG_INTEGER_BITS:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, list):
        return [_exact(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _exact(item) for key, item in value.items()}
    return codec.pack(value).hex()
