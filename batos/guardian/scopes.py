"""Names of a method, told apart by the scope that they belong to."""

from __future__ import annotations

import ast
from typing import TypeGuard

from batos.guardian.syntax import children, walk

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def parameters(function: Function) -> list[ast.arg]:
    """Every parameter, in the order of their declaration."""
    args = function.args
    stars = [arg for arg in (args.vararg, args.kwarg) if arg is not None]
    return [*args.posonlyargs, *args.args, *args.kwonlyargs, *stars]


class Scopes:
    """Gives each name of a function a key: the same key means the same variable.

    Names that are bound nowhere in the function (globals and built-ins) have the key that is their name.

    Args:
        function: The function; its own scope is the outermost.
    """

    def __init__(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.keys: dict[int, str] = {}
        self.bound: set[str] = set()
        self._count = 0
        self._enter(function, [])

    def key(self, node: ast.AST) -> str:
        """The key of a name, parameter, or of the name that a statement binds."""
        return self.keys.get(id(node), "")

    def _enter(self, node: ast.AST, outer: list[dict[str, str]]) -> None:
        """Resolve a node that opens a scope, and everything in it."""
        self._count += 1
        names = {name: f"{self._count}:{name}" for name in _bound_in(node)}
        self.bound |= set(names.values())
        chain = [*outer, names]
        if isinstance(node, _FUNCTIONS):
            for arg in parameters(node):
                self.keys[id(arg)] = self._resolve(arg.arg, chain)
        for child in _children(node):
            self._walk(child, chain)

    def _walk(self, node: ast.AST, chain: list[dict[str, str]]) -> None:
        if isinstance(node, ast.Name):
            self.keys[id(node)] = self._resolve(node.id, chain)
            return
        bound = _name_bound_by(node)
        if bound:
            self.keys[id(node)] = self._resolve(bound, chain)
        if isinstance(node, (*_FUNCTIONS, *_COMPREHENSIONS)):
            for child in _outside(node):
                self._walk(child, chain)
            self._enter(node, chain)
            return
        for child in children(node):
            self._walk(child, chain)

    def _resolve(self, name: str, chain: list[dict[str, str]]) -> str:
        for names in reversed(chain):
            if name in names:
                return names[name]
        return name


def _outside(node: ast.AST) -> list[ast.AST]:
    """The parts of a function or comprehension that are evaluated where it stands."""
    if isinstance(node, _COMPREHENSIONS):
        return [node.generators[0].iter]
    if not isinstance(node, _FUNCTIONS):
        return []
    defaults = [*node.args.defaults, *(default for default in node.args.kw_defaults if default is not None)]
    return [*getattr(node, "decorator_list", []), *defaults]


def _children(node: ast.AST) -> list[ast.AST]:
    """The parts of a node that belong to the scope it opens."""
    if isinstance(node, ast.Lambda):
        return [node.body]
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return list(node.body)
    if isinstance(node, _COMPREHENSIONS):
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        inner = [part for place, each in enumerate(node.generators) for part in _of_clause(each, first=place == 0)]
        return [*parts, *inner]
    return list(children(node))


def _of_clause(clause: ast.comprehension, *, first: bool) -> list[ast.expr]:
    return [clause.target, *clause.ifs, *([] if first else [clause.iter])]


def _bound_in(scope: ast.AST) -> set[str]:
    """The names that a scope binds itself."""
    names = {arg.arg for arg in parameters(scope)} if isinstance(scope, _FUNCTIONS) else set()
    elsewhere: set[str] = set()
    todo = list(_children(scope))
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            elsewhere |= set(node.names)
        if _stores(node):
            names.add(node.id)
        bound = _name_bound_by(node)
        if bound:
            names.add(bound)
        if not isinstance(node, (*_FUNCTIONS, *_COMPREHENSIONS)):
            todo += children(node)
        else:
            todo += _outside(node)
            # A walrus in a comprehension binds outside of it.
            todo += [walrus.target for walrus in walk(node) if isinstance(walrus, ast.NamedExpr)]
    if isinstance(scope, _COMPREHENSIONS):
        names = {name.id for part in scope.generators for name in walk(part.target) if _stores(name)}
    return names - elsewhere


def _stores(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del))


def _name_bound_by(node: ast.AST) -> str | None:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler)):
        return node.name
    if isinstance(node, (ast.MatchAs, ast.MatchStar)):
        return node.name
    if isinstance(node, ast.MatchMapping):
        return node.rest
    if isinstance(node, ast.alias):
        return (node.asname or node.name).split(".")[0]
    return None
