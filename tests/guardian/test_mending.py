"""Mends: minimal, idempotent, and always enough."""

from __future__ import annotations

import ast

import pytest

from batos.guardian import audit, mend
from batos.guardian.review import review
from tests.guardian.breaking import BREAKS
from tests.guardian.cases import KEEPS
from tests.guardian.strange import STRANGE

ALL_BREAKS = {**BREAKS, **STRANGE}


def covenant(source: str) -> list:
    """The Covenant's findings."""
    return [finding for finding in audit(source) if finding.kind == "covenant"]


@pytest.mark.parametrize("name", sorted(ALL_BREAKS))
def test_every_broken_method_is_mended(name):
    """The mended source passes, is said to be mended, and a second mend changes nothing."""
    mended, done = mend(ALL_BREAKS[name])
    assert covenant(mended) == []
    assert done
    assert mend(mended) == (mended, [])


@pytest.mark.parametrize("name", sorted(KEEPS))
def test_what_keeps_the_covenant_stays_as_it_is(name):
    """A source without a fault comes back to the letter."""
    assert mend(KEEPS[name]) == (KEEPS[name], [])


def test_formatting_and_comments_stay():
    """The line goes in at the right place and indentation; nothing else changes."""
    source = "def go(self, x):  # one\n\tif x:\n\t\tself.n = {  'a':1 } # two\n\t\treturn 'é' # three\n\treturn None\n\n# end\n"
    mended, done = mend(source)
    assert mended == source.replace("\t\treturn 'é'", "\t\tself._p_changed = True\n\t\treturn 'é'")
    assert len(done) == 1


def test_the_end_of_a_method_gets_its_line():
    """A method that falls through gets the line after its last statement, also a long one."""
    source = "def go(self):\n    self.items.append(\n        1,\n    )\n    # the end\n"
    assert mend(source)[0] == source.replace("    )\n", "    )\n    self._p_changed = True\n")


def test_a_return_that_changes_is_taken_apart():
    """The value of a return that changes the object is named first."""
    mended, _ = mend("def go(self):\n    return self.items.pop()\n")
    assert mended == "def go(self):\n    result = self.items.pop()\n    self._p_changed = True\n    return result\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("if n: self.x = 1; return  2 # two", "if n: self.x = 1; {flag}; return  2 # two"),
        ("if n: return self.a.pop() # off", "if n: result = self.a.pop(); {flag}; return result # off"),
        ("return self.a.pop(\n        0,  # the first\n    )", "result = self.a.pop(\n        0,  # the first\n    )\n    {flag}\n    return result"),
        ("self.x = 1;  # done", "self.x = 1;  # done\n    {flag}"),
        ("try:\n        return 1  # one\n    finally:  # and\n        self.x = 1", "try:\n        return 1  # one\n    finally:  # and\n        self.x = 1\n        {flag}"),
        ("for self in n: pass  # all\n    return n", "current = self\n    for current in n: pass  # all\n    return n"),
        ("f = lambda self: self\n    self = f(n)  # me", "current = self\n    f = lambda self: self\n    current = f(n)  # me"),
        (
            "'Doc.'\n    later = lambda: self.a.pop()  # so\n    x = \"\"\"\n  kept\n\"\"\"\n\n    return later",
            "'Doc.'\n    try:\n        later = lambda: self.a.pop()  # so\n        x = \"\"\"\n  kept\n\"\"\"\n\n        return later\n    finally:\n        {flag}",
        ),
    ],
)  # fmt: skip
def test_mends_are_minimal(before, after):
    """One-line blocks, comments, open brackets, texts of several lines: only what must be is changed."""
    flag = "self._p_changed = True"
    mended, _ = mend(f"def go(self, n):\n    {before}\n")
    assert mended == f"def go(self, n):\n    {after.format(flag=flag)}\n"
    assert covenant(mended) == []


def test_a_method_in_one_line_stays_in_it():
    """The flag joins the line."""
    assert mend("def go(self): self.x = 1  # one\n")[0] == "def go(self): self.x = 1; self._p_changed = True  # one\n"


def test_methods_of_classes_are_mended_by_their_own_receiver():
    """Whatever the first parameter is called; functions of the class itself are no methods."""
    text = "class A:\n    @staticmethod\n    def no(x):\n        x.y = 1\n    def yes(this):\n        this.y = 1\n"
    assert mend(text)[0] == text + "        this._p_changed = True\n"


