"""Questions about the whole image: who implements a selector, who sends it, who refers to an object, what there is."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from batos.codec import Ref
from batos.image import files, graph, lookup, mirrors, moments, registry, senders, snapshots
from batos.image.methods import MethodVersion
from batos.image.objects import UvmObject, own

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batos.image.registry import Target
    from batos.image.view import View

_OBJECT = UvmObject.__name__
_METHOD = MethodVersion.__name__


def implementors(view: View, selector: str) -> list[dict[str, Any]]:
    """The objects with a method or primitive of their own for a selector.

    Returns:
        For each: `oid`, `name` (or None), `kind` (`method` or `primitive`), `version`, `signature`, `summary`.
    """
    named = registry.names(view)
    rows = []
    for obj in _objects(view):
        value = own(obj).get(selector)
        told: dict[str, Any] = {"kind": "primitive", "version": None, "signature": "", "summary": ""}
        if isinstance(value, MethodVersion):
            told = {"kind": "method", "version": value.version, "signature": value.signature, "summary": value.summary}
        if lookup.is_behaviour(value):
            rows.append({**_named(view, obj, named), **told})
    return rows


def senders_of(view: View, selector: str) -> list[dict[str, Any]]:
    """The methods that send a message: `oid`, `name`, `selector` and `version` each; by what stands in their source."""
    named = registry.names(view)
    return [
        {**_named(view, obj, named), "selector": sending, "version": own(obj)[sending].version}
        for obj, sending in senders.of(view, selector, mirrors.everyone(view))
    ]


def references_to(view: View, target: Target) -> list[dict[str, Any]]:
    """The records that refer to an object: `oid`, `kind`, and for an object `name` and the `slots` that do.

    Raises:
        UnknownTarget: There is no such object.
    """
    wanted = view.ref(view.resolve(target)).oid
    named = registry.names(view)
    rows: list[dict[str, Any]] = []
    for record in graph.of_view(view):
        if wanted not in graph.references(record):
            continue
        obj = view.conn.get(record.oid)
        if isinstance(obj, UvmObject):
            slots = sorted(name for name, value in own(obj).items() if _holds(value, wanted))
            rows.append({**_named(view, obj, named), "kind": _OBJECT, "slots": slots})
        else:
            rows.append({"oid": Ref(record.oid), "name": None, "kind": record.kind[1], "slots": []})
    return rows


def census(view: View) -> dict[str, Any]:
    """What there is, by prototype and by kind of record; largest number first.

    Returns:
        `prototypes`: `oid`, `name`, `objects` (those that name it as a parent) and `bytes` (of their records);
        `kinds`: `kind`, `records`, `bytes`.
    """
    named = registry.names(view)
    kinds, kind_bytes = Counter[str](), Counter[str]()
    above, above_bytes = Counter[bytes](), Counter[bytes]()
    for record in graph.of_view(view):
        kind, size = record.kind[1], len(record.data)
        kinds[kind] += 1
        kind_bytes[kind] += size
        if kind == _OBJECT:
            for oid in {view.ref(parent).oid for parent in lookup.parents(view.conn.get(record.oid))}:
                above[oid] += 1
                above_bytes[oid] += size
    return {
        "prototypes": [
            {"oid": Ref(oid), "name": named.get(oid), "objects": count, "bytes": above_bytes[oid]}
            for oid, count in _sorted(above)
        ],
        "kinds": [{"kind": kind, "records": count, "bytes": kind_bytes[kind]} for kind, count in _sorted(kinds)],
    }


def statistics(view: View) -> dict[str, Any]:
    """The image in figures.

    Returns:
        `tid`, `time`, `records`, `bytes` of records, `objects`, `versions` of methods, `registered`, `file_bytes`, `blobs`,
        `blob_bytes`, `kept_from` (the oldest moment that is still whole; None: it was never packed), `snapshots`.
    """
    counts = Counter[str]()
    records = size = 0
    for record in graph.of_view(view):
        records, size = records + 1, size + len(record.data)
        counts[record.kind[1]] += 1
    sizes = [file.size for file in files.blobs(view)]
    return {
        "tid": view.tid,
        "time": snapshots.time_of(view.tid),
        "records": records,
        "bytes": size,
        "objects": counts[_OBJECT],
        "versions": counts[_METHOD],
        "registered": len(view.root.get(registry.REGISTRY, ())),
        "file_bytes": view.conn.db().getSize(),
        "blobs": len(sizes),
        "blob_bytes": sum(sizes),
        "kept_from": moments.kept_from(view),
        "snapshots": len(view.root.get(snapshots.SNAPSHOTS, ())),
    }


def _objects(view: View) -> Iterator[UvmObject]:
    """All objects that can be reached, also those that only a slot holds."""
    for record in graph.of_view(view):
        if record.kind[1] == _OBJECT:
            obj = view.conn.get(record.oid)
            if "_removed_" not in own(obj):
                yield obj


def _named(view: View, obj: UvmObject, named: dict[bytes, str]) -> dict[str, Any]:
    ref = view.ref(obj)
    return {"oid": ref, "name": named.get(ref.oid)}


def _holds(value: Any, oid: bytes) -> bool:
    if isinstance(value, dict):
        return any(_holds(key, oid) or _holds(item, oid) for key, item in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(_holds(item, oid) for item in value)
    return bool(getattr(value, "_p_oid", None) == oid)


def _sorted(counts: Counter[Any]) -> list[tuple[Any, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
