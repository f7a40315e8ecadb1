"""Decorators: those of the method itself are outside of it; those inside are called with what they decorate."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batos.guardian import audit, mend
from batos.guardian.auditing import covenant_findings
from batos.guardian.review import review
from tests.guardian import generated

METHOD = "def go(self):\n    self.n = 1\n    self._p_changed = True\n"


def _indented(source: str) -> str:
    return "".join(f"    {line}\n" for line in source.splitlines())


@pytest.mark.parametrize(
    "decorator", ["super().f", "w.__wrapped__", 'eval("f")', "vars()", "self.a", "(lambda: self)()", "a.b(c)"]
)
@pytest.mark.parametrize("head", ["", "class Thing:\n"])
def test_decorators_of_the_method_are_none_of_its_business(decorator, head):
    """A method passes whatever decorates it, alone or in a class: that runs where the method is made."""
    source = f"@{decorator}\n{METHOD}"
    source = head + _indented(source) if head else source
    assert covenant_findings(source) == []
    assert [finding for finding in audit(source) if finding.kind == "covenant"] == []
    assert mend(source)[0] == source
    assert review(source, "go")["source"] == source


@settings(deadline=None, database=None, max_examples=200)
@given(st.integers(0, 1 << 62), st.booleans())
def test_any_decorator_of_the_method_is_read(number, in_class):
    """No expression before a method makes the audit, the mend or the review raise, or changes the verdict."""
    draw = Random(number)
    decorators = "".join(f"@({generated._expression(draw)})\n" for _ in range(draw.randint(1, 3)))
    source = f"{decorators}{METHOD}"
    source = f"class Thing:\n{_indented(source)}" if in_class else source
    if generated.is_python(source):
        assert covenant_findings(source) == []
        assert mend(source)[0].endswith(source)
        assert review(source, "go")["source"].endswith(source)


def test_what_registers_a_function_may_call_it():
    """A function that was registered with the method of a local function, as `singledispatch` has it, changes what it changes."""
    head = "def go(self):\n    @make\n    def f(x): pass\n"
    body = "    @f.register(int)\n    def _(x): self.n += x\n    self._p_changed = True\n"
    assert covenant_findings(f"{head}{body}") == []
    assert covenant_findings(f"{head}{body}    f(1)\n") != []
