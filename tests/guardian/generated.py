"""Methods made by chance, and an object that knows what they did to it."""

from __future__ import annotations

import contextlib
import copy
import re
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

# Expressions by kind: {l} a list, {m} a map, {e} anything.
LISTS = [
    "self.a", "self.rows", "self.rows[0]", "self.box.v", "self.d['k']", "x", "y", "x", "kept[0]", "kept", "[]", "[[0], [1]]", "self.t[0]",
    "list({l})", "{l}[:]", "{l}.copy()", "sorted({l}, key=str)", "[{e}, {e}]", "[*{l}]", "({l} or {l})", "({l} and {l})",
    "({l} if self.n else {l})", "[r for r in {l}]", "list(zip({l}, {l}))", "list({m}.values())", "list({m}.items())", "getattr(self, 'a')",
    "list(reversed({l}))", "(y := {l})", "(x := {l})", "copy.copy({l})", "copy.deepcopy({l})", "list(enumerate({l}))", "(lambda q: q)({l})",
    "(lambda q=self.a: q)()", "same({l})", "give()", "wrap({e})", "pair({l}, {l})", "pick(*[{l}])", "pick(**{{'q': {l}}})", "getx()",
    "list(itertools.chain({l}, {l}))", "list(itertools.islice({l}, 2))", "list(map(same, {l}))", "list(filter(None, {l}))", "Box({l}).v", "Kept.shared",
    "[q for r in [{l}] for q in r]", "{l} + {l}", "[{e}] * 2", "{m}.setdefault('k', [])", "{m}.get('k', [])", "e.args[0]", "list(ask())[0]",
    "heapq.nsmallest(1, {l}, key=str)", "super().__getattribute__('a')", "object.__getattribute__(self, 'rows')", "iter([{l}]).__next__()",
    "list(yielded({l}))", "next(yielded({l}))", "locals()['x']", "functools.partial(same, {l})()", "vars(self)['a']", "self.look()",
    "min({l}, {l}, key=str)", "max([{l}], key=len)", "sum([{l}], [])", "random.choice([{l}])", "operator.getitem([{l}], 0)", "[self.a for self.n in [3]][0]",
]  # fmt: skip
MAPS = [
    "self.d", "self.d", "z", "z", "vars(self)", "self.__dict__", "{{}}", "{{'k': {l}}}", "{{**{m}}}", "dict({m})", "{m}.copy()", "{{0: r for r in {l}}}",
    "dict(k={e})", "dict.fromkeys(['k'], {e})", "collections.OrderedDict({m})", "({m} or {m})", "same({m})", "vars(self.box)", "vars(Box({l}))",
    "collections.ChainMap({m})", "copy.copy({m})", "({m} | {m})", "collections.defaultdict(list, {m})",
]  # fmt: skip
ANY = [
    "{l}", "{l}", "{l}", "{m}", "self.s", "self.t", "self.n", "self.box", "self", "w", "v", "1", "'k'", "param", "len({l})", "{l} == {l}",
    "tuple({l})", "set()", "Box({l})", "f'{{{l}}}'", "str({e})", "type({l})", "{l}[0]", "{l}.pop()", "{m}.keys()", "max({l}, default=[], key=str)",
    "{m}['k']", "self.s.union({{2}})", "(w := {e})", "collections.deque({l})", "{l}.__class__", "next(iter({l}))", "operator.itemgetter(0)({l})",
    "functools.reduce(lambda p, q: p, {l}, 0)", "contextlib.nullcontext({l})", "slice(1)", "[q.pop() for q in [{l}]]", "({l}, {l})", "ask()",
]  # fmt: skip
CHANGES = [
    "{l}.append({e})", "{l}.append({e})", "{l}[0] = {e}", "{m}['k'] = {e}", "self.box.v = {l}", "self.n += 1", "self.a = {l}", "{l}.extend({l}[:3])",
    "del {l}[0]", "del {m}['k']", "{l}.clear()", "{l}.pop()", "{m}.update(k={e})", "self.s.add(7)", "{l}.sort(key=str)", "self.d = {m}",
    "{l}.insert(0, {e})", "{l}[:] = [5]", "{l}.__setitem__(slice(0), [9])", "list.append({l}, {e})", "self.box.touch()", "{m}.pop('k', 0)",
    "type({l}).append({l}, 2)", "{l}.__class__.clear({l})", "setattr(self, 'n', {e})", "object.__setattr__(self, 'n', 6)", "Box({l}).touch()",
    "heapq.heapify({l})", "heapq.heappush({l}, 1)", "random.shuffle({l})", "operator.setitem({m}, 0, 3)", "bisect.insort({l}, 4, key=str)",
    "super().__setattr__('n', 8)", "x += {l}", "y += [{e}]", "z |= {m}", "w = {l}; w += [1]", "self.d |= {{'j': 1}}", "{l}[:0] += [1]",
    "for self.n in [1, 2]: pass", "for {m}['i'] in [5]: pass", "a, self.n, *x = {l}, 5, 6", "self.n, b = {e}, 2", "self.rows, self.a = self.a, self.rows",
    "with contextlib.nullcontext(4) as self.n: pass", "self.n: int = 3", "self.v = 1; delattr(self, 'v')", "self.v = 1; del self.v",
    "list(map(list.append, [{l}], [1]))", "list(map({l}.append, [1]))", "[q.append(1) for q in [{l}]]", "any(q.append(1) for q in [{l}])",
    "operator.iadd({l}, [1])", "operator.methodcaller('clear')({l})", "getattr({l}, 'append')(1)", "functools.partial({l}.append, 1)()",
    "sorted([{l}], key=lambda q: q.append(1) or 0)", "max([{l}, {l}], key=lambda q: push(q) or 0)", "{l}[0:1] = {l}[:2]", "b = {l}; b[0:0] = [1]",
    "self.box.take({l}, {e})", "self.box.take(q={l})", "getattr(self.box, 'take')({e})", "random.Random(3).shuffle({l})", "dice.shuffle({l})",
    "[q.take({l}) for q in [self.box, dice]]", "[heapq.heapify][0]({l})", "getattr({l}, 'clear')()", "{l}.__init__([7])", "self.box.shuffle({l})",
    "if c := {l}: c.append(1)", "vars(self)['n'] = {e}", "self.__dict__.update(n={e})", "t = self; t.n = {e}", "(lambda q: q.append(1))({l})",
]  # fmt: skip
LOCAL = [
    "x = {l}", "y = {l}", "z = {m}", "w = v = {e}", "x = y = {l}", "x, y = {l}, {l}", "x, *y = [{l}]", "(x, y), z = [{l}, {l}], {m}", "x.append({e})",
    "z['k'] = {e}", "w = [{e}]", "kept.append({l})", "keep({l})", "kept[-1].append(1)", "kept[0] = {l}", "Kept.shared = {l}", "b = Box({l}); b.v.append(1)",
    "f = {l}.append", "f = {l}.sort", "f = lambda q=1: {e}", "f = (lambda *q: {l}.append(1))", "f = push", "f = heapq.heapify", "f = len",
    "f = self.box.take", "f = dice.shuffle", "f = operator.itemgetter(0)", "f = x.extend", "f = z.setdefault", "f({e}, {l})", "x = [f({l})]",
    "list(map(f, {l}))", "y = list(map(f, [{l}]))", "h[0]({l}).append(1)", "w = [f]; w = w[0]({l})", "dice = self.box", "dice = [dice][0]",
    "x.append(dice)", "x[-1].shuffle({l})", "y = functools.reduce(lambda p, q: {l}, [1, 2])", "y = list(map(lambda q: {l}, [1]))[0]",
    "f = yielded", "g = ({l}.append(q) for q in [1, 2])", "g = map({l}.append, [1])", "g = iter(yielded({l}))", "f({l})", "f(f)",
    "list(g)", "next(g, 0)", "for q in g: pass", "h = [f, g]", "h[0]({l})", "list(h[1])", "[*g]", "later(f)", "todo.append(f)", "todo and todo[0]([1])",
    "for q in todo: q([])", "push({l})", "store({e})", "Changer().run()", "c = Changer()", "c = Changer(); c.run()", "c = Changer(); c.hold = {l}; c.hold.append(1)",
    "k = maker(); k()", "k = maker()", "k()", "k = apply", "apply(f, {l})", "apply(lambda: {l}.append(1))", "apply(push, {l})", "L([1]).append({l})",
    "str({e})", "pass", "sorted({l}, key={m}.get)", "self.look()", "x = self.look()", "x = self.grow()", "nest()", "setx({l})", "getx().append(1)",
    "stack.callback({l}.append, 1)", "stack.callback(f, [])", "t = type(x); t.append({l}, 1)", "L = list; L.append({l}, 1)", "with deco() as b: x = b",
    "def f(*q): {l}.append(q)", "def f(*q, **r): q[0].append(1)", "def f(q=1): return {l}", "def f(q=0): return lambda *r: {l}.append(q)",
    "def f(q=1):\n    yield {l}.append(1)", "def f(q=1):\n    nonlocal x\n    x = {l}", "async def f(q=1): {l}.append(1)",
    "@f\ndef k(q=1): pass", "@functools.cache\ndef k(q=1): return {l}", "def k(q: {l}.append(1) = 1) -> {e}: pass", "def k(*, q={l}.pop()): pass",
    "class K:\n    at = {l}\n    def run(this): this.at.append(1)", "class K:\n    {l}.append(1)", "K().run()", "K.at.append(1)", "K()([])", "len(K())",
    "class K:\n    def run(this, *q, r={l}): r.append(1)\n    __call__ = run\n    __len__ = run\n    __exit__ = __enter__ = run",
]  # fmt: skip
LEAVING = [
    "return {e}",
    "return None",
    "return",
    "raise ValueError({e})",
    "assert {e}",
    "e = ValueError({l})",
    "raise e",
]
FLAG = "self._p_changed = True"

