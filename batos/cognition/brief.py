"""The mission brief as cognition sees it: signature, arguments, examples; plain data in, plain data out."""

from __future__ import annotations

import re
from typing import Any

from batos.cognition import literals
from batos.plain import shown

Brief = dict[str, Any]
Finding = dict[str, Any]
"""An attempt: its `source`, the `finding`, its `kind` and how many `runs` of the trial it came through."""

_RANKS = {"syntax": 0, "policy": 1, "covenant": 1, "trial": 2}

_PARAMETER = re.compile(r"^\s*(\*{0,2}\w+)\s*(?::[^=]*)?(=)?")


def first_line(brief: Brief) -> str | None:
    """The `def` line that the brief fixes, or None where the model is to name the parameters.

    Parameters that the brief names come first, in order; the keys of `kwargs` follow. Positional values without a name
    are the model's to name.
    """
    names = parameter_names(brief)
    if len(brief.get("args", [])) > len(names):
        return None
    if not names and brief.get("parameters") is None:
        return None
    parts = [_parameter(p) for p in brief.get("parameters") or []]
    parts += names[len(parts) :]
    return f"def {brief['selector']}({', '.join(['self', *parts])}):"


def parameter_names(brief: Brief) -> list[str]:
    """The names that the brief gives to parameters."""
    names = [str(p["name"]) for p in brief.get("parameters") or []]
    return names + [key for key in brief.get("kwargs", {}) if key not in names]


def _parameter(parameter: dict[str, Any]) -> str:
    text = str(parameter["name"])
    if "default" in parameter:
        return f"{text}={shown(parameter['default'], 1000)}"
    return text


def needs(parameters: list[dict[str, Any]], brief: Brief) -> list[str]:
    """The names of a method's parameters that have neither a value in the brief nor a default.

    Args:
        parameters: The method's parameters after self, `{"name", "has_default"}` each.
        brief: The mission brief.
    """
    unbound = parameters[len(brief.get("args", [])) :]
    return [str(p["name"]) for p in unbound if not p["has_default"] and p["name"] not in brief.get("kwargs", {})]


def missing_values(signature: str, args: list[Any], kwargs: dict[str, Any]) -> list[str]:
    """Name the parameters of a signature such as `(self, a, b=1)` that have neither a value nor a default."""
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


def signature_finding(parameters: list[dict[str, Any]], brief: Brief) -> str | None:
    """Say what is wrong with a candidate's parameters, or None when the brief's calls fit."""
    have = [str(p["name"]) for p in parameters]
    missing = [name for name in parameter_names(brief) if name not in have]
    if missing:
        return f"The parameter {missing[0]!r} is missing: the first line must be `{first_line(brief) or brief['selector']}`"
    optional = {str(p["name"]) for p in parameters if p["has_default"]}
    for told in brief.get("parameters") or []:
        if "default" in told and told["name"] not in optional:
            return f"The parameter {told['name']!r} has no default: the first line must be `{first_line(brief)}`"
    if len(brief.get("args", [])) > len(have):
        return f"The method takes {len(have)} arguments, but the message has {len(brief['args'])}"
    wanted = parameter_names(brief)
    extra = [str(p["name"]) for p in parameters if p["name"] not in wanted and not p["has_default"]]
    if wanted and len(brief.get("args", [])) <= len(wanted) and extra:
        return f"The parameter {extra[0]!r} was not asked for"
    return None


def examples(brief: Brief) -> list[dict[str, Any]]:
    """The acceptance examples: those of the brief, then those in the Architect's words."""
    given = [dict(example) for example in brief.get("examples", [])]
    said = examples_in_words(brief["selector"], brief.get("intent") or "")
    return given + [example for example in said if example not in given]


def examples_in_words(selector: str, words: str) -> list[dict[str, Any]]:
    """Find `f(2) == 4`, `f(2) is 4` and doctests of the selector in the Architect's words."""
    told = literals.examples(words)
    return told.examples if told.name == selector else []


def rank(finding: Finding) -> tuple[int, int]:
    """How far an attempt came: past the parser, the Guardian, and so many runs of the trial."""
    return _RANKS.get(str(finding.get("kind")), 1), int(finding.get("runs", 0))
