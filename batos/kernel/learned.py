"""Units of work behind the commands that ask about methods and cycles; each runs within the image's door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batos.errors import UnknownTarget
from batos.image import cycles, dispatch, laws, methods, moments, registry
from batos.memory import catalog

if TYPE_CHECKING:
    from batos.codec import Ref
    from batos.image.store import View

Record = dict[str, Any]


def about(view: View, target: str | Ref, selector: str) -> Record | None:
    """What a target answers a selector with: `target`, `version`, `source`, `signature`; None when it does not understand."""
    ref = view.ref(view.resolve(target))
    looked = dispatch.look(view, ref, selector)
    if looked.kind == "missing":
        return None
    method = looked.kind in ("method", "quarantined")
    return {
        "target": ref,
        "version": looked.version if method else None,
        "source": looked.source if method else None,
        "signature": looked.signature if method else "",
    }


def history(view: View, target: str | Ref, selector: str) -> list[Record]:
    """The versions of a method, oldest first.

    Raises:
        UnknownTarget: It never had one.
    """
    versions = methods.history(view, view.resolve(target), selector)
    if not versions:
        raise UnknownTarget(f"{selector!r} has no versions on this object", "`inspect` shows its methods.")
    return versions


def source_of(view: View, target: Ref, selector: str, sha256: str) -> str | None:
    """The source of a version by its digest, None where there is no such version any more."""
    try:
        rows = methods.history(view, view.get(target), selector)
    except UnknownTarget:
        return None
    return next((row["source"] for row in reversed(rows) if row["sha256"] == sha256), None)


def law(view: View, target: str | Ref, selector: str) -> list[Record]:
    """The permanent examples of a method, oldest first; none where it is no method any more."""
    try:
        return laws.examples(view, laws.holder(view, target, selector), selector)
    except UnknownTarget:
        return []


def explain(
    view: View, target: str | Ref, selector: str, version: int | None = None, moment: str | None = None
) -> Record:
    """A version with its whole provenance: by its number, or the newest that was there at a moment; else the newest.

    Raises:
        UnknownTarget: There is no such version.
        BadField: The moment is none.
    """
    obj = view.resolve(target)
    if moment is None:
        return dict(methods.version(view, obj, selector, version))
    # Versions outlive a pack, so a moment that was packed away will do here.
    tid = moments.tid_of(view, moment)
    there = [row for row in methods.history(view, obj, selector) if row["tid"] <= tid]
    if not there:
        raise UnknownTarget(f"`{selector}` had no version at {moment!r}")
    return dict(there[-1])


def rollback(view: View, target: str | Ref, selector: str, version: int) -> int:
    """Reinstall an old version's source as a new version; Fractal Memory learns it again."""
    obj = view.resolve(target)
    installed = methods.rollback(view, obj, selector, version)
    intent = (installed.provenance.get("mission_brief") or {}).get("intent") or ""
    about = (selector, installed.signature, installed.summary, intent)
    catalog.index_capability(view, view.ref(obj).hex, *about, source=installed.source)
    return int(installed.version)


def remove(view: View, target: str | Ref, selector: str | None, slot: str | None) -> None:
    """Remove a method, a slot or an object; what memory knows of the method goes too."""
    ref = view.ref(view.resolve(target))
    registry.remove(view, target, selector, slot)
    if selector is not None:
        catalog.forget_capability(view, ref.hex, selector)


def cycle(view: View, cycle_id: str) -> Record:
    """A cycle as people see it.

    Raises:
        UnknownTarget: There is no such cycle.
    """
    record = cycles.load(view, cycle_id)
    if record is None:
        raise UnknownTarget(f"There is no cycle {cycle_id!r}", "The command `cycles` lists them.")
    return shown(record)


def shown(record: Record) -> Record:
    """The fields of a cycle's record that belong on the wire."""
    last_word = record.get("last_word") or {}
    fields = {
        "cycle_id": record["cycle_id"],
        "state": last_word.get("status") or record["state"],
        "awaiting": record.get("awaiting"),
        "selector": record["selector"],
        "target": record["target"],
        "persona": record["persona"],
        "asked_by": record.get("origin") or "requester",
        "started": record["started"],
        "updated": record["updated"],
        "seconds": round(record["elapsed"], 3),
        "spent": record.get("spent", {}),
        "attempts": record["attempts"],
        "error": record.get("error"),
    }
    return {**fields, **{key: last_word[key] for key in ("result", "version") if key in last_word}}
