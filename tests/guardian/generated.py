"""Methods made by chance, and an object that knows what they did to it."""

from __future__ import annotations

import contextlib
import copy
import gc
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.guardian.grammar import ANY, BESIDE, CHANGES, FLAG, HELPERS, LEAVING, LISTS, LOCAL, MAPS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

MODULES = ["bisect", "collections", "contextlib", "copy", "functools", "heapq", "itertools", "operator", "random"]


_LINES = r"\n(?=\S)"


def _named(texts: str) -> dict[str, list[str]]:
    """Helpers by the names that they bind, in their order."""
    found: dict[str, list[str]] = {}
    for text in re.split(_LINES, texts.strip()):
        head = re.match(r"(?:def|class) (\w+)|([\w, =]+?) = ", text)
        assert head
        for name in re.findall(r"\w+", head[1] or head[2]):
            found.setdefault(name, []).append(text)
    return found


_ORDERS = {texts: re.split(_LINES, texts.strip()) for texts in (HELPERS, BESIDE)}
_BY_NAME = {texts: _named(texts) for texts in (HELPERS, BESIDE)}


def _wanted(draw: Random, body: str, texts: str = HELPERS) -> list[str]:
    """The helpers that a body needs, in their order."""
    by_name = _BY_NAME[texts]
    chosen: set[str] = set()
    todo = re.findall(r"\w+", body)
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        if name in by_name and name not in seen:
            seen.add(name)
            text = draw.choice(by_name[name])
            chosen.add(text)
            todo += re.findall(r"\w+", text)
    return [text for text in _ORDERS[texts] if text in chosen]


_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


ROOM = 1 << 30
"""Bytes that a method may take."""


class Endless(BaseException):
    """A method took too long."""


class Thing:
    """What a slot holds besides plain data: an object of the image. Its messages are given copies, and are its own business."""

    def __init__(self) -> None:
        self.v = [1]

    def touch(self) -> None:
        """Change itself, and say so by itself."""

    def take(self, *given: Any, **named: Any) -> Any:
        """Take data, change that, and answer it."""
        copies = copy.deepcopy([_data(part) for part in (*given, *named.values())])
        for part in copies:
            if isinstance(part, list):
                part.append(8)
        return copies

    def __repr__(self) -> str:
        return f"Thing({self.v!r})"


def _data(value: Any) -> Any:
    """What can be sent: data, and objects of the image.

    Raises:
        TypeError: Anything else.
    """
    if isinstance(value, dict):
        _data(list(value.values()))
    elif isinstance(value, (list, tuple, set)):
        for part in value:
            _data(part)
    elif not isinstance(value, (int, float, str, bytes, type(None), Thing, Witness)):
        raise TypeError(f"{type(value).__name__} cannot be sent")
    return value


class _Memory:
    """What the witness remembers is no part of its state."""

    __slots__ = ("_p_changed", "seen")


class Witness(_Memory):
    """An object whose state can be compared with what it was at its last flag."""

    def __init__(self) -> None:
        self.a, self.d, self.rows, self.n = [1], {"k": [2]}, [[3], [4]], 0
        self.s, self.t, self.box = {1}, ([5], 6), Thing()
        self.seen = self.state()

    def state(self) -> str:
        """Everything that it holds, as text."""
        return _ADDRESS.sub("", repr(vars(self)))

    def look(self) -> Any:
        """A message that answers part of the object."""
        return self.rows

    def grow(self) -> Any:
        """A message that changes the object, and flags it."""
        self.a.append(0)
        self._p_changed = True
        return self.a

    def __deepcopy__(self, memo: Any) -> Witness:
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name == "_p_changed":
            object.__setattr__(self, "seen", self.state())

    @property
    def unflagged(self) -> bool:
        """Whether it changed after its last flag."""
        return self.state() != self.seen


def method(draw: Random) -> str:
    """Make a method by chance."""
    body = "".join(f"    {line}\n" for line in _block(draw, 0))
    helpers = "".join(f"    {line}\n" for text in _wanted(draw, body) for line in text.split("\n"))
    modules = [name for name in MODULES if name in body + helpers]
    imports = f"    import {', '.join(modules)}\n" if modules else ""
    beside = "".join(f"{text}\n" for text in _wanted(draw, body + helpers, BESIDE))
    return f"{beside}def go(self, param=3):\n{imports}{helpers}{body}"


_HOLE = re.compile(r"\{\{|\}\}|\{[lme]\}")
_KINDS = {"{l}": LISTS, "{m}": MAPS, "{e}": ANY}
_SIMPLEST = {kind: [text for text in texts if "{" not in text] for kind, texts in _KINDS.items()}


def _expression(draw: Random, kind: str = "{e}", depth: int = 0) -> str:
    simple = depth > 2 or draw.random() < 0.5 + 0.2 * depth
    return _fill(draw, draw.choice((_SIMPLEST if simple else _KINDS)[kind]), depth + 1)