# What a method may use; it gets what it names, and what that names. Several of a name: one of them, by chance.
HELPERS = """
a = b = c = t = v = w = 0
x, y, z, kept, todo = [], [[0]], {}, [[]], []
f, g, h, k, L = print, iter(()), [print, ()], print, list
e = ValueError([])
stack = contextlib.ExitStack()
dice = random.Random(3)
dice = self.box
def same(q): return q
def give(): return self.rows
def wrap(q): return [q]
def pair(p, q): return p if param else q
def pick(q, *rest): return q
def ask(): return yielded(self.a)
def push(q=None, *rest):
    if q is not None: q.append(9)
def keep(q): kept.append(q)
def store(q): y.append(q)
def later(q): todo.append(q)
def apply(q, *r): return q(*r)
def yielded(q): yield q
def getx(): return x
def setx(q):
    nonlocal x
    x = q
class Box:
    def __init__(this, q): this.v = q
    def touch(this): this.v.append(0)
class Box:
    v = []
    def __init__(this, q): this.v = this.v + [q]
    touch = len
class Kept: shared = []
class K:
    at = []
    def run(this, *rest): return 0
    __call__ = __len__ = __enter__ = __exit__ = run
def maker(): return lambda: 1
def maker(): return lambda: self.a.append(1)
def nest(): pass
def nest():
    def inner(): self.rows[0].append(1)
    inner()
class Changer:
    def run(this): pass
class Changer:
    def run(this): self.a.append(1)
deco = contextlib.nullcontext
deco = contextlib.contextmanager(lambda: (self.a.append(1) or [] for _ in [0]))
"""
MODULES = ["bisect", "collections", "contextlib", "copy", "functools", "heapq", "itertools", "operator", "random"]


