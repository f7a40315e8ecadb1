"""The Persistence Covenant on every path: which methods a source has, and what each of them leaves unflagged."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from batos.guardian.changes import Changes
from batos.guardian.findings import Finding
from batos.guardian.paths import Exit, unflagged_exits
from batos.guardian.syntax import METHODS

if TYPE_CHECKING:
    from collections.abc import Iterator

Method = ast.FunctionDef | ast.AsyncFunctionDef

_OF_CLASSES = frozenset({"__new__", "__init_subclass__", "__class_getitem__"})


def flag_of(me: str = "self") -> str:
    """The Covenant's line, for a receiver of such a name."""
    return f"{me}._p_changed = True"


FLAG = flag_of()


def receiver_of(method: Method) -> str:
    """The name of a method's first parameter; empty where it has none."""
    args = [*method.args.posonlyargs, *method.args.args]
    return args[0].arg if args else ""


def methods_of(tree: ast.Module) -> list[Method]:
    """The methods in a source: functions with `self`, and what objects of its classes understand."""
    found: list[Method] = []
    for node in tree.body:
        if isinstance(node, METHODS) and receiver_of(node) == "self":
            found.append(node)
        elif isinstance(node, ast.ClassDef):
            found += [inner for inner in node.body if isinstance(inner, METHODS) and _has_receiver(inner)]
    return found


def _has_receiver(method: Method) -> bool:
    """Whether a function in a class is sent to an object, not to the class."""
    decorators = {node.id for node in method.decorator_list if isinstance(node, ast.Name)}
    return (
        bool(receiver_of(method))
        and method.name not in _OF_CLASSES
        and not decorators & {"staticmethod", "classmethod"}
    )


def violations(tree: ast.Module) -> list[Finding]:
    """Find each way out of a source's methods that may leave a change without the flag."""
    return [finding for method in methods_of(tree) for finding in _of_method(method, tree)]


def _of_method(method: Method, tree: ast.Module) -> Iterator[Finding]:
    me = receiver_of(method)
    changes = Changes(method, tree)
    place = changes.rebinding
    if place is not None:
        line, column = getattr(place, "lineno", method.lineno), getattr(place, "col_offset", 0)
        mend = f"Use another name for it; {me} stays the receiver."
        yield Finding("covenant", "self", line, column, f"{me} is bound to something else", mend)
    place = changes.whenever
    if place is not None:
        line, column = getattr(place, "lineno", method.lineno), getattr(place, "col_offset", 0)
        message = (
            f"{getattr(place, 'name', 'it')} changes the object when Python cleans up, and nobody knows when that is"
        )
        yield Finding("covenant", "cleanup", line, column, message, "Change the object in the method itself.")
    if changes:
        for exit_ in unflagged_exits(method, changes, me):
            yield _finding(exit_, flag_of(me))


def _finding(exit_: Exit, flag: str) -> Finding:
    change = exit_.change
    way = f"`return` in line {exit_.node.lineno}" if isinstance(exit_.node, ast.Return) else "its end"
    message = f"{change.message} in line {change.line}, and the method can leave by {way} without {flag} after it"
    mend = f"Put {flag} before {way}." if way != "its end" else f"End the method with {flag}."
    return Finding("covenant", "covenant", change.line, change.column, message, mend)
