"""Changes of other objects: what a method was given, and what that holds.

An argument may be an object of the image, also the receiver itself. At run time the promise is asked for every object that a
call has changed. An argument that is plain data is the method's own, so only what shows an object counts: setting an
attribute, and changing what was read from one.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from batos.guardian import names as known
from batos.guardian.bindings import Bindings
from batos.guardian.depths import Depths
from batos.guardian.levels import CLEAN, holding
from batos.guardian.syntax import parameters

if TYPE_CHECKING:
    from collections.abc import Iterable


class Others:
    """The objects that a method was given.

    Args:
        depths: What is known of the method.
        function: The method.
    """

    def __init__(self, depths: Depths, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._depths = depths
        self._function = function
        asked = [node for node in depths.scopes.kinds.get(ast.Attribute, ()) if self._may_show_one(node)]
        self._given = self._slots = None
        by_name = any(node.id in {"setattr", "delattr"} for node in depths.scopes.those(ast.Name))
        if len(parameters(function)) > 1 and (asked or by_name):
            args = function.args
            self._given = self._taints(())
            for arg in parameters(function)[1:]:
                held = arg in (args.vararg, args.kwarg)
                self._given.levels[depths.scopes.keys[id(arg)]] = holding(0) if held else 0
            self._settle(self._given)
            read = [node for node in asked if isinstance(node.ctx, ast.Load) and self._given.of(node.value) == 0]
            if read:
                self._slots = self._taints(read)
                self._settle(self._slots)

    def _may_show_one(self, node: ast.Attribute) -> bool:
        depths = self._depths
        return (
            id(node) not in depths.scopes.called
            and node.attr not in known.NAMING
            and depths.of(node.value) > 0
            and not depths.qualified(node.value)
        )

    def _taints(self, seeds: Iterable[ast.AST]) -> Depths:
        depths = self._depths
        made = Depths(depths.scopes, depths.me, depths.modules, receiver=CLEAN)
        made.seeds.update(map(id, seeds))
        return made

    def _settle(self, depths: Depths) -> None:
        Bindings(depths, self._function, messages_keep=False).settle()

    def are(self, node: ast.AST) -> bool:
        """Whether an expression may give an object that the method was given, or one that such an object holds."""
        return any(depths is not None and depths.of(node) == 0 for depths in (self._given, self._slots))

    def hold(self, node: ast.AST) -> bool:
        """Whether an expression may give what lies in a slot of such an object."""
        return self._slots is not None and self._slots.of(node) == 0
