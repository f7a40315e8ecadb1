"""The Persistence Covenant on every path of a method.

A small abstract interpreter walks the statements with one question: can the object have changed since
`self._p_changed = True` was last set? Each way out that does not raise must answer no.
"""

from __future__ import annotations

import ast
from typing import NamedTuple

from batos.guardian import names as known
from batos.guardian.changes import Change, Changes
from batos.guardian.depths import Depths, imported
from batos.guardian.findings import Finding
from batos.guardian.syntax import children, walk

FLAG = "self._p_changed = True"
_STEPS = 50_000
_METHODS = (ast.FunctionDef, ast.AsyncFunctionDef)

# A state is what is unflagged so far: nothing, or the first change. None: this point is never reached.
State = tuple[Change, ...]
UNFLAGGED: State = ()


class Exit(NamedTuple):
    """A way out of the method: a `return`, or its end (then `node` is the method)."""

    node: ast.stmt
    state: State


class TooTangled(Exception):
    """The method has more paths than the audit follows."""


def is_flag(node: ast.stmt, me: str = "self") -> bool:
    """Whether a statement is the Covenant's line."""
    match node:
        case ast.Assign(
            targets=[ast.Attribute(value=ast.Name(id=name), attr="_p_changed")], value=ast.Constant(value=True)
        ):
            return name == me
        case _:
            return False


