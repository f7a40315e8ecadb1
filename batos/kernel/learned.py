"""Units of work behind the commands that ask about methods and cycles; each runs within the image's door."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from batos.errors import UnknownTarget
from batos.image import cycles, dispatch, methods, registry
from batos.memory import catalog

if TYPE_CHECKING:
    from batos.codec import Ref
    from batos.image.store import View

Record = dict[str, Any]

_PARAMETER = re.compile(r"^\s*(\*{0,2}\w+)\s*(?::[^=]*)?(=)?")


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


def needs(signature: str, args: list[Any], kwargs: dict[str, Any]) -> list[str]:
    """The parameters of a signature such as `(self, a, b=1)` that have neither a value nor a default."""
    names = []
    for part in _parts(signature.strip()[1:-1]):
        match = _PARAMETER.match(part)
        if match and not match.group(1).startswith("*"):
            names.append((match.group(1), bool(match.group(2)) or "=" in part))
    unbound = names[1 + len(args) :]
    return [name for name, has_default in unbound if not has_default and name not in kwargs]


def _parts(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for index, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [part for part in [*parts, text[start:]] if part.strip() and part.strip() not in ("*", "/")]


def history(view: View, target: str | Ref, selector: str) -> list[Record]:
    """The versions of a method, oldest first.

    Raises:
        UnknownTarget: It never had one.
    """
    versions = methods.history(view, view.resolve(target), selector)
    if not versions:
        raise UnknownTarget(f"{selector!r} has no versions on this object", "`inspect` shows its methods.")
    return versions


def explain(view: View, target: str | Ref, selector: str, version: int | None) -> Record:
    """A version with its whole provenance."""
    return dict(methods.version(view, view.resolve(target), selector, version))


def rollback(view: View, target: str | Ref, selector: str, version: int) -> int:
    """Reinstall an old version's source as a new version."""
    installed = methods.rollback(view, view.resolve(target), selector, version)
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
        "started": record["started"],
        "updated": record["updated"],
        "seconds": round(record["elapsed"], 3),
        "attempts": record["attempts"],
        "error": record.get("error"),
    }
    return {**fields, **{key: last_word[key] for key in ("result", "version") if key in last_word}}
