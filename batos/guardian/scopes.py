"""Names of a method, told apart by the scope that they belong to; one pass over its tree."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from batos.guardian.syntax import METHODS, Function, children, parameters, table

if TYPE_CHECKING:
    from collections.abc import Iterable

Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class _Scope:
    """One scope: what it binds, and what lies around it."""

    def __init__(self, number: int, outer: _Scope | None, kind: str) -> None:
        self.number = number
        self.outer = outer
        self.kind = kind
        self.bound: set[str] = set()
        self.elsewhere: dict[str, _Scope | None] = {}
        self.keys: dict[str, str] = {}


class Scopes:
    """Gives each name of a function a key: the same key means the same variable.

    Names that are bound nowhere in the function (globals and built-ins) have the key that is their name.

    Args:
        function: The function; its own scope is the outermost.

    Attributes:
        keys: The key of each name, parameter, and of what a statement binds, by the `id` of its node.
        bound: The keys of what is bound in the function.
        nodes: Every node of the function, in the order of the text.
        kinds: The same nodes by their class.
        called: The ids of what is called.
        applied: The decorators that are calls by their `id`, with the call made for each and what it hands over (`decorators.py`).
        statements: For each node the number of the statement that it stands in; compound ones count without their blocks.
        places: The numbers of the statements that each key stands in.
        parents: The node above each node, by `id`.
        binders: The nodes that bind a name, imports left out.
        assigned: The keys of what they bind.
        class_names: The keys that each class body binds, by the `id` of the class.
        members: The names that class bodies bind, and those like `__doc__` that are set: what objects understand.
        caught: The keys of the names that handlers give to exceptions.
        class_numbers: The number of each class body's scope; scopes around it have lower ones.
    """

    def __init__(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.keys: dict[int, str] = {}
        self.bound: set[str] = set()
        self.nodes: list[ast.AST] = []
        self.statements: list[int] = []
        self.places: dict[str, set[int]] = {}
        self._statement = self._statements = 0
        self._places: dict[int, int] = {}
        self.parents: dict[int, ast.AST] = {}
        self.binders: list[ast.AST] = []
        self.assigned: set[str] = set()
        self.class_names: dict[int, list[str]] = {}
        self.members: set[str] = set()
        self.class_numbers: dict[int, int] = {}
        self._count = 0
        self._uses: list[tuple[ast.AST, str, _Scope, int]] = []
        self._classes: list[tuple[ast.ClassDef, _Scope]] = []
        self._globals = _Scope(0, None, "global")
        outermost = self._open(self._globals, "function")
        self._add(function)
        self._enter_function(function, outermost, outermost)
        self._resolve()
        self.kinds: dict[type[ast.AST], list[Any]] = {}
        for node in self.nodes:
            self.kinds.setdefault(node.__class__, []).append(node)
        self.caught = {self.keys[id(node)] for node in self.kinds.get(ast.ExceptHandler, ()) if node.name}
        for node in self.kinds.get(ast.Attribute, ()):
            if node.ctx.__class__ is ast.Store and node.attr[:2] == "__" and node.attr != "__class__":
                self.members.add(node.attr)
            # What something is put into is no module or function like others any more.
            if node.ctx.__class__ is ast.Store and isinstance(node.value, ast.Name):
                self.bound.add(self.keys[id(node.value)])
                self.assigned.add(self.keys[id(node.value)])
        self.called = {id(node.func) for node in self.kinds.get(ast.Call, ())}
        self.applied: dict[int, tuple[ast.expr, list[ast.expr]]] = {}

    def key(self, node: ast.AST) -> str:
        """The key of a name, parameter, or of the name that a statement binds."""
        return self.keys.get(id(node), "")

    def take_in(self, nodes: list[ast.AST], beside: ast.AST) -> None:
        """Take in nodes that were made, as if they stood in the statement of another one."""
        if not self._places:
            self._places = {id(node): place for place, node in enumerate(self.nodes)}
        statement = self.statements[self._places[id(beside)]]
        for node in nodes:
            self.nodes.append(node)
            self.statements.append(statement)
            self.kinds.setdefault(node.__class__, []).append(node)

    def number(self, key: str) -> int:
        """The number of the scope that a key belongs to; 0 for what is bound nowhere, though something be put into it."""
        place, colon, _name = key.partition(":")
        return int(place) if colon else 0

    def those(self, *kinds: type[ast.AST]) -> list[Any]:
        """The nodes of some classes, class by class."""
        return [node for kind in kinds for node in self.kinds.get(kind, ())]

    def rebinding(self, key: str) -> ast.AST | None:
        """The first place that binds a parameter's name to something else."""
        places = (node for node in [*self.binders, *self.those(ast.alias)] if self.keys[id(node)] == key)
        return next((node for node in places if not isinstance(node, ast.arg)), None)

    def ancestors(self, nodes: Iterable[ast.AST]) -> set[int]:
        """The ids of nodes and of everything that they stand in."""
        found: set[int] = set()
        for each in nodes:
            node: ast.AST | None = each
            while node is not None and id(node) not in found:
                found.add(id(node))
                node = self.parents.get(id(node))
        return found

    # --- the pass

    def _open(self, outer: _Scope | None, kind: str) -> _Scope:
        self._count += 1
        return _Scope(self._count, outer, kind)

    def _add(self, node: ast.AST) -> None:
        self.nodes.append(node)
        self.statements.append(self._statement)

    def _visit(self, node: ast.AST, above: ast.AST, scope: _Scope) -> None:
        self.nodes.append(node)
        self.statements.append(self._statement)
        self.parents[id(node)] = above
        kind = node.__class__
        handler = _HANDLERS.get(kind)
        if handler is not None:
            handler(self, node, scope)
        elif kind in _STATEMENTS:
            self._visit_statement(node, scope)
        else:
            for child in children(node):
                self._visit(child, node, scope)

    def _visit_statement(self, node: ast.AST, scope: _Scope) -> None:
        around = self._statement
        self._statements += 1
        self._statement = self.statements[-1] = self._statements
        for child in children(node):
            self._visit(child, node, scope)
        self._statement = around

    def _visit_all(self, nodes: Iterable[ast.AST], above: ast.AST, scope: _Scope) -> None:
        for node in nodes:
            self._visit(node, above, scope)

    def _bind(self, node: ast.AST, name: str, scope: _Scope) -> None:
        scope.bound.add(name)
        self._uses.append((node, name, scope, self._statement))
        self.binders.append(node)

    def _name(self, node: ast.Name, scope: _Scope) -> None:
        if node.ctx.__class__ is ast.Load:
            self._uses.append((node, node.id, scope, self._statement))
        else:
            self._bind(node, node.id, scope)

    def _walrus(self, node: ast.NamedExpr, scope: _Scope) -> None:
        # In a comprehension it binds outside of it.
        home = scope
        while home.kind == "comprehension" and home.outer is not None:
            home = home.outer
        self._visit(node.target, node, home)
        self._visit(node.value, node, scope)

    def _binder(self, node: ast.AST, scope: _Scope) -> None:
        name = getattr(node, "rest" if isinstance(node, ast.MatchMapping) else "name", None)
        if name:
            self._bind(node, name, scope)
        self._visit_all(children(node), node, scope)

    def _alias(self, node: ast.alias, scope: _Scope) -> None:
        name = (node.asname or node.name).split(".")[0]
        scope.bound.add(name)
        self._uses.append((node, name, scope, self._statement))

    def _global(self, node: ast.Global, scope: _Scope) -> None:
        scope.elsewhere.update(dict.fromkeys(node.names, self._globals))
        self._globals.bound.update(node.names)

    def _nonlocal(self, node: ast.Nonlocal, scope: _Scope) -> None:
        scope.elsewhere.update(dict.fromkeys(node.names, scope.outer))

    def _function(self, node: Function, scope: _Scope) -> None:
        if isinstance(node, METHODS):
            self._bind(node, node.name, scope)
        self._enter_function(node, scope, self._open(scope, "function"))

    def _enter_function(self, node: Function, around: _Scope, inside: _Scope) -> None:
        arguments = node.args
        outside = [*arguments.defaults, *(default for default in arguments.kw_defaults if default is not None)]
        if isinstance(node, METHODS):
            outside += [*node.decorator_list, *([node.returns] if node.returns else [])]
        for arg in parameters(node):
            self._add(arg)
            self.parents[id(arg)] = node
            self._bind(arg, arg.arg, inside)
            outside += [arg.annotation] if arg.annotation else []
        if around is not inside:
            self._visit_all(outside, node, around)
        self._visit_all(node.body if isinstance(node, METHODS) else [node.body], node, inside)

    def _class(self, node: ast.ClassDef, scope: _Scope) -> None:
        self._bind(node, node.name, scope)
        self._visit_all([*node.decorator_list, *node.bases, *node.keywords], node, scope)
        inside = self._open(scope, "class")
        self._classes.append((node, inside))
        self._visit_all(node.body, node, inside)

    def _comprehension(self, node: Comprehension, scope: _Scope) -> None:
        inside = self._open(scope, "comprehension")
        for place, clause in enumerate(node.generators):
            self._add(clause)
            self.parents[id(clause)] = node
            self._visit(clause.target, clause, inside)
            self._visit(clause.iter, clause, inside if place else scope)
            self._visit_all(clause.ifs, clause, inside)
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._visit_all(parts, node, inside)

    # --- the keys

    def _resolve(self) -> None:
        places = self.places
        for node, name, scope, statement in self._uses:
            key = self.keys[id(node)] = scope.keys.get(name) or self._key(name, scope)
            places.setdefault(key, set()).add(statement)
        self.assigned = {self.keys[id(node)] for node in self.binders}
        for node, scope in self._classes:
            self.class_numbers[id(node)] = scope.number
            self.members |= scope.bound
            self.class_names[id(node)] = [self._key(name, scope) for name in scope.bound]

    def _key(self, name: str, scope: _Scope) -> str:
        place: _Scope | None = scope
        while place is not None:
            if name in place.elsewhere:
                place = place.elsewhere[name]
                continue
            # What a class body binds is not seen in the functions inside of it.
            if name in place.bound and (place.kind != "class" or place is scope):
                break
            place = place.outer
        key = name if place is None else f"{place.number}:{name}"
        scope.keys[name] = key
        if place is not None:
            self.bound.add(key)
        return key


# Statements that are visited like any other node; what defines or declares something has a handler of its own.
_STATEMENTS = frozenset(
    {
        ast.Return, ast.Delete, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.For, ast.AsyncFor, ast.While, ast.If, ast.With,
        ast.AsyncWith, ast.Match, ast.Raise, ast.Try, ast.TryStar, ast.Assert, ast.Expr,
    }
)  # fmt: skip

_HANDLERS = table(
    Scopes,
    _name="Name",
    _walrus="NamedExpr",
    _function="FunctionDef AsyncFunctionDef Lambda",
    _class="ClassDef",
    _comprehension="ListComp SetComp DictComp GeneratorExp",
    _binder="ExceptHandler MatchAs MatchStar MatchMapping",
    _alias="alias",
    _global="Global",
    _nonlocal="Nonlocal",
)
