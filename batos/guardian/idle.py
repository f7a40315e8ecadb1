"""The Covenant's line in a method that changes nothing: needless where it uses no slot, a sign of a slip where it reads some."""

from __future__ import annotations

import ast

from batos.guardian.changes import Changes
from batos.guardian.covenant import methods_of
from batos.guardian.paths import is_flag
from batos.guardian.slot_names import slots_of
from batos.guardian.syntax import Unreadable, parse, walk


def is_idle(tree: ast.Module) -> bool:
    """Whether the method sets the flag although it changes nothing."""
    method = next(iter(methods_of(tree)), None)
    if method is None or not _flags(method):
        return False
    # The flag is an assignment below self, too: is there any other change?
    return not Changes(method, tree).beside(_flags(method))


def drop_idle_flag(source: str, tree: ast.Module) -> tuple[str, list[str]]:
    """Take the Covenant's line out of a method that neither changes nor reads the object.

    Returns:
        The source, and a sentence where something was taken out.
    """
    if slots_of(tree) or not is_idle(tree):
        return source, []
    method = methods_of(tree)[0]
    lines = source.split("\n")
    for flag in sorted(_flags(method), key=lambda node: node.lineno, reverse=True):
        del lines[flag.lineno - 1 : flag.end_lineno]
    edited = "\n".join(lines)
    try:
        left = methods_of(parse(edited))
    except Unreadable:
        # The line was all that a block had, or shared its line: it does no harm where it is.
        return source, []
    return (edited, ["removed the needless self._p_changed = True"]) if left else (source, [])


def _flags(method: ast.AST) -> list[ast.stmt]:
    return [node for node in walk(method) if isinstance(node, ast.Assign) and is_flag(node)]
