"""The Covenant on every path."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap

import pytest

from batos.errors import CovenantViolationError, PolicyViolation
from batos.guardian import PersistenceGuardian, audit
from tests.guardian.beside import BREAKS_BESIDE, KEEPS_BESIDE
from tests.guardian.breaking import BREAKS
from tests.guardian.cases import KEEPS
from tests.guardian.strange import STRANGE

ALL_KEEPS = {**KEEPS, **KEEPS_BESIDE}
ALL_BREAKS = {**BREAKS, **STRANGE, **BREAKS_BESIDE}


def covenant(source: str) -> list:
    """The Covenant's findings."""
    return [finding for finding in audit(source) if finding.kind == "covenant"]


@pytest.mark.parametrize("name", sorted(ALL_KEEPS))
def test_methods_that_keep_it_pass(name):
    """A method that flags its last change on each way out passes, and so does one that changes nothing."""
    assert covenant(ALL_KEEPS[name]) == []
    PersistenceGuardian.audit_code(ALL_KEEPS[name])


@pytest.mark.parametrize("name", sorted(ALL_BREAKS))
def test_methods_that_break_it_are_found(name):
    """A way out with an unflagged change is a finding that says where and how to mend it."""
    findings = covenant(ALL_BREAKS[name])
    assert findings
    assert all(finding.line > 0 and finding.message and finding.mend for finding in findings)
    with pytest.raises(CovenantViolationError) as caught:
        PersistenceGuardian.audit_code(ALL_BREAKS[name])
    assert caught.value.details["findings"][0]["rule"] in {"covenant", "self"}


def test_a_finding_points_at_the_change():
    """Line and column are those of the change, and the message names it."""
    (finding,) = covenant("def go(self):\n    x = 1\n    self.items.append(x)\n")
    assert (finding.line, finding.column) == (3, 4)
    assert "self.items.append" in finding.message


def test_rebinding_self_is_found():
    """A method whose `self` becomes something else cannot be judged, and says so."""
    findings = covenant("def go(self):\n    self = self.parent\n    self.x = 1\n    self._p_changed = True\n")
    assert [finding.rule for finding in findings] == ["self"]


def test_every_method_of_a_class_is_audited():
    """A source with a class is audited method by method, whatever their first parameter is called."""
    text = "class A:\n    def ok(self):\n        return 1\n    def bad(this):\n        this.x = 1\n"
    assert [finding.line for finding in covenant(text)] == [5]


@pytest.mark.parametrize(
    "source", ["def go(self:", "\0", "(" * 3000, "x = " + "-" * 100_000 + "1", "def go(self): return '\\N{bad}'"]
)
def test_hostile_text_is_a_finding(source):
    """What is no Python, or too deep for the parser, is a finding and no crash."""
    assert [finding.kind for finding in audit(source)] == ["syntax"]
    with pytest.raises(CovenantViolationError):
        PersistenceGuardian.audit_code(source)


def test_tangled_text_comes_to_an_end():
    """Nested `try … finally` with returns grow fast; the audit gives up on them instead of going on."""
    source = "def go(self):\n"
    for depth in range(1, 30):
        source += "    " * depth + "try:\n" + "    " * (depth + 1) + "if self.a: return self.b.pop()\n"
        source += "    " * depth + "finally:\n"
    source += "    " * 30 + "return 1\n"
    assert isinstance(audit(source), list)


def test_audits_are_quick_enough_to_end():
    """A long method of ordinary statements is audited in one go, with a finding for each bad return."""
    body = "".join(f"    if self.a == {n}:\n        self.b = {n}\n        return {n}\n" for n in range(300))
    assert len(covenant("def go(self):\n" + body)) == 300


def stdlib_methods() -> list[tuple[str, str]]:
    """Methods of the standard library that change nothing, as their names and values say: properties and dunders that read."""
    import calendar
    import datetime as dt
    import fractions
    import ipaddress
    import pathlib
    import statistics
    import string
    import textwrap as wrap

    reading = re.compile(
        r"__(str|repr|eq|lt|le|gt|ge|len|contains|format|abs|neg|pos|bool|int|float|add|sub|mul)__|as_.*|is_.*"
    )
    found = []
    for module in (calendar, dt, fractions, ipaddress, pathlib, statistics, string, wrap):
        for cls in vars(module).values():
            if not inspect.isclass(cls) or cls.__module__ != module.__name__:
                continue
            for name, member in vars(cls).items():
                function = member.fget if isinstance(member, property) else member
                if inspect.isfunction(function) and (reading.fullmatch(name) or isinstance(member, property)):
                    try:
                        found.append((f"{cls.__name__}.{name}", textwrap.dedent(inspect.getsource(function))))
                    except OSError:
                        continue
    return found


