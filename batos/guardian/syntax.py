"""Walking syntax trees quickly: each node's children are listed once and kept with it."""

from __future__ import annotations

import ast

# One object for all nodes of their kind; nothing hangs on them.
_BARE = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes right below a node, in the order of the text."""
    kept = vars(node)
    known: list[ast.AST] | None = kept.get("_below")
    if known is None:
        known = kept["_below"] = _children(node)
    return known


def _children(node: ast.AST) -> list[ast.AST]:
    found: list[ast.AST] = []
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            found += [part for part in value if isinstance(part, ast.AST) and not isinstance(part, _BARE)]
        elif isinstance(value, ast.AST) and not isinstance(value, _BARE):
            found.append(value)
    return found


def walk(node: ast.AST) -> list[ast.AST]:
    """A node and everything below it, in the order of the text."""
    found = []
    todo = [node]
    while todo:
        node = todo.pop()
        found.append(node)
        todo += reversed(children(node))
    return found
