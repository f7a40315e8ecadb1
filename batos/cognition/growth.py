"""Does a method that is to keep things keep them? Told by what calls one after the other leave in the slots.

A method that replaces where it should add passes any single call: the second loses what the first kept. But much is
rightly replaced (a name, a position, the last visitor), so what is found here is a doubt for the next attempt, never the
last word.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from batos.cognition import brief as briefs
from batos.cognition.compare import same

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Call = tuple[list[Any], dict[str, Any]]

_KEEPS = re.compile(
    r"\b(add(s|ing)?|append\w*|collect|insert|push|enqueue|log|note|record|register|remember|memori[sz]e|store|save|keep\w*"
    r"|deposit|withdraw|increment|count|tally|track|each|every)\b",
    re.IGNORECASE,
)
_REPLACES = re.compile(
    r"\b(last|latest|newest|(high|low|small|larg|bigg?|great|long|short)est|best|max(imum)?|min(imum)?|most recent|current|only|replac\w+|overwrit\w+|sets?|reset|chang\w+|updat\w+|instead|clear"
    r"|renam\w+|limit|at most)\b",
    re.IGNORECASE,
)
_SUMS = re.compile(
    r"\b(deposit|withdraw\w*|increment\w*|count\w*|tally|totals?|running|balance|score|how often|how many times)\b",
    re.IGNORECASE,
)


def demanded(words: str) -> bool:
    """Tell whether a mission's words ask that one call adds to what calls before it left."""
    return bool(_KEEPS.search(words)) and not _REPLACES.search(words)


def calls(brief: briefs.Brief) -> tuple[Call, Call] | None:
    """Two calls of a mission's method that differ in every argument where it has any; None where none is known."""
    known = [(list(brief.get("args") or []), dict(brief.get("kwargs") or {}))]
    if not any(known[0]):
        shown = [example for example in briefs.examples(brief) if not example.get("steps") and not example.get("error")]
        known = [(list(one.get("args") or []), dict(one.get("kwargs") or {})) for one in shown[:1]] or known
    args, kwargs = known[0]
    if not (args or kwargs) and brief.get("parameters"):
        return None
    return (args, kwargs), ([_other(value) for value in args], {key: _other(value) for key, value in kwargs.items()})


def _other(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    if isinstance(value, str):
        return re.sub(r"\S+", r"x\g<0>", value) or "x"  # no word of which begins as one of the other does
    if isinstance(value, (list, tuple)):
        return type(value)(_other(item) for item in value)
    return {key: _other(item) for key, item in value.items()} if isinstance(value, dict) else value


def doubt(words: str, told: tuple[Call, Call], left: Sequence[Mapping[str, Any]]) -> str:
    """Say which slot loses what a call kept, where no other slot keeps it.

    Args:
        words: The mission's words.
        told: A call, and another one.
        left: The object's slots before, after the first call, after the same call again, and after the other call.
    """
    before, first, again, last = left
    lost = ""
    for name, value in first.items():
        if name in before and same(before[name], value):
            continue
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            grew = not same(value, again.get(name)) if _SUMS.search(words) else None
            if not grew and same(again.get(name), last.get(name)) and not same(list(told[0]), list(told[1])):
                grew = None  # neither call had an effect: it may have been refused
        else:
            grew = _grew(again.get(name), last.get(name), alike=same(list(told[0]), list(told[1])))
        if grew:
            return ""
        if grew is False and not lost and not _is_given(value, told[0]):
            lost = name
    return lost


def _grew(old: Any, new: Any, *, alike: bool) -> bool | None:
    """Whether a collection or a text has all that it had, and more; None where that cannot be told."""
    if isinstance(old, str) and isinstance(new, str):
        return True if len(new) > len(old) and new.startswith(old) else None
    if type(old) is not type(new) or not isinstance(old, (list, tuple, set, frozenset, dict)) or not old:
        return None
    if not all(any(same(item, other) for other in new) for item in old):
        return False
    if len(new) > len(old):
        return True
    if isinstance(old, dict) and isinstance(new, dict):
        inner = [_grew(value, new[key], alike=alike) for key, value in old.items()]
        return True if True in inner else None
    return False if alike else None


def _is_given(value: Any, call: Call) -> bool:
    """Whether a slot holds what it was given as a whole: then it is what the method was told to keep."""
    given = [*call[0], *call[1].values()]
    if any(same(value, one) for one in given):
        return not isinstance(value, (int, float)) or isinstance(value, bool)
    items = list(value) if isinstance(value, (list, tuple, set, frozenset)) else []
    whole = [one for one in given if isinstance(one, (list, tuple, set, frozenset))]
    return any(len(items) <= len(one) and all(any(same(i, o) for o in one) for i in items) for one in whole)
