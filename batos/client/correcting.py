"""The Architect's corrections: "no, 4 is IV" after a result becomes a `correct` of the call that gave it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import Any

from batos.cognition import literals

Message = dict[str, Any]

_NO = re.compile(
    r"^(?:no|nope|wrong|not right|that(?:'s| is) (?:wrong|not right|incorrect)|incorrect)\b[\s,.:;!–-]*(?P<rest>.*)$",
    re.IGNORECASE | re.DOTALL,
)
_EQUALS = re.compile(
    r"\s*(?:==|=>|->|→|=|\b(?:is|gives|equals|should (?:be|give|return)|must (?:be|give|return)|returns)\b)\s*"
)
_IT = re.compile(r"^(?:it|that|this|the (?:answer|result))$", re.IGNORECASE)
_EXPECTED = re.compile(r"^(?:i )?(?:expected|want(?:ed)?)\s+(?P<value>.+)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Call:
    """A call that gave a result."""

    target: Any
    selector: str
    args: list[Any] = field(default_factory=list)
    kwargs: Message = field(default_factory=dict)
    result: Any = None

    @classmethod
    def of(cls, request: Message, reply: Message) -> Call | None:
        """The call that a request made, where its reply has a result."""
        made = request.get("mission_brief") or request
        if "result" not in reply or not isinstance(made.get("selector"), str):
            return None
        return cls(
            request.get("target_oid"),
            made["selector"],
            list(made.get("args") or []),
            dict(made.get("kwargs") or {}),
            reply["result"],
        )


def correction(text: str, last: Call | None) -> Message | None:
    """Read words as a correction of the last call; None when they are none."""
    match = _NO.match(text.strip())
    if match is None or last is None:
        return None
    rest = match["rest"].strip().rstrip(".!")
    shown = literals.examples(match["rest"].strip())
    if shown.examples and shown.name in ("", last.selector):
        example = shown.examples[0]
        return _request(last, example["args"], example["kwargs"], example["result"])
    expected = _EXPECTED.match(rest)
    if expected is not None:
        return _of_last(last, expected["value"])
    sides = _EQUALS.split(rest, maxsplit=1)
    if len(sides) == 1:
        return _of_last(last, rest, plain=False)
    left, right = sides[0].strip(), sides[1]
    if not left or _IT.match(left):
        return _of_last(last, right)
    args = _values(left, last.args)
    found = _value(right, last.result)
    return None if args is None or found is None else _request(last, args, {}, found[0])


def _of_last(last: Call, text: str, *, plain: bool = True) -> Message | None:
    """A correction of the last call itself; without `plain` words alone are no value."""
    if not plain and _literal(text) is None:
        return None
    found = _value(text, last.result)
    return _request(last, last.args, last.kwargs, found[0]) if found is not None else None


def _request(last: Call, args: list[Any], kwargs: Message, result: Any) -> Message:
    named: Message = {"target_oid": last.target, "selector": last.selector}
    return {"command": "correct", **named, "args": args, "kwargs": kwargs, "result": result}


def _values(text: str, like: list[Any]) -> list[Any] | None:
    """The arguments that a text lists, as many as the last call had; None when it is something else."""
    found = _literal(f"[{text}]")
    if found is not None and len(found[0]) == len(like):
        return list(found[0])
    if len(like) == 1:
        value = _value(text, like[0])
        return None if value is None else [value[0]]
    return None


def _value(text: str, like: Any) -> tuple[Any] | None:
    """The value that a text says: a literal, or the words themselves where a text is expected."""
    found = _literal(text)
    if found is not None and (not isinstance(like, str) or isinstance(found[0], str)):
        return found
    if isinstance(like, str) and text.strip():
        return (text.strip(),)
    return found


def _literal(text: str) -> tuple[Any] | None:
    try:
        return (ast.literal_eval(text.strip()),)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