def _fill(draw: Random, text: str, depth: int = 0) -> str:
    """Put expressions where a text has holes for them."""

    def part(hole: re.Match[str]) -> str:
        return hole[0][0] if hole[0] in ("{{", "}}") else _expression(draw, hole[0], depth)

    return _HOLE.sub(part, text)


def _block(draw: Random, depth: int, *, loop: bool = False) -> list[str]:
    lines: list[str] = []
    for _ in range(draw.randint(1, 5 - depth)):
        lines += _compound(draw, depth, loop=loop) if depth < 3 and draw.random() < 0.3 else _simple(draw, loop=loop)
    return lines


def _simple(draw: Random, *, loop: bool) -> list[str]:
    chance = draw.random()
    if chance < 0.25:
        return [FLAG]
    if chance < 0.3 and loop:
        return [draw.choice(["break", "continue"])]
    if chance < 0.38:
        return [_fill(draw, draw.choice(LEAVING))]
    return _fill(draw, draw.choice(LOCAL if chance < 0.75 else CHANGES)).split("\n")


def _compound(draw: Random, depth: int, *, loop: bool) -> list[str]:
    def inner(*, inside: bool = loop) -> list[str]:
        return [f"    {line}" for line in _block(draw, depth + 1, loop=inside)]

    def maybe(head: str) -> list[str]:
        return [head, *inner()] if draw.random() < 0.5 else []

    some, these = _expression(draw), _expression(draw, "{l}")
    match draw.choice(_COMPOUNDS):
        case "if":
            return [f"if {some}:", *inner(), *maybe(draw.choice(["else:", f"elif {these}:"]))]
        case "for":
            heads = [
                f"for q in list({these})[:3]:",
                "for x in list(self.rows):",
                "for i, y in enumerate(list(self.rows)):",
            ]
            return [draw.choice(heads), *inner(inside=True), *maybe("else:")]
        case "while":
            head = draw.choice(
                [
                    f"while next(ticks, None) is not None and ({some}, True)[1]:",
                    "while True:\n    if next(ticks, 9) == 9: break",
                ]
            )
            return ["ticks = iter(range(3))", *head.split("\n"), *inner(inside=True), *maybe("else:")]
        case "try":
            caught = draw.choice(["except Exception as e:", "except (KeyError, ValueError):", "except:"])
            return ["try:", *inner(), caught, *inner(), *maybe("else:"), *maybe("finally:")]
        case "finally":
            return ["try:", *inner(), "finally:", *inner()]
        case "with":
            heads = [f"with contextlib.suppress(Exception), contextlib.nullcontext({these}) as x:", "with stack:", "with K() as b:",
                     f"with contextlib.nullcontext({these}) as y:", "with contextlib.ExitStack() as stack:", "with deco() as b:"]  # fmt: skip
            return [draw.choice(heads), *inner()]
        case "match":
            cases = draw.sample(["[v, *w]", "{'k': v, **w}", "[[v], *_] | {'k': [v]}", "Box(v=x) | [x] if x"], 2)
            return [
                f"match {these}:",
                *(line for case in [*cases, "_"] for line in (f"    case {case}:", *_deeper(inner()))),
            ]
        case _:
            return ["def f(q=1):", *inner(inside=False)]


_COMPOUNDS = ["if", "if", "for", "while", "try", "try", "finally", "with", "with", "match", "def"]


def _deeper(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def is_python(source: str) -> bool:
    """Whether it can be compiled."""
    try:
        compile(source, "generated", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


def _too_long(*_: object) -> None:
    raise Endless


@contextlib.contextmanager
def _little_memory() -> Iterator[None]:
    """Within it a text that grows without end is a MemoryError, where the system has such limits."""
    if sys.platform != "linux":
        yield
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def run(source: str) -> tuple[Witness, str] | None:
    """Run a method on a new object.

    Returns:
        The object, and what the method answered or raised, as text; None where that took too long or too much memory.
    """
    import random

    witness = Witness()
    scope: dict[str, Any] = {"__name__": "generated"}
    exec(compile(source, "generated", "exec", dont_inherit=True), scope)
    random.seed(4)
    before = signal.signal(signal.SIGALRM, _too_long)
    signal.setitimer(signal.ITIMER_REAL, 2.0, 0.2)  # again and again: a method may catch the first alarm and go on
    try:
        gc.disable()  # an alarm that comes in a callback of the collector would be lost, and the method never end
        with contextlib.redirect_stdout(None), _little_memory():
            answer = f"answers {scope['go'](witness)!r}"
            witness.state()
    except (Endless, MemoryError, RecursionError):
        return None
    except BaseException as error:
        answer = f"raises {type(error).__name__}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.enable()
    return witness, _ADDRESS.sub("", answer)
