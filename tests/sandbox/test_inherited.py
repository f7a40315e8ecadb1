"""What a method sees of objects that inherit from one that it writes to, in the same activation."""

from __future__ import annotations

import pytest

from batos.sandbox.runner import Limits
from tests.sandbox.test_runner import answer

pytestmark = pytest.mark.asyncio(loop_scope="module")

FLAG = "self._p_changed = True"


@pytest.fixture
def family(world):
    """A parent that receives the message, its child, and a grandchild with a slot of its own; and a stranger."""
    parent = world.add(motto="old", tags=["old"], n=0)
    child = world.add(parent=parent)
    grandchild = world.add(parent=child, motto="own")
    return parent, child, grandchild, world.add(motto="strange", n=1)


@pytest.mark.parametrize(
    ("lines", "shows"),
    [
        (["self.motto = 'new'", "self.motto = 'newer'"], ["newer", "own", "strange"]),
        (["self.motto = 'strange'", "child.motto", "self.motto = 'new'"], ["new", "own", "strange"]),
        (["child.motto = 'mine'", "self.motto = 'new'"], ["mine", "own", "strange"]),
        (["self.motto = 'new'", "grandchild.motto = 'late'"], ["new", "late", "strange"]),
    ],
)
async def test_a_child_loaded_before_shows_what_its_parent_got(sandbox, world, family, lines, shows):
    """A slot of the parent, written after the child was read, shows through the child; its own slots do not change."""
    parent, *others = family
    source = ["child, grandchild, stranger = args", "before = [thing.motto for thing in args]", *lines, FLAG]
    result = await answer(sandbox, world, parent, *source, "return [before, [t.motto for t in args]]", args=others)
    assert result == [["old", "own", "strange"], shows]
    assert world.slots[parent]["motto"] != "old"


async def test_a_new_slot_of_the_parent_is_there(sandbox, world, family):
    """A slot that nobody had shows through the child, by every way to read one."""
    parent, child, *_ = family
    lines = ["child = args[0]", "before = [hasattr(child, 'late'), child.motto]", "self.late = 1", FLAG]
    result = await answer(
        sandbox, world, parent, *lines, "return [before, hasattr(child, 'late'), child.late]", args=[child]
    )
    assert result == [[False, "old"], True, 1]


async def test_a_change_in_place_shows_with_the_flag(sandbox, world, family):
    """A list of the parent that changes in place shows through the child once the flag is set."""
    parent, child, *_ = family
    lines = ["child = args[0]", "held = child.tags", "self.tags.append('new')", FLAG]
    result = await answer(sandbox, world, parent, *lines, "return [child.tags, held is child.tags]", args=[child])
    assert result == [["old", "new"], True]


async def test_what_the_child_got_in_place_is_its_own(sandbox, world, family):
    """A list that was changed through the child is the child's, and the parent's new one does not replace it."""
    parent, child, *_ = family
    lines = ["child = args[0]", "child.tags.append('mine')", "self.tags = []", FLAG]
    result = await answer(sandbox, world, parent, *lines, "return [child.tags, self.tags]", args=[child])
    assert result == [["old", "mine"], []]
    assert (world.slots[child]["tags"], world.slots[parent]["tags"]) == (["old", "mine"], [])


async def test_a_stranger_is_asked_about_once(sandbox, world, family):
    """Reading in a loop what a written object has nothing to do with takes no request each time."""
    parent, _, _, stranger = family
    lines = ["for _ in range(500): self.n += args[0].n", FLAG, "return self.n"]
    assert await answer(sandbox, world, parent, *lines, args=[stranger], limits=Limits(seconds=20, requests=8)) == 500
