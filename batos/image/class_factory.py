"""Which classes and functions a record of the image may name: an allow-list, so that loading runs nothing else.

ZODB records are pickles, and a pickle may name any callable. `DB(class_factory=find)` asks here for each name; what is
not on the list is refused, and the record that named it does not load.
"""

from __future__ import annotations

import copyreg
import datetime as dt
import decimal
from functools import lru_cache
from importlib import import_module
from pickle import UnpicklingError
from typing import Any
from zoneinfo import ZoneInfo

from persistent import Persistent

_OWN = {
    ("batos.image.objects", "UvmObject"),
    ("batos.image.methods", "MethodVersion"),
    ("batos.image.methods", "Primitive"),
    ("ZODB.blob", "Blob"),
    ("BTrees", "_family32"),
    ("BTrees", "_family64"),
    (__name__, "zone"),
}
_PLAIN: dict[tuple[str, str], Any] = {
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("builtins", "complex"): complex,
    ("builtins", "object"): object,
    ("datetime", "datetime"): dt.datetime,
    ("datetime", "date"): dt.date,
    ("datetime", "time"): dt.time,
    ("datetime", "timedelta"): dt.timedelta,
    ("datetime", "timezone"): dt.timezone,
    ("decimal", "Decimal"): decimal.Decimal,
}
_COPYREG = {("copyreg", "_reconstructor"), ("copyreg", "__newobj__")}
# Whole packages whose own classes are data structures; a name they merely import is refused.
_PERSISTENT_PACKAGES = ("batos.memory", "BTrees", "persistent")
_INDEX_PACKAGE = "zope.index"


def find(connection: Any, module: str, name: str) -> Any:
    """Give the class or function that a record names.

    Raises:
        UnpicklingError: The name is not on the list.
    """
    del connection
    return _find(module, name)


def is_allowed(cls: type) -> bool:
    """Tell whether instances of a class can be loaded again once they are stored."""
    try:
        return _find(cls.__module__, cls.__qualname__) is cls
    except UnpicklingError:
        return False


@lru_cache(maxsize=1024)
def _find(module: str, name: str) -> Any:
    plain = _PLAIN.get((module, name))
    if plain is not None:
        return plain
    if (module, name) in _OWN or (module, name) in _COPYREG:
        return getattr(import_module(module), name)
    if _within(module, (*_PERSISTENT_PACKAGES, _INDEX_PACKAGE)):
        found = _defined_in(module, name)
        if found is not None and (issubclass(found, Persistent) or _within(module, (_INDEX_PACKAGE,))):
            return found
    raise UnpicklingError(f"The image may not load {module}.{name}")


def _within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def _defined_in(module: str, name: str) -> type | None:
    try:
        found = getattr(import_module(module), name, None)
    except ImportError:
        return None
    if not isinstance(found, type) or not _within(found.__module__, (module.partition(".")[0],)):
        return None
    return found


def zone(key: str) -> ZoneInfo:
    """A time zone by its name, as records name it; a name that this machine lacks raises `ZoneInfoNotFoundError`."""
    return ZoneInfo(key)


def _reduce_zone(value: ZoneInfo) -> tuple[Any, tuple[str]]:
    if value.key is None:
        raise TypeError("a time zone without a name cannot be stored")
    return zone, (value.key,)


# By itself a zone pickles as an attribute of its class, which the image neither writes nor loads.
copyreg.pickle(ZoneInfo, _reduce_zone)
