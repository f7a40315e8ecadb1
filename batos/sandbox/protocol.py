"""The shapes of what a worker may say; everything else ends its call.

====================================================  ==========================================================
`["load", object, delta]`                             asks for an object's slots and selectors
`["slot", object, name]`                              asks for a slot that was too large to come along
`["send", object, selector, args, kwargs, delta, text]`  sends a message; `delta` is what it wrote, `text` what it printed
`["done", result, delta, text]`                       the result
`["broken", slots, text]`                             it changed these slots and did not set the Covenant's flag
`["fail", fields, text]`                              it raised
====================================================  ==========================================================
"""

from __future__ import annotations

import keyword
from typing import Any

from batos.codec import Ref
from batos.sandbox.world import PROTOCOL_MESSAGES

_NAME_LIMIT = 200


def is_slot(name: Any) -> bool:
    """Whether this may name a data slot."""
    return (
        type(name) is str
        and len(name) <= _NAME_LIMIT
        and name.isidentifier()
        and not name.startswith("_")
        and not keyword.iskeyword(name)
    )


def is_selector(name: str) -> bool:
    """Whether this may be sent as a message."""
    return is_slot(name) or name in PROTOCOL_MESSAGES


def _is_delta(value: Any) -> bool:
    return type(value) is list and all(
        type(item) is list and len(item) == 2 and type(item[0]) is Ref and type(item[1]) is dict for item in value
    )


def _is_failure(value: Any) -> bool:
    lines = value.get("traceback", []) if type(value) is dict else None
    if type(lines) is not list or not all(type(line) is str for line in lines):
        return False
    texts = (value.get("type", ""), value.get("text", ""))
    return all(type(text) is str for text in texts) and type(value.get("line", 0)) is int


def _is_names(value: Any) -> bool:
    return type(value) is list and all(type(name) is str for name in value)


def _is_keywords(value: Any) -> bool:
    return type(value) is dict and all(type(name) is str for name in value)


def _any(value: Any) -> bool:
    del value
    return True


def _is(kind: type) -> Any:
    return lambda value: type(value) is kind


_SHAPES: dict[str, tuple[Any, ...]] = {
    "load": (_is(Ref), _is_delta),
    "slot": (_is(Ref), _is(str)),
    "send": (_is(Ref), _is(str), _is(list), _is_keywords, _is_delta, _is(str)),
    "done": (_any, _is_delta, _is(str)),
    "broken": (_is_names, _is(str)),
    "fail": (_is_failure, _is(str)),
}
LAST_WORDS = frozenset({"done", "broken", "fail"})


def fits(message: Any) -> bool:
    """Whether a message has the shape of its kind."""
    if type(message) is not list or not message or type(message[0]) is not str:
        return False
    shape = _SHAPES.get(message[0])
    return (
        shape is not None
        and len(message) == len(shape) + 1
        and all(check(field) for check, field in zip(shape, message[1:], strict=True))
    )
