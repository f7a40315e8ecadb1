"""What the Guardian takes for granted about messages: they are given copies, and their changes are their own."""

from __future__ import annotations

import pytest

from batos.errors import CovenantViolationError
from batos.guardian import mend
from batos.guardian.auditing import covenant_findings
from tests.sandbox.test_runner import answer

pytestmark = pytest.mark.asyncio(loop_scope="module")

FLAG = "self._p_changed = True"


@pytest.fixture
def pair(world):
    """An object that receives the message, with a list, and a friend that changes what it is given, and itself."""
    me, friend = world.add(items=[1], n=0), world.add(taken=0)
    world.slots[me]["friend"] = friend
    spoil = (
        f"def spoil(self, items):\n    items.append(9)\n    self.taken = self.taken + 1\n    {FLAG}\n    return items\n"
    )
    world.teach(friend, spoil)
    world.teach(me, spoil.replace("taken", "n"), f"def grow(self):\n    self.items.append(2)\n    {FLAG}\n")
    return me, friend


@pytest.mark.parametrize(
    "line",
    [
        "self.friend.spoil(self.items)",
        "self.spoil(self.items)",
        "ask = self.friend.spoil; ask(self.items)",
        "getattr(self, 'spo' + 'il')(self.items)",
        "[friend.spoil(self.items) for friend in [self.friend]]",
    ],
)
async def test_a_message_is_given_a_copy(sandbox, world, pair, line):
    """Who answers a message cannot change the list that it is given; the sender passes the audit and needs no flag."""
    me, friend = pair
    assert covenant_findings(f"def go(self):\n    {line}\n    return self.items\n") == []
    assert await answer(sandbox, world, me, line, "return self.items") == [1]
    assert world.slots[me]["items"] == [1]
    assert world.slots[me]["n"] + world.slots[friend]["taken"] == 1


async def test_what_the_answering_method_changed_is_its_own(sandbox, world, pair):
    """A message to itself that changes a slot, and flags that, leaves nothing for its sender to flag."""
    me, _ = pair
    assert covenant_findings("def go(self):\n    self.grow()\n    return self.items\n") == []
    assert (
        await answer(sandbox, world, me, "held = self.items", "self.grow()", "return [held, self.items]")
        == [[1, 2]] * 2
    )
    assert world.slots[me]["items"] == [1, 2]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("self.items(self.items)", "TypeError"),
        ("self.friend(self.items)", "TypeError"),
        ("self.items.settle()", "AttributeError"),
        ("self.n.settle(self.items)", "AttributeError"),
        ("self.friend.spoil(lambda: self.items.append(1))", "TypeError"),
        ("self.friend.spoil(self.items.append)", "TypeError"),
        ("self.friend.__enter__()", "AttributeError"),
        ("super().spoil(self.items)", "RuntimeError"),
    ],
)
async def test_what_is_no_message_raises(sandbox, world, pair, line, error):
    """Data is not called, understands no messages, and functions cannot be sent; nothing changes."""
    me, _ = pair
    lines = ["try:", f"    {line}", "except Exception as error:", "    return type(error).__name__"]
    assert await answer(sandbox, world, me, *lines) == error
    assert world.slots[me]["items"] == [1]


@pytest.mark.parametrize(
    "line",
    [
        "other.taken = 5",
        "other.items.append(5)",
        "held = other.items; held.append(5)",
        "setattr(other, 'taken', 5)",
        "for one in [other]: one.taken = 5",
    ],
)
async def test_a_change_of_an_argument_wants_the_flag(sandbox, world, pair, line):
    """A call that changes an object it was given without the flag changes nothing; the audit says so before, its mend helps."""
    me, friend = pair
    world.slots[friend]["items"] = []
    source = f"def probe(self, other):\n    {line}\n"
    assert covenant_findings(source) != []
    for given in (friend, me):
        before = repr(world.slots[given])
        with pytest.raises(CovenantViolationError):
            await sandbox.call(world, me, "probe", [given], {}, source=source)
        assert repr(world.slots[given]) == before
        await sandbox.call(world, me, "probe", [given], {}, source=mend(source)[0])
        assert repr(world.slots[given]) != before
