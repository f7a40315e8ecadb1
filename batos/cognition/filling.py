"""Arguments for a capability: the form that a model fills in, and which of its answers may be believed.

A value belongs to a message only when it stands in the Architect's words, or follows from them: a choice among the
values that a signature lists, a yes or no that the words mention, or what somebody else vouches for. An optional value
that does not is left out; a required one that does not is asked back.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from batos.cognition.capabilities import stems
from batos.cognition.literals import grounded

if TYPE_CHECKING:
    from collections.abc import Collection

    from batos.cognition.capabilities import Capability, Parameter

MAX_TEXT = 400
MAX_ITEMS = 40
_TEXT: dict[str, Any] = {"type": "string", "maxLength": MAX_TEXT}
_SCALARS: list[dict[str, Any]] = [_TEXT, {"type": "number"}, {"type": "boolean"}]
_ANY: dict[str, Any] = {
    "anyOf": [*_SCALARS, {"type": "array", "maxItems": MAX_ITEMS, "items": {"anyOf": _SCALARS[:2]}}]
}
_PLAIN: dict[str, dict[str, Any]] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "str": _TEXT,
    "dict": {"type": "object"},
}
_LISTS = frozenset({"list", "tuple", "set", "frozenset", "List", "Tuple", "Sequence", "Iterable"})
_AMOUNTS = frozenset("percent half third quarter dozen hundred thousand million billion double twice once a an".split())  # noqa: SIM905
_NOT = frozenset({"no", "not", "without", "never", "exclude", "excluding", "ignore", "ignoring", "except"})
_VAGUE = frozenset("include is get show use with has return enable flag all full only".split())  # noqa: SIM905
_SCALES = (1, 0.01, 100, 1e-3, 1e3, 1e6, 1e9, 60, 1 / 60, 3600, 1 / 3600)
"""Percent, thousands and other units: how a number in the words and the one that is meant may differ."""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORDS = re.compile(r"[^\W_]+")


@dataclass(slots=True)
class Filled:
    """Arguments that may be sent: by place as far as they go, then by name; what is missing, and what was doubted.

    Doubted are values that do not stand in the words and may still follow from them: required ones, optional numbers and flags.
    """

    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    doubted: list[str] = field(default_factory=list)


def schema(item: Capability) -> dict[str, Any]:
    """The JSON schema of a capability's arguments by name."""
    parameters = item.parameters or ()
    return {
        "type": "object",
        "properties": {p.name: _of(p.annotation) for p in parameters},
        "required": [p.name for p in parameters if not p.has_default],
        "additionalProperties": False,
    }


def believed(item: Capability, said: dict[str, Any], text: str, vouched: Collection[str] = ()) -> Filled:
    """Sort what a model filled in into what may be sent and what is missing.

    Args:
        item: The capability.
        said: The model's arguments by name.
        text: The Architect's words.
        vouched: Names of arguments that are known to follow from the words.
    """
    filled = Filled()
    by_place = True
    for parameter in item.parameters or ():
        name = parameter.name
        if name in said and (name in vouched or _is_believed(parameter, said[name], text)):
            value = _fitted(parameter, said[name], text)
            if by_place:
                filled.args.append(value)
            else:
                filled.kwargs[name] = value
            continue
        by_place = False
        if not parameter.has_default:
            filled.missing.append(name)
        if name in said and _may_follow(parameter, said[name]):
            filled.doubted.append(name)
    return filled


def _may_follow(parameter: Parameter, value: Any) -> bool:
    if not isinstance(value, (str, int, float)) or value == "":
        return False
    return not parameter.has_default or (not isinstance(value, str) and not _same_as_default(parameter, value))


def _is_believed(parameter: Parameter, value: Any, text: str) -> bool:
    if value is None or value in ("", [], {}):
        return False
    if isinstance(value, bool):
        return not parameter.has_default or _mentioned(parameter, text) is not None
    if not parameter.has_default:
        return follows(value, text) or _is_listed(parameter, value)
    if _same_as_default(parameter, value):
        return False
    if isinstance(value, (int, float)):
        return grounded(value, text) or (_amount(value, text) and _mentioned(parameter, text) is not None)
    return grounded(value, text) or (isinstance(value, (str, list)) and follows(value, text))


