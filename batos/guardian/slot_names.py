"""Gives slots names that slots may have: without a leading underscore, and not the method's own.

Models often keep state in `self._items`, or in a slot called like the method. Both are renamed throughout the source.
"""

from __future__ import annotations

import ast
import keyword
from typing import NamedTuple

from batos.guardian.covenant import methods_of
from batos.guardian.scopes import Scopes

_KEPT = frozenset({"_p_changed", "_clone_persistent_", "_doesNotUnderstand_"})
_BY_NAME = frozenset({"getattr", "setattr", "hasattr", "delattr"})


class _Use(NamedTuple):
    """One place where a source names a slot of self: its bytes in the line, and whether it is called."""

    name: str
    line: int
    start: int
    end: int
    quoted: bool
    called: bool
    stored: bool


def rename_slots(source: str, tree: ast.Module) -> tuple[str, list[str]]:
    """Rename the slots whose names slots may not have.

    Args:
        source: The source text.
        tree: Its syntax tree.

    Returns:
        The source, and a sentence for each name.
    """
    method = next(iter(methods_of(tree)), None)
    if method is None:
        return source, []
    uses = _uses(tree)
    taken = {use.name for use in uses}
    called = {use.name for use in uses if use.called}
    stored = {use.name for use in uses if use.stored}
    renamed = {}
    for name in sorted(taken):
        if name == method.name and name in stored and name not in called:
            renamed[name] = _free(f"{name}_value", taken, method.name)
        elif name.startswith("_") and name not in _KEPT and not name.startswith("__"):
            renamed[name] = _free(name.strip("_"), taken, method.name)
    lines = source.split("\n")
    for use in sorted(uses, key=lambda use: (use.line, use.start), reverse=True):
        if use.name in renamed:
            _replace(lines, use, renamed[use.name])
    return "\n".join(lines), [f"renamed the slot `{old}` to `{new}`" for old, new in renamed.items()]


def slots_of(tree: ast.Module) -> list[str]:
    """The slots of self that a source names, messages that it sends left out; sorted."""
    return sorted({use.name for use in _uses(tree) if not use.called and use.name not in _KEPT})


def _uses(tree: ast.Module) -> list[_Use]:
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    mine = _receivers(tree)
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=base, attr=name, end_lineno=int(line), end_col_offset=int(end)) if (
                id(base) in mine
            ):
                start = end - len(name.encode())
                stored = not isinstance(node.ctx, ast.Load)
                found.append(_Use(name, line, start, end, quoted=False, called=id(node) in called, stored=stored))
            case ast.Call(func=ast.Name(id=how), args=[base, ast.Constant(value=str(name)) as text, *_]):
                if (
                    id(base) in mine
                    and how in _BY_NAME
                    and text.lineno == text.end_lineno
                    and text.end_col_offset is not None
                ):
                    place = text.lineno, text.col_offset, text.end_col_offset
                    found.append(_Use(name, *place, quoted=True, called=False, stored=how == "setattr"))
            case _:
                pass
    return found


def _receivers(tree: ast.Module) -> set[int]:
    """The ids of the names that stand for a method's receiver; the `self` of a class inside is another one."""
    found: set[int] = set()
    for method in methods_of(tree):
        scopes = Scopes(method)
        own = scopes.key([*method.args.posonlyargs, *method.args.args][0])
        found.update(id(node) for node in scopes.those(ast.Name) if scopes.key(node) == own)
    return found


def _free(name: str, taken: set[str], selector: str) -> str:
    if not name.isidentifier() or keyword.iskeyword(name) or name in taken or name == selector:
        name = f"{name}_slot" if f"{name}_slot".isidentifier() else "slot"
    while name in taken:
        name += "_too"
    return name


def _replace(lines: list[str], use: _Use, name: str) -> None:
    row = lines[use.line - 1].encode()
    text = repr(name) if use.quoted else name
    lines[use.line - 1] = (row[: use.start] + text.encode() + row[use.end :]).decode()
