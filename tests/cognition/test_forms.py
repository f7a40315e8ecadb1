"""Functions as methods: text alone, and what it gives runs as the function did."""

import pytest

from batos.cognition.compare import same
from batos.cognition.forms import as_method, recursing, repeats, returning, wrapped


def _run(source, selector, *args):
    """Run a method on an object that has nothing else."""
    space = {}
    exec(source, space)
    return getattr(type("Receiver", (), {selector: space[selector]})(), selector)(*args)


class TestAsMethod:
    def test_a_body_gets_self(self):
        """A function's body after the prefill is a method with self first, otherwise as it was written."""
        source, mends = as_method("    return a + b\n", "add", "def add(a, b):\n", ["a", "b"])
        assert mends == ["made the function a method: self comes first"]
        assert source == "def add(self, a, b):\n    return a + b\n"

    def test_recursion_stays_within(self):
        """A function that calls itself is nested, so that it runs without messages."""
        body = "    return 1 if n < 2 else n * fact(n - 1)\n"
        source, mends = as_method(body, "fact", "def fact(n):\n", ["n"])
        assert _run(source, "fact", 20) == 2432902008176640000
        assert "calls itself" in mends[-1]

    @pytest.mark.parametrize("before", [True, False])
    def test_helpers_and_constants_come_along(self, before):
        """Helpers that the function uses come with it wherever they stand; what it does not use, and calls of it, stay out."""
        helper = "LIMIT = 1\n\ndef is_prime(n):\n    return n > LIMIT and all(n % i for i in range(2, n))\n\n"
        unused = "def other():\n    return 1\n"
        main = "def primes(a):\n    return [x for x in a if is_prime(x)]\n\n"
        answer = (helper + main if before else main + helper) + unused + "print(primes([2]))\nresult = primes([3])\n"
        source, mends = as_method(f"Sure:\n```python\n{answer}```\nIt works.", "primes", "def primes(a):\n", ["a"])
        assert _run(source, "primes", [1, 2, 3, 4]) == [2, 3]
        assert any("beside it" in mend for mend in mends)
        assert "other" not in source
        assert "print" not in source

    def test_helpers_come_along_with_any_indentation(self):
        """A body that is indented by two stands right below a helper; so does one with a text at the margin."""
        helper = "def twice(n):\n  return n * 2\n\n"
        source, _ = as_method(f"```python\n{helper}def f(n):\n  return twice(n) + 1\n```", "f", "def f(n):\n", ["n"])
        assert _run(source, "f", 2) == 5
        margin = 'def f(n):\n    text = """\na\n"""\n    return len(text) * twice(n)\n'
        source, _ = as_method(f"```python\n{helper}{margin}```", "f", "def f(n):\n", ["n"])
        assert _run(source, "f", 2) == 12

    def test_helpers_come_along_with_a_method(self):
        """What a method with self uses beside it is taken into it; other methods are not."""
        answer = "LIMIT = 3\n\ndef cut(a):\n    return a[:LIMIT]\n\ndef g(self):\n    return 1\n\ndef f(self, a):\n    return cut(a)\n"
        source, mends = as_method(f"```python\n{answer}```", "f", "def f(self, a):\n", ["a"])
        assert _run(source, "f", [1, 2, 3, 4]) == [1, 2, 3]
        assert mends == ["took what it uses beside it into the method"]
        assert "def g" not in source

    def test_imports_that_nothing_uses_are_left_out(self):
        """Small models import what they do not need, and what no method may have."""
        left_out = "left out an import that nothing uses"
        for head in ("def f(n):", "def f(self, n):"):
            answer = f"```python\nimport sys\nimport math\n\n{head}\n    return math.floor(n)\n```"
            source, mends = as_method(answer, "f", f"{head}\n", ["n"])
            assert source == "import math\n\ndef f(self, n):\n    return math.floor(n)\n"
            assert left_out in mends
        assert left_out not in as_method("    return n\n", "f", "def f(n):\n", ["n"])[1]

    def test_imports_stay_above(self):
        """Imports of the answer stand above the method."""
        answer = "```python\nimport math\n\ndef area(r):\n    return math.pi * r ** 2\n```"
        assert as_method(answer, "area", "def area(r):\n", ["r"])[0].startswith("import math\n\ndef area(self, r):")

    def test_a_method_stays_one(self):
        """An answer that has self already is not given it twice."""
        answer = "def area(self, r):\n    return r\n"
        assert as_method(answer, "area", "def area(r):\n", ["r"]) == (answer, [])


