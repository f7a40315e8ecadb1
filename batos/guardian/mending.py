"""Mends what a rule can mend: the Covenant's line where a way out misses it, imports of allowed modules, slot names.

The text is edited where it must be, so that formatting and comments stay.
"""

from __future__ import annotations

import ast

from batos.guardian.flagging import flag_all
from batos.guardian.idle import drop_idle_flag
from batos.guardian.imports import missing_imports
from batos.guardian.modules import PURE_MODULES
from batos.guardian.slot_names import rename_slots
from batos.guardian.syntax import Unreadable, parse


def mend(source: str, modules: frozenset[str] = PURE_MODULES) -> tuple[str, list[str]]:
    """Mend a source; what cannot be parsed comes back as it is.

    Returns:
        The mended source and a sentence for each mend.
    """
    try:
        return _mended(source.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff"), modules)
    except (Unreadable, RecursionError, MemoryError):
        return source, []


def _mended(source: str, modules: frozenset[str]) -> tuple[str, list[str]]:
    tree = parse(source)
    source, done = rename_slots(source, tree)
    lines = missing_imports(tree, modules)
    if lines:
        source = _with_imports(source, lines)
        done += [f"added `{line}`" for line in lines]
    source, dropped = drop_idle_flag(source, parse(source))
    source, flagged = flag_all(source)
    return source, [*done, *dropped, *flagged]


def _with_imports(source: str, lines: list[str]) -> str:
    """Put imports above everything but a docstring and imports of `__future__`, with what shares their lines."""
    tree = parse(source)
    first = next((node for node in tree.body if not _is_head(node)), None)
    if first is None:
        return source
    start = min([first.lineno, *(part.lineno for part in getattr(first, "decorator_list", []))])
    place = tree.body.index(first)
    for head in tree.body[:place]:
        start = max(start, (head.end_lineno or head.lineno) + 1)
    for node in tree.body[place:]:
        if node.lineno < start:  # it shares the line of a docstring
            start = (node.end_lineno or node.lineno) + 1
    rows = source.split("\n")
    gap = [] if isinstance(first, (ast.Import, ast.ImportFrom)) else [""]
    return "\n".join([*rows[: start - 1], *lines, *gap, *rows[start - 1 :]])


def _is_head(node: ast.stmt) -> bool:
    """Whether it is a text, or an import that must stand above all others."""
    if isinstance(node, ast.ImportFrom):
        return node.module == "__future__"
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
