"""How the operator's commands speak: tables for people, one JSON value for programs. Remarks go to standard error."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from batos import plain
from batos.codec import Ref
from batos.errors import BatosError, to_wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MARKS = {"ok": "[green]ok[/]", "warn": "[yellow]warn[/]", "bad": "[red]bad[/]"}


class Speaker:
    """Writes answers to standard output, for people or (`json`) for programs, and remarks to standard error.

    Args:
        json: Whether answers are JSON.
    """

    def __init__(self, *, json: bool) -> None:
        self.json = json
        self.out = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
        self.err = Console(stderr=True, highlight=False)

    def remark(self, text: str) -> None:
        """Say something beside the answer."""
        self.err.print(escape(text), style="dim")

    def value(self, value: Any) -> None:
        """Write an answer as JSON."""
        sys.stdout.write(json.dumps(to_json(value), indent=2, ensure_ascii=False) + "\n")

    def error(self, error: BatosError) -> None:
        """Tell an error and its mend."""
        if self.json:
            self.value({"error": to_wire(error)})
        self.err.print(f"[red]{escape(type(error).__name__)}[/]: {escape(error.message)}")
        self.err.print(f"  {escape(error.hint)}")

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Write a table; nothing where it has no rows."""
        table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), show_header=any(columns))
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(cell if cell in MARKS.values() else escape(cell) for cell in row))
        if table.row_count:
            self.out.print(table)
            self.out.print()

    def pairs(self, title: str, pairs: Mapping[str, Any]) -> None:
        """Write names and values, a line each."""
        self.table(title, ("", ""), [(name, text(value)) for name, value in pairs.items()])


def to_json(value: Any) -> Any:
    """Plain data as JSON; the `oid` of an answer, and of its rows, is its 16 hex digits."""
    return plain.to_json(_with_hex(value))


def _with_hex(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_hex(item) for item in value]
    if isinstance(value, dict):
        return {
            key: item.hex if key == "oid" and isinstance(item, Ref) else _with_hex(item) for key, item in value.items()
        }
    return value


def text(value: Any) -> str:
    """A value for people, on one line."""
    if isinstance(value, str):
        return value
    return value.hex if isinstance(value, Ref) else repr(value)