class TestWrapped:
    def test_the_result_is_made_a_kind(self):
        """A wrapped method gives the same values in the kind that is wanted, whatever way it returns."""
        source = wrapped(
            "def pair(self, a, b=2):\n    if a:\n        return [a, b]\n    return []\n", "pair", ["a", "b"], "tuple"
        )
        assert _run(source, "pair", 1) == (1, 2)
        assert _run(source, "pair", 0) == ()

    def test_what_uses_its_object_is_left_alone(self):
        """A method that speaks of self is not nested."""
        assert wrapped("def f(self, a):\n    self.a = a\n    return [a]\n", "f", ["a"], "tuple") is None


class TestMends:
    def test_recursion_of_a_method(self):
        """A method that calls itself as a function is nested, or sends itself a message where it needs its object."""
        plain, nested = recursing("def total(self, a):\n    return a[0] + total(a[1:]) if a else 0\n", "total")
        assert _run(plain, "total", [1, 2, 3]) == 6
        stateful, sent = recursing(
            "def total(self, a):\n    self.n = 1\n    return total(a[1:]) if a else self.n\n", "total"
        )
        assert "self.total(a[1:])" in stateful
        assert ["function inside" in nested[0], "a message" in sent[0]] == [True, True]
        once = "def total(self, a):\n    return sum(a)\n"
        assert recursing(once, "total") == (once, [])

    def test_what_is_printed_is_returned(self):
        """A method that prints at its end and returns nowhere returns that; others stay as they are."""
        source, mends = returning("def f(self, a):\n    b = a + 1\n    print(b)\n")
        assert (_run(source, "f", 1), len(mends)) == (2, 1)
        for kept in ("def f(self, a):\n    print(a)\n    return 1\n", "def f(self, a):\n    print(a, end='')\n"):
            assert returning(kept) == (kept, [])

    def test_examples_that_are_repeated_are_seen(self):
        """A method that never looks at its arguments, or has an example's argument in it, is found out."""
        examples = [{"args": [[True, False, True]], "result": 2}]
        assert "depend" in repeats("def count(self, lst):\n    return 2\n", ["lst"], examples)
        cheat = "def count(self, lst):\n    return 2 if lst == [True,  False, True] else 0\n"
        assert "repeats" in repeats(cheat, ["lst"], examples)
        assert repeats("def count(self, lst):\n    return sum(lst)\n", ["lst"], examples) == ""

    @pytest.mark.parametrize(
        ("body", "example"),
        [
            (
                "    if kind == 'deposit':\n        return amount\n    return -kind\n",
                {"args": ["deposit", 100], "result": 100},
            ),
            (
                '    """Do it.\n\n    >>> f([\'apple\', \'fig\'])\n    2\n    """\n    return len(kind)\n',
                {"args": [["apple", "fig"]], "result": 2},
            ),
            ("    # as in f('write report') == 12\n    return len(kind)\n", {"args": ["write report"], "result": 12}),
            ("    return ['Monday', 'Tuesday', 'Wednesday'].index(kind)\n", {"args": ["Wednesday"], "result": 2}),
            ("    return set(kind) <= set('0123456789')\n", {"args": ["0123456789"], "result": True}),
            (
                "    self.calls += 1\n    self._p_changed = True\n    return self.calls\n",
                {"args": ["Ada Lovelace"], "result": 1},
            ),
        ],
    )
    def test_what_an_example_names_may_be_named(self, body, example):
        """Words to tell cases apart, tables, docstrings and comments repeat nothing; nor does one who only counts calls."""
        assert repeats(f"def f(self, kind):\n{body}", ["kind"], [example]) == ""


@pytest.mark.parametrize(
    ("kind", "given", "wanted"),
    [
        ("int", 4.0, 4),
        ("int", 4.5, 4.5),
        ("int", float("inf"), float("inf")),
        ("int", "7", 7),
        ("tuple", [1, 2], (1, 2)),
        ("list of tuple", [[1, 2], [3]], [(1, 2), (3,)]),
        ("tuple of int", [1.0, 2.5], (1, 2.5)),
        ("list of str", (1, 2), ["1", "2"]),
    ],
)
def test_a_mended_kind_loses_nothing(kind, given, wanted):
    """A result is made the kind that the examples have, its items too; a number with a fraction keeps it."""
    source = wrapped("def f(self, a):\n    return a\n", "f", ["a"], kind)
    space = {}
    exec(source, space)
    got = space["f"](None, given)
    assert same(got, wanted)
