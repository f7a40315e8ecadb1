"""Changes of other objects: what a method was given, and what that holds.

An argument may be an object of the image, also the receiver itself. At run time the promise is asked for every object that a
call has changed. An argument that is plain data is the method's own, so only what shows an object counts: setting an
attribute, and changing what was read from one.
"""

from __future__ import annotations

import ast

from batos.guardian import names as known
from batos.guardian.bindings import Bindings
from batos.guardian.depths import Depths
from batos.guardian.levels import CLEAN, anything_of, holding
from batos.guardian.syntax import parameters

_BY_NAME = frozenset({"getattr", "setattr", "delattr", "vars"})
_GETTERS = frozenset({"operator.attrgetter"})


class _Given(Depths):
    """Of an argument that is an object, what a message answers may be one, too, whatever the message is called."""

    def _method(self, call: ast.Call, func: ast.Attribute) -> int:
        return min(super()._method(call, func), anything_of(self.of(func.value)))


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
        self._given: Depths | None = None
        self._slots: Depths | None = None
        by_name = [call for call in depths.scopes.those(ast.Call) if self._may_show_by_name(call)]
        if len(parameters(function)) > 1 and (asked or by_name):
            args = function.args
            given = self._given = _Given(depths.scopes, depths.me, depths.modules, receiver=CLEAN)
            for arg in parameters(function)[1:]:
                held = arg in (args.vararg, args.kwarg)
                given.levels[depths.scopes.keys[id(arg)]] = holding(0) if held else 0
            self._settle(given)
            # What is put into a slot lies there afterwards, and what is read from one lay there before.
            shown: list[ast.AST] = [node for node in asked if given.of(node.value) == 0]
            shown += [call for call in by_name if given.of(call.args[0]) == 0]
            if shown:
                self._slots = Depths(depths.scopes, depths.me, depths.modules, receiver=CLEAN)
                self._slots.seeds.update(map(id, shown))
                self._settle(self._slots)

    def _may_show_one(self, node: ast.Attribute) -> bool:
        depths = self._depths
        return (
            id(node) not in depths.scopes.called
            and node.attr not in known.NAMING
            and depths.of(node.value) > 0
            and not depths.qualified(node.value)
        )

    def _may_show_by_name(self, call: ast.Call) -> bool:
        """Whether a call reads or sets a slot of something else than the receiver, by the slot's name."""
        func = call.func.func if isinstance(call.func, ast.Call) else call.func
        names = _GETTERS if isinstance(call.func, ast.Call) else _BY_NAME
        return self._depths.qualified(func) in names and bool(call.args) and self._depths.of(call.args[0]) > 0

    def _settle(self, depths: Depths) -> None:
        Bindings(depths, self._function, messages_keep=False).settle()

    def are(self, node: ast.AST) -> bool:
        """Whether an expression may give an object that the method was given, or one that such an object holds."""
        return any(depths is not None and depths.of(node) == 0 for depths in (self._given, self._slots))

    def hold(self, node: ast.AST) -> bool:
        """Whether an expression may give what lies in a slot of such an object."""
        return self._slots is not None and self._slots.of(node) == 0
