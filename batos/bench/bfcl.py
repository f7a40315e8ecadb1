"""Function-calling problems in the layout of the Berkeley Function Calling Leaderboard, and when a call is right.

A folder holds `simple_python.jsonl`, `multiple.jsonl` and `irrelevance.jsonl`. The rules are those of the leaderboard's own
checker for Python: the function's name; each required parameter given and none that is unknown; each value of the declared type
(an integer will do for a float) or of the type of the accepted values; one of the accepted values, texts without regard to
case, spaces and some punctuation; a parameter may be left out where the accepted values have "". Where nothing fits, no
call is right.
"""

from __future__ import annotations

import json
import random
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

Problem = dict[str, Any]
Call = tuple[str, dict[str, Any]]
CALLS = ("simple_python", "multiple")
NO_CALLS = "irrelevance"
_ANNOTATIONS = {
    "integer": "int",
    "float": "float",
    "number": "float",
    "string": "str",
    "boolean": "bool",
    "array": "list",
    "tuple": "tuple",
    "dict": "dict",
    "object": "dict",
}
_KINDS: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "float": (float, int),
    "number": (float, int),
    "string": (str,),
    "boolean": (bool,),
    "array": (list,),
    "tuple": (list,),
    "dict": (dict,),
    "object": (dict,),
    "any": (str,),
}


def read(folder: Path, kind: str, *, sample: int = 0, skip: int = 0, seed: int = 0) -> list[Problem]:
    """The problems of a kind; or of their order by a seed `sample` after the first `skip`."""
    lines = (folder / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()
    problems = [{**json.loads(line), "kind": kind} for line in lines if line.strip()]
    random.Random(seed).shuffle(problems)  # noqa: S311 - an order, not a secret
    return problems[skip : skip + sample] if sample else problems[skip:]


def understood(function: dict[str, Any]) -> dict[str, Any]:
    """A function as what an object understands."""
    listed = function["parameters"]["properties"]
    names = ordered(function)
    needed = set(function["parameters"].get("required", []))
    inside = [_parameter(name, listed[name], needed=name in needed) for name in names]
    lines = [f"    {name}: {listed[name].get('description', '')}" for name in names]
    return {
        "selector": selector(function["name"]),
        "signature": f"(self, {', '.join(inside)})",
        "summary": function["description"],
        "doc": "\n".join([function["description"], "", "Args:", *lines]),
    }


def ordered(function: dict[str, Any]) -> list[str]:
    """The names of a function's parameters in the order of a signature: required ones first."""
    needed = set(function["parameters"].get("required", []))
    return sorted(function["parameters"]["properties"], key=lambda name: name not in needed)


def _parameter(name: str, about: dict[str, Any], *, needed: bool) -> str:
    return f"{name}: {_annotation(about)}" + ("" if needed else f" = {about.get('default')!r}")


def _annotation(about: dict[str, Any]) -> str:
    if about.get("enum"):
        return f"Literal[{', '.join(map(repr, about['enum']))}]"
    kind = _ANNOTATIONS.get(about.get("type", ""), "object")
    items = about.get("items")
    return f"{kind}[{_annotation(items)}]" if kind in ("list", "tuple") and isinstance(items, dict) else kind


def selector(name: str) -> str:
    """A function's name as a selector."""
    return re.sub(r"\W", "_", name)


def named(name: str, functions: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The function with a selector."""
    return next((function for function in functions if selector(function["name"]) == name), None)


def fits(call: Call | None, problem: Problem) -> bool:
    """Whether a call is one that the problem accepts; none is right where it has no accepted call."""
    truth = problem.get("ground_truth")
    if not truth:
        return call is None
    accepted = {selector(name): values for item in truth for name, values in item.items()}
    if call is None or call[0] not in accepted:
        return False
    function, values, given = named(call[0], problem["function"]), accepted[call[0]], call[1]
    if function is None or not set(given) <= set(values) & set(function["parameters"]["properties"]):
        return False
    if not set(function["parameters"].get("required", [])) <= set(given):
        return False
    abouts = function["parameters"]["properties"]
    return all(
        _is_accepted(given[name], listed, abouts[name]) if name in given else "" in listed
        for name, listed in values.items()
    )


def _is_accepted(value: Any, listed: list[Any], about: dict[str, Any]) -> bool:
    value = list(value) if isinstance(value, tuple) else value
    real = [item for item in listed if item != ""]
    typed = type(value) in _KINDS.get(about.get("type", ""), ()) or (bool(real) and type(value) is type(real[0]))
    return typed and any(_same(value, item) for item in listed)


def _same(given: Any, accepted: Any) -> bool:
    if isinstance(given, bool) or isinstance(accepted, bool):
        return given is accepted
    if isinstance(given, str) and isinstance(accepted, str):
        return _plain(given) == _plain(accepted)
    if isinstance(given, list) and isinstance(accepted, list):
        return len(given) == len(accepted) and all(map(_same, given, accepted))
    if isinstance(given, dict) and isinstance(accepted, dict):
        # Values of a map are lists of what is accepted, as at the top.
        parts = {key: part if isinstance(part, list) else [part] for key, part in accepted.items()}
        return set(given) <= set(parts) and all(
            any(_same(given[key], item) for item in listed) if key in given else "" in listed
            for key, listed in parts.items()
        )
    return bool(given == accepted)


def _plain(text: str) -> str:
    return re.sub(r"[ ,./\-_*^]", "", text).lower().replace("'", '"')
