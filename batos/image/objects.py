"""`UvmObject`, the one kind of object in the image: slots, and delegation through the slot `parents`.

Slots live in the instance's `__dict__`, so an object with its plain containers is one record. After a container was
changed in place, `obj._p_changed = True` makes the change durable. Attribute access never starts a synthesis: a name
that is nowhere is an `AttributeError`; only the kernel's `send` may raise `MessageNotUnderstood`.

Names that start with `_p_` belong to persistence and those with `_v_` are never stored. Other names that start with an
underscore are slots of the system: they are not looked up in the parents, but for those of the protocol.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

from persistent import GHOST, Persistent

from batos.image import delegation
from batos.image.values import Unstorable, check_storable

_APART = ("_p_", "_v_")


class UvmObject(delegation.Delegating, Persistent):  # type: ignore[misc]
    """An object of the Living Image.

    Args:
        slots: The first slots; `parents` is a list of objects, or one object.
    """

    def __init__(self, **slots: Any) -> None:
        super().__init__()
        for name, value in slots.items():
            setattr(self, name, value)

    # Read through here, so that lookup knows when somebody may change the list in place.
    parents = delegation.Parents()

    @property
    def _slots(self) -> Slots:
        """The object's own slots as a mapping, also for writing."""
        return Slots(self)

    def __getattr__(self, name: str) -> Any:
        # Python and libraries ask for many odd names, also before there is any state: answer those first.
        if not name.startswith("_") or name in delegation.PROTOCOL:
            found = delegation.find(self, name)
            if found is not None:
                delegation.make_quick(UvmObject, name)
                return found.value
        raise AttributeError(f"{self!r} has no slot {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith(_APART):
            _check_slot(self, name, value)
            delegation.before_write(self, name, value)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if not name.startswith(_APART):
            if name not in self._slots:
                raise AttributeError(f"{self!r} has no slot {name!r} of its own")
            delegation.forget(self)
        super().__delattr__(name)

    def __getstate__(self) -> Any:
        # Lists and maps can be changed in place past the check of the assignment.
        state = super().__getstate__()
        for name, value in (state or {}).items():
            _check_value(self, name, value)
        return state

    def __copy__(self) -> UvmObject:
        raise TypeError("Objects of the image are cloned by `registry.clone`, not copied")

    def __deepcopy__(self, memo: Any) -> UvmObject:
        raise TypeError("Objects of the image are cloned by `registry.clone`; a deep copy would take the parents too")

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self)} - delegation.quick_names() | {*self._slots})

    def _p_repr(self) -> str:
        oid = self._p_oid.hex() if self._p_oid else "new"
        # A ghost is not loaded for its repr: the connection may be closed.
        slots = "…" if self._p_state == GHOST else ", ".join(repr(name) for name in self._slots)
        return f"<UvmObject oid={oid} slots=[{slots}]>"


class Slots(MutableMapping[str, Any]):
    """A mapping view of an object's own slots; writing through it is like setting attributes."""

    __slots__ = ("_owner",)

    def __init__(self, owner: UvmObject) -> None:
        self._owner = owner

    def _dict(self) -> dict[str, Any]:
        return own(self._owner)

    def __getitem__(self, name: str) -> Any:
        if name.startswith(_APART):
            raise KeyError(name)
        value = self._dict()[name]
        return self._owner.parents if name == "parents" else value

    def __setitem__(self, name: str, value: Any) -> None:
        if name.startswith(_APART):
            raise AttributeError(f"{name!r} is not a slot's name")
        setattr(self._owner, name, value)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        delattr(self._owner, name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and not name.startswith(_APART) and name in self._dict()

    def __iter__(self) -> Iterator[str]:
        return iter([name for name in self._dict() if not name.startswith(_APART)])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<slots of {self._owner!r}>"


def named(obj: UvmObject) -> str:
    """An object in the words of an error for people, by its oid."""
    return f"The object {obj._p_oid.hex()}" if obj._p_oid else "The new object"


def own(obj: UvmObject) -> dict[str, Any]:
    """An object's own slots, for reading at once only: never keep it, never write to it."""
    return delegation.own(obj)


def _check_slot(obj: UvmObject, name: str, value: Any) -> None:
    if not name.isidentifier() or (name.startswith("__") and name.endswith("__")) or name in _RESERVED:
        raise AttributeError(f"{name!r} cannot be the name of a slot")
    if name == "parents":
        _check_parents(value)
    _check_value(obj, name, value)


def _check_value(obj: UvmObject, name: str, value: Any) -> None:
    try:
        check_storable(value, obj._p_jar)
    except Unstorable as error:
        raise Unstorable(f"The slot {name!r} cannot hold a value of type {type(value).__name__}: {error}") from None


def _check_parents(value: Any) -> None:
    listed = value if isinstance(value, (list, tuple)) else [value]
    for parent in listed:
        if not isinstance(parent, UvmObject):
            raise Unstorable(
                f"The slot 'parents' holds objects of the image, not a {type(parent).__name__}: "
                "give one object or a list of objects"
            )


_RESERVED = frozenset(name for name in dir(UvmObject) if name.startswith("_"))
