"""Differences: between two versions of a method, and of an object between two moments."""

from __future__ import annotations

import difflib
import io
from typing import TYPE_CHECKING, Any

from batos import codec
from batos.errors import MethodError, UnknownTarget
from batos.image import lookup, methods, mirrors
from batos.image.methods import MethodVersion
from batos.image.objects import own

if TYPE_CHECKING:
    from batos.image.registry import Target
    from batos.image.view import View

State = dict[str, Any]
"""`slots`: name → value as `inspect` shows it, with `parents`; `methods`: selector → source."""


def of_versions(view: View, target: Target, selector: str, first: int, second: int) -> dict[str, Any]:
    """The difference between two versions of a method: `unified`, and `slots`, which is empty.

    Raises:
        UnknownTarget: There is no such version.
        MethodError: A source does not match its digest.
    """
    obj = view.resolve(target)
    old, new = (_source(methods.version(view, obj, selector, number)) for number in (first, second))
    return {
        "unified": unified(old, new, f"{selector} version {first}", f"{selector} version {second}"),
        "slots": {"added": {}, "removed": {}, "changed": {}},
    }


def state(view: View, target: Target, selector: str | None = None) -> State | None:
    """An object's own slots and methods at a unit of work's moment; None when it was not there.

    Args:
        view: The unit of work.
        target: The object.
        selector: This method or slot alone.
    """
    try:
        obj = view.resolve(target)
    except UnknownTarget:
        return None
    found: State = {"slots": {}, "methods": {}}
    for name, value in own(obj).items():
        if name.startswith("_") or (selector is not None and name != selector):
            continue
        if isinstance(value, MethodVersion):
            found["methods"][name] = value._source
        elif name == "parents":
            found["slots"][name] = [view.ref(parent) for parent in lookup.parents(obj)]
        elif not lookup.is_behaviour(value):
            found["slots"][name] = mirrors.shown(view, value)
    return found


def of_states(first: State | None, second: State | None, names: tuple[str, str]) -> dict[str, Any]:
    """The difference between two states of an object: `unified` of its methods, `slots` added, removed and changed.

    Args:
        first: What `state` gave for one moment.
        second: The same for the other.
        names: What the moments are called in the unified difference.

    Raises:
        UnknownTarget: The object was there at neither moment.
    """
    if first is None and second is None:
        raise UnknownTarget("The object was there at neither moment")
    nothing: State = {"slots": {}, "methods": {}}
    old, new = first or nothing, second or nothing
    texts = [
        unified(old["methods"].get(name, ""), new["methods"].get(name, ""), f"{name} {names[0]}", f"{name} {names[1]}")
        for name in sorted({*old["methods"], *new["methods"]})
    ]
    return {"unified": "".join(texts), "slots": _compared(old["slots"], new["slots"])}


def unified(old: str, new: str, old_name: str, new_name: str) -> str:
    """The unified difference of two texts; "" when they are the same."""
    lines = difflib.unified_diff(_lines(old), _lines(new), old_name, new_name)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _lines(text: str) -> list[str]:
    # Only "\n" ends a line here, whatever else Python takes for an end.
    return io.StringIO(text, newline="\n").readlines()


def _compared(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    both = [name for name in old if name in new]
    return {
        "added": {name: value for name, value in new.items() if name not in old},
        "removed": {name: value for name, value in old.items() if name not in new},
        "changed": {name: [old[name], new[name]] for name in both if not _same(old[name], new[name])},
    }


def _same(old: Any, new: Any) -> bool:
    # By type too: 1, 1.0 and True are different values of a slot.
    return codec.pack(old) == codec.pack(new)


def _source(row: dict[str, Any]) -> str:
    if row["source"] is None:
        raise MethodError(f"The stored source of version {row['version']} does not match its digest")
    return str(row["source"])
