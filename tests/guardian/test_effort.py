"""How much work an audit is: it grows with the text, and not with what its parts are made of; steps are counted."""

from __future__ import annotations

import pytest

from batos.guardian.auditing import covenant_findings
from batos.guardian.bindings import Bindings
from batos.guardian.depths import Depths

NESTED = {
    "dict(": lambda n: "return " + "dict(" * n + "self.a" + ")" * n,
    "sum([], ": lambda n: "return " + "sum([], " * n + "self.a" + ")" * n,
    ".Made()": lambda n: "return x" + ".Made()" * n,
    "dict(k=": lambda n: "return " + "dict(k=" * n + "self.a" + ")" * n,
    "lambda: f() or f()": lambda n: (
        "f0 = lambda: self.a\n"
        + "".join(f"    f{i + 1} = lambda: f{i}() or f{i}()\n" for i in range(n))
        + f"    return f{n}()"
    ),
    "(lambda: ": lambda n: "return " + "(lambda: " * n + "self.a" + ")()" * n,
}


def steps(monkeypatch: pytest.MonkeyPatch, source: str) -> int:
    """How often an audit asks for the depth of an expression; it ends at a million."""
    count = 0
    asked = Depths.of

    def of(depths, node):
        nonlocal count
        count += 1
        if count > 1_000_000:
            raise TimeoutError(source[:200])
        return asked(depths, node)

    with monkeypatch.context() as patch:
        patch.setattr(Depths, "of", of)
        covenant_findings(source)
    return count


@pytest.mark.parametrize("name", sorted(NESTED))
def test_nesting_twice_as_deep_is_no_more_than_four_times_the_work(name, monkeypatch):
    """What lies in a call is not looked at once more for each call around it."""
    few, many = (steps(monkeypatch, f"def go(self, x):\n    {NESTED[name](n)}\n") for n in (20, 40))
    assert many < 4.5 * few


@pytest.mark.parametrize(
    "source",
    [
        "def go(self):\n    f0(self.a)\n" + "".join(f"def f{i}(x): f{i + 1}(x)\n" for i in range(200)) + "def f200(x): x.append(1)\n",
        "def go(self):\n" + "".join(f"    def f{i}(): return f{i + 1}()\n" for i in range(200)) + "    def f200(): return self.a\n    f0().append(1)\n",
    ],
)  # fmt: skip
def test_chains_of_functions_take_a_few_rounds(source, monkeypatch):
    """What goes from function to function is followed in a few rounds, whichever way round they stand."""
    rounds = 0
    next_ = Bindings._next

    def counted(bindings):
        nonlocal rounds
        rounds += 1
        return next_(bindings)

    monkeypatch.setattr(Bindings, "_next", counted)
    assert covenant_findings(source) != []
    assert rounds < 40


@pytest.mark.parametrize(
    "lines",
    [
        "fact = lambda k: 1 if k < 2 else k * fact(k - 1)\n    return fact(n)",
        "even = lambda k: k == 0 or odd(k - 1)\n    odd = lambda k: k and even(k - 1)\n    return even(n)",
        "fact = lambda k: 1 if k < 2 else k * fact(k - 1)\n    self.last = fact(n)\n    self._p_changed = True\n    return self.last",
        "rows = lambda k: [k] if k < 1 else rows(k - 1) + [k]\n    found = rows(n)\n    found.append(len(self.a))\n    return found",
    ],
)
def test_lambdas_that_call_themselves_are_read(lines):
    """A lambda may use its own name, or that of one that uses it."""
    assert covenant_findings(f"def go(self, n):\n    {lines}\n") == []


@pytest.mark.parametrize(
    "lines",
    [
        "rows = lambda k: self.a if k < 1 else rows(k - 1)\n    rows(n).append(1)",
        "one = lambda k: two(k)\n    two = lambda k: one(k) or self.a\n    one(n).append(1)",
        "(lambda: (lambda: self.a)())().append(1)",
        "rows = (lambda: self.a)()\n    rows.append(1)",
        "rows = (lambda k: k)(self.a)\n    rows.append(1)",
    ],
)
def test_what_lambdas_answer_is_followed(lines):
    """What a lambda gives out of a slot is the slot's, also where it calls itself or is called where it stands."""
    assert covenant_findings(f"def go(self, n):\n    {lines}\n") != []
