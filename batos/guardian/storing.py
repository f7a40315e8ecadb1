"""What lies in a container after it was put there, by whatever method, and what may be put into the object by others."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from batos.guardian import names as known
from batos.guardian.levels import CLEAN, copy_of, element_of, flattened, holding
from batos.guardian.syntax import FUNCTIONS, handed_over
from batos.guardian.weakening import Weakening

if TYPE_CHECKING:
    from batos.guardian.depths import Depths


class Storing(Weakening):
    """Lowers containers by what is put into them, and what is put into the object.

    Args:
        depths: The depths to lower.
    """

    def __init__(self, depths: Depths) -> None:
        super().__init__(depths)
        # Whether something that is handed about may put what it is called with into the object.
        self._keeps = False
        # Whether a lowered variable lowers only what stands in the same statements.
        self._locally = True
        self._slices = any(node.id == "slice" for node in self._scopes.those(ast.Name))
        self._handed: set[int] = set()
        self._stores = [
            node
            for node in self._scopes.kinds.get(ast.Attribute, ())
            if node.attr in known.STORING and id(node) not in self._scopes.called and not depths.is_me(node.value)
        ]

    def _put(self, target: ast.Subscript | ast.Attribute, value: ast.AST, steps: int) -> None:
        """A value, or what lies so many steps inside of it, lies in a container from then on."""
        depth = self._depths.of(value)
        for _ in range(steps):
            depth = element_of(depth)
        spread = isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Slice)
        if isinstance(target, ast.Subscript):
            depth = min(depth, self._depths.as_key(target.slice))
        self._weaken(target.value, copy_of(depth) if spread or self._may_be_slice(target) else holding(depth))
        if self._depths.of(target.value) == 0 or id(target) in self._depths.seeds:
            # From here on it is the object's.
            self._weaken(value, steps + spread)
            self._note_keeping(target)

    def _may_be_slice(self, target: ast.Subscript | ast.Attribute) -> bool:
        return self._slices and isinstance(target, ast.Subscript) and not isinstance(target.slice, ast.Constant)

    def _store(self, call: ast.Call, func: ast.Attribute) -> None:
        """What a method takes in lies in its receiver, or in its first argument where it is called unbound."""
        keyed = func.attr in known.KEY_FIRST
        spread = int(func.attr in known.SPREADING)
        named = [word.value for word in call.keywords if word.arg]
        handed = [*call.args, *(word.value for word in call.keywords if not word.arg)]
        containers = [func.value]
        if call.args and self._depths.may_be_class(func.value):
            containers += call.args[:1]
            self._hold(call.args[:1], handed[1:], spread)
            self._hold(call.args[:1], named, 0)
        self._hold([func.value], handed[1:] if keyed else handed, spread)
        self._hold([func.value], named, 0)
        if keyed and call.args:
            self._weaken(func.value, holding(self._depths.as_key(call.args[0])))
        self._hold_starred(call, containers)

    def _hold(self, containers: list[ast.expr], values: list[ast.expr], spread: int) -> None:
        """Some values, or what lies in them, lie in a container from then on."""
        depth = self._depths.least(values)
        pairs = not all(isinstance(value, (ast.Dict, ast.DictComp)) for value in values)
        for container in containers:
            if depth < CLEAN:
                inside = flattened(depth) if pairs else copy_of(depth)
                self._weaken(container, inside if spread else holding(depth))
            if self._depths.of(container) == 0:
                self._weaken_all(values, spread)
                self._note_keeping(container)

    def _hold_starred(self, call: ast.Call, containers: list[ast.expr]) -> None:
        """Where arguments are spread out, each of them may lie in a container, or be one."""
        if not any(isinstance(node, ast.Starred) for node in call.args):
            return
        depth = self._depths.given(call)
        for container in containers:
            if depth < CLEAN:
                self._weaken(container, 2 if isinstance(container, ast.Starred) else 1)
            if self._depths.of(container) == 0:
                self._weaken_all(call.args, 0)

    # --- what others put into the object

    def _hand_on_stores(self) -> None:
        """Who has the `append` of a container may put anything into it."""
        for node in self._stores:
            self._weaken(node.value, 1)

    def _find_stores(self) -> None:
        """Find the methods by which others may put something into a container of the object."""
        for node in () if self._keeps else self._stores:
            if self._depths.of(node.value) == 0:
                self._keeps = self._changed = True
                self._locally = False

    def _note_keeping(self, node: ast.AST) -> None:
        """Something is put into the object: the functions around that place may be called with what lies there then."""
        place = None if self._keeps else self._scopes.parents.get(id(node))
        while place is not None and not self._keeps:
            if isinstance(place, FUNCTIONS) and id(place) in self._handed:
                self._keeps = self._changed = True
                self._locally = False
            place = self._scopes.parents.get(id(place))

    def _give_away(self, call: ast.Call) -> None:
        """What is called by a name that may be anything, or calls one, may put what it is given into the object."""
        func = call.func
        qualified = self._depths.qualified(func)
        keyed = any(word.arg in known.CALLED_KEYWORDS for word in call.keywords)
        if self._depths.is_local(func):
            return
        if isinstance(func, ast.Attribute) and not qualified:
            if keyed:
                self._weaken(func.value, 1)
            if func.attr in self._scopes.members or func.attr == "send":
                self._weaken_all(handed_over(call), 0)
        elif not qualified or keyed or qualified in known.CALLS_ITS_ARGUMENT:
            self._weaken_all(handed_over(call), int(qualified in known.LAZY_FUNCTIONS or qualified == "sorted"))
