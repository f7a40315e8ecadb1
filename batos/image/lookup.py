"""How a name is found: by Self's rules. An own slot wins; then the parents, first to last, each with its own parents.

No object is searched twice, so parents may form cycles. Where two parents answer differently the first wins, and
`ambiguous` tells of it. Everything here reads own slots directly and never starts anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batos.image.delegation import PROTOCOL, Behaviour, Found, find, line, own, parents, walk
from batos.image.methods import MethodVersion

if TYPE_CHECKING:
    from batos.image.objects import UvmObject

__all__ = [
    "PROTOCOL",
    "Found",
    "ambiguous",
    "chain",
    "find",
    "is_behaviour",
    "is_public",
    "line",
    "parents",
    "understood",
    "walk",
]


def chain(obj: UvmObject) -> list[UvmObject]:
    """The object and all it delegates to, in the order of lookup, each once."""
    return list(line(obj))


def is_behaviour(value: Any) -> bool:
    """Tell whether a slot's value is a method or a primitive rather than data."""
    return isinstance(value, Behaviour)


def is_public(name: str) -> bool:
    """Tell whether a name may be a selector: no leading underscore, or one of the protocol's messages."""
    return not name.startswith("_") or name in PROTOCOL


def understood(obj: UvmObject) -> dict[str, UvmObject]:
    """The selectors that an object understands by a method or a primitive, each with the object that holds it."""
    seen: set[str] = set()
    answer: dict[str, UvmObject] = {}
    for holder in line(obj):
        for name, value in own(holder).items():
            if name in seen:
                continue
            seen.add(name)
            if is_public(name) and is_behaviour(value):
                answer[name] = holder
    return answer


def ambiguous(obj: UvmObject) -> list[str]:
    """The selectors that two parents answer differently, sorted."""
    everyone = line(obj)
    holders: dict[str, int] = {}
    for holder in everyone:
        for name in own(holder):
            holders[name] = holders.get(name, 0) + 1
    mine = own(obj)
    shared = [n for n, count in holders.items() if count > 1 and not n.startswith("_") and n != "parents"]
    return sorted(name for name in shared if name not in mine and _differ(_answers(obj, name)))


def _answers(obj: UvmObject, name: str) -> list[Any]:
    """What all paths through the parents find: a path ends at the first object that has the slot."""
    answers, seen, waiting = [], {id(obj)}, parents(obj)
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        slots = own(current)
        if name in slots:
            answers.append(slots[name])
        else:
            waiting.extend(parents(current))
    return answers


def _differ(answers: list[Any]) -> bool:
    return any(not _same(answers[0], other) for other in answers[1:])


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, MethodVersion) and isinstance(other, MethodVersion):
        return one.sha256 == other.sha256
    return one is other or (type(one) is type(other) and bool(one == other))