def test_false_alarms_are_few():
    """Of the standard library's methods that only read, nine of ten pass; the others call what nobody can decide."""
    methods = stdlib_methods()
    assert len(methods) > 100
    # A property that keeps what it computed changes its object; those are right to be found.
    caching = re.compile(r"self\.\w+ = |self\.\w+\[.*\] = |\.append|object\.__setattr__|setattr")
    reading = [(name, source) for name, source in methods if not caching.search(source)]
    alarms = [(name, found[0].message) for name, source in reading if (found := covenant(source))]
    assert len(alarms) <= 0.1 * len(reading), alarms
    assert [name for name, message in alarms if "decided" not in message] == []


def test_whole_modules_do_not_crash_it():
    """Every class of some large modules is audited without an exception."""
    import argparse
    import decimal
    import typing

    from batos.guardian import covenant as own

    for module in (argparse, ast, decimal, inspect, typing, own):
        source = inspect.getsource(module)
        assert isinstance(audit(source), list)


class TestPolicy:
    """What methods do not use."""

    @pytest.mark.parametrize(
        ("body", "rule"),
        [
            ("import os", "import"),
            ("from os import path", "import"),
            ("from . import x", "import"),
            ("from math import *", "import"),
            ("import os.path as p", "import"),
            ("return open('x')", "builtin"),
            ("exec('1')", "builtin"),
            ("return eval('1')", "builtin"),
            ("return self._slots", "underscore"),
            ("return ().__class__.__bases__", "underscore"),
            ("return self.x.__globals__", "underscore"),
            ("return __builtins__", "underscore"),
            ("return (lambda: 0).__code__", "underscore"),
            ("global x", "global"),
            ("return '{0.__globals__}'", "insides"),
            ("yield 1", "generator"),
        ],
    )
    def test_it_is_found(self, body, rule):
        """Each of these has a finding of its rule."""
        source = f"def go(self):\n    {body}\n"
        assert rule in [finding.rule for finding in audit(source) if finding.kind == "policy"]
        with pytest.raises(PolicyViolation):
            PersistenceGuardian.audit_policy(source)

    @pytest.mark.parametrize(
        "body",
        [
            "import math, collections.abc",
            "from collections import Counter",
            "from urllib.parse import quote",
            "import urllib.parse",
            "for _ in range(3): pass",
            "return type(self.x).__name__",
            "return self.__class__.__name__",
            "return self._clone_persistent_()",
            "def helper(_x): return _x",
            "class P:\n        def __init__(self, x):\n            self._x = x",
            "open = self.door\n    return open",
            "def inner():\n        yield 1\n    return list(inner())",
        ],
    )
    def test_honest_code_is_not(self, body):
        """What methods do use has no policy finding."""
        assert [found for found in audit(f"def go(self):\n    {body}\n") if found.kind == "policy"] == []

    @pytest.mark.parametrize(
        ("source", "rule"),
        [
            ("def other(self): pass", "name"),
            ("async def go(self): pass", "async"),
            ("def go(): pass", "self"),
            ("def go(it): pass", "self"),
            ("x = 1", "shape"),
            ("def go(self): pass\ndef more(self): pass", "shape"),
            ("print(1)\ndef go(self): pass", "shape"),
            ("class A: pass", "shape"),
        ],
    )
    def test_a_method_has_one_shape(self, source, rule):
        """A method is one plain def with self first, under the selector's name; imports may stand before it."""
        assert rule in [finding.rule for finding in audit(source, selector="go") if finding.kind == "syntax"]
        assert audit('"""Doc."""\nimport math\n\ndef go(self):\n    return math.pi\n', selector="go") == []

    def test_the_list_of_modules_can_be_another(self):
        """The allowed modules are a parameter."""
        source = "def go(self):\n    import numpy.linalg\n    return numpy.linalg\n"
        assert audit(source)
        assert [found.rule for found in audit(source, allowed_modules=("numpy",))] == []

    def test_decorators_are_found(self):
        """A method has no decorators; functions inside it may."""
        assert "decorator" in [found.rule for found in audit("@cache\ndef go(self):\n    return 1\n")]
        inside = "def go(self):\n    from functools import cache\n    @cache\n    def f(x):\n        return x\n    return f(1)\n"
        assert audit(inside) == []
