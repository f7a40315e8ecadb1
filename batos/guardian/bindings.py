"""What lowers the depths of a method's variables: every place that binds, stores or hands over, until nothing changes."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from batos.guardian import names as known
from batos.guardian.decorators import apply_decorators
from batos.guardian.depths import Depths
from batos.guardian.functions import LocalFunctions
from batos.guardian.levels import CLEAN, copy_of, element_of, flattened, holding
from batos.guardian.scopes import Scopes
from batos.guardian.syntax import (
    Function,
    handed_over,
    imported,
    is_plainly_matched,
    matched,
    merged,
    parameters,
    table,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Rule = Callable[[Any, Any], None]

_WORK = 200_000


def depths_of(function: ast.FunctionDef | ast.AsyncFunctionDef, modules: dict[str, str]) -> Depths:
    """Find the depths of all variables of one method.

    Args:
        function: The method.
        modules: Names that the source around it binds to modules or their functions.
    """
    scopes = Scopes(function)
    own = parameters(function)
    inside = imported(scopes.those(ast.Import, ast.ImportFrom))
    depths = Depths(scopes, scopes.key(own[0]) if own else "", merged(modules, inside))
    depths.seeds.update(
        id(node)
        for node in scopes.those(ast.Name)
        if node.id in known.UNDECIDABLE
        and id(node) not in scopes.called
        and depths.qualified(node) in known.UNDECIDABLE
    )
    apply_decorators(depths)
    Bindings(depths, function).settle()
    return depths


class Bindings(LocalFunctions):
    """Lowers the variables of a method, round after round.

    Args:
        depths: The depths to lower.
        function: The method.
        messages_keep: Whether what is given to an unknown method may lie in its receiver afterwards.
    """

    def __init__(
        self, depths: Depths, function: ast.FunctionDef | ast.AsyncFunctionDef, *, messages_keep: bool = True
    ) -> None:
        super().__init__(depths, function)
        self._messages_keep = messages_keep
        # The nodes in which the receiver itself stands, found anew when another name may be the receiver.
        self._around_me: set[int] = set()
        self._mine_seen = 0
        if self._escaped:
            self._hand_on_stores()
        self._rules: list[tuple[Rule, ast.AST, int]] = [
            (_RULES[node.__class__], node, statement)
            for node, statement in zip(self._scopes.nodes, self._scopes.statements, strict=True)
            if node.__class__ in _RULES
        ]
        # What a function answers, and what a class holds, matters in other statements, too.
        self._locally = not (depths.functions or self._scopes.caught or ast.ClassDef in self._scopes.kinds)

    def settle(self) -> None:
        """Go round until no depth changes; where that takes too long, everything may be the object's."""
        self._changed = True
        work = _WORK
        rules = [(rule, node) for rule, node, _ in self._rules]
        while self._changed and work > 0:
            self._changed = False
            self._lowered.clear()
            self._depths.memory.clear()
            work -= len(rules) or 1
            for rule, node in rules:
                rule(self, node)
            self._gather_returns()
            self._find_stores()
            if self._changed:
                rules = self._next()
        if self._changed:
            self._depths.memory.clear()
            self._depths.levels.update(dict.fromkeys(self._scopes.bound, 0))
            self._depths.returns.update((id(function), 0) for function, _values in self._answers)

    def _next(self) -> list[tuple[Rule, ast.AST]]:
        """The rules for the next round: of the statements where a lowered variable stands, the last of them first."""
        # Chains of functions are soon gone through when they are gone through there and back.
        self._backwards = self._locally or not self._backwards
        rules = self._rules[::-1] if self._backwards else self._rules
        if not self._locally:
            return [(rule, node) for rule, node, _ in rules]
        statements = set().union(*(self._scopes.places.get(key, ()) for key in self._lowered))
        return [(rule, node) for rule, node, statement in rules if statement in statements]

    # --- one place

    def _bind(self, target: ast.AST, value: ast.AST, steps: int = 0) -> None:
        """A target takes a value, or what lies so many steps inside of it; both are one thing from then on."""
        kind = target.__class__
        if kind is ast.Name:
            self._bind_name(target, value, steps)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for part in target.elts:
                self._bind(part.value if isinstance(part, ast.Starred) else part, value, steps + 1)
        elif isinstance(target, (ast.Subscript, ast.Attribute)):
            self._put(target, value, steps)

    def _bind_name(self, target: ast.AST, value: ast.AST, steps: int) -> None:
        key = self._scopes.keys[id(target)]
        depth = self._depths.of(value)
        for _ in range(steps):
            depth = element_of(depth)
        self._lower(key, depth)
        level = self._depths.levels.get(key, CLEAN)
        if level < CLEAN:
            self._weaken(value, min(level + steps, CLEAN - 1))
        if depth < CLEAN and key not in self._depths.mine and self._may_be_me(value):
            self._depths.mine.add(key)
            self._lowered.add(key)
            self._changed = True
        if self._depths.may_be_class(value) and key not in self._depths.classes:
            self._depths.classes.add(key)
            self._lowered.add(key)
            self._changed = True

    def _may_be_me(self, node: ast.AST) -> bool:
        """Whether an expression may give the receiver itself, or a container with it; not what is asked of it."""
        mine, keys, parents = self._depths.mine, self._scopes.keys, self._scopes.parents
        if len(mine) > self._mine_seen:
            self._mine_seen = len(mine)
            self._around_me = self._scopes.ancestors(
                part
                for part in self._scopes.nodes
                if keys.get(id(part)) in mine and parents.get(id(part)).__class__ is not ast.Attribute
            )
        return id(node) in self._around_me

    def _assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._bind(target, node.value)
            for other in node.targets:
                if other is not target:
                    self._bind(target, other)  # they are names of one thing

    def _annotated(self, node: ast.AnnAssign | ast.NamedExpr) -> None:
        if node.value is not None:
            self._bind(node.target, node.value)

    def _augmented(self, node: ast.AugAssign) -> None:
        depth = self._depths.of(node.value)
        if depth < CLEAN:
            # A map takes pairs in, too.
            pairs = isinstance(node.op, ast.BitOr) and not isinstance(node.value, (ast.Dict, ast.DictComp))
            self._weaken(node.target, flattened(depth) if pairs else copy_of(depth))
        if self._depths.of(node.target) == 0:
            self._weaken(node.value, 1)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.comprehension) -> None:
        self._bind(node.target, node.iter, 1)

    def _with(self, node: ast.withitem) -> None:
        if node.optional_vars is not None:
            self._bind(node.optional_vars, node.context_expr)
            if self._depths.of(node.context_expr) < CLEAN:
                # What a context manager hands out may be what it was given, or lie in it.
                self._bind_depth(node.optional_vars, 0)

    def _bind_depth(self, target: ast.AST, depth: int) -> None:
        for node in walk(target):
            if isinstance(node, ast.Name):
                self._lower(self._scopes.key(node), depth)

    def _match(self, node: ast.Match) -> None:
        keys = {self._scopes.keys.get(id(part), "") for case in node.cases for part in walk(case.pattern)}
        if self._depths.of(node.subject) < CLEAN:
            for key in keys:
                self._lower(key, 0)
        elif any(self._depths.levels.get(key, CLEAN) < CLEAN for key in keys):
            self._weaken(node.subject, 0)

    def _call(self, call: ast.Call) -> None:
        self._hand_over(call)
        if self._keeps:
            self._give_away(call)

    def _hand_over(self, call: ast.Call) -> None:
        depths = self._depths
        func = call.func
        if not self._escaped and not depths.is_local(func) and depths.given(call) < CLEAN:
            self._escaped = self._changed = True
            for function in self._opened:
                self._open(function)
            self._hand_on_stores()
        qualified = depths.qualified(func)
        if isinstance(func, ast.Attribute) and not qualified:
            keeps = func.attr in known.STORING or self._messages_keep
            takes = func.attr not in known.STORES_NOTHING or func.attr in self._scopes.members
            if keeps and takes and not (depths.is_me(func.value) and func.attr[:2] != "__"):
                self._store(call, func)
            return
        for function in depths.local_functions(func):
            self._bind_parameters(function, call)
        if not call.args and not call.keywords:
            return
        if qualified in known.CHANGES_FIRST_ARGUMENT:
            self._hold_in_first(call, qualified)
        elif depths.given(call) == 0 and not self._is_known(func, qualified):
            # Nobody knows what becomes part of what.
            self._weaken_all(handed_over(call), 0)
            if id(func) in self._scopes.applied and isinstance(func, ast.Call) and isinstance(func.func, ast.Attribute):
                self._weaken(func.func.value, 0)  # what `@handlers.on("x")` keeps

    def _hold_in_first(self, call: ast.Call, qualified: str) -> None:
        # The name of an attribute lies nowhere afterwards.
        spread = int(qualified in known.TAKES_ELEMENTS)
        self._hold(call.args[:1], handed_over(call)[2 if qualified == "setattr" else 1 :], spread)
        self._hold_starred(call, call.args)
        if id(call) in self._depths.seeds:
            self._weaken_all(call.args[2:], 0)  # it is set on an object that was given

    def _is_known(self, func: ast.expr, qualified: str) -> bool:
        depths = self._depths
        return known.only_reads(qualified) if qualified else depths.is_local(func) or depths.is_constructor(func)

    def _bind_parameters(self, function: Function, call: ast.Call) -> None:
        """The parameters of a local function take the least of what they are ever called with."""
        if is_plainly_matched(function, call):
            for arg, value in matched(function, call):
                self._bind_parameter(arg, self._depths.of(value), [value])
        else:
            for arg in parameters(function):
                holds = arg in (function.args.vararg, function.args.kwarg)
                self._bind_parameter(arg, self._depths.given(call), handed_over(call), holds=holds)

    def _bind_parameter(self, arg: ast.arg, depth: int, values: list[ast.expr], *, holds: bool = False) -> None:
        """A parameter takes one of some values, or holds them all."""
        key = self._scopes.keys[id(arg)]
        self._lower(key, depth)
        level = self._depths.levels.get(key, CLEAN)
        if level < CLEAN:
            self._weaken_all(values, element_of(level) if holds else level)

    def _raise(self, node: ast.Raise) -> None:
        """What an exception carries comes out at the handlers."""
        self._carry(node.exc)

    def _assert(self, node: ast.Assert) -> None:
        self._carry(node.msg)

    def _carry(self, value: ast.expr | None) -> None:
        handlers = [self._scopes.key(node) for node in self._scopes.those(ast.ExceptHandler) if node.name]
        if value is None or not handlers:
            return
        if self._depths.of(value) < CLEAN:
            for key in handlers:
                self._lower(key, 0)
        elif any(self._depths.levels.get(key, CLEAN) < CLEAN for key in handlers):
            self._weaken(value, 0)

    def _defaults(self, function: Function) -> None:
        args = function.args
        if function is not self._function and (args.defaults or args.kw_defaults):
            values = [*args.defaults, *(value for value in args.kw_defaults if value)]
            depth = self._depths.least(values)
            for arg in parameters(function):
                key = self._scopes.keys[id(arg)]
                self._lower(key, depth)
                self._weaken_all(values, self._depths.levels.get(key, CLEAN))

    def _class(self, node: ast.ClassDef) -> None:
        """A class holds what its body binds, and its objects may hold what its functions see outside of it."""
        depths, own = self._depths, self._scopes.keys[id(node)]
        if own not in depths.classes:
            depths.classes.add(own)
            self._lowered.add(own)
            self._changed = True
        bound = self._scopes.class_names[id(node)]
        for key in bound:
            self._lower(own, holding(depths.levels.get(key, CLEAN)))
        first = self._scopes.class_numbers[id(node)]
        # Its decorators are calls (`decorators.py`).
        for part in (part for top in (*node.bases, *node.keywords, *node.body) for part in walk(top)):
            if isinstance(part, ast.Name):
                key = self._scopes.keys.get(id(part), "")
                seen = min([depths.levels.get(key, CLEAN), *map(depths.answer_of, depths.functions.get(key, []))])
                if seen < CLEAN and self._scopes.number(key) < first:
                    self._lower(own, 0)


_RULES = table(
    Bindings,
    _assign="Assign",
    _annotated="AnnAssign NamedExpr",
    _augmented="AugAssign",
    _loop="For AsyncFor comprehension",
    _with="withitem",
    _match="Match",
    _call="Call",
    _raise="Raise",
    _assert="Assert",
    _defaults="FunctionDef AsyncFunctionDef Lambda",
    _class="ClassDef",
)
