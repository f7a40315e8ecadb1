"""Objects as the Architect makes them: create, clone, set, remove; and the registry that keeps them.

Every object that was created or cloned stands in `root["object_registry"]` (an OOBTree, oid as 8 bytes → object) until
it is removed, or pack would collect it. A name makes it a root object too. A removed object that others still refer to
goes on working for them; it is only no target of its own any more.
"""

from __future__ import annotations

import keyword
from typing import TYPE_CHECKING, Any

from BTrees.OOBTree import OOBTree
from persistent import Persistent
from persistent.list import PersistentList
from persistent.mapping import PersistentMapping
from ZODB.blob import Blob

from batos.codec import Ref
from batos.errors import BadField, NotAllowed, UnknownTarget
from batos.fields import is_oid_text
from batos.image import grants, machine, methods, senders
from batos.image.genesis import PRIMORDIAL
from batos.image.methods import MethodVersion, Primitive
from batos.image.objects import UvmObject, named, own
from batos.image.values import Unstorable, from_plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from batos.image.store import View

REGISTRY = "object_registry"
REMOVED = "_removed_"

Target = str | Ref | int


def registered(view: View) -> Any:
    """The registry: oid (8 bytes) → object."""
    registry = view.root.get(REGISTRY)
    if registry is None:
        registry = view.root[REGISTRY] = OOBTree()
    return registry


def register(view: View, obj: UvmObject, name: str | None = None) -> Ref:
    """Keep an object until it is removed, and make it a root object when it gets a name.

    Raises:
        BadField: The name is not free, or not an identifier.
    """
    if name is not None:
        _check_name(view, name)
        view.root[name] = obj
    ref = view.ref(obj)
    registered(view)[ref.oid] = obj
    return ref


def create(view: View, parents: list[Target] | None, slots: dict[str, Any], name: str | None = None) -> Ref:
    """Make an object.

    Args:
        view: The unit of work.
        parents: What it delegates to; None: `genesis_obj`.
        slots: Its data slots, plain data.
        name: Makes it a root object too.

    Raises:
        UnknownTarget: A parent or a reference in a slot is no object.
        BadField: A slot's name or value is wrong, or the name is not free.
    """
    delegates = ["genesis_obj"] if parents is None else parents
    obj = UvmObject(parents=[view.resolve(parent) for parent in delegates])
    put(obj, _stored(view, slots, view.resolve))
    return register(view, obj, name)


def clone(view: View, target: Target, name: str | None = None) -> Ref:
    """Make an object with the same slots: containers are copied; parents, objects and methods are shared.

    Raises:
        UnknownTarget: There is no such object.
        BadField: The name is not free, or a slot holds what cannot be shared (a blob, an index).
    """
    copy = UvmObject()
    for slot, value in copies(view.resolve(target)).items():
        setattr(copy, slot, value)
        if isinstance(value, MethodVersion):
            senders.add(view, copy, slot, value._source)
    return register(view, copy, name)


def copies(original: UvmObject) -> dict[str, Any]:
    """Give what a clone's slots hold.

    Raises:
        BadField: A slot holds what cannot be shared (a blob, an index).
    """
    kept = {
        slot: value
        for slot, value in own(original).items()
        if not slot.startswith(("_v_", "_p_")) and slot not in (REMOVED, methods.REMOVED, grants.SLOT)
    }
    return {slot: _copied(slot, value) for slot, value in kept.items()}


def set_slots(view: View, target: Target, slots: dict[str, Any]) -> None:
    """Set data slots of an object; `parents` takes references alone.

    Raises:
        UnknownTarget: There is no such object, or a reference points at none.
        BadField: A slot's name or value is wrong, or the slot holds a method.
        NotAllowed: The slot holds a primitive.
    """
    put(view.resolve(target), _stored(view, slots, view.resolve))


def remove(view: View, target: Target, selector: str | None = None, slot: str | None = None) -> None:
    """Remove a method (its history stays), a data slot, or the whole object.

    Raises:
        UnknownTarget: There is no such object, method or slot of its own.
        NotAllowed: It belongs to the system.
        BadField: Both a selector and a slot are given, or the slot holds a method or the parents.
    """
    obj = view.resolve(target)
    if selector is not None and slot is not None:
        raise BadField("Give a `selector` or a `slot`, not both")
    if selector is not None:
        methods.remove_method(view, obj, selector)
    elif slot is not None:
        _remove_slot(obj, slot)
    else:
        _remove_object(view, obj)


