"""Creating, cloning, setting and removing objects (`batos.image.registry`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from BTrees.OOBTree import OOBTree
from ZODB.blob import Blob

from batos.codec import Ref
from batos.errors import BadField, NotAllowed, UnknownTarget
from batos.image import methods, mirrors, registry
from batos.image.methods import Primitive
from batos.image.objects import UvmObject

if TYPE_CHECKING:
    from collections.abc import Callable

    from batos.image.store import Image, View

GONE = Ref(b"\0\0\0\0\0\0\xff\xff")


def slots(view: View, target: str | Ref) -> dict[str, object]:
    return {name: value for name, value in view.resolve(target)._slots.items() if name != "parents"}


def parents(view: View, target: str | Ref) -> list[Ref]:
    return [view.ref(parent) for parent in view.resolve(target).parents]


def ref_of(view: View, target: str) -> Ref:
    return view.ref(view.resolve(target))


def system(view: View, slot: str, value: object) -> None:
    setattr(view.resolve("genesis_obj"), slot, value)


class TestCreate:
    def test_an_object_stays_until_it_is_removed(self, world: Image) -> None:
        """A created object that nothing refers to survives a pack, with its slots."""
        ref = world.transact_now(registry.create, None, {"notes": [1]}).value
        world.pack_now()
        assert world.read_now(slots, ref).value == {"notes": [1]}

    def test_genesis_is_the_parent_when_none_is_named(self, world: Image) -> None:
        """Without parents an object delegates to `genesis_obj`; with an empty list to nobody."""
        genesis = world.read_now(ref_of, "genesis_obj").value
        assert world.read_now(parents, world.transact_now(registry.create, None, {}).value).value == [genesis]
        assert world.read_now(parents, world.transact_now(registry.create, [], {}).value).value == []

    def test_a_name_makes_a_root_object(self, world: Image) -> None:
        """A named object is reached by name and by reference."""
        ref = world.transact_now(registry.create, ["traits_obj"], {"n": 1}, "bear").value
        assert world.read_now(ref_of, "bear").value == ref

    @pytest.mark.parametrize(
        "name", ["genesis_obj", "pLLM_obj", "object_registry", "1", "00000000000000ff", "_x", "a b", "class", ""]
    )
    def test_names_must_be_free_identifiers(self, world: Image, name: str) -> None:
        """A name that is taken, kept for the system, or reads as an oid is refused, and nothing is made."""
        world.transact_now(registry.create, None, {})
        before = world.read_now(lambda view: len(registry.registered(view))).value
        with pytest.raises(BadField):
            world.transact_now(registry.create, None, {}, name)
        assert world.read_now(lambda view: len(registry.registered(view))).value == before

    @pytest.mark.parametrize("given", [{"parents": ["nobody"]}, {"parents": [GONE]}, {"slots": {"a": [GONE]}}])
    def test_what_it_refers_to_must_be_there(self, world: Image, given: dict[str, object]) -> None:
        """A parent or a reference that points at nothing is unknown, and nothing is made."""
        with pytest.raises(UnknownTarget):
            world.transact_now(registry.create, given.get("parents"), given.get("slots", {}))


class TestSet:
    @pytest.mark.parametrize("slot", ["_hidden", "__class__", "_p_changed", "a b", "class", "", "1"])
    def test_only_public_identifiers_are_slots(self, world: Image, slot: str) -> None:
        """The system's own slots cannot be reached."""
        with pytest.raises(BadField):
            world.transact_now(registry.set_slots, "genesis_obj", {slot: 1})

    def test_parents_take_references_alone(self, world: Image) -> None:
        """Delegation can be changed, cycles included, but not to what is no object."""
        genesis, traits = (world.read_now(ref_of, name).value for name in ("genesis_obj", "traits_obj"))
        world.transact_now(registry.set_slots, "traits_obj", {"parents": [genesis]})
        assert world.read_now(parents, "traits_obj").value == [genesis]
        for bad in (5, ["genesis_obj"], [traits, None]):
            with pytest.raises(BadField):
                world.transact_now(registry.set_slots, "traits_obj", {"parents": bad})

    def test_behaviour_and_machinery_are_not_overwritten(self, world: Image) -> None:
        """A method must be removed first; primitives and indexes belong to the system."""

        def install(view: View) -> None:
            obj = view.resolve("genesis_obj")
            methods.install(view, obj, "greet", "def greet(self): pass", {}, signature="(self)", summary="")

        world.transact_now(install)
        world.transact_now(system, "clone", Primitive("clone"))
        world.transact_now(system, "index", OOBTree())
        for slot, error in (("greet", BadField), ("clone", NotAllowed), ("index", NotAllowed)):
            with pytest.raises(error):
                world.transact_now(registry.set_slots, "genesis_obj", {"fine": 1, slot: 5})
            with pytest.raises(error):
                world.transact_now(registry.remove, "genesis_obj", None, slot)
        assert "fine" not in world.read_now(lambda view: list(view.resolve("genesis_obj")._slots)).value

    def test_an_inherited_method_may_be_hidden_by_data(self, world: Image) -> None:
        """A child's data slot hides its parent's behaviour, as in Self."""
        world.transact_now(lambda view: setattr(view.resolve("traits_obj"), "clone", Primitive("clone")))
        world.transact_now(registry.set_slots, "genesis_obj", {"clone": 5})
        assert world.read_now(slots, "genesis_obj").value == {"clone": 5}


