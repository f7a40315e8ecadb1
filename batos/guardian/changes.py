"""Where a method may change its object: each place with a sentence that says why."""

from __future__ import annotations

import ast
from typing import NamedTuple

from batos.guardian import names as known
from batos.guardian.depths import CLEAN, Depths
from batos.guardian.syntax import children, walk

_HIGHER_ORDER = frozenset({"sorted", "min", "max"})


class Change(NamedTuple):
    """A place that may change the object."""

    line: int
    column: int
    message: str


class Changes:
    """The changes of one method, by the expression that makes them.

    A function that changes something when it is called counts as a change wherever its name is used, because from
    there on anybody may call it.

    Args:
        depths: The depths of the method's variables.
    """

    def __init__(self, depths: Depths) -> None:
        self._depths = depths
        self._scopes = depths.scopes
        self._callees = {id(node.func) for node in depths.nodes if isinstance(node, ast.Call)}
        self._changers: set[str] = set()
        self._at: dict[int, Change] = {}
        while True:
            before = len(self._changers)
            self._at = {id(node): change for node in depths.nodes if (change := self._of(node)) is not None}
            self._spread()
            if len(self._changers) == before:
                return

    def __bool__(self) -> bool:
        return bool(self._at)

    def inside(self, node: ast.AST) -> Change | None:
        """The first change anywhere in a node, also in what only runs later."""
        return next((self._at[id(part)] for part in walk(node) if id(part) in self._at), None)

    def now(self, node: ast.AST) -> Change | None:
        """The first change that evaluating an expression or a simple statement makes, or hands to somebody."""
        if id(node) in self._at:
            return self._at[id(node)]
        if isinstance(node, (ast.Lambda, ast.GeneratorExp)):
            change = self.inside(node)
            return change._replace(message=f"{change.message}, later") if change else None
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            parts: list[ast.AST] = [*node.decorator_list, *node.args.defaults]
            return self.first(parts)
        return self.first(list(children(node)))

    def first(self, nodes: list[ast.AST]) -> Change | None:
        """The first change that any of the nodes makes."""
        return next((change for node in nodes if (change := self.now(node)) is not None), None)

    # --- one node

    def _of(self, node: ast.AST) -> Change | None:
        match node:
            case ast.Attribute(ctx=ast.Store() | ast.Del()) | ast.Subscript(ctx=ast.Store() | ast.Del()):
                near = self._depths.of(node.value) == 0
                return _change(node, f"{_text(node)} is changed") if near else None
            case ast.AugAssign(target=ast.Name() as target):
                return self._of_augmented(node, target)
            case ast.Call():
                message = self._of_call(node)
                return _change(node, message) if message else None
            case ast.Attribute() if id(node) not in self._callees and node.attr in known.MUTATORS:
                near = self._depths.of(node.value) == 0 and not self._depths.is_me(node.value)
                return (
                    _change(node, f"{_text(node)} is handed on, and changes its object when called") if near else None
                )
            case ast.Name(ctx=ast.Load()) if self._scopes.key(node) in self._changers:
                return _change(node, f"{node.id} changes the object when it is called")
            case _:
                return None

    def _of_augmented(self, node: ast.AugAssign, target: ast.Name) -> Change | None:
        number = isinstance(node.value, ast.Constant) and isinstance(node.value.value, (int, float, complex))
        if self._depths.of(target) > 0 or not known.changes_in_place(type(node.op).__name__, number):
            return None
        return _change(node, f"{target.id} came from a slot and may change in place; that cannot be decided")

    def _of_call(self, call: ast.Call) -> str:
        depths = self._depths
        if depths.local_functions(call.func) or depths.is_constructor(call.func):
            return ""  # a body in here is looked at itself, and a new object is nobody's
        qualified = depths.qualified(call.func)
        given = min((depths.of(value) for value in depths.arguments(call)), default=CLEAN)
        if qualified:
            return self._of_known(call, qualified, given)
        if isinstance(call.func, ast.Attribute):
            return self._of_method(call, call.func, given)
        if min(given, depths.of(call.func)) < CLEAN:
            return f"{_text(call.func)} may change what it is given; that cannot be decided"
        return ""

    def _of_known(self, call: ast.Call, qualified: str, given: int) -> str:
        if qualified in known.UNDECIDABLE:
            return f"{qualified} may do anything; that cannot be decided"
        if qualified in known.CHANGES_FIRST_ARGUMENT:
            first = self._depths.of(call.args[0]) if call.args else 0
            return f"{qualified} changes {_text(call.args[0]) if call.args else 'its argument'}" if first == 0 else ""
        if self._calls_unknown(call, qualified):
            return f"{qualified} calls what came from a slot; that cannot be decided"
        listed = known.NEW_FUNCTIONS | known.COPY_FUNCTIONS | known.ELEMENT_FUNCTIONS | known.SAME_FUNCTIONS
        if given == CLEAN or qualified in listed or qualified.endswith(("Error", "Exception", "Warning")):
            return ""
        if known.module_gives(qualified) != "unknown":
            return ""
        return f"{qualified} may change what it is given; that cannot be decided"

    def _calls_unknown(self, call: ast.Call, qualified: str) -> bool:
        """Whether a function that calls its argument is given something of the image to call."""
        handed = [keyword.value for keyword in call.keywords if keyword.arg == "key" or keyword.arg is None]
        place = known.CALLS_ITS_ARGUMENT.get(qualified)
        if place is not None:
            handed += call.args[place : place + 1]
        if place is None and qualified not in _HIGHER_ORDER:
            return False
        return any(self._depths.of(value) < CLEAN and not self._is_message(value) for value in handed)

    def _is_message(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Attribute) and self._depths.is_me(node.value)

    def _of_method(self, call: ast.Call, func: ast.Attribute, given: int) -> str:
        depths = self._depths
        base = depths.of(func.value)
        if depths.is_me(func.value):
            # A message to itself: its method keeps the Covenant by itself.
            plain = not func.attr.startswith("__") or func.attr in known.READERS
            return "" if plain else f"{_text(func)} may change the object; that cannot be decided"
        if func.attr in known.READERS:
            return ""
        if func.attr in known.MUTATORS:
            return self._of_mutator(call, func, base)
        if base == CLEAN and given == CLEAN:
            return ""
        return f"{_text(func)} may change the object; that cannot be decided"

    def _of_mutator(self, call: ast.Call, func: ast.Attribute, base: int) -> str:
        if base == 0:
            return f"{_text(func)} changes it in place"
        unbound = isinstance(func.value, ast.Name) and func.value.id not in self._scopes.bound
        first = self._depths.of(call.args[0]) if call.args else CLEAN
        if self._depths.qualified(func.value) and unbound and base == CLEAN and first == 0:
            return f"{_text(func)} changes {_text(call.args[0])} in place"
        # What is stored in a local container lowers its depth; nothing of the image changes.
        return ""

    # --- functions that change something

    def _spread(self) -> None:  # noqa: C901 - one case a kind of binding
        for node in self._depths.nodes:
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() if node is not self._depths.function:
                    if any(self.inside(part) for part in node.body):
                        self._changers.add(self._scopes.key(node))
                case ast.Assign(targets=targets, value=value):
                    self._hand_on(targets, value)
                case (
                    ast.AnnAssign(target=target, value=ast.expr() as value) | ast.NamedExpr(target=target, value=value)
                ):
                    self._hand_on([target], value)
                case ast.AugAssign(target=target, value=value):
                    self._hand_on([target], value)
                case ast.For() | ast.AsyncFor() | ast.comprehension():
                    self._hand_on([node.target], node.iter)
                case ast.withitem(optional_vars=ast.expr() as target, context_expr=value):
                    self._hand_on([target], value)
                case ast.Call(func=ast.Attribute(value=base)):
                    for value in self._depths.arguments(node):
                        self._hand_on([base], value)
                case _:
                    pass

    def _hand_on(self, targets: list[ast.expr], value: ast.expr) -> None:
        """Names that take a function that changes something change something when they are used."""
        if self._holds_changer(value):
            for target in targets:
                for part in walk(target):
                    key = self._scopes.key(part) if isinstance(part, ast.Name) else ""
                    if key and key != self._depths.me and key in self._scopes.bound:
                        self._changers.add(key)

    def _holds_changer(self, value: ast.AST) -> bool:
        """Whether a value may be, or hold, a function or generator that changes something later."""
        match value:
            case ast.Lambda():
                return self.inside(value) is not None
            case ast.GeneratorExp():
                return self.inside(value) is not None
            case ast.Attribute() | ast.Name() if id(value) in self._at and id(value) not in self._callees:
                return True
            case ast.Call() if self._depths.qualified(value.func) in known.EAGER_FUNCTIONS:
                # A generator is run to its end here; what stays are its elements.
                handed = self._depths.arguments(value)
                parts = [part.elt if isinstance(part, ast.GeneratorExp) else part for part in handed]
                return any(self._holds_changer(part) for part in parts if not isinstance(part, ast.Name))
            case _:
                return any(self._holds_changer(part) for part in children(value))


def _change(node: ast.expr | ast.stmt, message: str) -> Change:
    return Change(node.lineno, node.col_offset, message)


def _text(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 60 else text[:57] + "…"
