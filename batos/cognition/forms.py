"""A plain function becomes a method, by text alone: small models write functions better than methods.

A mission that has nothing to do with the object's state is asked for as a function, in the form that models have seen
most. Its helpers, and the function itself where it calls itself or its result is wrapped, are nested in the method.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field
from typing import Any

from batos.cognition.candidates import FENCE, extract, inside, opens, said

_DEF = re.compile(r"(?:async[ \t]+)?def[ \t]+(\w+)")
_CONSTANT = re.compile(r"([A-Za-z_]\w*)\s*(?::[^=]+)?=[^=]")
_TELLING = 8
"""An argument of an example that is longer than this, as text, does not come into a method by chance."""
_NESTED = "kept it as a function inside the method, because it calls itself"
_IMPORT = re.compile(r"(?:import|from)\s")
_NAMES = re.compile(r"[(,]\s*(\w+)")
_SELF = re.compile(r"\(\s*self\b")


@dataclass(slots=True)
class Written:
    """A function as a model wrote it.

    Args:
        imports: Lines that import.
        helpers: Further functions and constants of the same answer, as text.
        head: Its first line, up to the colon, which may go over several lines.
        body: The lines below.
    """

    imports: list[str] = field(default_factory=list)
    helpers: list[str] = field(default_factory=list)
    head: str = ""
    body: list[str] = field(default_factory=list)

    @property
    def takes_self(self) -> bool:
        """Whether it is a method already."""
        return bool(_SELF.search(self.head))

    @property
    def recursive(self) -> bool:
        """Whether it, or a helper, calls it."""
        name = _DEF.match(self.head)
        text = "\n".join([*self.helpers, *self.body])
        return bool(name and re.search(rf"(?<![\w.]){name.group(1)}\s*\(", text))


def as_method(answer: str, selector: str, opening: str, parameters: list[str]) -> tuple[str, list[str]]:
    """Cut a function out of an answer and give it as a method.

    Args:
        answer: What the model wrote after the prefill; it may also be a whole answer with fences and prose.
        selector: The function's name.
        opening: The code that the prefill ended with, such as `def f(n):` and a line break.
        parameters: The names of its parameters.

    Returns:
        Imports and one `def` with `self` first, with a line break at the end, which need not be valid Python; and a sentence
        for each mend.
    """
    written = read(answer, selector, opening)
    code = "\n".join([written.head, *written.body, *written.helpers])
    needed = [line for line in written.imports if _imports_for(line, code)]
    within = not written.head and re.search(rf"\bdef[ \t]+{selector}\(\s*self\b", answer)  # a class, say
    as_it_is = written.takes_self and not written.helpers and needed == written.imports
    if within or as_it_is:
        return extract(answer, selector, opening), []
    is_method = written.takes_self
    mends = ["made the function a method: self comes first"] if written.head and not is_method else []
    if written.head and needed != written.imports:
        written.imports = needed
        mends.append("left out an import that nothing uses")
    if written.head and written.helpers:
        mends.append("took what it uses beside it into the method")
    if written.head and written.recursive and not is_method:
        mends.append(_NESTED)
    return _method(written, selector, parameters or _NAMES.findall(written.head), ""), mends


def read(answer: str, selector: str, opening: str) -> Written:
    """Find the function, its imports and its helpers in an answer."""
    blocks = FENCE.split(answer)
    whole = next((block for block in blocks if re.search(rf"^\s*def[ \t]+{selector}\b", block, re.MULTILINE)), None)
    text = opening + blocks[0] if whole is None else textwrap.dedent(whole)
    written = Written()
    for block in _top_level(text.expandtabs(4)):
        _take(written, block, selector)
    used = "\n".join([written.head, *written.body, *written.helpers])
    written.helpers = [helper for helper in written.helpers if _is_used(helper, used)]
    return written


def recursing(source: str, selector: str) -> tuple[str, list[str]]:
    """Let a method that calls itself as a function do so: as a message where it needs its object, else within.

    Returns:
        The source, and a sentence for the mend where there was one.
    """
    written = read(source, selector, "")
    if not written.recursive or not written.takes_self:
        return source, []
    if re.search(r"\bself\b", "\n".join(written.body)):
        sent = re.sub(rf"(?<![\w.])(?<!def ){selector}\(", f"self.{selector}(", source)
        return sent, [f"made its call of itself a message: self.{selector}(…)"]
    names = _NAMES.findall(written.head)[1:]
    nested = wrapped(source, selector, names, "")
    return (source, []) if nested is None else (nested, [_NESTED])


def returning(source: str) -> tuple[str, list[str]]:
    """Return what a method prints at its end instead of an answer; gives the source and a sentence for the mend."""
    lines = source.rstrip().split("\n")
    printed = re.fullmatch(r"(\s+)print\((?!.*\b(?:end|sep|file)=)(.+)\)", lines[-1])
    if printed is None or re.search(r"\b(return|yield)\b", source) or opens(lines[-1]) or _ends_in_loop(lines):
        return source, []
    value = printed.group(2)
    lines[-1] = f"{printed.group(1)}return {value}"
    return "\n".join(lines) + "\n", ["returned what was printed at the end"]


def _ends_in_loop(lines: list[str]) -> bool:
    """Whether the last line is run several times."""
    depth = len(lines[-1]) - len(lines[-1].lstrip())
    for line in reversed(lines):
        own = len(line) - len(line.lstrip())
        if line.strip() and own < depth:
            depth = own
            if re.match(r"\s*(async\s+)?(for|while)\b", line):
                return True
    return False


def repeats(source: str, parameters: list[str], examples: list[dict[str, Any]]) -> str:
    """Say so where a method repeats an example instead of working it out: a finding, or nothing."""
    body = source.split(":", 1)[-1] if source.startswith("def") else source.partition("\ndef ")[2].split(":", 1)[-1]
    keeps = "_p_changed" in body  # it may count calls, whatever they bring
    if parameters and not keeps and not any(re.search(rf"\b{name}\b", body) for name in parameters):
        return f"the answer does not depend on {parameters[0]}: use the arguments that are given"
    packed = re.sub(r"\s", "", said(body))
    for example in examples:
        args = example.get("args") or []
        told = [re.sub(r"\s", "", repr(value)) for value in [*args, example.get("result")]]
        telling = any(isinstance(arg, (list, tuple, dict, str)) and len(repr(arg)) > _TELLING for arg in args)
        if telling and all(text in packed for text in told):
            return "it repeats the example instead of working out the answer from the arguments"
    return ""


def wrapped(source: str, selector: str, parameters: list[str], kind: str) -> str | None:
    """Give a method whose result is made a `kind`; None where it uses its object, which nesting could change.

    Args:
        source: A method's source.
        selector: Its name.
        parameters: The names of its parameters after self.
        kind: `tuple`, `list of tuple` or another type that takes the result; empty leaves it.
    """
    written = read(source, selector, "")
    head = re.sub(r"\(\s*self\s*,?\s*", "(", written.head, count=1)
    if head == written.head or re.search(r"\bself\b", "\n".join([head, *written.body])):
        return None
    written.head = head
    return _method(written, selector, parameters, kind)


def _method(written: Written, selector: str, parameters: list[str], wrap: str) -> str:
    if not written.head:
        return "\n".join(written.body) + "\n"
    inner: list[str] = []
    for helper in written.helpers:
        inner += _indented(helper.split("\n"))
    if wrap or (written.recursive and not written.takes_self):
        call = f"{selector}({', '.join(parameters)})"
        inner += _indented([*written.head.split("\n"), *written.body])
        inner += [f"    made = {call}", f"    return {_made(wrap)}"] if wrap else [f"    return {call}"]
    else:
        inner += _at_four(written.body) if inner else written.body
    head = written.head
    if not written.takes_self:
        head = re.sub(r"\(\s*", "(self, ", head, count=1).replace("(self, )", "(self)")
    gap = [""] if written.imports else []
    return "\n".join([*written.imports, *gap, head, *inner]).rstrip() + "\n"


def _made(kind: str, name: str = "made") -> str:
    """An expression that makes a value a kind, such as `tuple` or `list of tuple`; a fraction never loses its part."""
    outer, _, inner = kind.partition(" of ")
    if inner:
        return f"{outer}({_made(inner, 'item')} for item in {name})"
    return (
        f"{name} if isinstance({name}, float) and {name} % 1 else int({name})" if outer == "int" else f"{outer}({name})"
    )


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" if line.strip() else line for line in lines]


def _at_four(body: list[str]) -> list[str]:
    """A body that stands below others, which are indented by four."""
    first = next((line for line in body if line.strip()), "")
    own = first[: len(first) - len(first.lstrip())]
    return [f"    {line[len(own) :]}" if line.startswith(own) and line.strip() else line for line in body]


def _top_level(text: str) -> list[list[str]]:
    """Cut a text into its statements without indentation, each with what is indented below it."""
    blocks: list[list[str]] = []
    lines = text.splitlines()
    for line, within in zip(lines, inside(lines), strict=True):
        starts = bool(line.strip()) and not line.startswith((" ", "#", ")", "]", "}")) and not within
        if starts or not blocks:
            blocks.append([])
        blocks[-1].append(line)
    return blocks


def _take(written: Written, block: list[str], selector: str) -> None:
    while block and (not block[-1].strip() or block[-1].startswith("#")):
        block.pop()
    if not block:
        return
    defined, constant = _DEF.match(block[0]), _CONSTANT.match(block[0])
    if defined and defined.group(1) == selector:
        if not written.head:
            end = _head_end(block)
            written.head, written.body = "\n".join(block[:end]), block[end:]
    elif _IMPORT.match(block[0]):
        written.imports += block
    elif (defined and not _SELF.search(block[0])) or (
        constant and not re.search(rf"\b{selector}\s*\(", "\n".join(block))
    ):
        written.helpers.append("\n".join(block))


def _head_end(block: list[str]) -> int:
    depth = 0
    for number, line in enumerate(block, 1):
        depth += opens(line)
        if depth <= 0:
            return number
    return len(block)


def _imports_for(line: str, text: str) -> bool:
    """Whether a line that imports one module is of use; small models import what they do not need."""
    name = re.fullmatch(r"import\s+(\w+)\s*(?:#.*)?", line)
    return name is None or bool(re.search(rf"\b{name.group(1)}\b", text))


def _is_used(helper: str, text: str) -> bool:
    """Whether a helper's name is in the text more often than in the helper itself."""
    name = _DEF.match(helper) or _CONSTANT.match(helper)
    if name is None:
        return False
    word = rf"\b{name.group(1)}\b"
    return len(re.findall(word, text)) > len(re.findall(word, helper))