def test_windows_lines_are_understood():
    """Other line ends are made plain ones."""
    mended, done = mend("def go(self):\r\n    self.x = 1\r\n")
    assert mended == "def go(self):\n    self.x = 1\n    self._p_changed = True\n"
    assert len(done) == 1


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("return math.sqrt(2)", "import math"),
        ("return datetime.now()", "from datetime import datetime"),
        ("return datetime.datetime.now()", "import datetime"),
        ("return datetime.date.today()", "import datetime"),
        ("return date.today() + timedelta(days=1)", "from datetime import date"),
        ("return Counter('a')", "from collections import Counter"),
        ("return defaultdict(list)", "from collections import defaultdict"),
        ("return re.findall('a', 'b')", "import re"),
        ("x: List[int] = []\n    return x", "from typing import List"),
        ("return json.dumps({})", "import json"),
        ("return Decimal('1')", "from decimal import Decimal"),
        ("return time.time()", "import time"),
        ("return random.choice([1])", "import random"),
        ("return reduce(max, [1])", "from functools import reduce"),
        ("return [p for p in itertools.permutations('ab')]", "import itertools"),
    ],
)
def test_missing_imports_are_added(body, line):
    """A name of an allowed module that is used and not bound gets its import; once."""
    source = f"def go(self):\n    {body}\n"
    mended, done = mend(source)
    assert line in mended.split("\n")
    assert mended.endswith(source)
    assert f"added `{line}`" in done
    assert mend(mended) == (mended, [])
    compile(mended, "mended", "exec")


@pytest.mark.parametrize(
    "body",
    [
        "return os.getpid()",
        "math = self.m\n    return math.x",
        "import math\n    return math.pi",
        "return [json for json in []]",
        "return unknown.thing",
        "return unknown(1)",
    ],
)
def test_other_names_are_left_alone(body):
    """Modules that are not allowed, names that are bound, and names nobody knows get no import."""
    source = f"def go(self):\n    {body}\n"
    assert mend(source) == (source, [])


def test_imports_go_to_the_top():
    """New imports stand before the def, beside those that are there, after a docstring."""
    source = '"""Doc."""\nimport math\n\n\ndef go(self):\n    return math.pi + Counter("a")["a"]\n'
    mended, _ = mend(source)
    assert ast.get_docstring(ast.parse(mended)) == "Doc."
    assert mended.index("from collections import Counter") < mended.index("def go")


@pytest.mark.parametrize(
    ("head", "before"),
    [
        ("from __future__ import annotations\n\n", ""),
        ('"""Doc."""\nfrom __future__ import annotations\nfrom __future__ import division\n', ""),
        ('"""Doc."""; from __future__ import annotations; import re\n', ""),
        ("from __future__ import annotations; import re; import json\n", "import base64\n"),
        ('"""Doc."""; import re\n', ""),
    ],
)
def test_imports_go_below_what_must_come_first(head, before):
    """A docstring, and what is imported of `__future__`, stay above new imports, also where a line holds more."""
    source = f"{head}{before}def go(self):\n    return math.pi\n"
    mended, done = mend(source)
    compile(mended, "mended", "exec")
    assert done == ["added `import math`"]
    assert mended.startswith(head.rstrip("\n"))
    assert ast.get_docstring(ast.parse(mended)) == ast.get_docstring(ast.parse(source))
    assert mend(mended) == (mended, [])


@pytest.mark.parametrize("source", ["def go(self:", "", "\0", "x = 1\n", "(" * 1000])
def test_what_cannot_be_mended_comes_back(source):
    """Text that is no method comes back as it is, without an exception."""
    assert mend(source) == (source, [])


def test_a_review_describes_the_method():
    """A review gives the mended source, findings as plain data, signature, parameters and summary."""
    report = review('def go(self, a, *rest, b=1, **more):\n    """Goes.\n    Far."""\n    self.x = a\n', "go")
    assert report["source"].endswith("self._p_changed = True\n")
    assert report["findings"] == []
    assert report["signature"] == "(self, a, *rest, b=1, **more)"
    assert report["parameters"] == [{"name": "a", "has_default": False}, {"name": "b", "has_default": True}]
    assert report["summary"] == "Goes."
    assert review("def (", "go")["findings"][0]["kind"] == "syntax"
