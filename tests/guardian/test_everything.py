"""The Guardian over whole source trees, and over hostile text: findings, never a crash.

In CI a slice of the standard library; `BATOS_GUARDIAN_ALL=1 pytest -s tests/guardian/test_everything.py` takes all of it,
and every installed package, and says how long that took.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from batos.errors import CovenantViolationError, PolicyViolation
from batos.guardian import PersistenceGuardian, audit, mend

ALL = os.environ.get("BATOS_GUARDIAN_ALL") == "1"
SLICE = 40


def source_files() -> list[Path]:
    """Every Python file of the standard library and of what is installed; without `BATOS_GUARDIAN_ALL`, a slice."""
    library = Path(sysconfig.get_path("stdlib"))
    files = sorted(path for path in library.rglob("*.py") if "site-packages" not in path.parts)
    if not ALL:
        return files[::SLICE]
    return files + sorted(Path(sysconfig.get_path("purelib")).rglob("*.py"))


@pytest.mark.timeout(0)
def test_no_source_crashes_it():
    """Every source text has a verdict, whatever is in it."""
    start, methods, unread = time.perf_counter(), 0, 0
    files = source_files()
    for path in files:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        findings = audit(text)
        assert isinstance(findings, list), path
        methods += text.count("def ")
        unread += any(finding.rule == "syntax" for finding in findings)
    if ALL:
        took = time.perf_counter() - start
        sys.stderr.write(f"\n{len(files)} files, some {methods} functions, {unread} that are not read: {took:.0f} s\n")
    assert len(files) > 10


HOSTILE = {
    "nul": "def go(self):\n    x = 1\0\n",
    "ten megabytes": "x = 1\n" * 1_700_000,
    "a long line": "x = '" + "a" * 2_000_000 + "'",
    "parentheses": "(" * 100_000 + ")" * 100_000,
    "brackets": "def go(self):\n    x = " + "[" * 400 + "]" * 400,
    "signs": "x = " + "-" * 100_000 + "1",
    "nots": "x = " + "not " * 100_000 + "1",
    "powers": "x = 1" + "**1" * 100_000,
    "sums": "def go(self):\n    return 1" + " + 1" * 20_000,
    "attributes": "x = a" + ".a" * 100_000,
    "lambdas": "x = " + "lambda: " * 50_000 + "1",
    "choices": "x = " + "1 if 1 else " * 50_000 + "1",
    "branches": "def go(self):\n    if 1: pass\n" + "    elif 1: self.x = 1\n" * 20_000,
    "indents": "".join("    " * depth + "if 1:\n" for depth in range(101)) + "    " * 101 + "pass\n",
    "surrogate": "def go(self):\n    return '\ud800'\n",
    "bad escape": "def go(self):\n    return '\\N{bad}'\n",
    "tabs": "def go(self):\n\tif 1:\n        self.x = 1\n",
    "separator": "def go(self):\n    x = 1\u2028    self.x = 1\n",
    "nothing": "",
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_text_is_a_finding(name):
    """Text that cannot be read as a method is a finding that says so, and comes back from a mend as it is."""
    source = HOSTILE[name]
    assert [finding.kind for finding in audit(source)] == ["syntax"]
    assert mend(source) == (source, [])
    if name != "nothing":
        with pytest.raises(CovenantViolationError):
            PersistenceGuardian.audit_code(source)
        with pytest.raises(PolicyViolation):
            PersistenceGuardian.audit_policy(source)


@pytest.mark.parametrize(
    ("source", "mended"),
    [
        ("\ufeffdef go(self):\n    self.x = 1\n", "def go(self):\n    self.x = 1\n    self._p_changed = True\n"),
        ("\x0cdef go(self):\n\x0c    self.x = 1\n", "\x0cdef go(self):\n\x0c    self.x = 1\n\x0c    self._p_changed = True\n"),
        ("def go(self):\r    self.x = 1\r", "def go(self):\n    self.x = 1\n    self._p_changed = True\n"),
        ("# -*- coding: utf-7 -*-\ndef go(self):\n    self.ä = 1", "# -*- coding: utf-7 -*-\ndef go(self):\n    self.ä = 1\n    self._p_changed = True"),
    ],
)  # fmt: skip
def test_odd_text_is_mended(source, mended):
    """Byte order marks, form feeds, old line ends and claims of another encoding are understood."""
    assert mend(source)[0] == mended
    PersistenceGuardian.audit_code(mended)


def test_tangled_methods_come_to_an_end():
    """Deep `finally`, deep loops, long chains of names and thousands of ways out are audited in one go."""
    nest, deep = "def go(self):\n", range(1, 90)
    finals = nest + "".join(
        "    " * d + "try:\n" + "    " * (d + 1) + "if self.a: return self.b.pop()\n" + "    " * d + "finally:\n"
        for d in deep
    )
    loops = nest + "".join("    " * d + "for x in self.a:\n" for d in deep) + "    " * 90 + "self.b = x\n"
    chain = nest + "".join(f"    a{n} = a{n + 1}\n" for n in range(1000)) + "    a1000 = self.x\n    a0.append(1)\n"
    exits = nest + "".join(f"    if self.a == {n}:\n        self.b = {n}\n        return {n}\n" for n in range(300))
    for source in (finals + "    " * 90 + "return 1\n", loops, chain, exits):
        assert "covenant" in [finding.kind for finding in audit(source)]
    assert len([finding for finding in audit(exits) if finding.kind == "covenant"]) == 300
