"""Whether an answer fits its JSON schema, where decoding was not constrained by it.

The part of JSON Schema that our own schemas use; one that says more cannot be checked, which is an error and no silence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from batos.errors import ModelError

_Rule = Callable[[Any, Any, str], str]
_KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def misfit(text: str, schema: dict[str, Any]) -> str:
    """Why a text is not JSON that fits a schema; empty where it fits.

    Raises:
        ModelError: The schema says something that is not checked here.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"it is not JSON: {error}"
    return _misfit(value, schema, "the answer")


def _misfit(value: Any, schema: Any, where: str) -> str:
    if isinstance(schema, bool):
        return "" if schema else f"{where} may not be there"
    if unknown := schema.keys() - _RULES.keys() - _NAMED - _NOTES:
        raise ModelError(f"the JSON schema has rules that are not checked here: {', '.join(sorted(unknown))}")
    wrongs = (_RULES[rule](value, wanted, where) for rule, wanted in schema.items() if rule in _RULES)
    return next((wrong for wrong in wrongs if wrong), "") or _named(value, schema, where)


def _type(value: Any, wanted: Any, where: str) -> str:
    names = [wanted] if isinstance(wanted, str) else wanted
    return "" if any(_is(value, name) for name in names) else f"{where} is not of type {' or '.join(names)}"


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _KINDS[name])


def _same(value: Any, wanted: Any) -> bool:
    """JSON's equality: 1 is 1.0, and true is not 1."""
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def _enum(value: Any, wanted: Any, where: str) -> str:
    return "" if any(_same(value, one) for one in wanted) else f"{where} is none of {json.dumps(wanted)}"


def _const(value: Any, wanted: Any, where: str) -> str:
    return "" if _same(value, wanted) else f"{where} is not {json.dumps(wanted)}"


def _any_of(value: Any, wanted: Any, where: str) -> str:
    wrong = [_misfit(value, one, where) for one in wanted]
    return "" if "" in wrong else f"{where} has none of the allowed forms ({'; '.join(wrong)[:300]})"


def _named(value: Any, schema: dict[str, Any], where: str) -> str:
    """What is wrong with the named values of an object: `properties`, and `additionalProperties` for the others."""
    known = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    found = value.items() if isinstance(value, dict) else ()
    wrongs = (_misfit(own, known.get(name, others), f"{where}'s {name!r}") for name, own in found)
    return next((wrong for wrong in wrongs if wrong), "")


def _required(value: Any, wanted: Any, where: str) -> str:
    missing = [name for name in wanted if isinstance(value, dict) and name not in value]
    return f"{where} lacks {', '.join(missing)}" if missing else ""


def _items(value: Any, wanted: Any, where: str) -> str:
    found = value if isinstance(value, list) else ()
    wrongs = (_misfit(own, wanted, f"{where}'s item {place}") for place, own in enumerate(found, 1))
    return next((wrong for wrong in wrongs if wrong), "")


def _pattern(value: Any, wanted: Any, where: str) -> str:
    fits = not isinstance(value, str) or re.search(wanted, value)
    return "" if fits else f"{where} does not match {wanted}"


def _size(kind: type, unit: str, *, least: bool) -> _Rule:
    def check(value: Any, wanted: Any, where: str) -> str:
        if not isinstance(value, kind):
            return ""
        size = len(value)  # type: ignore[arg-type]
        if (size >= wanted) if least else (size <= wanted):
            return ""
        return f"{where} has {size} {unit}, and {'at least' if least else 'at most'} {wanted} are asked for"

    return check


def _bound(*, least: bool) -> _Rule:
    def check(value: Any, wanted: Any, where: str) -> str:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return ""
        if (value >= wanted) if least else (value <= wanted):
            return ""
        return f"{where} is {value}, and {'at least' if least else 'at most'} {wanted} is asked for"

    return check


_NAMED = frozenset({"properties", "additionalProperties"})
_NOTES = frozenset({"title", "description", "default", "examples", "$schema"})
_RULES: dict[str, _Rule] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "anyOf": _any_of,
    "required": _required,
    "items": _items,
    "pattern": _pattern,
    "minItems": _size(list, "items", least=True),
    "maxItems": _size(list, "items", least=False),
    "minLength": _size(str, "characters", least=True),
    "maxLength": _size(str, "characters", least=False),
    "minimum": _bound(least=True),
    "maximum": _bound(least=False),
}
