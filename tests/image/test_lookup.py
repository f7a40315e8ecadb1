"""Lookup by Self's rules (`batos.image.lookup`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from batos.image import lookup
from batos.image.methods import MethodVersion, Primitive
from batos.image.objects import UvmObject

if TYPE_CHECKING:
    from batos.image.store import Image, View


def method(source: str) -> MethodVersion:
    return MethodVersion("greet", source, previous=None, provenance={}, signature="(self)", summary="")


@st.composite
def graphs(draw: st.DrawFn) -> list[UvmObject]:
    """Objects with any parents among them (cycles too) and a few slots."""
    count = draw(st.integers(1, 7))
    objects = [UvmObject() for _ in range(count)]
    for number, obj in enumerate(objects):
        chosen = draw(st.lists(st.integers(0, count - 1), max_size=3))
        obj.parents = [objects[index] for index in chosen]
        for name in draw(st.sets(st.sampled_from("xyz"))):
            setattr(obj, name, (number, name))
    return objects


def answers(obj: UvmObject, name: str, path: frozenset[int] = frozenset()) -> list[object]:
    """Self's definition, word by word: what all ways to the top find, in order; slow, so for small graphs."""
    if id(obj) in path:
        return []
    if name in obj._slots:
        return [obj._slots[name]]
    found: list[object] = []
    for parent in lookup.parents(obj):
        found += answers(parent, name, path | {id(obj)})
    return found


class TestFind:
    @given(graphs())
    def test_it_finds_what_self_finds_first(self, objects: list[UvmObject]) -> None:
        """On any graph the slot found is the first of those that Self's own definition finds; none only if none."""
        for name in "xyz":
            wanted = answers(objects[0], name)
            found = lookup.find(objects[0], name)
            assert (found.value if found else None) == (wanted[0] if wanted else None)
            if found:
                assert found.holder._slots[name] == found.value

    @given(graphs())
    def test_no_object_is_visited_twice(self, objects: list[UvmObject]) -> None:
        """The order of lookup begins with the object and has each object that it reaches once."""
        line = lookup.chain(objects[0])
        assert line[0] is objects[0]
        assert len({id(obj) for obj in line}) == len(line)
        reached = {id(parent) for obj in line for parent in lookup.parents(obj)}
        assert reached <= {id(obj) for obj in line}

    def test_an_own_slot_wins(self) -> None:
        """The object's own slot comes before any parent's."""
        parent = UvmObject(n=1)
        obj = UvmObject(parents=parent, n=2)
        assert lookup.find(obj, "n") == (obj, 2)

    def test_a_wide_diamond_is_quick(self) -> None:
        """Forty layers of two parents each, 2**40 paths, are looked at object by object."""
        layer = [UvmObject(), UvmObject()]
        for _ in range(40):
            layer = [UvmObject(parents=layer), UvmObject(parents=layer)]
        assert lookup.find(layer[0], "nothing") is None
        assert lookup.ambiguous(layer[0]) == []

    def test_what_is_no_object_among_the_parents_is_passed_over(self) -> None:
        """A list of parents that was spoilt in place does not break lookup."""
        obj = UvmObject(parents=[UvmObject(n=1)])
        obj.parents.insert(0, "nonsense")
        assert obj.n == 1


def test_lookup_loads_what_is_not_loaded(world: Image) -> None:
    """A parent that lies on the disk alone answers like one in memory."""

    def furnish(view: View) -> None:
        view.resolve("traits_obj").n = 1
        view.resolve("genesis_obj").clone = Primitive("clone")

    def ask(view: View) -> tuple[object, list[str], list[str]]:
        view.conn.cacheMinimize()
        genesis = view.root["genesis_obj"]
        found = lookup.find(genesis, "n")
        view.conn.cacheMinimize()
        return found and found.value, list(lookup.understood(genesis)), list(genesis._slots)

    world.transact_now(furnish)
    assert world.read_now(ask).value == (1, ["clone"], ["parents", "clone"])


class TestAmbiguous:
    @given(graphs())
    def test_it_names_what_two_ways_answer_differently(self, objects: list[UvmObject]) -> None:
        """A name is ambiguous exactly when Self's definition finds different values for it."""
        wanted = [name for name in "xyz" if len(set(answers(objects[0], name))) > 1]
        assert lookup.ambiguous(objects[0]) == wanted

    def test_the_same_answer_twice_is_not_ambiguous(self) -> None:
        """One slot by two ways, equal data, the same primitive, or the same source: no difference."""
        top = UvmObject(shared=1)
        left = UvmObject(parents=top, n=1, clone=Primitive("clone"), greet=method("def greet(self): pass"))
        right = UvmObject(parents=top, n=1, clone=Primitive("clone"), greet=method("def greet(self): pass"))
        assert lookup.ambiguous(UvmObject(parents=[left, right])) == []

    def test_different_behaviour_is(self) -> None:
        """Two sources, two primitives, or a number and a truth value differ."""
        left = UvmObject(n=1, clone=Primitive("a"), greet=method("def greet(self): pass"))
        right = UvmObject(n=True, clone=Primitive("b"), greet=method("def greet(self): return 1"))
        assert lookup.ambiguous(UvmObject(parents=[left, right])) == ["clone", "greet", "n"]
        assert lookup.ambiguous(UvmObject(parents=[left, right], n=1, clone=1, greet=1)) == []


def test_understood_are_methods_and_primitives_that_nothing_hides() -> None:
    """Data is not understood; data nearer by hides a method; system slots stay out, the protocol's messages in."""
    traits = UvmObject(
        clone=Primitive("clone"),
        _clone_persistent_=Primitive("clone"),
        _process_synthesis_=Primitive("psm.idle"),
        _secret_=Primitive("clone"),
        greet=method("def greet(self): pass"),
        data=1,
    )
    obj = UvmObject(parents=traits, greet=5, own=method("def own(self): pass"))
    assert lookup.understood(obj) == {
        "own": obj,
        "clone": traits,
        "_clone_persistent_": traits,
        "_process_synthesis_": traits,
    }
