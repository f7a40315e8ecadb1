"""The Guardian against an oracle: generated methods are run, and what they did is compared with the verdict."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from batos.guardian import audit, mend

EXPRESSIONS = [
    "self.a", "self.d", "self.rows", "x", "y", "self.rows[0]", "self.d.get('k')", "list(self.rows)", "[x, y]", "[]", "{0: []}",
    "dict(self.d)", "sorted(self.a)", "self.d.setdefault('k', [])", "x[0]", "self.a.copy()", "(x or [])", "self.rows[:]",
    "[r for r in self.rows]", "self.n", "max(self.rows)", "x if self.n else y", "(lambda: self.a)()", "get()",
    "next(iter(self.rows))", "list(zip(self.rows, [1]))[0][0]", "{'k': self.a}['k']", "list(self.d.values())[0]",
    "getattr(self, 'a')", "vars(self)['a']", "list(reversed(self.rows))", "(z := self.rows)", "copy.copy(self.rows)",
]  # fmt: skip
ACTIONS = [
    "{e}.append(1)", "{e}[0] = 7", "self.a = {e}", "self.n += 1", "x = {e}", "y = {e}", "x += [2]", "x.append({e})",
    "del {e}[0]", "len({e})", "for y in {e}: x = y", "for x[0] in [5]: pass", "x, y = {e}, x", "setattr(self, 'n', 5)",
    "f = x.append", "f({e})", "list(map(self.a.append, [1]))", "self.d['k'] = {e}", "x = [{e}]", "[q.append(1) for q in {e}]",
    "add({e})", "g = (self.a.append(i) for i in [1])", "list(g)", "x.extend({e})", "y.insert(0, {e})", "str({e})",
    "self._p_changed = True", "self._p_changed = True", "self._p_changed = True", "return {e}", "return None", "pass",
    "raise ValueError({e})", "break_ = 1", "sorted({e})", "list.append({e}, 3)", "{e}.sort(key=str)", "x = y = {e}",
    "def f(v): {e}", "f = lambda v: {e}", "heapq.heapify({e})",
]  # fmt: skip
PRELUDE = """def go(self):
    import copy, heapq
    x, y, z = [], [[0]], []
    f = g = len
    def get():
        return self.rows
    def add(v):
        v.append(9)
"""


class Witness:
    """An object whose state can be compared with what it was at its last flag."""

    def __init__(self) -> None:
        self.a, self.d, self.rows, self.n = [1], {"k": [2]}, [[3], [4]], 0
        self.seen = None

    def state(self) -> Any:
        """Everything that it holds; the flag aside."""
        return copy.deepcopy({name: value for name, value in vars(self).items() if name not in ("_p_changed", "seen")})

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name == "_p_changed":
            object.__setattr__(self, "seen", self.state())


@st.composite
def statements(draw: st.DrawFn, depth: int = 0) -> list[str]:
    """Some statements, with blocks among them."""
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.integers(0, 12 if depth < 2 else 6))
        if kind <= 6:
            lines.append(draw(st.sampled_from(ACTIONS)).replace("{e}", f"({draw(st.sampled_from(EXPRESSIONS))})"))
            continue
        inner = [f"    {line}" for line in draw(statements(depth + 1))]
        other = [f"    {line}" for line in draw(statements(depth + 1))]
        lines += {
            7: ["if self.n:", *inner, "else:", *other],
            8: ["for i in range(2):", *inner, "    if i: break", "else:", *other],
            9: ["try:", *inner, "except Exception as error:", *other],
            10: ["try:", *inner, "finally:", *other],
            11: ["with contextlib.suppress(Exception):", *inner],
            12: ["match self.a:", "    case [v, *w]:", *[f"    {line}" for line in inner], "    case _:", *[f"    {line}" for line in other]],
        }[kind]  # fmt: skip
    return lines


def parses(source: str) -> bool:
    """Whether it is Python at all."""
    try:
        compile(source, "generated", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


def left_unflagged(source: str) -> bool:
    """Run a method; whether it changed its object after its last flag and left without raising."""
    witness = Witness()
    before = witness.state()
    scope: dict[str, Any] = {"contextlib": contextlib}
    exec(compile(source, "generated", "exec", dont_inherit=True), scope)
    try:
        scope["go"](witness)
    except (Exception, RecursionError):
        return False
    flagged = witness.seen if witness.seen is not None else before
    try:
        return witness.state() != flagged
    except RecursionError:
        return False


def passes(source: str) -> bool:
    """Whether the Covenant has nothing against it."""
    return [finding for finding in audit(source) if finding.kind == "covenant"] == []


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(statements())
def test_no_unflagged_change_passes(lines):
    """No method that changed its object and left without the flag passes; mended, it passes and does flag."""
    source = PRELUDE + "".join(f"    {line}\n" for line in lines)
    assume(parses(source))
    if left_unflagged(source):
        assert not passes(source), source
    mended, _ = mend(source)
    assert passes(mended), mended
    assert mend(mended)[0] == mended
    assert not left_unflagged(mended), mended
