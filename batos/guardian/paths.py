"""Every path through a method, with one question: can the object have changed since the flag was last set?

A block of statements is taken as a function: from what is unflagged before it to what is unflagged at each way out of
it. A compound statement is therefore looked at once for each thing that may be unflagged before it, however deep
loops and `try` are nested.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Literal, NamedTuple

from batos.guardian import names as known
from batos.guardian.places import Change
from batos.guardian.syntax import children, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from batos.guardian.changes import Changes

# What is unflagged at a point: nothing, or the first change. None: the point is never reached.
State = Change | Literal[False]
FLAGGED: State = False

_Kind = Literal["return", "break", "continue", "raise"]
_Way = tuple[_Kind, ast.stmt | None]
_RAISE: _Way = ("raise", None)


class Exit(NamedTuple):
    """A way out of the method that may leave a change: a `return`, or its end (then `node` is the method)."""

    node: ast.stmt
    change: Change


def is_flag(node: ast.stmt, me: str = "self") -> bool:
    """Whether a statement is the Covenant's line."""
    if node.__class__ is not ast.Assign:
        return False
    match node:
        case ast.Assign(
            targets=[ast.Attribute(value=ast.Name(id=name), attr="_p_changed")], value=ast.Constant(value=True)
        ):
            return name == me
        case _:
            return False


def unflagged_exits(method: ast.FunctionDef | ast.AsyncFunctionDef, changes: Changes, me: str) -> list[Exit]:
    """Find the ways out of a method that may leave a change without the flag, in the order of the text."""
    flow = _Paths(changes, me).block(method.body, FLAGGED)
    found = [
        Exit(node, state)
        for (kind, node), state in flow.ways.items()
        if kind == "return" and state and node is not None
    ]
    found.sort(key=lambda exit_: (exit_.node.lineno, exit_.node.col_offset))
    if flow.end:
        found.append(Exit(method, flow.end))
    return found


class _Flow:
    """What is unflagged at the end of a block, and at each other way out of it."""

    __slots__ = ("end", "ways")

    def __init__(self, end: State | None) -> None:
        self.end = end
        self.ways: dict[_Way, State] = {}

    def leave(self, way: _Way, state: State) -> None:
        """One more way out; a change on any path counts."""
        if not self.ways.get(way):
            self.ways[way] = state

    def adopt(self, other: _Flow, *kinds: _Kind) -> State | None:
        """Take over the ways of a part of the block, of some kinds (none named: all), and give its end."""
        for way, state in other.ways.items():
            if not kinds or way[0] in kinds:
                self.leave(way, state)
        return other.end


