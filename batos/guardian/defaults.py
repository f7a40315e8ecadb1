"""Maps that put something in when they are asked for what they lack: `defaultdict`, and local classes with `__missing__`.

Reading such a map changes it. Only what the text shows to be one is taken for one, or for a thing that may be one.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from batos.guardian.functions import returned
from batos.guardian.syntax import METHODS, children, handed_over, is_plainly_matched, matched, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batos.guardian.depths import Depths

_MAKERS = frozenset({"collections.defaultdict", "defaultdict"})
_COPIES = frozenset({"copy", "__copy__", "setdefault", "get"})
# Methods of texts and templates that ask a map for each name that they find.
_ASKERS = frozenset({"format_map", "substitute", "safe_substitute", "translate"})
ASKING = (ast.Subscript, ast.Attribute, ast.BinOp, ast.Call)
"""The kinds of nodes that may ask a map for a key."""

_LOSING = frozenset({"pop", "popitem", "clear"})


class Defaults:
    """The maps of one method that put in what they lack.

    Args:
        depths: What is known of the method.
    """

    def __init__(self, depths: Depths) -> None:
        self._depths = depths
        self._scopes = depths.scopes
        self._keys: set[str] = set()
        self._slots: set[str] = set()
        self._classes: set[str] = set()
        self._are_there = "__missing__" in self._scopes.members or self._names_one()
        if self._are_there:
            # Whether something may go from a map, so that a key that was there is not there for good.
            self._loses = any(isinstance(node.ctx, ast.Del) for node in self._scopes.those(ast.Subscript)) or any(
                node.attr in _LOSING for node in self._scopes.those(ast.Attribute)
            )
            self._follow()

    def __bool__(self) -> bool:
        return self._are_there

    def _names_one(self) -> bool:
        asked = any(node.id in _MAKERS for node in self._scopes.those(ast.Name))
        asked = asked or any(node.attr in _MAKERS for node in self._scopes.those(ast.Attribute))
        return asked or not _MAKERS.isdisjoint(self._depths.modules.values())

    def may_be(self, node: ast.AST) -> bool:
        """Whether an expression may give such a map."""
        rule = _KINDS.get(node.__class__)
        return rule is not None and rule(self, node)

    def asks(self, node: ast.AST) -> list[ast.AST]:
        """The maps that a node asks for what they may lack."""
        match node:
            case ast.Subscript(value=base) if not self._is_there(node):
                asked = [base]
            case ast.Attribute(value=base, attr="__getitem__"):
                asked = [base]
            case ast.BinOp(op=ast.Mod(), right=right):
                asked = [right]
            case ast.Call():
                asked = handed_over(node) if self._asks(node) else []
            case _:
                return []
        return [part for part in asked if self.may_be(part)]

    # --- what reads by the key

    def _asks(self, call: ast.Call) -> bool:
        """Whether a call may ask what it is given for a key."""
        func = call.func
        qualified = self._depths.qualified(func)
        if qualified or self._depths.is_local(func):
            return qualified == "operator.getitem"
        if not isinstance(func, ast.Attribute):
            return not self._depths.is_constructor(func)
        if func.attr == "format":
            return not (isinstance(func.value, ast.Constant) and "[" not in str(func.value.value))
        return func.attr in _ASKERS

    def _is_there(self, node: ast.Subscript) -> bool:
        """Whether the text shows that the map has the key: it is one of a loop over the map, or was asked for."""
        key, base = node.slice, node.value
        if not isinstance(base, ast.Name) or self._loses:
            return False
        if isinstance(key, ast.Name):
            binders = [part for part in self._scopes.binders if self._scopes.key(part) == self._scopes.key(key)]
            if len(binders) != 1:
                return False
            if self._loops(binders[0], base):
                return True
        elif not isinstance(key, ast.Constant):
            return False
        return self._is_asked(node, key, base)

    def _loops(self, target: ast.AST, base: ast.Name) -> bool:
        """Whether a name goes through the keys of a map."""
        above = self._scopes.parents.get(id(target))
        if isinstance(above, ast.Tuple) and above.elts[0] is target:
            loop = self._scopes.parents.get(id(above))
            return isinstance(loop, (ast.For, ast.comprehension)) and self._is_over(loop.iter, base, "items")
        return isinstance(above, (ast.For, ast.comprehension)) and self._is_over(above.iter, base, "keys")

    def _is_over(self, node: ast.AST, base: ast.Name, method: str) -> bool:
        match node:
            case ast.Name():
                return method == "keys" and self._scopes.key(node) == self._scopes.key(base)
            case ast.Call(func=ast.Name(id="sorted" | "list" | "tuple" | "set" | "reversed"), args=[inner]):
                return self._is_over(inner, base, method)
            case ast.Call(func=ast.Attribute(value=ast.Name() as inner, attr=attr), args=[]):
                return attr == method and self._scopes.key(inner) == self._scopes.key(base)
            case _:
                return False

    def _is_asked(self, node: ast.AST, key: ast.expr, base: ast.Name) -> bool:
        """Whether an `if` around a place asks for the key."""
        place = node
        while (above := self._scopes.parents.get(id(place))) is not None:
            inside = isinstance(above, ast.IfExp) and place is above.body
            if isinstance(above, ast.If):
                inside = place in above.body
            if inside and isinstance(above, (ast.If, ast.IfExp)) and self._is_in(above.test, key, base):
                return True
            place = above
        return False

    def _is_in(self, test: ast.expr, key: ast.expr, base: ast.Name) -> bool:
        match test:
            case ast.Compare(left=left, ops=[ast.In()], comparators=[ast.Name() as of]):
                return self._scopes.key(of) == self._scopes.key(base) and ast.dump(left) == ast.dump(key)
            case _:
                return False

    # --- which are such maps

    def _name(self, node: ast.Name) -> bool:
        return self._scopes.key(node) in self._keys

    def _attribute(self, node: ast.Attribute) -> bool:
        return node.attr in self._slots

    def _choice(self, node: ast.IfExp) -> bool:
        return self.may_be(node.body) or self.may_be(node.orelse)

    def _boolean(self, node: ast.BoolOp) -> bool:
        return any(map(self.may_be, node.values))

    def _binary(self, node: ast.BinOp) -> bool:
        return isinstance(node.op, ast.BitOr) and (self.may_be(node.left) or self.may_be(node.right))

    def _walrus(self, node: ast.NamedExpr) -> bool:
        return self.may_be(node.value)

    def _call(self, call: ast.Call) -> bool:
        depths, func = self._depths, call.func
        if depths.qualified(func) in _MAKERS or self._scopes.key(func) in self._classes:
            return True
        if depths.qualified(func) == "getattr":
            named = len(call.args) > 1 and isinstance(call.args[1], ast.Constant) and call.args[1].value in self._slots
            return named or any(map(self.may_be, call.args[2:]))
        if isinstance(func, ast.Attribute) and func.attr in _COPIES:
            return self.may_be(func.value) if "copy" in func.attr else any(map(self.may_be, call.args[1:]))
        if depths.qualified(func) == "copy.copy":
            return any(map(self.may_be, call.args))
        local = [function for function in depths.local_functions(func) if isinstance(function, METHODS)]
        return any(self.may_be(value) for function in local for value in returned(function))

    def _follow(self) -> None:
        """Mark names and slots that may be such maps, until nothing is new."""
        self._find_classes()
        before = -1
        while before != len(self._keys) + len(self._slots):
            before = len(self._keys) + len(self._slots)
            for target, value in self._bindings():
                if isinstance(target, (ast.Name, ast.arg)) and self.may_be(value):
                    self._keys.add(self._scopes.key(target))
                elif isinstance(target, ast.Attribute) and self.may_be(value):
                    self._slots.add(target.attr)
                elif isinstance(target, ast.Constant) and self.may_be(value):
                    self._slots.add(str(target.value))

    def _find_classes(self) -> None:
        for node in self._scopes.those(ast.ClassDef):
            own = any(isinstance(part, METHODS) and part.name == "__missing__" for part in children(node))
            parents = [part for part in node.bases if self._depths.qualified(part) in _MAKERS]
            if own or parents or any(self._scopes.key(part) in self._classes for part in node.bases):
                self._classes.add(self._scopes.key(node))

    def _bindings(self) -> Iterator[tuple[ast.AST, ast.AST]]:
        """Each place that takes a value, with the value."""
        scopes = self._scopes
        for node in scopes.those(ast.Assign):
            yield from ((target, node.value) for target in node.targets)
        for node in scopes.those(ast.AnnAssign, ast.NamedExpr):
            if node.value is not None:
                yield node.target, node.value
        for call in scopes.those(ast.Call):
            for function in self._depths.local_functions(call.func):
                if is_plainly_matched(function, call):
                    yield from matched(function, call)
            if self._depths.qualified(call.func) == "setattr" and len(call.args) == 3:
                yield call.args[1], call.args[2]


_KINDS: dict[type[ast.AST], Callable[..., bool]] = table(
    Defaults,
    _name="Name",
    _attribute="Attribute",
    _choice="IfExp",
    _boolean="BoolOp",
    _binary="BinOp",
    _walrus="NamedExpr",
    _call="Call",
)
