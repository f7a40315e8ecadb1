"""Values of slots: what may be stored, and the way between stored form and plain data.

Stored form is plain data with objects of the image in it; plain data has `Ref` in their place (`codec`). Containers
are copied on both ways, so that nothing outside the image thread ever shares a container with an object.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from persistent import Persistent
from persistent.list import PersistentList
from persistent.mapping import PersistentMapping

from batos.codec import MAX_NESTING, Ref
from batos.errors import BadField
from batos.image import class_factory

if TYPE_CHECKING:
    from collections.abc import Callable

    from batos.image.store import View

_SCALARS = frozenset(
    {type(None), bool, int, float, complex, str, bytes, Decimal, dt.datetime, dt.date, dt.time, dt.timedelta}
)
_SEQUENCES: dict[type, Callable[[Any], Any]] = {list: list, tuple: tuple, set: set, frozenset: frozenset}
_ZONES = (type(None), dt.timezone, ZoneInfo)


class Unstorable(TypeError):
    """The value cannot be stored in a slot; the message names the type and the mend."""


class NotPlain(TypeError):
    """The stored value has no form as plain data (a blob, an index, a method)."""


def check_storable(value: Any, jar: Any = None) -> None:
    """See that a value can be stored, and loaded again.

    Args:
        value: The value.
        jar: The connection of the object that will hold it, if it has one.

    Raises:
        Unstorable: It, or something in it, cannot.
    """
    _check(value, jar, 0)


def to_plain(view: View, value: Any) -> Any:
    """Give a stored value as plain data: an object of the image becomes a `Ref`, deeply; all else stays as it is.

    Raises:
        NotPlain: The value holds something that is not data.
    """
    return _walk(value, lambda item: _out(view, item), 0)


def from_plain(view: View, value: Any, *, get: Callable[[Ref], Any] | None = None) -> Any:
    """Give plain data in its stored form: a `Ref` becomes the object, deeply.

    Args:
        view: The unit of work.
        value: Plain data.
        get: Finds the object of a reference; `view.get` when it is not given.

    Raises:
        UnknownTarget: A reference points at no object.
        BadField: The value is not plain data.
    """
    find = get or view.get
    try:
        return _walk(value, lambda item: _in(find, item), 0)
    except Unstorable as error:
        raise BadField(str(error)) from None


def _walk(value: Any, leaf: Callable[[Any], Any], depth: int) -> Any:
    kind = type(value)
    if kind in _SCALARS:
        return value
    if depth > MAX_NESTING:
        raise BadField(f"A value is nested more than {MAX_NESTING} deep")
    if kind is dict or kind is PersistentMapping:
        return {_walk(k, leaf, depth + 1): _walk(v, leaf, depth + 1) for k, v in value.items()}
    if kind is PersistentList:
        kind = list
    make = _SEQUENCES.get(kind)
    if make is not None:
        return make(_walk(item, leaf, depth + 1) for item in value)
    return leaf(value)


def _out(view: View, value: Any) -> Any:
    from batos.image.objects import UvmObject

    if isinstance(value, UvmObject):
        return view.ref(value)
    raise NotPlain(f"a {type(value).__name__} is not plain data")


def _in(find: Callable[[Ref], Any], value: Any) -> Any:
    if type(value) is Ref:
        return find(value)
    raise Unstorable(_mend(value))


def _check(value: Any, jar: Any, depth: int) -> None:
    kind = type(value)
    if kind in _SCALARS:
        _check_zone(value)
    elif depth > MAX_NESTING:
        raise Unstorable(f"it is nested more than {MAX_NESTING} deep, or holds itself")
    elif kind is dict:
        for key, item in value.items():
            _check(key, jar, depth + 1)
            _check(item, jar, depth + 1)
    elif kind in _SEQUENCES:
        for item in value:
            _check(item, jar, depth + 1)
    elif not (isinstance(value, Persistent) or _is_inline(kind)) or not class_factory.is_allowed(kind):
        raise Unstorable(_mend(value))
    elif jar is not None and getattr(value, "_p_jar", None) not in (None, jar):
        raise Unstorable("it belongs to another connection; `view.get` gives this unit of work's own")


def _is_inline(kind: type) -> bool:
    from batos.image.methods import Primitive

    return kind is Primitive


def _check_zone(value: Any) -> None:
    zone = getattr(value, "tzinfo", None)
    if type(zone) not in _ZONES or (type(zone) is ZoneInfo and zone.key is None):
        raise Unstorable(f"its time zone is a {type(zone).__name__}; use datetime.timezone or a named ZoneInfo")


def _mend(value: Any) -> str:
    kind = type(value)
    if kind is Ref:
        return "a reference is not stored itself; `values.from_plain` gives the object"
    for base in (bool, int, float, str, bytes, dict, tuple, list, set, frozenset, dt.datetime, dt.date):
        if isinstance(value, base):
            return f"a {kind.__name__} does not load again; store it as a plain {base.__name__}"
    if callable(value):
        return f"a {kind.__name__} is behaviour; `methods.install` stores its source text"
    return f"a {kind.__name__} is not data; store what it is made of (numbers, texts, lists, maps, objects)"
