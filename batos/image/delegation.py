"""How a slot is found along the parents, and what is remembered of it.

Finding is Self's: an own slot wins, then the parents, first to last, each with its own; no object twice. The result is
remembered in the object's connection, so that depth costs nothing the second time. What is remembered is who holds a
name, not the data in it, so data may change freely; it is forgotten when that can change: a name comes or goes, a
method or the parents are set, another connection's commit arrives, a transaction is taken back. Objects that are in no
connection yet are always searched.

A class attribute is quicker than `__getattr__`, which Python asks only after it has built and dropped an error. So a
name that was once found by delegation gets one; an object's own slot still comes before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from persistent import Persistent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batos.image.objects import UvmObject

MAX_QUICK = 500
"""Names that get a class attribute. Python 3.12 stops caching attributes of a class that was changed 1000 times."""
MAX_REMEMBERED = 50_000
"""Answers that a connection remembers; it begins anew then."""

PROTOCOL = frozenset({"_clone_persistent_", "_doesNotUnderstand_", "_process_synthesis_"})
"""Names that start with an underscore and are found by delegation all the same: messages of the system itself."""

# The class's own functions, called directly: by an object's attributes they would cost three times as much.
_jar = Persistent._p_jar.__get__
_activate = Persistent._p_activate
_slot = Persistent.__getattribute__
_plain_attribute = object.__getattribute__
_quick: set[str] = set()


class Behaviour:
    """What answers a message by running: a method or a primitive. It never changes, only its slot does."""

    __slots__ = ()


class Delegating:
    """What has slots and may stand among the parents of another; `UvmObject` is the only one."""

    __slots__ = ()


class Found(NamedTuple):
    """Where a name was found, and its value there."""

    holder: UvmObject
    value: Any


class Remembered:
    """What a connection remembers of lookups.

    Attributes:
        holders: (object, name) → `Found` for behaviour, the holder for data, None for nobody.
        lines: Object → itself and all it delegates to, in order.
    """

    __slots__ = ("holders", "lines", "loose")

    def __init__(self) -> None:
        self.holders: dict[tuple[UvmObject, str], Found | UvmObject | None] = {}
        self.lines: dict[UvmObject, tuple[UvmObject, ...]] = {}
        self.loose = False

    def clear(self) -> None:
        """Forget all."""
        self.holders.clear()
        self.lines.clear()

    def begin(self, *, invalidated: bool) -> None:
        """A transaction begins: what others changed, and lists that were handed out, are no longer relied on."""
        if invalidated or self.loose:
            self.clear()
            self.loose = False

    def let_loose(self) -> None:
        """A list of parents is in somebody's hands: remember nothing until the next transaction."""
        self.clear()
        self.loose = True


class Parents:
    """The slot `parents`: like any other, but whoever reads its list may change it in place."""

    def __get__(self, obj: UvmObject | None, cls: type) -> Any:
        if obj is None:
            return self
        try:
            value = obj.__dict__["parents"]
        except KeyError:
            raise AttributeError("parents") from None
        if isinstance(value, list):
            _let_loose(obj)
        return value

    def __set__(self, obj: UvmObject, value: Any) -> None:
        obj.__dict__["parents"] = value

    def __delete__(self, obj: UvmObject) -> None:
        del obj.__dict__["parents"]


class _Quick:
    """The class attribute of a name that is found by delegation; an instance's own slot wins over it."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, obj: UvmObject | None, cls: type) -> Any:
        if obj is None:
            raise AttributeError(self.name)
        try:
            entry = _jar(obj).remembered.holders[obj, self.name]
        except (KeyError, AttributeError):
            entry = find(obj, self.name)
        if type(entry) is Found:
            return entry.value
        if entry is None:
            raise AttributeError(self.name)
        return _slot(entry, self.name)


def own(obj: UvmObject) -> dict[str, Any]:
    """An object's own slots, for reading at once only: never keep it, never write to it."""
    _activate(obj)  # `__dict__` alone does not load a ghost
    slots: dict[str, Any] = _plain_attribute(obj, "__dict__")
    return slots


def parents(obj: UvmObject) -> list[Any]:
    """An object's own parents, in order; the slot holds a list or one object."""
    value = own(obj).get("parents")
    if value is None:
        return []
    listed = value if isinstance(value, (list, tuple)) else [value]
    # Lists can be changed in place past the check of the assignment.
    return [parent for parent in listed if isinstance(parent, Delegating)]


def walk(obj: UvmObject) -> Iterator[UvmObject]:
    """The object and all it delegates to, in the order of lookup, each once."""
    seen: set[int] = set()
    waiting = [obj]
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting.extend(reversed(parents(current)))


def line(obj: UvmObject) -> tuple[UvmObject, ...]:
    """The same as `walk`, all at once and remembered."""
    remembered = _remembered(obj)
    if remembered is None:
        return tuple(walk(obj))
    known = remembered.lines.get(obj)
    if known is None:
        known = tuple(walk(obj))
        if _all_in(known, obj._p_jar) and not remembered.loose:
            _make_room(remembered.lines)
            remembered.lines[obj] = known
    return known


def find(obj: UvmObject, name: str) -> Found | None:
    """Find a slot by name, the object's own or by delegation; None when nobody has it."""
    try:
        entry = _jar(obj).remembered.holders[obj, name]
    except (KeyError, AttributeError):
        return _search(obj, name)
    if type(entry) is Found or entry is None:
        return entry
    return Found(entry, own(entry)[name])


def before_write(obj: UvmObject, name: str, value: Any) -> None:
    """A slot is about to be set: forget what it may make wrong."""
    if _jar(obj) is None:
        return
    slots = own(obj)
    if name == "parents":
        forget(obj)
        if isinstance(value, list):
            # The list stays in the hands of whoever made it.
            _let_loose(obj)
    elif name not in slots or isinstance(value, Behaviour) or isinstance(slots[name], Behaviour):
        forget(obj)


def forget(obj: UvmObject) -> None:
    """Forget what the object's connection remembers."""
    remembered = _remembered(obj)
    if remembered is not None:
        remembered.clear()


def make_quick(cls: type, name: str) -> None:
    """Give a name its class attribute, if there is room."""
    if name not in _quick and len(_quick) < MAX_QUICK and not hasattr(type, name):
        _quick.add(name)
        setattr(cls, name, _Quick(name))


def quick_names() -> frozenset[str]:
    """The names that have a class attribute and are no attributes of their objects."""
    return frozenset(_quick)


def _search(obj: UvmObject, name: str) -> Found | None:
    found: Found | None = None
    passed = []
    for holder in walk(obj):
        passed.append(holder)
        slots = own(holder)
        if name in slots:
            found = Found(holder, slots[name])
            break
    remembered = _remembered(obj)
    if remembered is not None and not remembered.loose and _all_in(passed, obj._p_jar):
        _make_room(remembered.holders)
        whole = found is None or isinstance(found.value, Behaviour)
        remembered.holders[obj, name] = found if whole or found is None else found.holder
    return found


def _remembered(obj: UvmObject) -> Remembered | None:
    return getattr(_jar(obj), "remembered", None)


def _let_loose(obj: UvmObject) -> None:
    remembered = _remembered(obj)
    if remembered is not None:
        remembered.let_loose()


def _all_in(objects: tuple[UvmObject, ...] | list[UvmObject], jar: Any) -> bool:
    return all(_jar(obj) is jar for obj in objects)


def _make_room(kept: dict[Any, Any]) -> None:
    if len(kept) >= MAX_REMEMBERED:
        kept.clear()
