"""What the personas are asked: messages for models, most constant text first so that the prefix stays cached."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from batos.cognition import brief as briefs
from batos.cognition.evidence import show_call
from batos.plain import shown

if TYPE_CHECKING:
    from batos.cognition.approach import Form

NOTHING_FOUND = "Nothing relevant was found in Fractal Memory."

QUERIES_SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {"type": "string", "minLength": 2, "maxLength": 80},
    "minItems": 1,
    "maxItems": 3,
}

_DECOMPOSE = """\
You break a mission down into search queries for a knowledge base of documents and methods. Answer with a JSON list of \
one to three short queries in plain words, nothing else.
For the mission "remember a book and its year" the answer is ["remember books in a dictionary", "year of a book"]"""

STOP = ("\n```", "\nprint(", "\nassert ", "\nif __name__", "\n# Example", "\n# Test")
"""What ends an answer: the end of the code block, or what models add below a function."""

_FUNCTION = """\
You write one small, exact Python function with the standard library only. It returns its answer and prints nothing."""

_RULES = """\
You write one Python method for an object of a living image.
Rules:
- Answer with the body of the method that is begun for you, nothing else: no explanation, no call of it, no second function.
- Return the answer with `return`. Do not print it. Do not use input().
- Import what you use inside the method, from the standard library only.
- The object keeps its state in slots: read `self.name`, with a default `getattr(self, 'name', default)`. A slot that is not there yet must be made first. Slot names begin with a letter, and are not the method's own name.
- A method that changes a slot, or a list or dictionary in a slot, ends with the line `self._p_changed = True`, just before its return. A method that changes nothing does not have that line.
- Never replace a collection to add to it: add to the one that is there."""

_EXAMPLE = """\
For example, for this question:
Mission: remember a book and its year, and return how many books there are
The object's slots: books = {'Dune': 1965}
Write this method:
def remember_book(self, title, year):
the answer is:
```python
def remember_book(self, title, year):
    books = getattr(self, 'books', None)
    if books is None:
        books = self.books = {}
    books[title] = year
    self._p_changed = True
    return len(books)
```"""


def decomposing(codex: dict[str, Any], brief: briefs.Brief) -> tuple[dict[str, str], ...]:
    """Ask BRICK for one to three search queries, as a JSON list of texts."""
    system = f"You are {codex.get('core_identity', 'BRICK')}. {_DECOMPOSE}"
    return {"role": "system", "content": system}, {"role": "user", "content": f"Mission: {words(brief)}"}


def synthesizing(
    codex: dict[str, Any],
    brief: briefs.Brief,
    *,
    form: Form = "method",
    slots: str,
    context: list[str],
    known: list[str],
    findings: list[dict[str, Any]],
) -> tuple[dict[str, str], ...]:
    """Ask the target's persona for the method.

    Args:
        codex: The persona's codex.
        brief: The mission brief.
        form: Whether it is asked for as a plain function, which leaves out what says how an object keeps state.
        slots: The target's data slots, as one line of text.
        context: Snippets from Fractal Memory.
        known: Signatures of methods that the target understands.
        findings: Earlier attempts of this cycle, `{"source", "finding"}`, the newest last.
    """
    if form == "function":
        return _function(codex, brief, context, findings)
    # What is the same for every mission comes first, so that a model's cached prefix serves.
    system = f"{_RULES}\n\n{_EXAMPLE}\n\nYou are {codex.get('core_identity', 'a careful engineer')}."
    if known:
        system += " The object understands these already, and the method may call them: "
        system += "; ".join(f"self.{signature}" for signature in known) + "."
    parts = [f"Mission: {words(brief)}", f"The object's slots: {slots or 'none yet'}"]
    parts.append(
        "From Fractal Memory:\n" + "\n".join(f"- {snippet}" for snippet in context) if context else NOTHING_FOUND
    )
    parts += _examples(brief)
    parts += _findings(findings)
    parts.append(f"Write this method:\n{opening(brief)}")
    return (
        {"role": "system", "content": system},
        {"role": "user", "content": "\n".join(parts)},
    )


def _function(
    codex: dict[str, Any], brief: briefs.Brief, context: list[str], findings: list[dict[str, Any]]
) -> tuple[dict[str, str], ...]:
    """Ask for a plain function, in the form that models have seen most."""
    parts = ["From Fractal Memory:\n" + "\n".join(f"- {snippet}" for snippet in context)] if context else []
    parts += [words(brief), f"The function is `{opening(brief, 'function').strip()}`"]
    tests = [_as_test(brief["selector"], example) for example in briefs.examples(brief)[:6]]
    if any(tests):
        parts += [f"For example, this must hold: `{test}`" for test in tests if test]
    elif brief.get("args") or brief.get("kwargs"):
        call = show_call(brief["selector"], brief.get("args", []), brief.get("kwargs", {}))
        parts.append(f"It will be called as `{call}`")
    parts += _findings([{**item, "source": _without_self(item["source"])} for item in findings])
    parts.append("Answer with the Python code of the function, in one code block.")
    system = f"You are {codex.get('core_identity', 'a careful engineer')}. {_FUNCTION}"
    return {"role": "system", "content": system}, {"role": "user", "content": "\n".join(parts)}


def _as_test(selector: str, example: dict[str, Any]) -> str:
    call = show_call(selector, example.get("args", []), example.get("kwargs", {}))
    if example.get("error"):
        return f"# {call} raises {example['error']}"
    return f"assert {call} == {shown(example['result'], 500)}" if "result" in example else ""


def _without_self(source: str) -> str:
    return re.sub(r"\(self,? ?", "(", source, count=1)


def words(brief: briefs.Brief) -> str:
    """The Architect's words, or the selector's where there are none."""
    return str(brief.get("intent") or brief["selector"].replace("_", " "))


def opening(brief: briefs.Brief, form: Form = "method") -> str:
    """The code that the answer is begun with: the whole first line, or as much of it as the brief fixes."""
    line = briefs.first_line(brief)
    if line is not None:
        return (line if form == "method" else _without_self(line)) + "\n"
    return f"def {brief['selector']}(self" + ", " * bool(brief.get("args"))


def documented(brief: briefs.Brief) -> str:
    """The opening of a function with its docstring: what it is for, and the examples as doctests.

    Words that would end the docstring are left out of it.
    """
    lines = [words(brief), ""]
    for example in briefs.examples(brief)[:6]:
        if "result" in example:
            call = show_call(brief["selector"], example.get("args", []), example.get("kwargs", {}))
            lines += [f">>> {call}", shown(example["result"], 500)]
    text = "\n".join(f"    {line}".rstrip() for line in lines)
    if '"""' in text or "\\" in text:
        return opening(brief, "function")
    return f'{opening(brief, "function")}    """{text.lstrip()}\n    """\n'


