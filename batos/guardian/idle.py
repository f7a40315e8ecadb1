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
    dropped = [flag for flag in _flags(method) if _is_alone(flag, lines)]
    for flag in sorted(dropped, key=lambda node: node.lineno, reverse=True):
        del lines[flag.lineno - 1 : flag.end_lineno]
    edited = "\n".join(lines)
    try:
        same = ast.dump(parse(edited)) == ast.dump(_Without(dropped).visit(parse(source)))
    except Unreadable:
        # The line was all that a block had: it does no harm where it is.
        return source, []
    return (edited, ["removed the needless self._p_changed = True"]) if dropped and same else (source, [])


def _is_alone(flag: ast.stmt, lines: list[str]) -> bool:
    """Whether nothing but a comment stands in the lines of a statement."""
    before = lines[flag.lineno - 1].encode()[: flag.col_offset]
    last = lines[(flag.end_lineno or flag.lineno) - 1].encode()
    return not before.strip() and last[flag.end_col_offset :].strip()[:1] in (b"", b"#")


class _Without(ast.NodeTransformer):
    """Takes statements out of another parse of their source."""

    def __init__(self, dropped: list[ast.stmt]) -> None:
        self._places = {(node.lineno, node.col_offset) for node in dropped}

    def visit_Assign(self, node: ast.Assign) -> ast.Assign | None:
        """Leave out what stands where one of them does."""
        return None if (node.lineno, node.col_offset) in self._places else node


def _flags(method: ast.AST) -> list[ast.stmt]:
    return [node for node in walk(method) if isinstance(node, ast.Assign) and is_flag(node)]
