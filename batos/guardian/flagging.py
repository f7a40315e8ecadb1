"""Puts the Covenant's line where a method misses it, and lets `self` be what it is."""

from __future__ import annotations

import ast
from itertools import pairwise

from batos.guardian.changes import Changes
from batos.guardian.covenant import Method, flag_of, methods_of, receiver_of
from batos.guardian.edits import Draft
from batos.guardian.paths import Exit, is_flag, unflagged_exits
from batos.guardian.scopes import Scopes
from batos.guardian.syntax import FUNCTIONS, children, parse, walk

_ROUNDS = 4


def flag_all(source: str) -> tuple[str, list[str]]:
    """Mend every method of a source that breaks the Covenant; what cannot be parsed raises as `parse` does.

    Returns:
        A source that keeps it, and a sentence for each mend.
    """
    done: list[str] = []
    for place in range(len(methods_of(parse(source)))):
        source, renamed = _let_self_be(source, place)
        done += renamed
        for count in range(_ROUNDS + 1):
            source, flagged = _flag(source, place, last_resort=count == _ROUNDS)
            if not flagged:
                break
            done += flagged
    return source, done


def _flag(source: str, place: int, *, last_resort: bool) -> tuple[str, list[str]]:
    """Mend every way out of one method that misses the flag, as far as one edit for each can."""
    tree = parse(source)
    method = methods_of(tree)[place]
    changes = Changes(method, tree)
    exits = unflagged_exits(method, changes, receiver_of(method)) if changes else []
    if not exits:
        return source, []
    work = _Flagging(Draft(source, tree), tree, method, changes)
    if last_resort:
        work.guard()
    else:
        work.mend(exits)
    return work.draft.finish(), work.done


class _Flagging:
    """The edits of one method."""

    def __init__(self, draft: Draft, tree: ast.Module, method: Method, changes: Changes) -> None:
        self.draft = draft
        self.done: list[str] = []
        self._tree = tree
        self._method = method
        self._changes = changes
        self._flag = flag_of(receiver_of(method))
        self._followed: set[int] = set()
        self._finals = _finals_around(method)
        self._before = _statements_before(method)

    def mend(self, exits: list[Exit]) -> None:
        """Put the flag before every way out, or, where that is not enough, around them all."""
        if any(map(self._needs_guard, exits)):
            self.guard()
        else:
            for exit_ in exits:
                self._mend(exit_.node)

    def guard(self) -> None:
        """The last resort: the whole body under `try`, the flag in `finally`."""
        self.draft.guard(_after_docstring(self._method), self._flag)
        self.done.append(f"put {self._flag} in a finally around the body")

    def _needs_guard(self, exit_: Exit) -> bool:
        """Whether the flag stands before a return already, or what it answers changes the object later."""
        node = exit_.node
        if not isinstance(node, ast.Return) or self._guilty_final(node) is not None:
            return False
        if node.value is not None and self._changes.now(node.value):
            return self._changes.lingering([node.value]) is not None
        before = self._before.get(id(node))
        return before is not None and is_flag(before, receiver_of(self._method))

    def _mend(self, node: ast.stmt) -> None:
        if not isinstance(node, ast.Return):
            self.draft.after(self._method.body, self._flag)
            self.done.append(f"put {self._flag} at the end")
        elif (final := self._guilty_final(node)) is not None:
            # What `finally` changes comes after the return, and is mended once.
            if id(final[0]) not in self._followed:
                self._followed.add(id(final[0]))
                self.draft.after(final, self._flag)
                self.done.append(f"put {self._flag} at the end of the finally in line {final[0].lineno - 1}")
        elif node.value is not None and self._changes.now(node.value):
            self.draft.name_value(node, free_name(self._tree, "result"), self._flag)
            self.done.append(f"named the value of the return in line {node.lineno}, and put {self._flag} after it")
        else:
            self.draft.before(node, self._flag)
            self.done.append(f"put {self._flag} before the return in line {node.lineno}")

    def _guilty_final(self, node: ast.Return) -> list[ast.stmt] | None:
        """The outermost `finally` around a return that changes something after it."""
        for final in self._finals.get(id(node), []):
            if any(map(self._changes.inside, final)) and not is_flag(final[-1], receiver_of(self._method)):
                return final
        return None


def free_name(tree: ast.AST, wish: str) -> str:
    """A name that a source does not use."""
    taken = {node.id for node in walk(tree) if isinstance(node, ast.Name)}
    taken |= {node.arg for node in walk(tree) if isinstance(node, ast.arg)}
    return next(name for name in [wish, *(f"{wish}_{n}" for n in range(2, len(taken) + 3))] if name not in taken)


def _let_self_be(source: str, place: int) -> tuple[str, list[str]]:
    """Where a method binds its receiver's name to something else, give that variable another name throughout."""
    tree = parse(source)
    method = methods_of(tree)[place]
    scopes = Scopes(method)
    own = scopes.key(_first(method))
    if scopes.rebinding(own) is None:
        return source, []
    me = receiver_of(method)
    name = free_name(tree, "current")
    draft = Draft(source, tree)
    uses = [node for node in scopes.nodes if scopes.key(node) == own]
    draft.rename([node for node in uses if not isinstance(node, ast.arg)], name)
    for node in scopes.nodes:
        if isinstance(node, ast.Nonlocal) and me in node.names:
            draft.rename_outer(node, me, name)
    draft.before(_after_docstring(method)[0], f"{name} = {me}")
    return draft.finish(), [f"called what {me} was bound to `{name}`"]


def _first(method: Method) -> ast.arg:
    return [*method.args.posonlyargs, *method.args.args][0]


def _after_docstring(method: Method) -> list[ast.stmt]:
    return method.body[1:] if len(method.body) > 1 and ast.get_docstring(method, clean=False) else method.body


def _finals_around(method: Method) -> dict[int, list[list[ast.stmt]]]:
    """For each return, the `finally` blocks that it goes through, the outermost first."""
    found: dict[int, list[list[ast.stmt]]] = {}
    todo: list[tuple[ast.AST, list[list[ast.stmt]]]] = [(part, []) for part in method.body]
    while todo:
        node, finals = todo.pop()
        if isinstance(node, ast.Return):
            found[id(node)] = finals
        if isinstance(node, (ast.Try, ast.TryStar)) and node.finalbody:
            last = set(map(id, node.finalbody))
            todo += [(part, finals if id(part) in last else [*finals, node.finalbody]) for part in children(node)]
        elif not isinstance(node, (*FUNCTIONS, ast.expr)):
            todo += [(part, finals) for part in children(node)]
    return found


def _statements_before(method: Method) -> dict[int, ast.stmt]:
    """The statement before each one in its block."""
    found: dict[int, ast.stmt] = {}
    for node in walk(method):
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list):
                found.update((id(after), before) for before, after in pairwise(body))
    return found
