"""What a method looks like, and what methods do not use.

These findings give a clear message before the sandbox's walls stop the code. They are no wall themselves.
"""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING

from batos.guardian.findings import Finding
from batos.guardian.modules import PURE_MODULES, allowed, reachable
from batos.guardian.syntax import children, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

NODE_LIMIT = 8000


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ABSENT = _words(
    """open exec eval compile __import__ input breakpoint globals locals vars help exit quit copyright credits license
    aiter anext"""
)
_INSIDES = _words(
    """gi_frame gi_code cr_frame cr_code ag_frame ag_code tb_frame tb_next f_back f_globals f_locals f_builtins f_code
    func_globals mro"""
)
_OPEN_UNDERSCORES = frozenset({"__name__", "__doc__", "__class__", "_clone_persistent_", "_doesNotUnderstand_"})
_TELLING = ("__globals__", "__subclasses__", "__builtins__", "__import__", "__code__", "__mro__", "__bases__")


def shape(tree: ast.Module, selector: str | None) -> list[Finding]:
    """Check that a source is one method: imports, and one plain `def selector(self, …)`."""
    defs = [node for node in tree.body if not _is_preamble(node)]
    if len(defs) != 1 or not isinstance(defs[0], (ast.FunctionDef, ast.AsyncFunctionDef)):
        place = next((node for node in defs if not isinstance(node, ast.FunctionDef)), tree)
        return [_finding("syntax", "shape", place, "a method is one `def`", "Write one def, with imports before it.")]
    method = defs[0]
    if isinstance(method, ast.AsyncFunctionDef):
        return [_finding("syntax", "async", method, "a method is no coroutine", "Write a plain def.")]
    found = []
    if selector is not None and method.name != selector:
        found.append(_finding("syntax", "name", method, f"the def is named {method.name!r}", f"Name it {selector!r}."))
    args = [*method.args.posonlyargs, *method.args.args]
    if not args or args[0].arg != "self":
        found.append(_finding("syntax", "self", method, "the first parameter is not self", "Put self first."))
    return found


def _is_preamble(node: ast.stmt) -> bool:
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return text or isinstance(node, (ast.Import, ast.ImportFrom))


def policy(tree: ast.Module, modules: frozenset[str] = PURE_MODULES) -> list[Finding]:
    """Find what methods do not use."""
    found: list[Finding] = []
    bound = bound_names(tree)
    in_class = {id(part) for node in walk(tree) if isinstance(node, ast.ClassDef) for part in walk(node)}
    for count, node in enumerate(walk(tree)):
        if count > NODE_LIMIT:
            found.append(_finding("policy", "size", tree, "the method is too large", "Divide it into several methods."))
            break
        found += _of_node(node, bound, modules, private=id(node) in in_class)
    found += [
        _finding("policy", "generator", node, "a method that yields answers no data", "Collect a list and return it.")
        for node in _yields(tree)
    ]
    return sorted(found, key=lambda finding: (finding.line, finding.column))


def _of_node(  # noqa: C901, PLR0912 - one case a kind of node
    node: ast.AST, bound: set[str], modules: frozenset[str], *, private: bool
) -> Iterator[Finding]:
    match node:
        case ast.Import(names=names):
            for alias in names:
                if not reachable(alias.name, modules):
                    yield _module(node, alias.name)
        case ast.ImportFrom(module=module, level=level, names=names):
            yield from _from(node, module or "", level, names, modules)
        case ast.Name(id=name):
            if name in _ABSENT and name not in bound:
                yield _finding("policy", "builtin", node, f"{name} is not for methods", "Do without it.")
            elif name.startswith("__") and name not in _OPEN_UNDERSCORES and name != "__":
                yield _underscore(node, name)
        case ast.Attribute(attr=attr):
            if attr in _INSIDES or (attr.startswith("_") and not _is_open(node, private=private)):
                yield _underscore(node, attr)
        case ast.Call(
            func=ast.Name(id="getattr" | "setattr" | "hasattr" | "delattr"), args=[_, ast.Constant(value=str(name)), *_]
        ):
            if name.startswith("_") and name not in _OPEN_UNDERSCORES | {"_p_changed"}:
                yield _underscore(node, name)
        case ast.Global():
            yield _finding("policy", "global", node, "a method has no globals", "Keep it in a slot of self.")
        case ast.TryStar():
            yield _finding("policy", "except*", node, "except* is not for methods", "Use except.")
        case ast.Constant(value=str() as text) if any(word in text for word in _TELLING):
            yield _finding("policy", "insides", node, "a text names Python's insides", "Do without it.")
        case ast.FunctionDef(decorator_list=[first, *_]) if not private and node.args.args[:1]:
            if node.args.args[0].arg == "self":
                yield _finding("policy", "decorator", first, "a method has no decorators", "Remove the decorator.")
        case _:
            return


def _from(
    node: ast.ImportFrom, module: str, level: int, names: list[ast.alias], modules: frozenset[str]
) -> Iterator[Finding]:
    whole = not level and (allowed(module, modules) or all(allowed(f"{module}.{name.name}", modules) for name in names))
    if not whole:
        yield _module(node, "." * level + module)
    elif any(name.name == "*" for name in names):
        yield _finding("policy", "import", node, "import * hides what is used", "Name what you import.")


def _is_open(node: ast.Attribute, *, private: bool) -> bool:
    if node.attr == "_p_changed":
        return isinstance(node.value, ast.Name)
    return node.attr in _OPEN_UNDERSCORES or (private and not node.attr.startswith("__"))


def _yields(tree: ast.Module) -> Iterator[ast.expr]:
    """The yields of the method itself, not of functions inside it."""
    todo: list[ast.AST] = [part for node in tree.body if isinstance(node, ast.FunctionDef) for part in node.body]
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            yield node
            return
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            todo += children(node)


def bound_names(tree: ast.AST) -> set[str]:
    """Every name that a source binds anywhere."""
    found: set[str] = set()
    for node in walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                found.add(name)
            case ast.arg(arg=name):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.alias():
                found.add((node.asname or node.name).split(".")[0])
            case ast.ExceptHandler(name=str() as name) | ast.MatchAs(name=str() as name):
                found.add(name)
            case ast.MatchStar(name=str() as name) | ast.MatchMapping(rest=str() as name):
                found.add(name)
            case _:
                pass
    return found


def unbound_names(tree: ast.AST) -> set[str]:
    """The names that a source uses and nobody binds, built-ins left out."""
    used = {node.id for node in walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return used - bound_names(tree) - set(dir(builtins))


def _module(node: ast.stmt, name: str) -> Finding:
    return _finding("policy", "import", node, f"the module {name!r} is not on the list", "Use an allowed module.")


def _underscore(node: ast.AST, name: str) -> Finding:
    mend = "Use a name without it; only self._p_changed may be set."
    return _finding("policy", "underscore", node, f"{name!r} is not for methods", mend)


def _finding(kind: str, rule: str, node: ast.AST, message: str, mend: str) -> Finding:
    line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
    return Finding("syntax" if kind == "syntax" else "policy", rule, line, column, message, mend)
