"""Edits of a source text that keep its formatting and comments.

Each edit is made twice, in the text and in a copy of the syntax tree. Where the edited text does not parse to the
edited tree (a text that plays with continued lines, for one), the tree is written out instead.
"""

from __future__ import annotations

import ast
import io
import tokenize
from typing import NamedTuple

from batos.guardian.syntax import METHODS, Unreadable, parse

_STRINGS = ("STRING", "FSTRING_MIDDLE", "TSTRING_MIDDLE")


class _Change(NamedTuple):
    """Bytes of the text to be replaced; line and columns as the syntax tree counts them."""

    line: int
    start: int
    end: int
    text: str


class Draft:
    """A source with edits that are not yet made.

    Args:
        source: The text, with plain line ends.
        tree: Its tree, as it was parsed.
    """

    def __init__(self, source: str, tree: ast.Module) -> None:
        self._lines = source.split("\n")
        self._tree = tree
        # Our notes on the nodes are not copied; they name other nodes.
        self._wanted = parse(source)
        self._changes: list[_Change] = []
        self._copies: dict[int, ast.AST] = {}
        self._homes: dict[int, list[ast.stmt]] = {}
        for mine, theirs in zip(ast.walk(self._wanted), ast.walk(tree), strict=True):
            self._copies[id(theirs)] = mine
            for field in ("body", "orelse", "finalbody"):
                body = getattr(mine, field, None)
                if isinstance(body, list):
                    self._homes.update((id(statement), body) for statement in body)

    def before(self, node: ast.stmt, line: str) -> None:
        """Put a statement before one."""
        if self._begins_line(node):
            self._note(node.lineno, 0, 0, f"{self._indent(node)}{line}\n")
        else:
            self._note(node.lineno, node.col_offset, node.col_offset, f"{line}; ")
        home, place = self._place(node)
        home.insert(place, _parsed(line))

    def after(self, body: list[ast.stmt], line: str) -> None:
        """Put a statement after the last one of a block."""
        first, last = body[0], body[-1]
        row, column = last.end_lineno or last.lineno, last.end_col_offset or 0
        if self._begins_line(first):
            end = len(self._lines[row - 1].encode())
            self._note(row, end, end, f"\n{self._indent(first)}{line}")
        else:
            self._note(row, column, column, f"; {line}")
        home, place = self._place(last)
        home.insert(place + 1, _parsed(line))

    def name_value(self, node: ast.Return, name: str, line: str) -> None:
        """Give the value of a `return` a name, and put a statement between."""
        row, column = node.end_lineno or node.lineno, node.end_col_offset or 0
        self._note(node.lineno, node.col_offset, node.col_offset + len("return"), f"{name} =")
        if self._begins_line(node):
            end = len(self._lines[row - 1].encode())
            indent = self._indent(node)
            self._note(row, end, end, f"\n{indent}{line}\n{indent}return {name}")
        else:
            self._note(row, column, column, f"; {line}; return {name}")
        home, place = self._place(node)
        copied = home[place]
        assert isinstance(copied, ast.Return)
        assert copied.value is not None
        named = ast.Assign(targets=[ast.Name(id=name, ctx=ast.Store())], value=copied.value)
        home[place : place + 1] = [named, _parsed(line), _parsed(f"return {name}", "def _(): ")]

    def guard(self, body: list[ast.stmt], line: str) -> None:
        """Put a whole block under `try`, and a statement into its `finally`."""
        first, last = body[0], body[-1]
        if self._begins_line(first):
            indent = self._indent(first)
            rows = range(first.lineno, (last.end_lineno or last.lineno) + 1)
            self._note(first.lineno, 0, 0, f"{indent}try:\n")
            for row in sorted(set(rows) - self._in_strings()):
                if self._lines[row - 1].strip():
                    self._note(row, 0, 0, "    ")
            end = len(self._lines[rows[-1] - 1].encode())
            self._note(rows[-1], end, end, f"\n{indent}finally:\n{indent}    {line}")
        home, place = self._place(first)
        size = len(body)
        home[place : place + size] = [
            ast.Try(body=home[place : place + size], handlers=[], orelse=[], finalbody=[_parsed(line)])
        ]

    def rename(self, nodes: list[ast.AST], name: str) -> None:
        """Rename what some nodes name."""
        for node in nodes:
            copied = self._copies[id(node)]
            if isinstance(node, ast.Name) and isinstance(copied, ast.Name):
                self._note(node.lineno, node.col_offset, node.end_col_offset or 0, name)
                copied.id = name
            elif isinstance(copied, ast.alias):
                copied.asname = name
            elif isinstance(copied, (ast.Nonlocal, ast.Global)):
                continue
            else:
                setattr(copied, "rest" if isinstance(copied, ast.MatchMapping) else "name", name)

    def rename_outer(self, node: ast.Nonlocal, old: str, new: str) -> None:
        """Rename what a `nonlocal` names."""
        copied = self._copies[id(node)]
        assert isinstance(copied, ast.Nonlocal)
        copied.names = [new if name == old else name for name in copied.names]

    def finish(self) -> str:
        """Make the edits."""
        lines = list(self._lines)
        order = sorted(enumerate(self._changes), key=lambda item: (item[1].line, item[1].start, item[0]), reverse=True)
        for _place, change in order:
            row = lines[change.line - 1].encode()
            lines[change.line - 1] = (row[: change.start] + change.text.encode() + row[change.end :]).decode()
        edited = "\n".join(lines)
        try:
            if ast.dump(parse(edited)) == ast.dump(self._wanted):
                return edited
        except Unreadable:
            pass
        return ast.unparse(ast.fix_missing_locations(self._wanted)) + "\n"

    # --- places

    def _note(self, line: int, start: int, end: int, text: str) -> None:
        self._changes.append(_Change(line, start, end, text))

    def _place(self, node: ast.stmt) -> tuple[list[ast.stmt], int]:
        copied = self._copies[id(node)]
        home = self._homes[id(copied)]
        return home, next(place for place, statement in enumerate(home) if statement is copied)

    def _begins_line(self, node: ast.stmt) -> bool:
        return not self._lines[node.lineno - 1].encode()[: node.col_offset].strip()

    def _indent(self, node: ast.stmt) -> str:
        return self._lines[node.lineno - 1].encode()[: node.col_offset].decode()

    def _in_strings(self) -> set[int]:
        """The lines that begin inside of a text; they must not be moved."""
        found: set[int] = set()
        read = io.StringIO("\n".join(self._lines) + "\n").readline
        try:
            for token in tokenize.generate_tokens(read):
                if tokenize.tok_name[token.type] in _STRINGS:
                    found.update(range(token.start[0] + 1, token.end[0] + 1))
        except (tokenize.TokenError, SyntaxError):
            pass
        return found


def _parsed(line: str, around: str = "") -> ast.stmt:
    statement = ast.parse(around + line).body[0]
    return statement.body[0] if around and isinstance(statement, METHODS) else statement
