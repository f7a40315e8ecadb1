"""What runs when Python cleans up: `__del__`, and what a generator does when it is closed.

A generator that was not taken to its end is closed when its last name goes, often after the method has left. What it
changes then comes after every flag, wherever that stands.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from batos.guardian.syntax import FUNCTIONS, children

if TYPE_CHECKING:
    from batos.guardian.scopes import Scopes

_MANAGERS = frozenset({"contextmanager", "asynccontextmanager"})


def at_cleanup(function: ast.FunctionDef | ast.AsyncFunctionDef, scopes: Scopes) -> list[ast.AST]:
    """The parts of a function inside of a method that may run when Python cleans up.

    Args:
        function: The function.
        scopes: The names of the method.
    """
    above = scopes.parents.get(id(function))
    if above is None:
        return []  # the method itself
    if isinstance(above, ast.ClassDef) and function.name == "__del__":
        return list(function.body)
    if any(_name(node) in _MANAGERS for node in function.decorator_list):
        return []  # it is closed where its `with` ends
    found: list[ast.AST] = []
    todo: list[ast.AST] = list(function.body)
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.Try, ast.TryStar)) and any(map(_waits, node.body)):
            found += [*node.finalbody, *(part for handler in node.handlers for part in handler.body)]
        elif isinstance(node, (ast.With, ast.AsyncWith)) and any(map(_waits, node.body)):
            found += node.items
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            todo += children(node)
    return found


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _waits(node: ast.AST) -> bool:
    """Whether a generator or coroutine may be left in a statement."""
    if isinstance(node, (ast.Yield, ast.YieldFrom, ast.Await, ast.AsyncFor, ast.AsyncWith)):
        return True
    return not isinstance(node, (*FUNCTIONS, ast.ClassDef)) and any(map(_waits, children(node)))
