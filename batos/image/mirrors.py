"""Looking at objects from outside, as plain data: no name in an object can get in the way of its inspection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ZODB.POSException import POSKeyError

from batos import codec
from batos.image import grants, lookup, registry
from batos.image.methods import MethodVersion
from batos.image.objects import UvmObject, own
from batos.image.values import NotPlain, to_plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batos.image.registry import Target
    from batos.image.store import View

LARGE_BYTES = 64 << 10
"""A value over this many bytes packed shows as its kind and size."""


def inspect(view: View, target: Target) -> dict[str, Any]:
    """Everything about one object, as the contract's `inspect` gives it.

    Raises:
        UnknownTarget: There is no such object.
    """
    obj = view.resolve(target)
    ref = view.ref(obj)
    name = registry.names(view).get(ref.oid)
    return {
        "oid": ref,
        **({"name": name} if name is not None else {}),
        "slots": {slot: shown(view, value) for slot, value in _data(obj)},
        "methods": _methods(obj),
        "parents": [view.ref(parent) for parent in lookup.parents(obj)],
        "understands": sorted(lookup.understood(obj)),
        "ambiguous": lookup.ambiguous(obj),
        **({"granted": granted} if (granted := grants.of(obj)) else {}),
    }


def objects(view: View, prototype: Target | None, limit: int) -> list[dict[str, Any]]:
    """List root objects and registered objects, `{"oid", "name", "parents"}` each; `name` is None without one.

    Args:
        view: The unit of work.
        prototype: Only what delegates to this object, itself or through others.
        limit: At most so many.

    Raises:
        UnknownTarget: There is no such prototype.
    """
    above = view.resolve(prototype) if prototype is not None else None
    named = registry.names(view)
    rows: list[dict[str, Any]] = []
    for obj in everyone(view):
        if len(rows) >= limit:
            break
        if above is not None and (obj is above or not any(other is above for other in lookup.walk(obj))):
            continue
        ref = view.ref(obj)
        rows.append(
            {"oid": ref, "name": named.get(ref.oid), "parents": [view.ref(parent) for parent in lookup.parents(obj)]}
        )
    return rows


def understands(view: View, obj: UvmObject) -> list[dict[str, Any]]:
    """What an object understands by methods and primitives: `{"selector", "signature", "summary", "holder"}` each."""
    rows = []
    for selector, holder in sorted(lookup.understood(obj).items()):
        value = own(holder)[selector]
        method = isinstance(value, MethodVersion)
        rows.append(
            {
                "selector": selector,
                "signature": value.signature if method else "",
                "summary": value.summary if method else "",
                "holder": view.ref(holder),
            }
        )
    return rows


def everyone(view: View) -> Iterator[UvmObject]:
    """Root objects by name, then registered ones; what a recovered image has lost is left out (`image check` tells)."""
    seen: set[bytes] = set()
    for _name, obj in sorted((name, obj) for name, obj in view.root.items() if isinstance(obj, UvmObject)):
        seen.add(view.ref(obj).oid)
        if _is_there(obj):
            yield obj
    for oid, obj in view.root.get(registry.REGISTRY, {}).items():
        if oid not in seen and _is_there(obj):
            yield obj


def shown(view: View, value: Any) -> Any:
    """A slot's value for people: plain data, or `{"kind", "size"}` for what is not plain data or too large."""
    try:
        plain = to_plain(view, value)
    except NotPlain:
        return {"kind": type(value).__name__, "size": _size(value)}
    try:
        packed = len(codec.pack(plain))
    except codec.CodecError:
        return {"kind": type(value).__name__, "size": _size(value)}
    return plain if packed <= LARGE_BYTES else {"kind": type(value).__name__, "size": packed}


def _is_there(obj: UvmObject) -> bool:
    try:
        obj._p_activate()
    except POSKeyError:
        return False
    return True


def _data(obj: UvmObject) -> list[tuple[str, Any]]:
    return [
        (slot, value)
        for slot, value in own(obj).items()
        if not slot.startswith("_") and slot != "parents" and not lookup.is_behaviour(value)
    ]


def _methods(obj: UvmObject) -> dict[str, dict[str, Any]]:
    return {
        selector: {"version": value.version, "signature": value.signature, "summary": value.summary}
        for selector, value in sorted(own(obj).items())
        if isinstance(value, MethodVersion)
    }


def _size(value: Any) -> int | None:
    try:
        return len(value)
    except TypeError:
        return None
