"""What a method must keep to: permanent examples that the Architect gave, and calls of it that came out well.

Both belong to a selector of the object that holds the method. Examples outlive its versions. A call that came out well is
kept with the moment that it was made at, where it can be made again, and with the digest of the source that made it: it
speaks for what that source was mended to, but not for a version that was put in its place on purpose. Everything runs
inside a unit of work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from BTrees.OOBTree import OOBTree

from batos import codec
from batos.errors import UnknownTarget
from batos.image import dispatch, methods
from batos.image.objects import own

if TYPE_CHECKING:
    from batos.codec import Ref
    from batos.image.view import View

EXAMPLES = 200
"""Permanent examples of one method at most; the oldest leave."""
CALLS = 12
"""Good calls of one method at most; the oldest leave."""

MENDED = ("correction", "repair")
"""What the provenance of a version has as its origin where it was made to keep to what the one before did well."""

_ROOT = "laws"
Row = dict[str, Any]


def holder(view: View, target: str | Ref, selector: str) -> Ref:
    """The object that holds the method which a target answers a selector with.

    Raises:
        UnknownTarget: The target does not answer it by a method.
    """
    looked = dispatch.look(view, view.ref(view.resolve(target)), selector)
    if looked.kind not in ("method", "quarantined") or looked.holder is None:
        raise UnknownTarget(f"{selector!r} is no method of this object", "`inspect` shows what it understands.")
    return looked.holder


def examples(view: View, ref: Ref, selector: str) -> list[Row]:
    """The permanent examples of a method, oldest first; each has the `time` it was given at."""
    return _load(view, ref, selector)["examples"]


def calls(view: View, ref: Ref, selector: str) -> list[Row]:
    """The good calls that speak for the active version: `receiver`, `args`, `kwargs`, `result`, `tid`, `sha256` of the source.

    They are those of its own source and of the versions that it was mended from. Calls of a version before that, which the
    Architect or a mission replaced on purpose, speak for another behaviour; a rollback to it makes them count again.
    """
    line = ["", *(version.sha256 for version in _line(view, ref, selector))]  # an older build kept no digest
    return [call for call in _load(view, ref, selector)["calls"] if call.get("sha256", "") in line]


def _line(view: View, ref: Ref, selector: str) -> list[methods.MethodVersion]:
    """The active version and those that it was mended from, newest first."""
    active = own(view.get(ref)).get(selector)
    line = []
    for version in methods.versions(active if isinstance(active, methods.MethodVersion) else None):
        line.append(version)
        if version.provenance.get("origin") not in MENDED or "rollback_of" in version.provenance:
            break
    return line


def since(view: View, ref: Ref, selector: str) -> str | None:
    """The moment whose state the brief's examples of the active version speak of: before the brief's own install."""
    line = _line(view, ref, selector)
    return f"{int(line[-1].tid, 16) - 1:016x}" if line and line[-1].tid else None


def add_example(view: View, ref: Ref, selector: str, example: Row) -> None:
    """Make an example permanent; it takes the place of one for the same arguments, and of a call with them that was kept."""
    kept = _load(view, ref, selector)
    others = [old for old in kept["examples"] if _call(old) != _call(example)]
    calls = kept["calls"] if example.get("steps") else [old for old in kept["calls"] if _call(old) != _call(example)]
    _store(view, ref, selector, {"examples": [*others, example][-EXAMPLES:], "calls": calls})


def add_call(view: View, ref: Ref, selector: str, call: Row) -> None:
    """Keep a good call; it takes the place of one with the same arguments."""
    kept = _load(view, ref, selector)
    others = [old for old in kept["calls"] if _call(old) != _call(call)]
    _store(view, ref, selector, {**kept, "calls": [*others, call][-CALLS:]})


def _call(row: Row) -> bytes:
    return codec.pack([row.get("args") or [], row.get("kwargs") or {}])


def _load(view: View, ref: Ref, selector: str) -> dict[str, list[Row]]:
    data = view.root.get(_ROOT, {}).get(f"{ref.hex}:{selector}")
    return {"examples": [], "calls": []} if data is None else dict(codec.unpack(data))


def _store(view: View, ref: Ref, selector: str, kept: dict[str, list[Row]]) -> None:
    if _ROOT not in view.root:
        view.root[_ROOT] = OOBTree()
    view.root[_ROOT][f"{ref.hex}:{selector}"] = codec.pack(kept)
