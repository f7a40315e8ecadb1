"""From a model's answer to the source of one method, by text alone: the kernel never parses generated code."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FENCE = re.compile(r"```[a-zA-Z0-9_+-]*[ \t]*\n?")
_TEXT = re.compile(
    r'("""(?:\\.|[^\\])*?"""|\'\'\'(?:\\.|[^\\])*?\'\'\'|#[^\n]*)'
    r'|("""|\'\'\').*'
    r'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'',
    re.DOTALL,
)
"""Texts in code: first the long ones, which docstrings are, and comments; then the quotes of a long one without an end."""


def extract(answer: str, selector: str, opening: str) -> str:
    """Cut the method out of an answer.

    Args:
        answer: What the model wrote after the prefill; it may also be a whole answer with fences and prose.
        selector: The method's name.
        opening: The code that the prefill ended with, such as `def f(self):` and a line break.

    Returns:
        Imports and one `def`, with a line break at the end; it need not be valid Python.
    """
    definition = re.compile(rf"^[ \t]*(?:async[ \t]+)?def[ \t]+{re.escape(selector)}\b", re.MULTILINE)
    block = _block_with(answer, definition)
    if block is None:
        block = opening + FENCE.split(answer)[0]
    return _only_method(textwrap.dedent(block).expandtabs(4), definition)


def _block_with(answer: str, definition: re.Pattern[str]) -> str | None:
    for block in FENCE.split(answer):
        if definition.search(block):
            return block
    return None


def _only_method(block: str, definition: re.Pattern[str]) -> str:
    """Keep the imports before the `def`, the `def` and what is indented below it."""
    match = definition.search(block)
    if match is None:
        return block.rstrip() + "\n"
    head = [line for line in block[: match.start()].splitlines() if re.match(r"(import|from)\s", line)]
    lines = block[match.start() :].splitlines()
    depth = _indentation(lines[0])  # of a class that it was written in
    body: list[str] = []
    for line, within in zip(lines, inside(lines), strict=True):
        ends = line.strip() and _indentation(line) <= depth and not within and not line.lstrip().startswith("#")
        if ends and body:
            break
        body.append(line[depth:] if line[:depth].isspace() else line)
    while body and (not body[-1].strip() or body[-1].startswith("#")):
        body.pop()
    return "\n".join([*head, *([""] * bool(head)), *body]) + "\n"


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def said(code: str) -> str:
    """Code without its comments and docstrings."""
    return _TEXT.sub(lambda text: "" if text[1] or text[2] else text[0], code)


def opens(line: str) -> int:
    """How many brackets a line of code opens more than it closes."""
    code = _TEXT.sub("", line)
    return sum(code.count(c) for c in "([{") - sum(code.count(c) for c in ")]}")


def inside(lines: list[str]) -> Iterator[bool]:
    """For each line of code whether it begins within brackets or within a text."""
    depth, quotes = 0, ""
    for line in lines:
        yield depth > 0 or bool(quotes)
        rest = line
        if quotes:
            _, ended, rest = line.partition(quotes)
            if not ended:
                continue
        quotes = next((text[2] for text in _TEXT.finditer(rest) if text[2]), "")
        depth = max(0, depth + opens(rest))
