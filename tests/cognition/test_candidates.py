"""The method is cut out of whatever a model answers."""

import pytest

from batos.cognition.candidates import extract, inside

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


@pytest.mark.parametrize(
    "answer",
    [
        f"class Solution:\n    {WHOLE.replace(chr(10), chr(10) + '    ')}\n    def g(self):\n        return 2\n",
        "class Solution:\n    def __init__(self):\n        self.n = 0\n\n    def f(self, n):\n        return n + 1\n\nprint(1)\n",
    ],
)
def test_a_class_around_the_method_is_left_out(answer):
    """A method that was written in a class comes out alone."""
    assert extract(answer, "f", OPENING) == WHOLE


@pytest.mark.parametrize(
    "body",
    [
        "    return n.count('(')\n",
        '    return n + \'""" [\'  # (\n',
        '    return """\nat the margin (\n""" + n\n',
        "    '''It says \"(\".'''\n    return n\n",
        "    return f'{n[0]}['\n",
    ],
)
def test_texts_in_the_code_are_no_code(body):
    """Brackets and margins in texts and comments neither hold the method open nor end it."""
    source = f"def f(self, n):\n{body}"
    assert extract(f"{source}\nprint(f(None, 'a'))\n", "f", "") == source


def test_lines_within_brackets_and_texts():
    """Each line is told whether it begins inside of something."""
    lines = ["def f(a,", "  b):", '  """doc', "text (", 'end"""', "  return (1,", "2)", "x = '(' # ("]
    assert list(inside(lines)) == [False, True, False, True, True, False, True, False]