class TestClone:
    def test_containers_are_copied_and_objects_shared(self, world: Image) -> None:
        """A change to the clone's containers does not touch the original; objects and parents are the same ones."""
        traits = world.read_now(ref_of, "traits_obj").value
        first = world.transact_now(registry.create, None, {"deep": {"a": [1, {2}]}, "friend": [traits]}).value
        second = world.transact_now(registry.clone, first, "copy").value

        def change(view: View) -> None:
            obj = view.get(second)
            obj.deep["a"][1].add(3)
            obj.deep["b"] = 1
            obj._p_changed = True

        world.transact_now(change)
        original, copied = world.read_now(slots, first).value, world.read_now(slots, "copy").value
        assert original["deep"] == {"a": [1, {2}]}
        assert copied["deep"] == {"a": [1, {2, 3}], "b": 1}
        same = world.read_now(
            lambda view: view.get(first).friend[0] is view.get(second).friend[0] is view.resolve("traits_obj")
        )
        assert same.value
        assert world.read_now(parents, first).value == world.read_now(parents, second).value

    def test_a_clone_s_methods_go_their_own_way(self, world: Image) -> None:
        """A clone starts with the original's methods; what is installed later belongs to each alone."""

        def install(view: View, target: str | Ref, source: str) -> None:
            obj = view.resolve(target)
            methods.install(view, obj, "greet", source, {}, signature="(self)", summary="")

        def sources(view: View, target: str | Ref) -> list[object]:
            return [row["source"] for row in methods.history(view, view.resolve(target), "greet")]

        world.transact_now(install, "genesis_obj", "one")
        clone = world.transact_now(registry.clone, "genesis_obj").value
        world.transact_now(install, clone, "two")
        world.transact_now(install, "genesis_obj", "three")
        assert world.read_now(sources, clone).value == ["one", "two"]
        assert world.read_now(sources, "genesis_obj").value == ["one", "three"]

    @pytest.mark.parametrize("make", [Blob, OOBTree])
    def test_blobs_and_indexes_are_not_cloned(self, world: Image, make: type) -> None:
        """What two objects cannot share is refused, naming the slot."""

        def hold(view: View) -> None:
            held = make()
            if make is Blob:
                with held.open("w") as file:
                    file.write(b"weights")
            view.resolve("genesis_obj").held = held

        world.transact_now(hold)
        with pytest.raises(BadField, match="held"):
            world.transact_now(registry.clone, "genesis_obj")


