"""Functions as methods: text alone, and what it gives runs as the function did."""

import pytest

from batos.cognition.forms import as_method, wrapped


def _run(source, selector, *args):
    """Run a method on an object that has nothing else."""
    space = {}
    exec(source, space)
    return getattr(type("Receiver", (), {selector: space[selector]})(), selector)(*args)


class TestAsMethod:
    def test_a_body_gets_self(self):
        """A function's body after the prefill is a method with self first, otherwise as it was written."""
        source = as_method("    return a + b\n", "add", "def add(a, b):\n", ["a", "b"])
        assert source == "def add(self, a, b):\n    return a + b\n"

    def test_recursion_stays_within(self):
        """A function that calls itself is nested, so that it runs without messages."""
        body = "    return 1 if n < 2 else n * fact(n - 1)\n"
        assert _run(as_method(body, "fact", "def fact(n):\n", ["n"]), "fact", 20) == 2432902008176640000

    @pytest.mark.parametrize("before", [True, False])
    def test_helpers_and_constants_come_along(self, before):
        """Helpers that the function uses come with it wherever they stand; what it does not use, and calls of it, stay out."""
        helper = "LIMIT = 1\n\ndef is_prime(n):\n    return n > LIMIT and all(n % i for i in range(2, n))\n\n"
        unused = "def other():\n    return 1\n"
        main = "def primes(a):\n    return [x for x in a if is_prime(x)]\n\n"
        answer = (helper + main if before else main + helper) + unused + "print(primes([2]))\nresult = primes([3])\n"
        source = as_method(f"Sure:\n```python\n{answer}```\nIt works.", "primes", "def primes(a):\n", ["a"])
        assert _run(source, "primes", [1, 2, 3, 4]) == [2, 3]
        assert "other" not in source
        assert "print" not in source

    def test_imports_stay_above(self):
        """Imports of the answer stand above the method."""
        answer = "```python\nimport math\n\ndef area(r):\n    return math.pi * r ** 2\n```"
        assert as_method(answer, "area", "def area(r):\n", ["r"]).startswith("import math\n\ndef area(self, r):")

    def test_a_method_stays_one(self):
        """An answer that has self already is not given it twice."""
        answer = "def area(self, r):\n    return r\n"
        assert as_method(answer, "area", "def area(r):\n", ["r"]) == answer


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