def _helpers() -> dict[str, list[str]]:
    """The helpers by the names that they bind, in their order."""
    found: dict[str, list[str]] = {}
    for text in re.split(r"\n(?=\S)", HELPERS.strip()):
        head = re.match(r"(?:def|class) (\w+)|([\w, =]+?) = ", text)
        assert head
        for name in re.findall(r"\w+", head[1] or head[2]):
            found.setdefault(name, []).append(text)
    return found


_BY_NAME = _helpers()
_ORDER = re.split(r"\n(?=\S)", HELPERS.strip())


def _wanted(draw: Random, body: str) -> list[str]:
    """The helpers that a body needs, in their order."""
    chosen: set[str] = set()
    todo = re.findall(r"\w+", body)
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        if name in _BY_NAME and name not in seen:
            seen.add(name)
            text = draw.choice(_BY_NAME[name])
            chosen.add(text)
            todo += re.findall(r"\w+", text)
    return [text for text in _ORDER if text in chosen]


_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


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
    return f"def go(self, param=3):\n{imports}{helpers}{body}"


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


def run(source: str) -> tuple[Witness, str] | None:
    """Run a method on a new object.

    Returns:
        The object, and what the method answered or raised, as text; None where that took too long.
    """
    import random

    witness = Witness()
    scope: dict[str, Any] = {"__name__": "generated"}
    exec(compile(source, "generated", "exec", dont_inherit=True), scope)
    random.seed(4)
    before = signal.signal(signal.SIGALRM, _too_long)
    signal.setitimer(signal.ITIMER_REAL, 2.0)
    try:
        with contextlib.redirect_stdout(None):
            answer = f"answers {scope['go'](witness)!r}"
    except (Endless, MemoryError, RecursionError):
        return None
    except BaseException as error:
        answer = f"raises {type(error).__name__}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return witness, _ADDRESS.sub("", answer)