def methods_of(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The methods in a source: functions with `self`, and what stands in classes."""
    found = [node for node in tree.body if isinstance(node, _METHODS) and _first(node) == "self"]
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            found += [inner for inner in node.body if isinstance(inner, _METHODS) and _first(inner)]
    return found


def _first(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    args = [*node.args.posonlyargs, *node.args.args]
    return args[0].arg if args else ""


def violations(tree: ast.Module) -> list[Finding]:
    """Find each way out of a source's methods that may leave a change without the flag."""
    found = []
    for method in methods_of(tree):
        found += _rebound(method)
        found += [_finding(exit_) for exit_ in bad_exits(method, tree)]
    return found


def bad_exits(method: ast.FunctionDef | ast.AsyncFunctionDef, tree: ast.Module) -> list[Exit]:
    """Find the ways out of one method that may leave a change without the flag."""
    changes = Changes(Depths(method, imported(tree.body)))
    if not changes:
        return []
    try:
        return _Walk(changes, _first(method)).exits(method)
    except TooTangled:
        change = changes.inside(method) or Change(method.lineno, method.col_offset, "something is changed")
        return [Exit(method, (change._replace(message=change.message + ", on too many paths to follow"),))]


def _rebound(method: ast.FunctionDef | ast.AsyncFunctionDef) -> list[Finding]:
    scopes_own = _first(method)
    for node in walk(method):
        if isinstance(node, ast.Name) and node.id == scopes_own and not isinstance(node.ctx, ast.Load):
            mend = f"Use another name for it; {scopes_own} stays the receiver."
            message = f"{scopes_own} is bound to something else"
            return [Finding("covenant", "self", node.lineno, node.col_offset, message, mend)]
    return []


def _finding(exit_: Exit) -> Finding:
    change = exit_.state[0]
    way = f"`return` in line {exit_.node.lineno}" if isinstance(exit_.node, ast.Return) else "its end"
    message = f"{change.message} in line {change.line}, and the method can leave by {way} without {FLAG} after it"
    mend = f"Put {FLAG} before {way}." if way != "its end" else f"End the method with {FLAG}."
    return Finding("covenant", "covenant", change.line, change.column, message, mend)


class _Walk:
    """Walks one method's statements."""

    def __init__(self, changes: Changes, me: str) -> None:
        self._changes = changes
        self._me = me
        self._steps = 0
        self._returns: dict[int, Exit] = {}
        self._breaks: list[State] = []
        self._continues: list[State] = []
        self._seen: list[list[State]] = []

    def exits(self, method: ast.FunctionDef | ast.AsyncFunctionDef) -> list[Exit]:
        end = self._block(method.body, UNFLAGGED)
        found = list(self._returns.values())
        if end is not None:
            found.append(Exit(method, end))
        return sorted((exit_ for exit_ in found if exit_.state), key=lambda exit_: exit_.node.lineno)

    def _block(self, body: list[ast.stmt], state: State | None) -> State | None:
        for statement in body:
            if state is None:
                return None
            self._note(state)
            self._steps += 1
            if self._steps > _STEPS:
                raise TooTangled
            state = self._statement(statement, state)
            self._note(state)
        return state

    def _note(self, state: State | None) -> None:
        """Remember the states that an exception may leave from, for every `try` around."""
        if state is not None:
            for states in self._seen:
                states.append(state)

    def _after(self, state: State, *nodes: ast.AST | None) -> State:
        """The state after evaluating expressions."""
        if state:
            return state
        change = self._changes.first([node for node in nodes if node is not None])
        after = (change,) if change else state
        self._note(after)
        return after

    def _statement(self, node: ast.stmt, state: State) -> State | None:  # noqa: C901, PLR0912 - one case a statement
        if is_flag(node, self._me):
            return UNFLAGGED
        match node:
            case ast.Return(value=value):
                self._leave(node, self._after(state, value))
                return None
            case ast.Raise():
                self._after(state, *children(node))
                return None
            case ast.Break():
                self._breaks.append(state)
                return None
            case ast.Continue():
                self._continues.append(state)
                return None
            case ast.If(test=test, body=body, orelse=other):
                state = self._after(state, test)
                return _join(self._block(body, state), self._block(other, state))
            case ast.While():
                return self._loop(node, state, node.test, endless=_is_true(node.test))
            case ast.For() | ast.AsyncFor():
                return self._loop(node, self._after(state, node.iter), node.target, endless=False)
            case ast.With() | ast.AsyncWith():
                return self._with(node, state)
            case ast.Match():
                return self._match(node, state)
            case ast.Try() | ast.TryStar():
                return self._try(node, state)
            case ast.ClassDef(body=body):
                return self._block(body, self._after(state, *node.bases, *node.decorator_list))
            case _:
                return self._after(state, node)

    def _leave(self, node: ast.stmt, state: State) -> None:
        before = self._returns.get(id(node))
        self._returns[id(node)] = Exit(node, (before.state if before else ()) or state)

    def _loop(
        self, node: ast.While | ast.For | ast.AsyncFor, state: State, each: ast.expr, *, endless: bool
    ) -> State | None:
        """Go round until nothing new is found; a state has two heights, so that is soon."""
        outer = self._breaks, self._continues
        self._breaks, self._continues = [], []
        head: State = state
        while True:
            entered = self._after(head, each)
            end = self._block(node.body, entered)
            again = _join(head, end, *self._continues) or UNFLAGGED
            if bool(again) == bool(head):
                break
            head = again
        done = None if endless else (self._after(head, each) if isinstance(node, ast.While) else head)
        after = self._block(node.orelse, done)
        after = _join(after, *self._breaks)
        self._breaks, self._continues = outer
        return after

    def _with(self, node: ast.With | ast.AsyncWith, state: State) -> State | None:
        for item in node.items:
            state = self._after(state, item.context_expr, item.optional_vars)
        states: list[State] = [state]
        self._seen.append(states)
        end = self._block(node.body, state)
        self._seen.pop()
        if all(_is_transparent(item.context_expr) for item in node.items):
            return end
        # It may swallow an exception that came from anywhere inside.
        return _join(end, *states)

    def _match(self, node: ast.Match, state: State) -> State | None:
        state = self._after(state, node.subject)
        ends: list[State | None] = []
        sure = False
        for case in node.cases:
            state = self._after(state, case.guard)
            ends.append(self._block(case.body, state))
            plain = isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None
            sure = sure or (plain and case.guard is None)
        return _join(*ends, None if sure else state)

    def _try(self, node: ast.Try | ast.TryStar, state: State) -> State | None:
        outer = self._returns, self._breaks, self._continues
        self._returns, self._breaks, self._continues = {}, [], []
        states: list[State] = [state]
        self._seen.append(states)
        body = self._block(node.body, state)
        self._seen.pop()
        caught = _join(*states)
        ends = [self._block(node.orelse, body)]
        ends += [self._block(handler.body, caught) for handler in node.handlers]
        inner = self._returns, self._breaks, self._continues
        self._returns, self._breaks, self._continues = outer
        end = _join(*ends)
        self._leave_through(node.finalbody, *inner)
        if not node.finalbody:
            return end
        if end is None:
            # Only an exception comes this way; what it leaves behind is dropped, but `finally` may return.
            self._block(node.finalbody, caught)
            return None
        return self._block(node.finalbody, end)

    def _leave_through(
        self, final: list[ast.stmt], returns: dict[int, Exit], breaks: list[State], continues: list[State]
    ) -> None:
        """Take every way out of a `try` through its `finally`."""
        for exit_ in returns.values():
            state = self._block(final, exit_.state)
            if state is not None:
                self._leave(exit_.node, state)
        for inside, outside in ((breaks, self._breaks), (continues, self._continues)):
            if inside:
                state = self._block(final, _join(*inside))
                if state is not None:
                    outside.append(state)


def _join(*states: State | None) -> State | None:
    reached = [state for state in states if state is not None]
    if not reached:
        return None
    return next((state for state in reached if state), UNFLAGGED)


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and bool(node.value)


def _is_transparent(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in known.TRANSPARENT_CONTEXTS
