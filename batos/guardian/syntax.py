"""Reading source text into syntax trees, and walking them quickly.

Which fields of a node hold nodes is looked up once a kind of node, its children once a node.
"""

from __future__ import annotations

import ast
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SOURCE_LIMIT = 1 << 20
"""The longest source text that is read, in characters."""

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
METHODS = (ast.FunctionDef, ast.AsyncFunctionDef)

# The module of what is imported under one name from here or there.
_EITHER = "?"

# One object for all nodes of their kind; nothing hangs on them.
_BARE = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
_TEXTS = frozenset(
    {
        "asname", "attr", "conversion", "ctx", "id", "is_async", "kind", "kwd_attrs", "level", "module", "names", "op",
        "ops", "rest", "simple", "tag", "type_comment", "type_ignores",
    }
)  # fmt: skip
_NONE: list[ast.AST] = []
_LEAVES = frozenset(
    {ast.Name, ast.Constant, ast.alias, ast.Pass, ast.Break, ast.Continue, ast.Global, ast.Nonlocal, ast.MatchSingleton}
)
_GAPPY = (ast.Dict, ast.arguments)
_FIELDS: dict[type[ast.AST], tuple[str, ...]] = dict.fromkeys((*_LEAVES, *_BARE), ())
_FIELDS[ast.Import] = _FIELDS[ast.ImportFrom] = ("names",)


class Unreadable(ValueError):
    """A text is no Python, or too long or too deeply nested to be read.

    Args:
        message: What is wrong.
        line: Where, from 1.
        column: Where in the line, from 0.
    """

    def __init__(self, message: str, line: int = 1, column: int = 0) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


def parse(source: str) -> ast.Module:
    """Parse a source text.

    Raises:
        Unreadable: It cannot be parsed.
    """
    if len(source) > SOURCE_LIMIT:
        raise Unreadable(f"it is over the limit of {SOURCE_LIMIT} characters")
    try:
        with warnings.catch_warnings():
            # Odd escapes and comparisons are warned of; here they are the author's business.
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except SyntaxError as error:
        raise Unreadable(str(error.msg), error.lineno or 1, max((error.offset or 1) - 1, 0)) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise Unreadable(str(error) or "it is nested too deeply") from None


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes right below a node, in the order of the text; not to be changed."""
    own = node.__dict__
    found: list[ast.AST] | None = own.get("_below")
    if found is not None:
        return found
    kind = node.__class__
    fields = _FIELDS.get(kind)
    if fields is None:
        fields = _FIELDS[kind] = tuple(name for name in kind._fields if name not in _TEXTS)
    if not fields:
        return _NONE
    found = []
    for name in fields:
        value = own.get(name)
        if value.__class__ is list:
            # Only these have gaps in their lists.
            found += value if kind not in _GAPPY else [part for part in value if part is not None]
        elif isinstance(value, ast.AST):
            found.append(value)
    own["_below"] = found
    return found


def walk(node: ast.AST) -> list[ast.AST]:
    """A node and everything below it, in the order of the text."""
    found = []
    todo = [node]
    while todo:
        node = todo.pop()
        found.append(node)
        below = children(node)
        if below:
            todo += below[::-1]
    return found


def parameters(function: Function) -> list[ast.arg]:
    """Every parameter, in the order of their declaration."""
    args = function.args
    stars = [arg for arg in (args.vararg, args.kwarg) if arg is not None]
    return [*args.posonlyargs, *args.args, *args.kwonlyargs, *stars]


def handed_over(call: ast.Call) -> list[ast.expr]:
    """Every argument of a call, by whatever way it is given."""
    return [*call.args, *(keyword.value for keyword in call.keywords)] if call.keywords else call.args


def is_plainly_matched(function: Function, call: ast.Call) -> bool:
    """Whether the text tells which argument goes to which parameter."""
    args = function.args
    spread = any(isinstance(value, ast.Starred) for value in call.args) or any(not word.arg for word in call.keywords)
    return not (spread or args.vararg or args.kwarg)


def matched(function: Function, call: ast.Call) -> Iterator[tuple[ast.arg, ast.expr]]:
    """Each parameter with the argument that a call hands over to it."""
    args = function.args
    yield from zip([*args.posonlyargs, *args.args], call.args, strict=False)
    named = {word.arg: word.value for word in call.keywords}
    yield from ((arg, named[arg.arg]) for arg in parameters(function) if arg.arg in named)


def table(owner: type, **kinds: str) -> dict[type[ast.AST], Callable[..., Any]]:
    """Make a table of methods by the kinds of nodes that they are for.

    Args:
        owner: The class whose methods they are.
        kinds: Kinds of nodes for each name of a method, divided by blanks.
    """
    return {getattr(ast, kind): getattr(owner, name) for name, text in kinds.items() for kind in text.split()}


def imported(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """Map the names that imports bind to what they stand for."""
    found: dict[str, str] = {}
    for node in nodes:
        for name, place in _bound_by(node):
            _add(found, name, place)
    return found


def merged(modules: dict[str, str], others: dict[str, str]) -> dict[str, str]:
    """Put two maps of imported names together."""
    found = dict(modules)
    for name, place in others.items():
        _add(found, name, place)
    return found


def _bound_by(node: ast.AST) -> Iterable[tuple[str, str]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.split(".")[0]
            yield (alias.asname, alias.name) if alias.asname else (top, top)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        for alias in node.names:
            yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _add(found: dict[str, str], name: str, place: str) -> None:
    """A name that stands for one thing or another stands for something that nobody knows."""
    found[name] = place if found.get(name, place) == place else f"{_EITHER}.{name}"
