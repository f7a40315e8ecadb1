"""The functions beside a method in its source: what the method calls of them is looked at as if it were defined inside."""

from __future__ import annotations

import ast

from batos.guardian.syntax import METHODS, parameters, walk

Method = ast.FunctionDef | ast.AsyncFunctionDef


def with_helpers(method: Method, around: ast.Module) -> Method:
    """Give a method whose body begins with the functions of its source that it uses, by name or through each other.

    Args:
        method: The method; it stays as it is, and shares its statements with the answer.
        around: The source that it stands in.
    """
    beside = _functions_of(around)
    if beside.keys() <= {method.name}:
        return method
    own = {arg.arg for arg in parameters(method)} | {method.name}
    used: dict[str, Method] = {}
    todo: list[Method] = [method]
    while todo:
        for node in walk(todo.pop()):
            name = node.id if isinstance(node, ast.Name) else ""
            if name in beside and name not in used and name not in own:
                used[name] = beside[name]
                todo.append(beside[name])
    if not used:
        return method
    fields = {name: getattr(method, name) for name in method._fields}
    return ast.copy_location(type(method)(**{**fields, "body": [*used.values(), *method.body]}), method)


def _functions_of(around: ast.Module) -> dict[str, Method]:
    """The functions of a source by their names, without names that may be something else at times; found once a source."""
    found: dict[str, Method] | None = around.__dict__.get("_functions")
    if found is None:
        found = {node.name: node for node in around.body if isinstance(node, METHODS)}
        if len(found) > 1:  # a function alone helps nobody
            for node in walk(around):
                if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                    found.pop(node.id, None)
        around.__dict__["_functions"] = found
    return found