def _fitted(parameter: Parameter, value: Any, text: str) -> Any:
    """A whole float as an integer where nothing asks for a float; a flag as the words have it."""
    if isinstance(value, bool) and parameter.has_default:
        mentioned = _mentioned(parameter, text)
        return value if mentioned is None else mentioned
    if (
        isinstance(value, float)
        and value.is_integer()
        and "float" not in parameter.annotation
        and str(value) not in text
    ):
        return int(value)
    return value


def follows(value: Any, text: str) -> bool:
    """Tell whether a value stands in a text, or shares what it says with it: a number, most of its words."""
    if grounded(value, text):
        return True
    if isinstance(value, (int, float)):
        return _amount(value, text)
    if isinstance(value, str):
        numbers = set(_NUMBER.findall(value))
        words = stems(value)
        return bool(numbers & set(_NUMBER.findall(text))) or bool(words & stems(text))
    if isinstance(value, dict):
        return any(follows(part, text) for part in value.values())
    return isinstance(value, list) and any(follows(part, text) for part in value)


def _amount(value: float, text: str) -> bool:
    """A number that the words give in another form: 1,000,000, 60 percent, half, 2k."""
    low = text.casefold()
    written = [float(part.replace(",", "")) for part in _NUMBER.findall(low) if part.count(".") <= 1]
    if any(abs(value - part * scale) <= 1e-9 * max(1.0, abs(value)) for part in written for scale in _SCALES):
        return True
    return not written and abs(value) <= 1 and not _AMOUNTS.isdisjoint(_WORDS.findall(low))


def _mentioned(parameter: Parameter, text: str) -> bool | None:
    """Whether the words ask for what a flag says (True), for its opposite (False), or do not speak of it (None)."""
    names = stems(parameter.name.replace("_", " ")) - _VAGUE
    said = [next(iter(stems(word)), "") for word in _WORDS.findall(text)]
    at = next((index for index, word in enumerate(said) if word in names), None)
    if at is None:
        return None
    return _NOT.isdisjoint(word.casefold() for word in _WORDS.findall(text)[max(0, at - 3) : at])


def _is_listed(parameter: Parameter, value: Any) -> bool:
    """Whether a value is one of those that the signature lists, or that the description gives in quotes."""
    if not isinstance(value, (str, int)):
        return False
    listed = "Literal" in parameter.annotation and repr(value) in parameter.annotation
    return listed or (isinstance(value, str) and any(f"{q}{value}{q}" in parameter.about for q in "'\"`"))


def _same_as_default(parameter: Parameter, value: Any) -> bool:
    try:
        return bool(ast.literal_eval(parameter.default) == value)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return False


def _of(annotation: str) -> dict[str, Any]:
    """The schema of an annotation; what is not known may be any scalar or list."""
    try:
        return _of_node(ast.parse(annotation, mode="eval").body) if annotation else _ANY
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _ANY


def _of_node(node: ast.expr) -> dict[str, Any]:
    if isinstance(node, ast.Name):
        return (
            {"type": "array", "maxItems": MAX_ITEMS, "items": _ANY} if node.id in _LISTS else _PLAIN.get(node.id, _ANY)
        )
    if isinstance(node, ast.BinOp):  # `int | None`
        parts = [
            part for part in (node.left, node.right) if not (isinstance(part, ast.Constant) and part.value is None)
        ]
        return _of_node(parts[0]) if len(parts) == 1 else {"anyOf": [_of_node(part) for part in parts]}
    if not isinstance(node, ast.Subscript) or not isinstance(node.value, ast.Name):
        return _ANY
    inner = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    if node.value.id == "Literal":
        return {"enum": [part.value for part in inner if isinstance(part, ast.Constant)]}
    if node.value.id == "Optional":
        return _of_node(inner[0])
    if node.value.id in _LISTS:
        return {"type": "array", "maxItems": MAX_ITEMS, "items": _of_node(inner[0])}
    return _PLAIN.get(node.value.id, _ANY)