class _Paths:
    """The paths of one method.

    Args:
        changes: Its changes.
        me: The name of the receiver.
    """

    def __init__(self, changes: Changes, me: str) -> None:
        self._changes = changes
        self._me = me
        self._seen: dict[tuple[int, State], _Flow] = {}

    def block(self, body: list[ast.stmt], state: State | None) -> _Flow:
        flow = _Flow(state)
        for statement in body:
            if flow.end is None:
                break
            # An exception may leave before each statement, and after it.
            flow.leave(_RAISE, flow.end)
            handler = _COMPOUND.get(statement.__class__)
            if handler is not None:
                flow.end = flow.adopt(self._compound(handler, statement, flow.end))
            else:
                flow.end = self._simple(statement, flow.end, flow)
            if flow.end is not None:
                flow.leave(_RAISE, flow.end)
        return flow

    def _compound(self, handler: Callable[..., _Flow], node: ast.stmt, state: State) -> _Flow:
        seen = self._seen.get((id(node), state))
        if seen is None:
            seen = self._seen[id(node), state] = handler(self, node, state)
        return seen

    def _after(self, state: State, *nodes: ast.AST | None) -> State:
        """What is unflagged after evaluating expressions."""
        if state is not FLAGGED:
            return state
        return self._changes.first(node for node in nodes if node is not None) or FLAGGED

    def _simple(self, node: ast.stmt, state: State, flow: _Flow) -> State | None:
        match node:
            case ast.Return():
                state = self._after(state, node.value)
                flow.leave(("return", node), state)
            case ast.Raise():
                state = self._after(state, *children(node))
            case ast.Break():
                flow.leave(("break", None), state)
            case ast.Continue():
                flow.leave(("continue", None), state)
            case _ if is_flag(node, self._me):
                return FLAGGED
            case _:
                return self._after(state, node)
        flow.leave(_RAISE, state)
        return None

    # --- statements with blocks

    def _if(self, node: ast.If, state: State) -> _Flow:
        state = self._after(state, node.test)
        flow = _Flow(None)
        flow.leave(_RAISE, state)
        flow.end = _join(flow.adopt(self.block(node.body, state)), flow.adopt(self.block(node.orelse, state)))
        return flow

    def _while(self, node: ast.While, state: State) -> _Flow:
        endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
        return self._loop(node, state, node.test, endless=endless)

    def _for(self, node: ast.For | ast.AsyncFor, state: State) -> _Flow:
        return self._loop(node, self._after(state, node.iter), node.target, endless=False)

    def _loop(self, node: ast.While | ast.For | ast.AsyncFor, state: State, each: ast.expr, *, endless: bool) -> _Flow:
        """Go round until nothing new is found; a state has two heights, so that is soon."""
        while True:
            flow = _Flow(None)
            entered = self._after(state, each)
            flow.leave(_RAISE, state)
            flow.leave(_RAISE, entered)
            body = self.block(node.body, entered)
            again = _join(state, body.end, body.ways.get(("continue", None)))
            if again is None or bool(again) == bool(state):
                break
            state = again
        flow.adopt(body, "return", "raise")
        done: State | None = entered if isinstance(node, ast.While) else state
        other = flow.adopt(self.block(node.orelse, None if endless else done))
        flow.end = _join(other, body.ways.get(("break", None)))
        return flow

    def _with(self, node: ast.With | ast.AsyncWith, state: State) -> _Flow:
        parts = [part for item in node.items for part in (item.context_expr, item.optional_vars)]
        state = self._after(state, *parts)
        body = self.block(node.body, state)
        end = body.end
        if not all(map(self._is_transparent, (item.context_expr for item in node.items))):
            # It may swallow an exception that came from anywhere inside.
            end = _join(end, state, body.ways.get(_RAISE))
        # A context manager that changes something may do so when it is left, too.
        leaving = self._changes.lingering(part for part in parts if part is not None)
        flow = _Flow(None if end is None else end or leaving or FLAGGED)
        for way, inner in body.ways.items():
            flow.leave(way, inner or leaving or FLAGGED)
        flow.leave(_RAISE, state)
        return flow

    def _match(self, node: ast.Match, state: State) -> _Flow:
        state = self._after(state, node.subject)
        flow = _Flow(None)
        ends: list[State | None] = []
        sure = False
        for case in node.cases:
            state = self._after(state, case.pattern, case.guard)
            flow.leave(_RAISE, state)
            ends.append(flow.adopt(self.block(case.body, state)))
            plain = isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None
            sure = sure or (plain and case.guard is None)
        flow.end = _join(*ends, None if sure else state)
        return flow

    def _try(self, node: ast.Try | ast.TryStar, state: State) -> _Flow:
        inner = _Flow(None)
        body = self.block(node.body, state)
        caught = _join(state, body.ways.get(_RAISE))
        if any(map(_catches_all, node.handlers)):
            inner.adopt(body, "return", "break", "continue")
        else:
            inner.adopt(body)
            inner.leave(_RAISE, caught or FLAGGED)
        ends = [inner.adopt(self.block(node.orelse, body.end))]
        for handler in node.handlers:
            caught = self._after(caught or FLAGGED, handler.type)
            ends.append(inner.adopt(self.block(handler.body, caught)))
        inner.end = _join(*ends)
        return self._through(node.finalbody, inner) if node.finalbody else inner

    def _through(self, final: list[ast.stmt], inner: _Flow) -> _Flow:
        """Take every way out of a `try` through its `finally`."""
        outer = _Flow(None)
        flows: dict[State, _Flow] = {}

        def after(state: State | None) -> State | None:
            if state is None:
                return None
            if state not in flows:
                flows[state] = self.block(final, state)
                outer.adopt(flows[state])
            return flows[state].end

        for way, state in inner.ways.items():
            left = after(state)
            if left is not None:
                outer.leave(way, left)
        outer.end = after(inner.end)
        return outer

    def _is_transparent(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Call) and self._changes.qualified(node.func) in known.TRANSPARENT_CONTEXTS

    def _class(self, node: ast.ClassDef, state: State) -> _Flow:
        if self._changes.hides_receiver(node):
            # What looks like the flag in there is set on something else.
            flow = _Flow(self._after(state, node))
            flow.leave(_RAISE, state)
            return flow
        flow = self.block(node.body, self._after(state, *node.decorator_list, *node.bases, *node.keywords))
        if flow.end is FLAGGED:
            # The class is made, and decorated, after its body has run.
            made = _Flow(self._changes.of_class(node) or FLAGGED)
            made.adopt(flow)
            return made
        return flow


def _join(*states: State | None) -> State | None:
    """What is unflagged where paths meet: a change on any of them."""
    reached = [state for state in states if state is not None]
    return next((state for state in reached if state), FLAGGED) if reached else None


def _catches_all(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or (isinstance(handler.type, ast.Name) and handler.type.id == "BaseException")


_COMPOUND = table(
    _Paths,
    _if="If",
    _while="While",
    _for="For AsyncFor",
    _with="With AsyncWith",
    _match="Match",
    _try="Try TryStar",
    _class="ClassDef",
)
