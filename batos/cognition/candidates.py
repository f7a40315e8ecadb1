"""From a model's answer to the source of one method, by text alone: the kernel never parses generated code."""

from __future__ import annotations

import re
import textwrap

FENCE = re.compile(r"```[a-zA-Z0-9_+-]*[ \t]*\n?")


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
    body = [lines[0]]
    open_brackets = opens(lines[0])
    for line in lines[1:]:
        if (
            line.strip()
            and not line.startswith((" ", "\t"))
            and open_brackets <= 0
            and not line.lstrip().startswith("#")
        ):
            break
        open_brackets += opens(line)
        body.append(line)
    while body and (not body[-1].strip() or body[-1].startswith("#")):
        body.pop()
    return "\n".join([*head, *([""] * bool(head)), *body]) + "\n"


def opens(line: str) -> int:
    """How many brackets a line of code opens more than it closes."""
    code = line.split("#", maxsplit=1)[0]
    return sum(code.count(c) for c in "([{") - sum(code.count(c) for c in ")]}")
