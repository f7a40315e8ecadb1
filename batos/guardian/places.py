"""A place in a method that may change its object, with the words that say why."""

from __future__ import annotations

import ast
from typing import NamedTuple

Words = tuple[str | ast.AST, ...]


class Change(NamedTuple):
    """A place that may change the object, and the words for it; the code among them is written out when asked for."""

    node: ast.AST
    words: Words

    @property
    def line(self) -> int:
        """Its line, from 1."""
        return getattr(self.node, "lineno", 1)

    @property
    def column(self) -> int:
        """Its column, from 0."""
        return getattr(self.node, "col_offset", 0)

    @property
    def message(self) -> str:
        """What is changed, or may be."""
        return "".join(part if isinstance(part, str) else _text(part) for part in self.words)


def _text(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 60 else text[:57] + "…"
