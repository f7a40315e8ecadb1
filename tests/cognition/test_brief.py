"""The brief fixes the signature, finds what is missing, and reads examples from words."""

import pytest

from batos.cognition import brief as briefs


def _brief(**fields):
    return {"type": "unhandled_message", "selector": "f", **fields}


class TestFirstLine:
    def test_parameters_come_in_order_with_their_defaults(self):
        """Parameters of the brief, then keys of kwargs, make the whole first line."""
        brief = _brief(parameters=[{"name": "a"}, {"name": "b", "default": 2}], kwargs={"c": 1, "a": 3})
        assert briefs.first_line(brief) == "def f(self, a, b=2, c):"

    def test_values_without_names_leave_the_line_open(self):
        """Positional values without a parameter are the model's to name."""
        assert briefs.first_line(_brief(args=[1])) is None
        assert briefs.first_line(_brief(parameters=[{"name": "a"}], args=[1, 2])) is None

    def test_an_empty_list_of_parameters_means_none(self):
        """`parameters` given and empty: the method takes nothing; absent: the model chooses."""
        assert briefs.first_line(_brief(parameters=[])) == "def f(self):"
        assert briefs.first_line(_brief()) is None


class TestNeeds:
    PARAMETERS = [
        {"name": "a", "has_default": False},
        {"name": "b", "has_default": True},
        {"name": "c", "has_default": False},
    ]

    def test_what_has_no_value_and_no_default(self):
        """Only parameters without a value and without a default are needed."""
        assert briefs.needs(self.PARAMETERS, _brief()) == ["a", "c"]
        assert briefs.needs(self.PARAMETERS, _brief(args=[1])) == ["c"]
        assert briefs.needs(self.PARAMETERS, _brief(args=[1, 2, 3])) == []
        assert briefs.needs(self.PARAMETERS, _brief(kwargs={"c": 1, "a": 2})) == []


class TestSignatureFinding:
    def test_a_missing_name_is_found(self):
        """A candidate without a parameter that the brief names does not fit."""
        assert "'a' is missing" in (briefs.signature_finding([], _brief(parameters=[{"name": "a"}])) or "")

    def test_too_few_for_the_values(self):
        """A candidate with fewer parameters than there are values does not fit."""
        assert "takes 0 arguments" in (briefs.signature_finding([], _brief(args=[1])) or "")

    def test_what_fits(self):
        """A candidate that the calls of the brief can reach fits, whatever it names its parameters."""
        assert briefs.signature_finding([{"name": "x", "has_default": False}], _brief(args=[1])) is None
        assert briefs.signature_finding([{"name": "x", "has_default": False}], _brief()) is None


class TestExamplesInWords:
    @pytest.mark.parametrize(
        ("words", "args", "result"),
        [
            ("factorial, fac(3) == 6 please", [3], 6),
            ("so that fac(4) is 'IV'.", [4], "IV"),
            (">>> fac([1, 2], (3,))\n[1, 2, 3]", [[1, 2], (3,)], [1, 2, 3]),
            ("fac('a)') is True, and more", ["a)"], True),
        ],
    )
    def test_found(self, words, args, result):
        """Calls with a literal answer in the Architect's words are examples."""
        assert briefs.examples_in_words("fac", words) == [{"args": args, "kwargs": {}, "result": result}]

    @pytest.mark.parametrize("words", ["fac(x) is nice", "fac(2) is whatever I say", "call fac(3)", "fac(", ""])
    def test_not_found(self, words):
        """Words that are no literal call with a literal answer are left alone."""
        assert briefs.examples_in_words("fac", words) == []
