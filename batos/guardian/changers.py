"""What changes the object later: functions, generators and methods that do so when somebody calls them.

They are followed through variables, containers and calls by the same rules as the values of slots: what changes the
object later has depth 0 here, and whoever uses a variable that may hold such a thing may change the object.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from batos.guardian.bindings import Bindings
from batos.guardian.depths import Depths
from batos.guardian.levels import CLEAN
from batos.guardian.syntax import FUNCTIONS, children

if TYPE_CHECKING:
    from collections.abc import Callable

    Note = Callable[[list[ast.Name]], Callable[[ast.AST], bool]]

LATER = (*FUNCTIONS, ast.GeneratorExp, ast.ClassDef)


class Changers:
    """The variables of a method that may hold what changes the object later.

    Args:
        depths: The depths of the method's variables.
        function: The method.
    """

    def __init__(self, depths: Depths, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        scopes = depths.scopes
        self._keys = scopes.keys
        self._later = [node for node in scopes.those(*LATER) if node is not function]
        self._parents = scopes.parents
        self._names = [node for node in scopes.those(ast.Name) if isinstance(node.ctx, ast.Load)]
        self._taints = Depths(scopes, depths.me, depths.modules, receiver=CLEAN)
        self._bindings = Bindings(self._taints, function)
        self._seeded: set[int] = set()
        self._users = self._find_users()

    def spread(self, handed_on: list[ast.AST], note: Note) -> None:
        """Follow what changes the object later to every name that may hold it.

        Args:
            handed_on: Methods of what came from slots that are used as values.
            note: Takes the uses of names that may change the object; says then whether there is a change in a node.
        """
        taints = self._taints
        taints.seeds.update(map(id, handed_on))
        used: list[ast.Name] = []
        while True:
            inside = note(used)
            for node in self._later:
                if id(node) not in self._seeded and any(map(inside, _body(node))):
                    self._seed(node)
            self._bindings.settle()
            now = [node for node in self._names if taints.levels.get(self._keys[id(node)], CLEAN) < CLEAN]
            if len(now) == len(used):
                return
            used = now

    def holds(self, node: ast.AST) -> bool:
        """Whether a node, apart from what it is made of, is or may hold what changes the object later."""
        if isinstance(node, ast.Name):
            return self._taints.levels.get(self._keys[id(node)], CLEAN) < CLEAN
        return id(node) in self._taints.seeds

    def _seed(self, node: ast.AST) -> None:
        """A function that changes something does so for whoever has it, and so do functions that use it by its name."""
        todo = [node]
        while todo:
            node = todo.pop()
            if id(node) in self._seeded:
                continue
            self._seeded.add(id(node))
            if isinstance(node, (ast.Lambda, ast.GeneratorExp)):
                self._taints.seeds.add(id(node))
                continue
            key = self._keys[id(node)]
            self._taints.levels[key] = 0
            # A generator or coroutine changes something for whoever has its answer.
            if isinstance(node, ast.AsyncFunctionDef) or (isinstance(node, ast.FunctionDef) and _yields(node)):
                self._taints.seeds.add(id(node))
            todo += self._users.get(key, [])

    def _find_users(self) -> dict[str, list[ast.AST]]:
        """For each name of a function or class, what runs later and uses it."""
        later = {id(part): node for node in self._later for part in _body(node)}
        named = {self._keys.get(id(node)) for node in self._later}
        users: dict[str, list[ast.AST]] = {}
        for name in self._names:
            place: ast.AST | None = name if self._keys[id(name)] in named else None
            while place is not None:
                if id(place) in later:
                    users.setdefault(self._keys[id(name)], []).append(later[id(place)])
                place = self._parents.get(id(place))
        return users


def _body(node: ast.AST) -> list[ast.AST]:
    """What runs later in a node."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return list(node.body)
    return [node.body] if isinstance(node, ast.Lambda) else [node]


def _yields(function: ast.FunctionDef) -> bool:
    todo: list[ast.AST] = list(function.body)
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            todo += children(node)
    return False
