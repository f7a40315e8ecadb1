"""The vote among candidates: the largest group that behaves alike, each as often as it was written."""

from types import SimpleNamespace

import pytest

from batos.cognition.voting import vote
from batos.errors import MethodError

TWICE = "def f(self, n):\n    return n * 2\n"
SUMMED = "def f(self, n):\n    return n + n\n"
SQUARE = "def f(self, n):\n    return n * n\n"
NOTHING = "def f(self, n):\n    pass\n"
BROKEN = "def f(self, n):\n    return n / 0\n"


class Plain:
    """A sandbox that runs a source as it is."""

    async def call(self, world, receiver, selector, args, kwargs, *, source, fixed):
        scope, itself = {}, SimpleNamespace()
        exec(source, scope)
        try:
            result = scope[selector](itself, *args, **kwargs)
        except ZeroDivisionError as error:
            raise MethodError(str(error), error_type="ZeroDivisionError") from None
        world.writes |= {receiver: vars(itself)} if vars(itself) else {}
        return SimpleNamespace(result=result)


CONTEXT = SimpleNamespace(
    services=SimpleNamespace(image=None, sandbox=Plain(), capabilities=None), brief={"selector": "f"}, target=None
)


@pytest.mark.parametrize(
    ("sources", "copies", "chosen", "alike"),
    [
        ([SQUARE, TWICE, SUMMED], [1, 1, 1], 1, 2),
        ([SQUARE, TWICE, SUMMED], [3, 1, 1], 0, 3),
        ([SQUARE, TWICE], [1, 2], 1, 2),
        ([SQUARE, TWICE], [1, 1], 0, 1),
        ([NOTHING, TWICE], [5, 1], 1, 1),
        ([BROKEN, SQUARE], [5, 1], 1, 1),
    ],
)
async def test_the_largest_group_wins(sources, copies, chosen, alike):
    """Candidates that behave alike vote together, each as often as it was written; one that does nothing wins never."""
    place, record = await vote(CONTEXT, sources, [[3], [4]], copies)
    assert place == chosen
    assert (record["alike"], record["candidates"], record["inputs"]) == (alike, sum(copies), 2)
    assert "not a proof" in record["note"]


TAGS = "def f(self, n):\n    self.tags = [n]\n    return 1\n"
NAMES = "def f(self, n):\n    self.names = [n]\n    return 1\n"
COUNT = "def f(self, n):\n    self.count = 1\n    return 1\n"
ONE = "def f(self, n):\n    return 1\n"


@pytest.mark.parametrize(
    ("words", "sources", "copies", "chosen", "alike"),
    [
        ("add a tag to the set of tags", [ONE, TAGS, NAMES], [3, 1, 1], 1, 2),
        ("add a tag to the set of tags", [COUNT, TAGS, NAMES], [1, 1, 1], 1, 2),
        ("give one", [ONE, TAGS, NAMES], [3, 1, 1], 0, 3),
    ],
)
async def test_what_is_kept_counts_and_not_the_name_of_its_slot(words, sources, copies, chosen, alike):
    """Candidates that keep the same vote together, whatever they call it; where something is to be kept, they come first."""
    context = SimpleNamespace(**{**vars(CONTEXT), "brief": {"selector": "f", "intent": words}})
    place, record = await vote(context, sources, [[3], [4]], copies)
    assert (place, record["alike"]) == (chosen, alike)


async def test_one_candidate_needs_no_vote():
    """Where there is nothing to choose, or nothing to try on, the first goes on without a record."""
    assert await vote(CONTEXT, [TWICE], [[3]], [4]) == (0, None)
    assert await vote(CONTEXT, [TWICE, SQUARE], [], [1, 1]) == (0, None)