def _examples(brief: briefs.Brief) -> list[str]:
    lines = []
    for example in briefs.examples(brief)[:6]:
        for step in example.get("steps") or [example]:
            must = _must(step)
            if must:
                lines.append(f"- {show_call(brief['selector'], step.get('args', []), step.get('kwargs', {}))} {must}")
    if lines:
        return ["It must hold:", *lines]
    if brief.get("args") or brief.get("kwargs"):
        return [
            f"It will be called as {show_call('self.' + brief['selector'], brief.get('args', []), brief.get('kwargs', {}))}"
        ]
    return []


def _must(step: dict[str, Any]) -> str:
    """What one call of an example must do, and leave in the object's slots."""
    done = []
    if step.get("error"):
        done.append(f"raises {step['error']}")
    elif "result" in step:
        done.append(f"gives {shown(step['result'], 500)}")
    slots = ", ".join(f"self.{name} = {shown(value, 500)}" for name, value in (step.get("slots") or {}).items())
    return " and ".join([*done, f"leaves {slots}"] if slots else done)


def _findings(findings: list[dict[str, Any]]) -> list[str]:
    if not findings:
        return []
    last = findings[-1]
    return [
        "An earlier attempt was:",
        f"```python\n{last['source'].rstrip()}\n```",
        f"It was wrong: {last['finding']}",
        "Write it right this time.",
    ]
