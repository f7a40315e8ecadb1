"""What the kernel asks of the image for a message: who answers it, what its receiver shows, and what it changed.

A message reads the image in short units of work and thinks without a transaction. Each answer here carries the serials
of the objects that it depends on; `apply` writes only where all of them still hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ZODB.POSException import POSKeyError

from batos.codec import Ref
from batos.errors import Conflict, NotAllowed
from batos.image import grants, lookup, quarantine, registry
from batos.image.methods import MethodVersion, Primitive
from batos.image.objects import UvmObject, own
from batos.image.values import NotPlain, from_plain, to_plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batos.image.store import View

Kind = Literal["method", "primitive", "data", "missing", "quarantined"]
Reads = dict[bytes, bytes]
"""Serials by oid."""
Writes = dict[Ref, dict[str, Any]]
"""Data slots by object, plain data."""


class Looked(NamedTuple):
    """What a selector means to an object.

    Attributes:
        kind: `method`, `primitive`, `data` or `missing`; `quarantined` is a method that is shut off.
        reads: The serials of the objects that the answer depends on.
        holder: The object whose slot answers; None when nobody does.
        source: The method's source text.
        sha256: Its digest.
        version: Its number.
        signature: Like `(self, name='you')`.
        primitive: The primitive's name.
        granted: What methods may do with it: the limits that were granted to the object; None: nothing.
        value: The data slot's value, plain data.
    """

    kind: Kind
    reads: Reads
    holder: Ref | None = None
    source: str = ""
    sha256: str = ""
    version: int = 0
    signature: str = ""
    primitive: str = ""
    granted: dict[str, int] | None = None
    value: Any = None


class Snapshot(NamedTuple):
    """What a receiver shows to its method.

    Attributes:
        slots: Its data slots, own and inherited, plain data; what is not plain data is left out.
        understands: The selectors that it answers by a method or a primitive.
        reads: The serials of the objects that this depends on.
    """

    slots: dict[str, Any]
    understands: frozenset[str]
    reads: Reads


def look(view: View, ref: Ref, selector: str) -> Looked:
    """Look a selector up along an object's parents.

    Raises:
        UnknownTarget: There is no such object.
        MethodError: The method's stored source does not match its digest.
        NotAllowed: The slot holds data that cannot leave the image (a blob, an index).
    """
    reads: Reads = {}
    obj = view.get(ref)
    if not lookup.is_public(selector):
        return Looked("missing", reads)
    found = lookup.find(obj, selector)
    for passed in lookup.line(obj):
        passed._p_activate()
        reads[view.ref(passed).oid] = passed._p_serial
        if found is not None and passed is found.holder:
            looked = _looked(view, passed, selector, found.value, reads)
            return looked._replace(granted=grants.of(obj).get(looked.primitive)) if looked.primitive else looked
    return Looked("missing", reads)


def snapshot(view: View, ref: Ref, writes: Mapping[Ref, Mapping[str, Any]] | None = None) -> Snapshot:
    """Give what an object shows to its method.

    Args:
        view: The unit of work.
        ref: The object.
        writes: What the call has written so far: it covers what the image has.

    Raises:
        UnknownTarget: There is no such object.
    """
    reads: Reads = {}
    slots: dict[str, Any] = {}
    behaviour: set[str] = set()
    seen: set[str] = set()
    for holder in lookup.line(view.get(ref)):
        stored, at = own(holder), view.ref(holder)
        reads[at.oid] = holder._p_serial
        written = (writes or {}).get(at, {})
        slots |= {name: value for name, value in written.items() if name not in seen and name != "parents"}
        seen.update(written)
        for name, value in stored.items():
            if name in seen or not lookup.is_public(name) or name == "parents":
                continue
            seen.add(name)
            if lookup.is_behaviour(value):
                behaviour.add(name)
            else:
                _show(view, slots, name, value)
    return Snapshot(slots, frozenset(behaviour), reads)


def own_slots(view: View, target: str | Ref) -> dict[str, Any]:
    """An object's own data slots, plain data; what is not plain data is left out.

    Raises:
        UnknownTarget: There is no such object.
    """
    slots: dict[str, Any] = {}
    for name, value in own(_object(view, target)).items():
        if not name.startswith("_") and name != "parents" and not lookup.is_behaviour(value):
            _show(view, slots, name, value)
    return slots


def signatures(view: View, target: str | Ref) -> list[str]:
    """The methods that an object understands, as they are called: `greet(name='you')`; sorted.

    Raises:
        UnknownTarget: There is no such object.
    """
    found = lookup.understood(_object(view, target))
    called = ((selector, own(holder)[selector]) for selector, holder in sorted(found.items()))
    return [selector + _without_self(value.signature) for selector, value in called if isinstance(value, MethodVersion)]


def summaries(view: View, target: str | Ref) -> dict[str, str]:
    """What the methods that an object understands say of themselves, by selector.

    Raises:
        UnknownTarget: There is no such object.
    """
    found = lookup.understood(_object(view, target))
    called = ((selector, own(holder)[selector]) for selector, holder in found.items())
    return {selector: value.summary for selector, value in called if isinstance(value, MethodVersion)}


def apply(view: View, writes: Mapping[Ref, Mapping[str, Any]], reads: Reads) -> None:
    """Set the data slots that a call wrote, if all it read is still so.

    Raises:
        Conflict: Something that it read has changed since.
        UnknownTarget: A written object, or a reference in a value, does not exist.
        BadField: A slot's name or value is wrong, or the slot holds a method.
        NotAllowed: The slot holds a primitive.
    """
    for oid, serial in reads.items():
        if _serial(view, oid) != serial:
            raise Conflict("What the call read has changed since")
        # The storage checks it again at the commit, when other processes may write too.
        view.conn.readCurrent(view.conn.get(oid))
    for ref, slots in writes.items():
        registry.put(view.get(ref), {name: from_plain(view, value) for name, value in slots.items()})


def current(view: View, reads: Reads) -> bool:
    """Tell whether all objects are still as they were read."""
    return all(_serial(view, oid) == serial for oid, serial in reads.items())


def _looked(view: View, holder: UvmObject, selector: str, value: Any, reads: Reads) -> Looked:
    ref = view.ref(holder)
    if isinstance(value, MethodVersion):
        return Looked(
            "quarantined" if quarantine.is_shut(holder, value) else "method",
            reads,
            ref,
            source=value.source,
            sha256=value.sha256,
            version=value.version,
            signature=value.signature,
        )
    if isinstance(value, Primitive):
        return Looked("primitive", reads, ref, primitive=value.name)
    try:
        return Looked("data", reads, ref, value=to_plain(view, value))
    except NotPlain:
        raise NotAllowed(f"The slot `{selector}` holds a {type(value).__name__}, which stays in the image") from None


def _show(view: View, slots: dict[str, Any], name: str, value: Any) -> None:
    try:
        slots[name] = to_plain(view, value)
    except NotPlain:
        # Indexes and blobs are reached by the messages of their object, not as data.
        return


def _object(view: View, target: str | Ref) -> UvmObject:
    return view.get(target) if isinstance(target, Ref) else view.resolve(target)


def _serial(view: View, oid: bytes) -> bytes | None:
    try:
        obj = view.conn.get(oid)
        obj._p_activate()
    except POSKeyError:
        return None
    serial: bytes = obj._p_serial
    return serial


def _without_self(signature: str) -> str:
    inner = signature.strip()[1:-1]
    first, _, rest = inner.partition(",")
    return f"({rest.strip()})" if first.strip().split(":")[0] == "self" else f"({inner})"