def become(view: View, one: Target, other: Target) -> None:
    """Let two objects change places: each gets the other's slots, methods and history; who refers to them stays.

    Oids, names and the places in the registry belong to the identity and stay too. Where one delegates to the other it
    goes on doing so.

    Raises:
        UnknownTarget: There is no such object.
        NotAllowed: One of them belongs to the system.
    """
    first, second = view.resolve(one), view.resolve(other)
    if first is second:
        return
    registry = registered(view)
    for obj in (first, second):
        if obj._p_oid not in registry:
            raise NotAllowed(f"{named(obj)} belongs to the system; it was not created or cloned")
    states = [dict(own(obj)) for obj in (second, first)]
    swapped = {id(first): second, id(second): first}
    for obj, state in zip((first, second), states, strict=True):
        for slot in list(own(obj)):
            if slot not in state:
                delattr(obj, slot)
        for slot, value in state.items():
            setattr(obj, slot, value if slot != "parents" else _exchanged(value, swapped))


def put(obj: UvmObject, slots: dict[str, Any]) -> None:
    """Set data slots from values in stored form.

    Raises:
        BadField: A slot's name or value is wrong, or the slot holds a method; or what is to be a state's prototype is none.
        NotAllowed: The slot holds a primitive.
    """
    for slot, value in slots.items():
        _check_slot(obj, slot)
        if machine.is_place(obj, slot):
            machine.check(slot, value)
        try:
            setattr(obj, slot, value)
        except Unstorable as error:
            raise BadField(str(error)) from None


def names(view: View) -> dict[bytes, str]:
    """The names of the root objects by oid."""
    return {value._p_oid: name for name, value in view.root.items() if isinstance(value, UvmObject) and value._p_oid}


def _stored(view: View, slots: dict[str, Any], get: Callable[[Ref], UvmObject]) -> dict[str, Any]:
    return {slot: from_plain(view, value, get=get) for slot, value in slots.items()}


def _copied(slot: str, value: Any) -> Any:
    """A value for a clone: its own containers, everybody's objects."""
    if isinstance(value, (dict, PersistentMapping)):
        return type(value)({_copied(slot, key): _copied(slot, item) for key, item in value.items()})
    if isinstance(value, (list, tuple, set, frozenset, PersistentList)):
        return type(value)(_copied(slot, item) for item in value)
    if _is_machinery(value):
        what = "a blob" if isinstance(value, Blob) else f"a {type(value).__name__}"
        raise BadField(f"The slot `{slot}` holds {what}, which two objects cannot share", "Create an object instead.")
    return value


def _exchanged(parents: Any, swapped: dict[int, UvmObject]) -> Any:
    if isinstance(parents, (list, tuple)):
        return type(parents)(swapped.get(id(parent), parent) for parent in parents)
    return swapped.get(id(parents), parents)


def _check_name(view: View, name: str) -> None:
    if not _is_identifier(name) or is_oid_text(name):
        raise BadField(f"`name`: {name!r} is not an identifier without a leading underscore")
    if name in view.root or name in PRIMORDIAL:
        raise BadField(f"`name`: {name!r} is taken", "Choose another name, or remove what has it.")


def _check_slot(obj: UvmObject, slot: str) -> None:
    if not _is_identifier(slot):
        raise BadField(f"`slots`: {slot!r} is not an identifier without a leading underscore")
    value = own(obj).get(slot)
    if isinstance(value, Primitive):
        raise NotAllowed(f"The slot `{slot}` holds a primitive of the system")
    if isinstance(value, MethodVersion):
        raise BadField(f"The slot `{slot}` holds a method", "Remove the method first, as `selector`.")
    if _is_machinery(value):
        raise NotAllowed(f"The slot `{slot}` holds a {type(value).__name__} of the system")


def _is_machinery(value: Any) -> bool:
    """Tell whether a value is an index, a blob or the like: neither data nor an object."""
    return isinstance(value, Persistent) and not isinstance(
        value, (UvmObject, MethodVersion, PersistentMapping, PersistentList)
    )


def _is_identifier(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("_")


def _remove_slot(obj: UvmObject, slot: str) -> None:
    slots = own(obj)
    if slot not in slots or slot.startswith("_"):
        raise UnknownTarget(f"{named(obj)} has no slot `{slot}` of its own")
    if slot == "parents":
        raise BadField("An object keeps its parents", "Set `parents` to other objects instead.")
    if machine.is_place(obj, slot):
        raise NotAllowed(f"`{slot}` is a state of the system", "Set it to another prototype instead.")
    _check_slot(obj, slot)
    delattr(obj, slot)


def _remove_object(view: View, obj: UvmObject) -> None:
    given = [name for name, value in view.root.items() if value is obj]
    if any(name in PRIMORDIAL for name in given):
        raise NotAllowed(f"`{given[0]}` is a primordial object", "Remove its methods or slots instead.")
    registry = registered(view)
    if obj._p_oid not in registry:
        raise NotAllowed(f"{named(obj)} belongs to the system; it was not created or cloned")
    del registry[obj._p_oid]
    for name in given:
        del view.root[name]
    setattr(obj, REMOVED, methods.now())
