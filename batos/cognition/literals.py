"""Values in words: literals, calls and examples that a text holds, and whether a value stands in it.

Pure rules on text, without a model. What is not plain data is no value here.
"""

from __future__ import annotations

import ast
import re
from itertools import islice
from typing import Any, NamedTuple

MAX_LITERAL = 20_000
MAX_CALLS = 50
"""Calls that are looked at in a text."""
MAX_EXAMPLE = 1000
"""Characters of an example's call, and of its value."""

_SPOKEN = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_NUMBER_WORDS = {word: number for number, word in enumerate(_SPOKEN.split())} | {
    word: 10 * number for number, word in enumerate(_TENS.split(), 2)
}
_SCALES = {"thousand": 1000, "million": 10**6, "billion": 10**9}
_LITERAL = re.compile(
    r"\"(?P<double>[^\"\n]*)\"|“(?P<curly>[^”\n]*)”|(?<!\w)'(?P<single>[^'\n]*)'(?!\w)"
    r"|(?P<open>[\[{])|(?P<number>(?<![\w.])[-−]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w]|\.\d))"
)
_CALL = re.compile(r"(?<![\w.])([A-Za-z]\w*)\(")
_GIVES = re.compile(
    r"\s*(?:==|=>|->|→|=|is|returns|gives|equals|answers|yields|should (?:be|return|give)|must be)\s+|\s*=="
)


class Literal(NamedTuple):
    """A value that stands in a text, and where."""

    start: int
    end: int
    value: Any


class Illustrated(NamedTuple):
    """Examples in the words: the function's name in them, the examples, the text without them."""

    name: str
    examples: list[dict[str, Any]]
    rest: str


def literals(text: str) -> list[Literal]:
    """Find quoted texts, numbers, lists and maps in a text, in their order."""
    found: list[Literal] = []
    at = 0
    while (match := _LITERAL.search(text, at)) is not None:
        item = _bracketed(text, match.start()) if match["open"] else _simple(match)
        if item is not None:
            found.append(item)
        at = item.end if item is not None else match.start() + 1
    return found


def examples(text: str) -> Illustrated:
    """Find examples such as `f(2) == 4`, `f(2) is 4`, or a doctest; what is not plain data is no example."""
    found: list[dict[str, Any]] = []
    names: list[str] = []
    rest, at = [], 0
    for match in islice(_CALL.finditer(text), MAX_CALLS):
        if match.start() < at:
            continue
        read = _example(text, match)
        if read is not None:
            names.append(match[1])
            found.append(read[0])
            rest.append(text[at : match.start()].removesuffix(">>> ").removesuffix("`"))
            at = read[1]
    rest.append(text[at:])
    name = names[0] if len(set(names)) == 1 and len(names[0]) > 2 else ""
    return Illustrated(name, found, " ".join(rest))


def call(text: str) -> tuple[str, str, list[Any], dict[str, Any]] | None:
    """Read a text that is a call: `greet_user("Ada")` or `genesis_obj.greet_user(name="Ada")`.

    Returns:
        Target (empty when none is written), selector, args and kwargs; None when it is not a call with plain values.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if not isinstance(tree, ast.Call) or any(word.arg is None for word in tree.keywords):
        return None
    where = tree.func
    if isinstance(where, ast.Attribute) and isinstance(where.value, ast.Name):
        target, selector = where.value.id, where.attr
    elif isinstance(where, ast.Name):
        target, selector = "", where.id
    else:
        return None
    try:
        args = [ast.literal_eval(item) for item in tree.args]
        kwargs = {str(word.arg): ast.literal_eval(word.value) for word in tree.keywords}
    except (ValueError, TypeError, RecursionError, MemoryError):
        return None
    return target, selector, args, kwargs


def number_word(word: str) -> int | None:
    """The number that one word says, zero to twenty and the tens to ninety; None for another word."""
    return _NUMBER_WORDS.get(word.casefold())


def spoken_numbers(text: str) -> set[int]:
    """The numbers that words of a text say, such as "two hundred and fifty thousand"; their parts too."""
    found: set[int] = set()
    whole, part, open_part = 0, 0, False
    for word in re.findall(r"[a-z]+|[^\sa-z-]+", text.casefold()):
        if word in _NUMBER_WORDS:
            part = part * (part % 10 == 0) + _NUMBER_WORDS[word]
            found.add(_NUMBER_WORDS[word])
        elif word == "hundred" and open_part:
            part *= 100
        elif word in _SCALES and open_part:
            whole, part = whole + part * _SCALES[word], 0
        elif word != "and" or not open_part:
            whole, part, open_part = 0, 0, False
            continue
        open_part = True
        found.add(whole + part)
    return found


def grounded(value: Any, text: str) -> bool:
    """Tell whether a value stands in the words, so that nobody made it up."""
    low = text.casefold()
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, (int, float)):
        spoken = spoken_numbers(low)
        written = {float(part) for part in re.findall(r"[-]?\d+(?:\.\d+)?", low.replace("−", "-"))}
        return value in spoken or value in written or -value in written
    if isinstance(value, str):
        return value.casefold().strip() in low
    if isinstance(value, dict):
        return all(grounded(item, text) for pair in value.items() for item in pair)
    return all(grounded(item, text) for item in value)


def _simple(match: re.Match[str]) -> Literal:
    if match["number"] is not None:
        digits = match["number"].replace("−", "-")
        value: Any = float(digits) if re.search(r"[.eE]", digits) else int(digits)
    else:
        value = next(match[kind] for kind in ("double", "curly", "single") if match[kind] is not None)
    return Literal(match.start(), match.end(), value)


def _bracketed(text: str, start: int) -> Literal | None:
    closing = {"[": "]", "{": "}", "(": ")"}[text[start]]
    end = text.find(closing, start)
    for _ in range(8):
        if end < 0 or end - start > MAX_LITERAL:
            return None
        try:
            return Literal(start, end + 1, ast.literal_eval(text[start : end + 1]))
        except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
            end = text.find(closing, end + 1)
    return None


def _example(text: str, match: re.Match[str]) -> tuple[dict[str, Any], int] | None:
    close = match.end() - 1
    for _ in range(8):
        close = text.find(")", close + 1)
        if close < 0 or close - match.start() > MAX_EXAMPLE:
            return None
        read = call(text[match.start() : close + 1])
        if read is not None:
            break
    else:
        return None
    doctest = text[: match.start()].endswith(">>> ")
    gives = re.compile(r"\s*\n\s*").match(text, close + 1) if doctest else None
    gives = gives or _GIVES.match(text, close + 1)
    value = _leading_value(text, gives.end()) if gives is not None else None
    if value is None:
        return None
    return {"args": read[2], "kwargs": read[3], "result": value.value}, value.end


def _leading_value(text: str, start: int) -> Literal | None:
    """The value that a text begins with: the longest part of the line that reads as one."""
    line = text[start:].split("\n", 1)[0].rstrip()[:MAX_EXAMPLE]
    start += len(line) - len(line.lstrip())
    line = line.lstrip()
    cuts = [len(line), *(match.start() for match in re.finditer(r"[\s,;.`!?]|$", line))]
    for cut in sorted(set(cuts), reverse=True)[:60]:
        if line[:cut].endswith("."):
            continue
        try:
            value = ast.literal_eval(line[:cut])
        except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
            continue
        # "f(2) == 4, f(3) == 9" must not read `4,` as a tuple.
        if isinstance(value, tuple) and not line.startswith("("):
            continue
        return Literal(start, start + cut, value)
    return None