class TestRemove:
    def test_a_removed_object_is_gone(self, world: Image) -> None:
        """Neither its name nor its oid leads to it, before the pack and after; its name is free again."""
        ref = world.transact_now(registry.create, None, {}, "bear").value
        world.transact_now(registry.remove, "bear")
        for _ in range(2):
            for target in ("bear", ref):
                with pytest.raises(UnknownTarget):
                    world.read_now(slots, target)
            world.pack_now()
        world.transact_now(registry.create, None, {}, "bear")

    def test_what_refers_to_it_goes_on_working(self, world: Image) -> None:
        """A removed object that others hold or delegate to works for them, after a pack too: nothing dangles."""
        top = world.transact_now(registry.create, None, {"n": 1}).value
        below = world.transact_now(registry.create, [top], {"friend": top}).value
        world.transact_now(registry.remove, top)
        world.pack_now()
        assert world.read_now(lambda view: (view.resolve(below).n, view.resolve(below).friend.n)).value == (1, 1)
        with pytest.raises(UnknownTarget):
            world.transact_now(registry.set_slots, below, {"other": top})

    @pytest.mark.parametrize("name", ["genesis_obj", "traits_obj"])
    def test_primordial_objects_stay(self, world: Image, name: str) -> None:
        """The objects of the awakening cannot be removed, by name or by oid."""
        ref = world.read_now(ref_of, name).value
        for target in (name, ref):
            with pytest.raises(NotAllowed):
                world.transact_now(registry.remove, target)

    def test_what_nobody_created_stays(self, world: Image) -> None:
        """Objects of the system without a name are not removed either."""

        def chunk(view: View) -> Ref:
            view.root["chunks"] = OOBTree()
            view.root["chunks"]["a"] = obj = UvmObject()
            return view.ref(obj)

        with pytest.raises(NotAllowed):
            world.transact_now(registry.remove, world.transact_now(chunk).value)

    def test_slots_and_methods(self, world: Image) -> None:
        """A data slot goes as `slot`, a method as `selector`; what is not there is unknown; parents stay."""
        world.transact_now(registry.set_slots, "genesis_obj", {"n": 1})
        world.transact_now(registry.remove, "genesis_obj", None, "n")
        assert world.read_now(slots, "genesis_obj").value == {}
        for selector, slot, error in (
            (None, "n", UnknownTarget),
            ("n", None, UnknownTarget),
            (None, "parents", BadField),
            ("n", "n", BadField),
            (None, "_removed_methods_", UnknownTarget),
        ):
            with pytest.raises(error):
                world.transact_now(registry.remove, "genesis_obj", selector, slot)


class TestBecome:
    def test_everyone_who_refers_sees_the_other(self, world: Image, reopen: Callable[[], Image]) -> None:
        """Slots, methods and history change places; references, names, oids and the registry stay, also on the disk."""

        def build(view: View) -> tuple[Ref, Ref, Ref]:
            old = registry.create(view, None, {"n": 1, "only_old": True}, "old")
            new = registry.create(view, ["traits_obj"], {"n": 2})
            methods.install(view, view.get(new), "greet", "def greet(self): pass", {}, signature="(self)", summary="")
            return old, new, registry.create(view, [old], {"friend": old})

        def seen(view: View) -> list[object]:
            first, second, third = (view.get(ref) for ref in refs)
            return [
                (
                    first.n,
                    hasattr(first, "only_old"),
                    hasattr(first, "greet"),
                    first.parents == [view.root["traits_obj"]],
                ),
                (second.n, second.only_old, hasattr(second, "greet"), second.parents == [view.root["genesis_obj"]]),
                (
                    third.friend is first,
                    third.n,
                    view.root["old"] is first,
                    registry.registered(view)[refs[0].oid] is first,
                ),
            ]

        refs = world.transact_now(build).value
        world.transact_now(registry.become, "old", refs[1])
        wanted = [(2, False, True, True), (1, True, False, True), (True, 2, True, True)]
        assert world.read_now(seen).value == wanted
        assert reopen().read_now(seen).value == wanted

    def test_twice_is_as_before(self, world: Image) -> None:
        """An object that delegates to the other goes on doing so, and a second exchange undoes the first."""

        def build(view: View) -> tuple[Ref, Ref]:
            parent = registry.create(view, None, {"n": 1})
            return parent, registry.create(view, [parent], {"m": 2})

        def seen(view: View) -> list[dict[str, object]]:
            return [mirrors.inspect(view, ref) for ref in refs]

        refs = world.transact_now(build).value
        before = world.read_now(seen).value
        world.transact_now(registry.become, *refs)
        assert world.read_now(lambda view: (view.get(refs[0]).n, view.get(refs[0]).m)).value == (1, 2)
        world.transact_now(registry.become, *refs)
        world.transact_now(registry.become, refs[0], refs[0])
        assert world.read_now(seen).value == before

    def test_the_system_s_objects_stay_themselves(self, world: Image) -> None:
        """What was not created or cloned is no part of an exchange; a removed object is no target."""
        ref = world.transact_now(registry.create, None, {}).value
        with pytest.raises(NotAllowed):
            world.transact_now(registry.become, "genesis_obj", ref)
        gone = world.transact_now(registry.create, None, {}).value
        world.transact_now(registry.remove, gone)
        with pytest.raises(UnknownTarget):
            world.transact_now(registry.become, ref, gone)
