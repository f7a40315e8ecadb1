"""How a mission is asked for."""

import pytest

from batos.cognition import approach
from batos.settings import Settings

EXAMPLE = [{"args": [1], "result": 2}]


def _brief(**more):
    return {"type": "unhandled_message", "selector": "f", "parameters": [{"name": "n"}], **more}


class TestForm:
    @pytest.mark.parametrize("words", ["the square of a number", "remove duplicates from a list", "add two numbers"])
    def test_what_needs_no_state_is_a_function(self, words):
        """Words that say nothing of state, and a fixed signature: a plain function is asked for."""
        assert approach.form_of(_brief(), words, slots="", known=[]) == "function"

    @pytest.mark.parametrize(
        "words", ["remember a birthday", "count how many times it was called so far", "add n to the total"]
    )
    def test_words_of_state_make_a_method(self, words):
        """Words that speak of state ask for a method, also where a plain example is given."""
        assert approach.form_of(_brief(examples=EXAMPLE), words, slots="", known=[]) == "method"

    def test_state_that_is_there_makes_a_method(self):
        """Slots or methods that matter, examples with slots or steps, or an open signature ask for a method."""
        assert approach.form_of(_brief(), "square", slots="n = 1", known=[]) == "method"
        assert approach.form_of(_brief(), "square", slots="", known=["double(n)"]) == "method"
        assert approach.form_of(_brief(examples=[{"slots": {"a": 1}}]), "square", slots="", known=[]) == "method"
        assert approach.form_of({"selector": "f", "args": [1]}, "square", slots="", known=[]) == "method"

    @pytest.mark.parametrize(
        "words",
        [
            "push a value onto the stack and return its size",
            "add a job to the end of the queue",
            "toggle the lamp with a name",
            "take a number and return the running average",
            "rename a contact",
            "move by dx and dy and return the new position",
        ],
    )
    def test_words_for_what_an_object_keeps(self, words):
        """Stacks, queues, switches and what goes on from call to call are an object's."""
        assert approach.speaks_of_state(words)


@pytest.mark.parametrize(
    ("words", "surely", "rather"),
    [
        ("deposit an amount", True, True),
        ("withdraw an amount; raise ValueError when there is not enough", False, False),
        ("register a guest unless he is there already", False, False),
        ("push a value onto the stack", False, True),
        ("push a value unless the stack is full", False, False),
        ("add two numbers", False, False),
        ("count how many notes are in the log", False, False),
    ],
)
def test_words_tell_whether_a_call_changes_its_object(words, surely, rather):
    """A method that keeps things changes its object; one that may refuse need not."""
    assert approach.changes_object(words) is surely
    assert approach.should_change_object(words) is rather


class TestPlan:
    def test_examples_let_one_greedy_text_do(self):
        """With an example one greedy text is asked for first, without one several to choose from."""
        settings = Settings(candidates=3)
        assert approach.plan(_brief(examples=EXAMPLE), [], form="function", settings=settings).n == 1
        voted = approach.plan(_brief(), [], form="function", settings=settings)
        assert (voted.n, voted.temperature) == (3, 0.0)

    def test_the_finding_is_told_where_it_helps(self):
        """What broke a rule is told at once; a wrong answer of a function is sampled afresh first."""
        settings = Settings()

        def told(kind, form, count=1):
            return approach.plan(_brief(), [{"n": 1, "kind": kind}] * count, form=form, settings=settings).finding

        found = [{"n": 0, "source": "def f(self):\n    return self.a\n", "kind": "trial"}]
        assert approach.plan(_brief(examples=EXAMPLE), found, form="function", settings=settings).finding
        assert approach.form_of(_brief(), "square", slots="", known=[], before=found) == "method"
        assert told("policy", "function")
        assert told("trial", "method")
        assert [told("trial", "function", count) for count in (1, 2, 3)] == [False, True, False]

    def test_many_are_sampled_where_few_were_wrong(self):
        """A function whose samples were wrong is sampled twice as often, and at last asked for by its docstring."""
        settings = Settings(candidates=4)
        plans = [
            approach.plan(_brief(), [{"n": 1, "kind": "trial"}] * count, form="function", settings=settings)
            for count in (1, 2, 3)
        ]
        assert [plan.n for plan in plans] == [4, 8, 8]
        assert [plan.doctests for plan in plans] == [False, False, True]
        method = approach.plan(_brief(), [{"n": 1, "kind": "trial"}] * 3, form="method", settings=settings)
        assert (method.n, method.doctests) == (4, False)

    def test_samples_are_cut_where_they_go_round_in_circles(self):
        """A sample has room for far more than what was written before, never more than the settings allow."""

        def most(source, **settings):
            before = [{"n": 1, "kind": "trial", "source": source}]
            return approach.plan(_brief(), before, form="function", settings=Settings(**settings)).most

        assert most("") == 400
        assert most("x" * 900) == 900
        assert most("x" * 900, max_new_tokens=500) == 500
        looped = [{"n": 1, "kind": "syntax", "source": "x" * 9000}]
        assert approach.plan(_brief(), looped, form="function", settings=Settings()).most == 400
