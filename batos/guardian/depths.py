"""How far the values of a method are from the image.

Depth 0 is what was reached through `self`: changing it changes the object. Depth 1 is something new that holds such
things (a copy of a list from a slot): changing it changes nothing, changing one of its elements does. And so on, up to
`CLEAN`: nothing of the image in it. The depth of a variable is the least that it ever has, wherever it is assigned;
what is stored into a local container lowers the container, and every other name of it.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from batos.guardian import names as known
from batos.guardian.scopes import Function, Scopes, parameters
from batos.guardian.syntax import walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CLEAN = 7
_ROUNDS = 40
_DEFERRED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def holding(depth: int) -> int:
    """The depth of a new container of such elements."""
    return min(depth + 1, CLEAN)


def element_of(depth: int) -> int:
    """The depth of what lies in a container of such a depth."""
    return CLEAN if depth == CLEAN else max(depth - 1, 0)


def copy_of(depth: int) -> int:
    """The depth of a new container with the same elements."""
    return max(depth, 1)


class Depths:
    """The depths of all variables of one method.

    Args:
        function: The method.
        modules: Names that are bound to modules or their functions, with the dotted name that they stand for.
    """

    def __init__(self, function: ast.FunctionDef | ast.AsyncFunctionDef, modules: dict[str, str]) -> None:
        self.function = function
        self.scopes = Scopes(function)
        self.nodes = list(walk(function))
        self._modules = {**modules, **imported(self.nodes)}
        self._module_names = {part for name in self._modules.values() for part in _prefixes(name)}
        self._assigned = self._bound_otherwise()
        self._levels: dict[str, int] = {}
        self.functions: dict[str, list[Function]] = {}
        self._returns: dict[int, int] = {}
        self._changed = True
        own = parameters(function)
        self.me = self.scopes.key(own[0]) if own else ""
        self._levels[self.me] = 0
        self._find_functions()
        for _ in range(_ROUNDS):
            if not self._changed:
                break
            self._changed = False
            self._round()

    def level(self, key: str) -> int:
        """The depth of a variable."""
        return self._levels.get(key, CLEAN)

    def is_me(self, node: ast.AST) -> bool:
        """Whether this is the name of the receiver."""
        return isinstance(node, ast.Name) and self.scopes.key(node) == self.me

    def qualified(self, node: ast.AST) -> str:
        """The dotted name of a function of the standard library or a built-in; empty for anything else."""
        if isinstance(node, ast.Attribute):
            base = self.qualified(node.value) if isinstance(node.value, (ast.Name, ast.Attribute)) else ""
            return f"{base}.{node.attr}" if base in self._module_names else ""
        if not isinstance(node, ast.Name):
            return ""
        key = self.scopes.key(node)
        if node.id in self._modules and key not in self._assigned:
            return self._modules[node.id]
        return "" if key in self.scopes.bound else node.id

    # --- the depth of an expression

    def of(self, node: ast.AST | None) -> int:  # noqa: C901, PLR0912 - one case a kind of expression
        """The depth of what an expression gives."""
        match node:
            case ast.Name():
                return self.level(self.scopes.key(node))
            case ast.Attribute(attr="__class__" | "__name__" | "__doc__"):
                return CLEAN
            case ast.Attribute(value=base):
                return element_of(self.of(base))
            case ast.Subscript(value=base, slice=part):
                return copy_of(self.of(base)) if isinstance(part, ast.Slice) else element_of(self.of(base))
            case ast.Call():
                return self._of_call(node)
            case ast.BoolOp(values=values):
                return self._least(values)
            case ast.IfExp(body=body, orelse=other):
                return min(self.of(body), self.of(other))
            case ast.NamedExpr(value=value) | ast.Await(value=value) | ast.Starred(value=value):
                return self.of(value)
            case ast.BinOp(left=left, right=right):
                return copy_of(min(self.of(left), self.of(right)))
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
                return self._display(parts)
            case ast.Dict(keys=keys, values=values):
                spread = [value for key, value in zip(keys, values, strict=True) if key is None]
                plain = [value for key, value in zip(keys, values, strict=True) if key is not None]
                return min(holding(self._least(plain)), copy_of(self._least(spread)))
            case ast.ListComp(elt=part) | ast.SetComp(elt=part) | ast.GeneratorExp(elt=part):
                return holding(self.of(part))
            case ast.DictComp(value=part):
                return holding(self.of(part))
            case ast.Yield() | ast.YieldFrom():
                return 0
            case _:
                return CLEAN

    def _least(self, nodes: Iterable[ast.AST]) -> int:
        return min((self.of(node) for node in nodes), default=CLEAN)

    def _display(self, parts: list[ast.expr]) -> int:
        spread = [part for part in parts if isinstance(part, ast.Starred)]
        plain = [part for part in parts if not isinstance(part, ast.Starred)]
        return min(holding(self._least(plain)), copy_of(self._least(spread)))

    def arguments(self, call: ast.Call) -> list[ast.expr]:
        """Every argument of a call."""
        return [*call.args, *(keyword.value for keyword in call.keywords)]

    def _of_call(self, call: ast.Call) -> int:
        local = self.local_functions(call.func)
        if local:
            return min(self._answer_of(function) for function in local)
        qualified = self.qualified(call.func)
        given = self._least(self.arguments(call))
        if qualified:
            return self._of_known(qualified, given)
        if self.is_constructor(call.func):
            return holding(given)
        if isinstance(call.func, ast.Attribute):
            return self._of_method(call, call.func, given)
        return 0 if min(given, self.of(call.func)) < CLEAN else CLEAN

    def _answer_of(self, function: Function) -> int:
        return self.of(function.body) if isinstance(function, ast.Lambda) else self._returns.get(id(function), CLEAN)

    def _of_known(self, qualified: str, given: int) -> int:
        if qualified in known.NEW_FUNCTIONS or qualified.endswith(("Error", "Exception", "Warning")):
            return CLEAN
        if qualified in known.COPY_FUNCTIONS:
            return copy_of(given)
        if qualified in known.ELEMENT_FUNCTIONS:
            return element_of(given)
        if qualified in known.SAME_FUNCTIONS:
            return given if qualified == "vars" else 0
        kind = known.module_gives(qualified)
        if kind == "new":
            return CLEAN
        return copy_of(given) if kind == "copy" else element_of(given)

    def _of_method(self, call: ast.Call, func: ast.Attribute, given: int) -> int:
        if self.is_me(func.value):
            return 0
        base = self.of(func.value)
        if func.attr in known.KEY_FIRST:
            given = self._least(self.arguments(call)[1:])
        if func.attr in known.GIVES_NEW:
            return CLEAN
        if func.attr in known.GIVES_COPY:
            return copy_of(min(base, given))
        return min(element_of(base), given)

    def is_constructor(self, node: ast.AST) -> bool:
        """Whether a callee is a class: by its name, or because it is somebody's class."""
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) if name == "__class__" or _is_class_name(name):
                return self.of(node) == CLEAN
            case ast.Call(func=ast.Name(id="type")):
                return True
            case _:
                return False

    def local_functions(self, node: ast.AST) -> list[Function]:
        """The functions of this method that a callee may be."""
        if isinstance(node, ast.Lambda):
            return [node]
        return self.functions.get(self.scopes.key(node), []) if isinstance(node, ast.Name) else []

    # --- what lowers a variable

    def weaken(self, node: ast.AST, depth: int) -> None:  # noqa: C901 - one case a kind of expression
        """Note that what an expression gives may be of this depth."""
        if depth >= CLEAN:
            return
        match node:
            case ast.Name():
                self._lower(self.scopes.key(node), depth)
            case ast.Subscript(value=base) | ast.Attribute(value=base) | ast.Call(func=ast.Attribute(value=base)):
                self.weaken(base, holding(depth))
                if isinstance(node, ast.Call):
                    self._weaken_all(self.arguments(node), depth)
            case ast.Call():
                self._weaken_all(self.arguments(node), depth)
            case ast.BoolOp(values=values):
                self._weaken_all(values, depth)
            case ast.IfExp(body=body, orelse=other):
                self._weaken_all([body, other], depth)
            case ast.NamedExpr(value=value) | ast.Starred(value=value):
                self.weaken(value, depth)
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts) | ast.Dict(values=parts):
                self._weaken_all(parts, element_of(depth))
            case ast.BinOp(left=left, right=right):
                self._weaken_all([left, right], depth)
            case ast.ListComp(elt=part) | ast.SetComp(elt=part) | ast.GeneratorExp(elt=part) | ast.DictComp(value=part):
                self.weaken(part, element_of(depth))
            case _:
                pass

    def _weaken_all(self, nodes: Iterable[ast.AST], depth: int) -> None:
        for node in nodes:
            self.weaken(node, depth)

    def _lower(self, key: str, depth: int) -> None:
        # What is bound nowhere is a built-in or a module; it holds nothing of ours.
        if depth < self._levels.get(key, CLEAN) and key in self.scopes.bound:
            self._levels[key] = depth
            self._changed = True

    def _bind(self, target: ast.AST, value: ast.AST, *, steps: int = 0) -> None:
        """A target takes a value, or what lies so many steps inside of it; both are one thing from then on."""
        depth = self.of(value)
        for _ in range(steps):
            depth = element_of(depth)
        if isinstance(target, (ast.Tuple, ast.List)):
            for part in target.elts:
                inner = part.value if isinstance(part, ast.Starred) else part
                self._bind(inner, value, steps=steps + 1)
        elif isinstance(target, ast.Name):
            self._lower(self.scopes.key(target), depth)
            self.weaken(value, min(self.level(self.scopes.key(target)) + steps, CLEAN))
        elif isinstance(target, (ast.Subscript, ast.Attribute)):
            self.weaken(target.value, holding(depth))

    # --- the rounds

    def _round(self) -> None:  # noqa: C901, PLR0912 - one case a kind of binding
        for node in self.nodes:
            match node:
                case ast.Assign(targets=targets, value=value):
                    for target in targets:
                        self._bind(target, value)
                case ast.AnnAssign(target=target, value=ast.expr() as value):
                    self._bind(target, value)
                case ast.NamedExpr(target=target, value=value):
                    self._bind(target, value)
                case ast.AugAssign(target=ast.Name() as target, value=value):
                    self.weaken(target, copy_of(self.of(value)))
                case ast.For() | ast.AsyncFor() | ast.comprehension():
                    self._bind(node.target, node.iter, steps=1)
                case ast.withitem(optional_vars=ast.expr() as target, context_expr=value):
                    self._bind(target, value)
                case ast.Match(subject=subject):
                    self._bind_patterns(node, subject)
                case ast.Call():
                    self._take_arguments(node)
                case ast.Raise(exc=ast.Call() as raised):
                    self._carry(raised)
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                    self._take_defaults(node)
                case _:
                    pass
        self._gather_returns()

    def _carry(self, raised: ast.Call) -> None:
        """What an exception carries comes out at the handlers."""
        if self._least(self.arguments(raised)) < CLEAN:
            for node in self.nodes:
                if isinstance(node, ast.ExceptHandler) and node.name:
                    self._lower(self.scopes.key(node), 0)

    def _take_defaults(self, function: Function) -> None:
        depth = self._least([*function.args.defaults, *(value for value in function.args.kw_defaults if value)])
        if depth < CLEAN and function is not self.function:
            for arg in parameters(function):
                self._lower(self.scopes.key(arg), depth)

    def _bind_patterns(self, match: ast.Match, subject: ast.expr) -> None:
        if self.of(subject) < CLEAN:
            for case in match.cases:
                for node in walk(case.pattern):
                    key = self.scopes.key(node)
                    if key:
                        self._lower(key, 0)

    def _take_arguments(self, call: ast.Call) -> None:
        for function in self.local_functions(call.func):
            self._bind_parameters(function, call)
        func = call.func
        if isinstance(func, ast.Attribute) and func.attr in known.STORING and not self.qualified(func):
            given = self._least(self.arguments(call)[func.attr in known.KEY_FIRST :])
            self.weaken(func.value, copy_of(given) if func.attr in {"extend", "update"} else holding(given))
        if self.qualified(func) in known.CHANGES_FIRST_ARGUMENT and call.args:
            self.weaken(call.args[0], holding(self._least(call.args[1:])))

    def _bind_parameters(self, function: Function, call: ast.Call) -> None:
        """The parameters of a local function take the least of what it is ever called with."""
        given = self._least(self.arguments(call))
        for arg in parameters(function):
            key = self.scopes.key(arg)
            self._lower(key, given)
            for value in self.arguments(call):
                self.weaken(value, self.level(key))

    def _gather_returns(self) -> None:
        for functions in self.functions.values():
            for function in functions:
                values = [function.body] if isinstance(function, ast.Lambda) else list(_returned(function))
                depth = self._least(values)
                if depth < self._returns.get(id(function), CLEAN):
                    self._returns[id(function)] = depth
                    self._changed = True

    def _find_functions(self) -> None:
        """Find local functions; one that is used as a value may be called by anybody with anything."""
        called = {id(node.func) for node in self.nodes if isinstance(node, ast.Call)}
        for node in self.nodes:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node is not self.function:
                self.functions.setdefault(self.scopes.key(node), []).append(node)
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
                for target in node.targets:
                    self.functions.setdefault(self.scopes.key(target), []).append(node.value)
        self._open_values(called)

    def _open_values(self, called: set[int]) -> None:
        direct = {id(function) for functions in self.functions.values() for function in functions}
        for node in self.nodes:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and id(node) not in called:
                for function in self.functions.get(self.scopes.key(node), []):
                    self._open(function)
            elif isinstance(node, ast.Lambda) and id(node) not in direct:
                self._open(node)
            elif isinstance(node, ast.ClassDef):
                for inner in walk(node):
                    if isinstance(inner, _DEFERRED):
                        self._open(inner)

    def _open(self, function: Function) -> None:
        for arg in parameters(function):
            self._lower(self.scopes.key(arg), 0)

    def _bound_otherwise(self) -> set[str]:
        """The names that something else than an import binds."""
        return {
            key
            for node in self.nodes
            if not isinstance(node, ast.alias) and not (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
            if (key := self.scopes.key(node))
        }


def _returned(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.AST]:
    for node in walk(function):
        if isinstance(node, (ast.Return, ast.Yield, ast.YieldFrom)) and node.value is not None:
            yield node.value


def _is_class_name(name: str) -> bool:
    bare = name.lstrip("_")
    return bare[:1].isupper() and not bare.isupper()


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:size]) for size in range(1, len(parts) + 1)]


def imported(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """Map the names that imports bind to what they stand for."""
    found = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found
