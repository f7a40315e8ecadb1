"""What a callee changed is taken in where the method holds it."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batos.codec import pack
from batos.sandbox.merge import Merge, shared
from tests.sandbox.test_runner import FLAG, answer, method

NOTHING: frozenset[int] = frozenset()
values = st.recursive(
    st.integers(0, 2) | st.sampled_from("ab"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.sets(st.integers(0, 3))
    ),
    max_leaves=12,
)


def merged(old, fresh):
    """Merge plain values of one slot."""
    return Merge(pack, shared([old])).merged(old, fresh)


@given(values, values)
def test_it_holds_what_the_new_one_holds(old, fresh):
    """Whatever was there, the value is the new one's equal afterwards."""
    wanted = copy.deepcopy(fresh)
    assert merged(old, fresh) == wanted


@pytest.mark.parametrize(
    ("old", "fresh", "path", "then"),
    [
        ({"x": {"n": 1}}, {"x": {"n": 2}, "y": 0}, ["x"], {"n": 2}),
        ([[1], [2]], [[1, 5], [2]], [0], [1, 5]),
        ([[1], [2]], [[0], [1], [2]], [1], [2]),
        ([[1], [2]], [[2], [1], [3]], [0], [1]),
        ([[1], [2], [3]], [[3], [2, 2], [1]], [2], [3]),
        ([{"id": 1}, {"id": 2}], [{"id": 1}, {"id": 2, "done": True}, {"id": 3}], [1], {"id": 2, "done": True}),
        (([1], 2), ([1, 3], 2), [0], [1, 3]),
        ({"a": ({"b": [{1}]},)}, {"a": ({"b": [{1, 2}]},)}, ["a", 0, "b", 0], {1, 2}),
    ],
)
def test_what_is_held_stays_in_it(old, fresh, path, then):
    """A list, map or set that a method holds is still in its slot and has the new content, at its old place or where it went."""
    held = old
    for step in path:
        held = held[step]
    whole = merged(old, fresh)
    assert held == then
    assert id(held) in _ids(whole)


def _ids(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return {id(value)}.union(*map(_ids, inner))


@pytest.mark.parametrize(
    ("fresh", "first"),
    [([[2], [3], [4]], [1]), ([[3]], [1]), ([[9], [1], [2], [3]], [1]), ([[2], [3]], [1])],
)
def test_what_was_removed_or_moved_takes_no_other_content(fresh, first):
    """An item that left the list, or went elsewhere in it, keeps what it had."""
    old = [[1], [2], [3]]
    held = old[0]
    assert merged(old, fresh) == fresh
    assert held == first


def test_what_lies_in_two_places_is_left_alone():
    """A container in two places of a method's slots has one for each in the image: no change of one shows in the other."""
    row = {"n": 1}
    rows, best = [row], [row]
    among = shared([rows, best])
    assert id(row) in among
    assert id(rows) not in among
    assert Merge(pack, among).merged(rows, [{"n": 2}]) == [{"n": 2}]
    assert best == [{"n": 1}]
    assert Merge(pack, NOTHING).merged(rows, [{"n": 3}]) == [{"n": 3}]


@pytest.mark.asyncio(loop_scope="module")
class TestInAWorker:
    """The same through a nested message."""

    async def test_an_account_that_is_held(self, sandbox, world):
        """A map in a map that a method holds while a callee changes the outer one keeps what is done to it."""
        ref = world.add(rows={"x": {"n": 1}})
        world.teach(
            ref, method("note", "self.rows[key] = {'n': 0}", "self.rows['x']['seen'] = True", FLAG, parameters="key")
        )
        lines = ["account = self.rows['x']", "self.note('log')", "account['n'] -= 5", FLAG, "return account"]
        assert await answer(sandbox, world, ref, *lines) == {"n": -4, "seen": True}
        assert world.slots[ref]["rows"] == {"x": {"n": -4, "seen": True}, "log": {"n": 0}}

    async def test_a_list_in_a_tuple_that_is_held(self, sandbox, world):
        """So does a list in a tuple."""
        ref = world.add(pair=([1], "a"))
        world.teach(ref, method("grow", "self.pair[0].append(2)", FLAG))
        lines = ["held = self.pair[0]", "self.grow()", "held.append(3)", FLAG, "return self.pair"]
        assert await answer(sandbox, world, ref, *lines) == ([1, 2, 3], "a")
        assert world.slots[ref]["pair"] == ([1, 2, 3], "a")

    async def test_a_list_in_two_slots(self, sandbox, world):
        """A callee that changes one of two slots that hold the same list changes the other for nobody."""
        ref = world.add()
        world.teach(ref, method("grow", "self.left.append(2)", FLAG))
        lines = ["self.left = self.right = [1]", FLAG, "self.grow()", "return [self.left, self.right]"]
        assert await answer(sandbox, world, ref, *lines) == [[1, 2], [1]]
        assert world.slots[ref] == {"left": [1, 2], "right": [1]}
