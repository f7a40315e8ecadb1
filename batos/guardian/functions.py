"""The functions that stand in a method: what they answer, and who may call them with what."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from batos.guardian import names as known
from batos.guardian.levels import CLEAN
from batos.guardian.storing import Storing
from batos.guardian.syntax import FUNCTIONS, METHODS, Function, children, parameters, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batos.guardian.depths import Depths


class LocalFunctions(Storing):
    """Lowers the parameters of a method's functions, and gathers what they answer.

    Args:
        depths: The depths to lower.
        function: The method.
    """

    def __init__(self, depths: Depths, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        super().__init__(depths)
        self._function = function
        # Nobody outside has one of the method's own functions before it is handed over.
        self._escaped = depths.receiver < CLEAN
        self._opened: list[Function] = []
        self._values: set[int] = set()
        self._backwards = False
        self._find_functions()

    def _gather_returns(self) -> None:
        depths = self._depths
        depths.memory.clear()  # what was lowered in this round shows in the answers
        for function, values in reversed(self._answers) if self._backwards else self._answers:
            is_lambda = isinstance(function, ast.Lambda)
            depth = 0 if id(function) in depths.seeds and not is_lambda else depths.least(values)
            if depth < depths.returns.get(id(function), CLEAN):
                depths.returns[id(function)] = depth
                # Nobody asks what a lambda answers that has no name and is not called where it stands.
                if not is_lambda or depths.functions or id(function) in self._scopes.called:
                    self._changed = True
                    self._locally = False
            if depth < CLEAN and id(function) in self._values:
                self._lower(self._scopes.key(function), depth)
            self._weaken_all(values, self._wanted.get(id(function), CLEAN))

    def _find_functions(self) -> None:
        """Find local functions; one that is used as a value may be called by anybody with anything."""
        depths, keys = self._depths, self._scopes.keys
        defined = [node for node in self._scopes.those(*FUNCTIONS) if node is not self._function]
        self._answers: list[tuple[Function, list[ast.AST]]] = []
        if not defined:
            return
        binders: set[int] = set()
        for node in defined:
            if isinstance(node, METHODS):
                depths.functions.setdefault(keys[id(node)], []).append(node)
                self._answers.append((node, list(returned(node))))
                if all(depths.qualified(part) in known.PLAIN_DECORATORS for part in node.decorator_list):
                    binders.add(id(node))
        for node in self._scopes.those(ast.Assign):
            if isinstance(node.value, ast.Lambda):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        depths.functions.setdefault(keys[id(target)], []).append(node.value)
                        binders.add(id(target))
        depths.mixed = {keys[id(node)] for node in self._scopes.binders if id(node) not in binders}
        self._open_values(defined)

    def _open_values(self, defined: list[Function]) -> None:
        depths, keys, called = self._depths, self._scopes.keys, self._scopes.called
        direct = {id(function) for functions in depths.functions.values() for function in functions}
        for node in self._scopes.those(ast.Name) if depths.functions else ():
            if isinstance(node.ctx, ast.Load) and id(node) not in called:
                for function in depths.functions.get(keys[id(node)], []):
                    self._values.add(id(function))
                    self._open(function)
        of_classes = {id(part) for node in self._scopes.those(ast.ClassDef) for part in walk(node)}
        for function in defined:
            decorated = isinstance(function, METHODS) and bool(function.decorator_list)
            if decorated or id(function) in of_classes or id(function) not in direct | called:
                self._open(function)
            if isinstance(function, ast.Lambda):
                self._answers.append((function, [function.body]))

    def _open(self, function: Function) -> None:
        self._handed.add(id(function))
        if not self._escaped:
            self._opened.append(function)
            return
        for arg in parameters(function):
            self._lower(self._scopes.keys[id(arg)], 0)


def returned(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.AST]:
    """What a function answers or yields, functions inside of it left out."""
    todo: list[ast.AST] = list(function.body)
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.Return, ast.Yield, ast.YieldFrom)) and node.value is not None:
            yield node.value
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            todo += children(node)
