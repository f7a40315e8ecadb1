"""Mends what a rule can mend: the Covenant's line where a way out misses it, imports of allowed modules, slot names.

The text is edited line by line, so that formatting and comments stay; each edit is checked against the same edit of the
syntax tree, and where the text does not come out the same (several statements in a line, for one) the tree is written
out instead.
"""

from __future__ import annotations

import ast
import copy
from typing import NamedTuple

from batos.guardian.covenant import FLAG, bad_exits, methods_of
from batos.guardian.idle import drop_idle_flag
from batos.guardian.imports import missing_imports
from batos.guardian.modules import PURE_MODULES
from batos.guardian.paths import Exit, is_flag
from batos.guardian.slot_names import rename_slots

_ROUNDS = 60


class _Edit(NamedTuple):
    """A source after one step, and what the step did."""

    source: str
    done: str


def mend(source: str, modules: frozenset[str] = PURE_MODULES) -> tuple[str, list[str]]:
    """Mend a source; what cannot be parsed comes back as it is.

    Returns:
        The mended source and a sentence for each mend.
    """
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source, []
    source, done = rename_slots(source, tree)
    lines = missing_imports(tree, modules)
    if lines:
        source = _with_imports(source, lines)
        done += [f"added `{line}`" for line in lines]
    source, dropped = drop_idle_flag(source, ast.parse(source))
    done += dropped
    for _ in range(_ROUNDS):
        edit = _step(source)
        if edit is None:
            return source, done
        source = edit.source
        done.append(edit.done)
    return source, done


def _with_imports(source: str, lines: list[str]) -> str:
    """Put imports above everything but a docstring and other imports of the source's top."""
    tree = ast.parse(source)
    first = next((node for node in tree.body if not _is_text(node)), None)
    if first is None:
        return source
    start = min([first.lineno, *(part.lineno for part in getattr(first, "decorator_list", []))])
    rows = source.split("\n")
    gap = [] if isinstance(first, (ast.Import, ast.ImportFrom)) else [""]
    return "\n".join([*rows[: start - 1], *lines, *gap, *rows[start - 1 :]])


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _step(source: str) -> _Edit | None:
    """Mend the first way out that misses the flag; None when there is none."""
    tree = ast.parse(source)
    for method in methods_of(tree):
        exits = bad_exits(method, tree)
        if exits:
            return _mended(source, tree, method, exits[0])
    return None


def _mended(source: str, tree: ast.Module, method: ast.FunctionDef | ast.AsyncFunctionDef, exit_: Exit) -> _Edit:
    if not isinstance(exit_.node, ast.Return):
        if _ends_with_flag(method):
            return _guard_all(tree, method)
        last = method.body[-1]
        wanted = _edited_tree(tree, last, [_flag()], after=True)
        column, row = method.body[0].col_offset, last.end_lineno or last.lineno
        return _checked(source, wanted, row, row, [_indented(source, method.body[0], column, FLAG)], "at the end")
    node = exit_.node
    if _follows_flag(tree, node):
        return _mend_value(tree, method, node)
    wanted = _edited_tree(tree, node, [_flag()], after=False)
    text = [_indented(source, node, node.col_offset, FLAG)]
    return _checked(source, wanted, node.lineno - 1, node.lineno - 1, text, f"before the return in line {node.lineno}")


def _mend_value(tree: ast.Module, method: ast.FunctionDef | ast.AsyncFunctionDef, node: ast.Return) -> _Edit:
    """The returned expression itself changes the object: name its value first."""
    if node.value is None or isinstance(node.value, ast.Name):
        return _guard_all(tree, method)
    name = _free_name(tree)
    assigned = ast.Assign(targets=[ast.Name(id=name, ctx=ast.Store())], value=node.value)
    back = ast.Return(value=ast.Name(id=name, ctx=ast.Load()))
    block = [assigned, _flag(), back]
    wanted = _edited_tree(tree, node, block, after=False, replace=True, drop_flag=True)
    return _Edit(
        ast.unparse(wanted) + "\n", f"named the value of the return in line {node.lineno}, and put {FLAG} after"
    )


def _guard_all(tree: ast.Module, method: ast.FunctionDef | ast.AsyncFunctionDef) -> _Edit:
    """The last resort: the whole body under `try`, the flag in `finally`."""
    wanted = copy.deepcopy(tree)
    target = _same(wanted, tree, method)
    assert isinstance(target, (ast.FunctionDef, ast.AsyncFunctionDef))
    start = 1 if _is_text(target.body[0]) and len(target.body) > 1 else 0
    guarded = ast.Try(body=target.body[start:], handlers=[], orelse=[], finalbody=[_flag()])
    target.body = [*target.body[:start], guarded]
    return _Edit(ast.unparse(ast.fix_missing_locations(wanted)) + "\n", f"put {FLAG} in a finally around the body")


def _checked(source: str, wanted: ast.Module, start: int, end: int, rows: list[str], place: str) -> _Edit:
    """Edit the text; where that does not give the tree that is wanted, write the tree out."""
    lines = source.split("\n")
    edited = "\n".join([*lines[:start], *rows, *lines[end:]])
    done = f"put {FLAG} {place}"
    try:
        if ast.dump(ast.parse(edited)) == ast.dump(wanted):
            return _Edit(edited, done)
    except (SyntaxError, ValueError):
        pass
    return _Edit(ast.unparse(ast.fix_missing_locations(wanted)) + "\n", done)


def _indented(source: str, node: ast.stmt, column: int, text: str) -> str:
    row = source.split("\n")[node.lineno - 1].encode()
    return row[:column].decode(errors="replace") + text


def _flag() -> ast.stmt:
    return ast.parse(FLAG).body[0]


def _edited_tree(
    tree: ast.Module,
    node: ast.stmt,
    block: list[ast.stmt],
    *,
    after: bool,
    replace: bool = False,
    drop_flag: bool = False,
) -> ast.Module:
    """Copy the tree with statements put before, after or instead of one."""
    wanted = copy.deepcopy(tree)
    target = _same(wanted, tree, node)
    body, place = _home(wanted, target)
    if drop_flag and place and is_flag(body[place - 1]):
        place -= 1
        del body[place]
    if replace:
        body[place : place + 1] = block
    else:
        body[place + after : place + after] = block
    return ast.fix_missing_locations(wanted)


def _same(copied: ast.AST, original: ast.AST, node: ast.AST) -> ast.AST:
    """Find the copy of a node."""
    pairs = zip(ast.walk(copied), ast.walk(original), strict=True)
    return next(mine for mine, theirs in pairs if theirs is node)


def _home(tree: ast.AST, node: ast.AST) -> tuple[list[ast.stmt], int]:
    """Find the list of statements that a statement stands in, and its place there."""
    for parent in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            body = getattr(parent, field, None)
            if isinstance(body, list):
                for place, statement in enumerate(body):
                    if statement is node:
                        return body, place
    raise LookupError("the statement stands nowhere")


def _follows_flag(tree: ast.AST, node: ast.stmt) -> bool:
    body, place = _home(tree, node)
    return place > 0 and is_flag(body[place - 1])


def _ends_with_flag(method: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return is_flag(method.body[-1])


def _free_name(tree: ast.AST) -> str:
    taken = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return next(name for name in ["result", *(f"result_{n}" for n in range(2, 1000))] if name not in taken)
