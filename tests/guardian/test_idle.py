"""A needless flag goes where the method uses no slot, and is told of where it reads some."""

import pytest

from batos.guardian.mending import mend
from batos.guardian.review import review

PURE = "def f(self):\n    x = 1\n    self._p_changed = True\n    return x\n"
FORGETFUL = "def f(self):\n    self._p_changed = True\n    return getattr(self, 'calls', 0) + 1\n"
CHANGES = "def f(self):\n    self.calls = 1\n    self._p_changed = True\n    return self.calls\n"


def test_a_needless_flag_goes():
    """A method that uses no slot loses the flag; mending again changes nothing."""
    mended, done = mend(PURE)
    assert mended == "def f(self):\n    x = 1\n    return x\n"
    assert done == ["removed the needless self._p_changed = True"]
    assert mend(mended) == (mended, [])


@pytest.mark.parametrize(
    "source",
    [
        CHANGES,
        FORGETFUL,
        "def f(self):\n    self._p_changed = True\n",
        "def f(self, n):\n    if n:\n        self._p_changed = True\n    return n\n",
        "def f(self, n):\n    n += 1; self._p_changed = True; return n\n",
    ],
)
def test_other_flags_stay(source):
    """A method that changes or reads slots keeps its flag, and so does one that would not be Python without it."""
    mended, _ = mend(source)
    assert "self._p_changed = True" in mended
    compile(mended, "<test>", "exec")


@pytest.mark.parametrize(
    "body",
    [
        "n *= 2; {flag}\n    return n",
        "{flag}; n *= 2\n    return n",
        "if n > 1: n = 0; {flag}\n    return n",
        "if n > 1: {flag}\n    return n",
        "try: n = 1 // n\n    except ZeroDivisionError as e: {flag}; raise e\n    return n",
        'n = """\n"""; {flag}\n    return n',
        "if n: n = 0; \\\n    {flag}\n    return n",
    ],
)
def test_what_shares_a_line_with_the_flag_stays(body):
    """Nothing is lost that stands in the flag's line: there the flag stays, which does no harm."""
    source = f"def f(self, n):\n    {body.format(flag='self._p_changed = True')}\n"
    assert mend(source) == (source, [])


def test_flags_that_stand_alone_go_beside_others():
    """Of two needless flags the one with a line of its own goes, with its comment."""
    source = "def f(self, n):\n    n += 1; self._p_changed = True\n    self._p_changed = True  # so\n    return n\n"
    assert mend(source)[0] == "def f(self, n):\n    n += 1; self._p_changed = True\n    return n\n"


@pytest.mark.parametrize(
    ("source", "idle", "slots"), [(FORGETFUL, True, ["calls"]), (CHANGES, False, ["calls"]), (PURE, False, [])]
)
def test_the_review_tells(source, idle, slots):
    """The review says whether the flag is idle, and which slots the method names."""
    report = review(source, "f")
    assert (report["idle"], report["slots"]) == (idle, slots)
