"""The method is cut out of whatever a model answers."""

import pytest

from batos.cognition.candidates import extract

WHOLE = "def f(self, n):\n    return n + 1\n"
OPENING = "def f(self, n):\n"


@pytest.mark.parametrize(
    "answer",
    [
        "    return n + 1\n",
        "    return n + 1\n```\nThis adds one.",
        "    return n + 1\n\nprint(f(None, 2))\n",
        WHOLE,
        f"Here it is:\n```python\n{WHOLE}```\nIt adds one.",
        f"```\n{WHOLE}\n# usage\nf(1)\n```",
        "    def f(self, n):\n        return n + 1\n",
    ],
)
def test_one_method_comes_out(answer):
    """Fences, prose, usage and indentation around the method are left out."""
    assert extract(answer, "f", OPENING) == WHOLE


def test_imports_before_the_def_stay():
    """Imports that stand before the method are part of it."""
    answer = "```python\nimport math\nfrom datetime import date\n\nX = 1\ndef f(self):\n    return math.pi\n```"
    assert extract(answer, "f", "") == "import math\nfrom datetime import date\n\ndef f(self):\n    return math.pi\n"


def test_brackets_may_close_at_the_margin():
    """A bracket that closes in the first column is still part of the method."""
    source = "def f(self):\n    return [\n1,\n]\n"
    assert extract(source, "f", "") == source


def test_nonsense_stays_nonsense():
    """What is not Python comes out as text: the audit says what is wrong."""
    assert extract("def f(self):\n    return ]\n", "f", OPENING) == "def f(self):\n    return ]\n"
