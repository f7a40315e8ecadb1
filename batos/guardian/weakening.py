"""Lowering what expressions are made of: where what an expression gives may be of a depth, so may what it was taken from."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from batos.guardian import names as known
from batos.guardian.levels import CLEAN, copy_of, element_of, holding
from batos.guardian.syntax import table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batos.guardian.depths import Depths


class Weakening:
    """Lowers variables by the expressions that they stand in.

    Args:
        depths: The depths to lower.
    """

    def __init__(self, depths: Depths) -> None:
        self._depths = depths
        self._scopes = depths.scopes
        self._wanted: dict[int, int] = {}
        self._weakened: dict[int, int] = {}
        self._changed = True
        # The variables that were lowered in this round.
        self._lowered: set[str] = set()

    def _lower(self, key: str, depth: int) -> None:
        # What is bound nowhere is a built-in or a module; it holds nothing of ours.
        if depth < self._depths.levels.get(key, CLEAN) and key in self._scopes.bound:
            self._depths.levels[key] = depth
            self._lowered.add(key)
            self._changed = True

    def _weaken(self, node: ast.AST, depth: int) -> None:
        """Note that what an expression gives may be of this depth."""
        rule = _WEAKENERS.get(node.__class__)
        if rule is not None and depth < self._weakened.get(id(node), CLEAN):
            self._weakened[id(node)] = depth
            rule(self, node, depth)

    def _weaken_name(self, node: ast.Name, depth: int) -> None:
        self._lower(self._scopes.key(node), depth)

    def _weaken_place(self, node: ast.Subscript | ast.Attribute, depth: int) -> None:
        self._weaken(node.value, holding(depth))

    def _weaken_call(self, node: ast.Call, depth: int) -> None:
        depths, func = self._depths, node.func
        qualified = depths.qualified(func)
        if qualified in known.NEW_FUNCTIONS:
            return
        if qualified == "getattr" and not any(isinstance(part, ast.Starred) for part in node.args):
            self._weaken_all(node.args[:1], holding(depth))
            self._weaken_all(node.args[2:], depth)
            return
        inner = depth
        if qualified in known.COPY_FUNCTIONS or known.module_gives(qualified) == "copy":
            # What is in the copy is in what was copied, for some (like `zip`) one step deeper.
            inner = copy_of(element_of(depth))
        elif depths.is_constructor(func):
            inner = element_of(depth)
        elif qualified == "heapq.heappop":
            inner = holding(depth)
        self._weaken_all(node.args, inner)
        # What has a name in the call may have it in the copy: `dict(k=x)`.
        self._weaken_all((word.value for word in node.keywords), min(inner, element_of(depth)))
        if isinstance(func, ast.Attribute) and func.attr not in known.GIVES_NEW:
            if func.attr in known.GIVES_COPY:
                self._weaken(func.value, copy_of(element_of(depth)))
            else:
                takes_out = func.attr in known.GIVES_ELEMENT or func.attr in known.MUTATORS
                self._weaken(func.value, holding(depth) if takes_out else depth)
        for function in depths.local_functions(func):
            self._wanted[id(function)] = min(depth, self._wanted.get(id(function), CLEAN))
            self._changed = True

    def _weaken_boolean(self, node: ast.BoolOp, depth: int) -> None:
        self._weaken_all(node.values, depth)

    def _weaken_choice(self, node: ast.IfExp, depth: int) -> None:
        self._weaken_all([node.body, node.orelse], depth)

    def _weaken_same(self, node: ast.Starred | ast.Await, depth: int) -> None:
        self._weaken(node.value, depth)

    def _weaken_walrus(self, node: ast.NamedExpr, depth: int) -> None:
        self._weaken_all([node.target, node.value], depth)

    def _weaken_display(self, node: ast.List | ast.Tuple | ast.Set, depth: int) -> None:
        self._weaken_all(node.elts, element_of(depth))

    def _weaken_map(self, node: ast.Dict, depth: int) -> None:
        self._weaken_all(node.values, element_of(depth))

    def _weaken_binary(self, node: ast.BinOp, depth: int) -> None:
        self._weaken_all([node.left, node.right], copy_of(depth))

    def _weaken_comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp, depth: int) -> None:
        self._weaken(node.elt, element_of(depth))

    def _weaken_map_comprehension(self, node: ast.DictComp, depth: int) -> None:
        self._weaken(node.value, element_of(depth))

    def _weaken_all(self, nodes: Iterable[ast.AST], depth: int) -> None:
        for node in nodes:
            self._weaken(node, depth)


_WEAKENERS = table(
    Weakening,
    _weaken_name="Name",
    _weaken_place="Subscript Attribute",
    _weaken_call="Call",
    _weaken_boolean="BoolOp",
    _weaken_choice="IfExp",
    _weaken_same="Starred Await",
    _weaken_walrus="NamedExpr",
    _weaken_display="List Tuple Set",
    _weaken_map="Dict",
    _weaken_binary="BinOp",
    _weaken_comprehension="ListComp SetComp GeneratorExp",
    _weaken_map_comprehension="DictComp",
)
