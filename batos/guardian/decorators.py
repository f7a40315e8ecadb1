"""Decorators inside of a method: each is a call with what it decorates, `name = decorator(name)`.

The calls are made here and put among the method's nodes, so that the rules for calls see them. The tree stays as it is.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from batos.guardian import names as known

if TYPE_CHECKING:
    from batos.guardian.depths import Depths

_OF_PROPERTIES = frozenset({"setter", "getter", "deleter"})

Decorated = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def apply_decorators(depths: Depths) -> None:
    """Put the calls that decorators stand for among the nodes of a method, before anything is lowered."""
    scopes = depths.scopes
    for node in scopes.those(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef):
        decorators = [part for part in node.decorator_list[::-1] if not _keeps(depths, node, part)]
        # The method itself is decorated outside.
        if decorators and id(node) in scopes.parents:
            _apply(depths, node, decorators)


def _apply(depths: Depths, node: Decorated, decorators: list[ast.expr]) -> None:
    scopes = depths.scopes
    name = ast.copy_location(ast.Name(id=node.name, ctx=ast.Load()), decorators[0])
    value: ast.expr = name
    above: list[tuple[ast.AST, ast.AST]] = []
    made: list[ast.AST] = [name]
    for decorator in decorators:
        call = ast.copy_location(ast.Call(func=decorator, args=[value], keywords=[]), decorator)
        above += [(decorator, call), (value, call)]
        scopes.applied[id(decorator)] = decorator, [call, value]
        scopes.called.add(id(decorator))
        made.append(call)
        value = call
    target = ast.copy_location(ast.Name(id=node.name, ctx=ast.Store()), node)
    assign = ast.copy_location(ast.Assign(targets=[target], value=value), node)
    above += [(value, assign), (target, assign), (assign, node)]
    scopes.parents.update((id(inner), outer) for inner, outer in above)
    scopes.keys[id(name)] = scopes.keys[id(target)] = scopes.key(node)
    scopes.take_in([*made, target, assign], node)


def _keeps(depths: Depths, node: Decorated, decorator: ast.expr) -> bool:
    """Whether a decorator is known to leave what it decorates what it is, and to keep it nowhere."""
    if isinstance(decorator, ast.Attribute) and decorator.attr in _OF_PROPERTIES:
        return depths.scopes.key(decorator.value) == depths.scopes.key(node)
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return depths.qualified(called) in known.KEEPING_DECORATORS
