"""Messages of methods that nobody understands: learned outside of the call, which then begins again, within bounds."""

from __future__ import annotations

import pytest

from batos.calls.caller import Caller
from batos.calls.lessons import Asker, Budget
from batos.errors import MessageNotUnderstood
from batos.image import mirrors
from tests.calls.conftest import make, no_primitive, teach

pytestmark = pytest.mark.asyncio(loop_scope="module")

USES = """def total(self, n):
    self.calls = getattr(self, 'calls', 0) + 1
    self._p_changed = True
    return self.double(n) + self.triple(n)
"""
CATCHES = """def careful(self):
    try:
        return self.nothing(1)
    except AttributeError as error:
        return type(error).__name__
"""
THREE = "def three(self):\n    return [self.one(), self.two(), self.four()]\n"


class Teacher:
    """Teaches what it is asked for, unless it is told to fail."""

    def __init__(self, image, *, fails: bool = False) -> None:
        self.image = image
        self.fails = fails
        self.asked: list[tuple] = []
        self.askers: list[tuple] = []

    async def __call__(self, ref, selector, args, kwargs, asker) -> bool:
        self.askers.append(asker)
        self.asked.append((ref, selector, args, kwargs))
        if self.fails:
            return False
        await self.image.transact(teach, ref, self.source(selector))
        return True

    @staticmethod
    def source(selector: str) -> str:
        """What is taught for a selector."""
        return f"def {selector}(self, n=0):\n    return '{selector}' and n * 2\n"


def counting(image, sandbox, **options):
    """A caller, and the teacher that it learns from."""
    teacher = Teacher(image, fails=options.pop("fails", False))
    return Caller(image, sandbox, no_primitive, retries=3, learn=teacher, **options), teacher


async def test_a_missing_message_is_learned_and_the_call_begins_again(image, sandbox):
    """Two messages that a method needs are learned; its own effect happens once, and the next call learns nothing."""
    caller, teacher = counting(image, sandbox)
    ref = image.transact_now(make, None, {}, USES).value
    assert (await caller.send(ref, "total", [5], {})).result == 20
    assert teacher.asked == [(ref, "double", [5], {}), (ref, "triple", [5], {})]
    assert image.read_now(mirrors.inspect, ref).value["slots"]["calls"] == 1
    assert (await caller.send(ref, "total", [1], {})).result == 4
    assert len(teacher.asked) == 2
    assert teacher.askers == [Asker(ref, "total")] * 2


async def test_what_cannot_be_learned_is_an_error_that_code_may_catch(image, sandbox):
    """When the mission fails, the method gets `MessageNotUnderstood`, and nobody tries the same again in this call."""
    caller, teacher = counting(image, sandbox, fails=True)
    ref = image.transact_now(make, None, {}, CATCHES, "def hard(self):\n    return self.nothing()\n").value
    assert (await caller.send(ref, "careful", [], {})).result == "MessageNotUnderstood"
    with pytest.raises(MessageNotUnderstood, match="'nothing': the mission for it failed") as caught:
        await caller.send(ref, "hard", [], {})
    assert caught.value.details["selector"] == "nothing"
    assert caught.value.details["nested"] is True
    assert [asked[1] for asked in teacher.asked] == ["nothing", "nothing"]


async def test_one_call_learns_only_so_much(image, sandbox):
    """The third unknown message of a call is an error, with two learned."""
    caller, teacher = counting(image, sandbox, generations=2)
    ref = image.transact_now(make, None, {}, THREE).value
    with pytest.raises(MessageNotUnderstood, match=r"'four': .* CALL_LESSONS"):
        await caller.send(ref, "three", [], {})
    assert [asked[1] for asked in teacher.asked] == ["one", "two"]


@pytest.mark.parametrize(("depth", "learned"), [(0, []), (1, ["a1"]), (2, ["a1", "a2"]), (9, ["a1", "a2", "a3"])])
async def test_lessons_are_nested_only_so_deep(image, sandbox, depth, learned):
    """What a learned method sends is one deeper: over the limit it is an error that says so, whatever the budget has left."""
    caller, teacher = counting(image, sandbox, depth=depth, generations=3)
    bodies = {"a1": "self.a2()", "a2": "self.a3()", "a3": "7"}
    teacher.source = lambda selector: f"def {selector}(self):\n    return {bodies[selector]}\n"
    ref = image.transact_now(make, None, {}, "def top(self):\n    return [self.a1(), self.a1()]\n").value
    if len(learned) == len(bodies):
        assert (await caller.send(ref, "top", [], {})).result == [7, 7]
    else:
        with pytest.raises(MessageNotUnderstood, match=f"nested {depth} deep, as LESSON_DEPTH says"):
            await caller.send(ref, "top", [], {})
    assert [asked[1] for asked in teacher.asked] == learned
    assert [asker.depth for asker in teacher.askers] == list(range(1, len(learned) + 1))


async def test_all_calls_together_learn_only_so_much(image, sandbox):
    """When the hour's budget is spent, an unknown message is an error at once."""
    caller, teacher = counting(image, sandbox, hourly=1)
    ref = image.transact_now(make, None, {}, THREE).value
    for _ in range(2):
        with pytest.raises(MessageNotUnderstood, match=r"'two': .* HOURLY_LESSONS"):
            await caller.send(ref, "three", [], {})
    assert [asked[1] for asked in teacher.asked] == ["one"]
    assert caller.statistics()["lessons_left"] == 0


async def test_nothing_is_learned_when_the_sender_says_so(image, sandbox):
    """With learning switched off for the message, and in the past, an unknown message is an error."""
    caller, teacher = counting(image, sandbox)
    commit = image.transact_now(make, None, {}, THREE)
    for options in ({"learn": False}, {"at": commit.tid}):
        with pytest.raises(MessageNotUnderstood, match="'one': nothing is learned in this call"):
            await caller.send(commit.value, "three", [], {}, **options)
    assert teacher.asked == []


async def test_a_new_object_s_gap_is_its_prototype_s(image, sandbox):
    """What a clone of this call does not understand is taught to the object that it was made from."""
    caller, teacher = counting(image, sandbox)
    source = "def spawn(self):\n    twin = self.clone()\n    return [twin.half(8), twin.create().half(twin)]\n"
    ref = image.transact_now(make, None, {}, source).value
    with pytest.raises(Exception, match="unsupported operand"):
        await caller.send(ref, "spawn", [], {})
    assert teacher.asked == [(ref, "half", [8], {})]


async def test_the_hour_s_budget_comes_back(monkeypatch):
    """What was spent counts for an hour."""
    now = [0.0]
    monkeypatch.setattr("batos.calls.lessons.time.monotonic", lambda: now[0])
    budget = Budget(2)
    budget.spend()
    budget.spend()
    assert budget.left == 0
    now[0] = 3601
    assert budget.left == 2
