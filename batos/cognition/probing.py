"""Generated inputs: where nobody said what is right, candidates are compared by what they do with arguments of the right kinds."""

from __future__ import annotations

import itertools
import re
from random import Random
from typing import Any

from batos.cognition import brief as briefs

INPUTS = 8

_POOLS: dict[str, tuple[Any, ...]] = {
    "int": (0, 1, 2, 5, 7, 12, 100, -3),
    "float": (0.5, 1.0, 2.5, 10.0, -1.5),
    "str": ("abc", "Hello World", "level", "", "a1b2 c3", "AAbbA"),
    "list": ([3, 1, 2], [1, 2, 2, 3, 5], [10, -4, 7, 7, 0], [5], []),
    "words": (["apple", "fig", "banana"], ["a", "b", "a"], ["x"]),
    "tuple": ((1, 2, 3), (4, 4, 6, 8), (9, 1)),
    "nested": ([[1, 2], [3, 4]], [[5, 1, 2], [7, 0, 9], [4, 4, 4]], [[1]]),
    "dict": ({"a": 1, "b": 2}, {"x": 5, "y": 5, "z": 1}, {}),
    "bool": (True, False),
}
_MIXED = (3, "abc", [3, 1, 2], 12, "Hello World", (1, 2, 3), 2.5, {"a": 1, "b": 2}, [[1, 2], [3, 4]])
_NAMED = (
    ("nested", r"matri|grid|nested|lists\b|pairs|tuples|list_?of"),
    ("words", r"words|strings|names"),
    ("dict", r"dict|mapping|^d$|table"),
    ("tuple", r"tup"),
    ("list", r"list|lst|arr|nums|numbers|values|items|data|seq|elements"),
    ("float", r"ratio|price|rate|radius|^r$|height|width|amount|float|celsius|fahrenheit"),
    ("bool", r"^is_|flag|bool"),
    ("str", r"str|text|word|name|sentence|char|^s$|letter|title|phrase|line"),
    ("int", r"int|num|^[nkmxyabij]$|count|size|len|index|year|start|end|low|high|limit|digit|day|month|age|pos"),
)


def inputs(brief: briefs.Brief, parameters: list[dict[str, Any]], limit: int = INPUTS) -> list[list[Any]]:
    """Give lists of positional arguments for a method.

    Arguments that the brief has, in examples or in its call, are varied; without them the kinds are guessed by
    annotations, names and words. The same brief always gives the same inputs.

    Args:
        brief: The mission brief.
        parameters: The method's parameters after self, `{"name", "has_default"}` each.
        limit: At most so many.
    """
    chance = Random(brief["selector"])  # noqa: S311 - a choice of inputs, not a secret
    wanted = [p for p in parameters if not p["has_default"]]
    seeds = [list(e["args"]) for e in briefs.examples(brief) if e.get("args") and not e.get("kwargs")]
    if brief.get("args") and not brief.get("kwargs"):
        seeds.append(list(brief["args"]))
    if seeds:
        varied = [[_vary(value, chance) for value in seeds[i % len(seeds)]] for i in range(limit)]
        return varied if len(seeds[0]) >= len(wanted) else []
    if not wanted:
        return [[]] if not parameters else []
    pools = [_pool(brief, str(p["name"])) for p in wanted]
    combined = list(itertools.islice(itertools.product(*pools), 4096))
    chance.shuffle(combined)
    return [list(values) for values in combined[:limit]]


def _pool(brief: briefs.Brief, name: str) -> tuple[Any, ...]:
    said: dict[str, Any] = next((p for p in brief.get("parameters") or [] if p["name"] == name), {})
    annotation = str(said.get("annotation") or "").split("[")[0].strip()
    if annotation in _POOLS:
        return _POOLS[annotation]
    words = f"{brief.get('intent') or ''}".lower()
    kind = next((kind for kind, pattern in _NAMED if re.search(pattern, name.lower())), "")
    if kind == "list" and re.search(r"list of (strings|words|names)", words):
        return _POOLS["words"]
    return _POOLS.get(kind, _MIXED)


def _vary(value: Any, chance: Random) -> Any:
    """Give a value of the same kind, near to a given one."""
    if isinstance(value, bool):
        return chance.choice((True, False))
    if isinstance(value, int):
        return chance.choice((value, value + 1, max(value - 1, 0), value * 2, chance.randint(0, 20)))
    if isinstance(value, float):
        return chance.choice((value, value + 1.0, value * 2, value / 2))
    if isinstance(value, str):
        return chance.choice((value, value[::-1], value[: len(value) // 2 + 1], value + value[:1], value.upper()))
    if isinstance(value, (list, tuple)):
        return type(value)(_vary_items(list(value), chance))
    if isinstance(value, dict):
        return {key: _vary(item, chance) for key, item in value.items()}
    return value


def _vary_items(items: list[Any], chance: Random) -> list[Any]:
    how = chance.choice(("same", "shuffle", "shorter", "double", "change"))
    if how == "shuffle":
        chance.shuffle(items)
    if how == "shorter" and len(items) > 1:
        return items[:-1]
    if how == "double":
        return items + items[:1]
    return [_vary(item, chance) for item in items] if how == "change" else items
