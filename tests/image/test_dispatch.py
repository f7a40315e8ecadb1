"""What a message needs of the image (`batos.image.dispatch`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from BTrees.OOBTree import OOBTree
from transaction import TransactionManager

from batos.codec import Ref
from batos.errors import BadField, Conflict, NotAllowed, UnknownTarget
from batos.image import dispatch, methods, registry
from batos.image.methods import Primitive

if TYPE_CHECKING:
    from batos.image.store import Image, View

SOURCE = "def greet(self): return 1"


@pytest.fixture
def genesis(world: Image) -> Ref:
    """`genesis_obj` with data of its own, and with methods and data inherited from `traits_obj`."""

    def furnish(view: View) -> Ref:
        genesis, traits = view.resolve("genesis_obj"), view.resolve("traits_obj")
        traits.clone, traits._clone_persistent_, traits._secret_ = (
            Primitive("clone"),
            Primitive("clone"),
            Primitive("x"),
        )
        traits.shared, traits.n, traits.tree = [1], 1, OOBTree()
        methods.install(view, traits, "greet", SOURCE, {}, signature="(self, name='you')", summary="")
        genesis.n = 2
        return view.ref(genesis)

    return world.transact_now(furnish).value


class TestLook:
    def test_a_method(self, world: Image, genesis: Ref) -> None:
        """A method comes with source, digest, version, signature and holder."""
        seen = world.read_now(dispatch.look, genesis, "greet").value
        holder = world.read_now(lambda view: view.ref(view.resolve("traits_obj"))).value
        assert (seen.kind, seen.source, seen.sha256) == ("method", SOURCE, methods.digest(SOURCE))
        assert (seen.version, seen.signature, seen.holder) == (1, "(self, name='you')", holder)

    def test_primitives_data_and_nothing(self, world: Image, genesis: Ref) -> None:
        """A primitive is named, data is given, and system slots are nothing to a message."""

        def look(selector: str) -> dispatch.Looked:
            return world.read_now(dispatch.look, genesis, selector).value

        assert (look("clone").kind, look("clone").primitive) == ("primitive", "clone")
        assert look("_clone_persistent_").kind == "primitive"
        assert (look("n").kind, look("n").value) == ("data", 2)
        assert look("nothing").kind == look("_secret_").kind == look("_p_oid").kind == "missing"
        with pytest.raises(NotAllowed):
            look("tree")

    def test_an_unknown_receiver(self, world: Image) -> None:
        """A receiver that is not there is an unknown target."""
        with pytest.raises(UnknownTarget):
            world.read_now(dispatch.look, Ref(b"\xff" * 8), "greet")


class TestSnapshot:
    def test_it_shows_data_and_names_behaviour(self, world: Image, genesis: Ref) -> None:
        """Own and inherited data, the nearest first; no behaviour, no system slots, no parents, no indexes."""
        seen = world.read_now(dispatch.snapshot, genesis).value
        assert seen.slots == {"n": 2, "shared": [1]}
        assert seen.understands == {"clone", "_clone_persistent_", "greet"}

    def test_what_the_call_wrote_covers_the_image(self, world: Image, genesis: Ref) -> None:
        """Writes to the object and to its parents show, where no nearer slot hides them."""
        traits = world.read_now(lambda view: view.ref(view.resolve("traits_obj"))).value
        writes = {genesis: {"new": 1, "greet": 5}, traits: {"n": 9, "shared": [2]}}
        seen = world.read_now(dispatch.snapshot, genesis, writes).value
        assert seen.slots == {"n": 2, "shared": [2], "new": 1, "greet": 5}
        assert seen.understands == {"clone", "_clone_persistent_"}

    def test_it_shares_nothing_with_the_image(self, world: Image, genesis: Ref) -> None:
        """A container of the snapshot is a copy."""
        world.read_now(dispatch.snapshot, genesis).value.slots["shared"].append(2)
        assert world.read_now(dispatch.snapshot, genesis).value.slots["shared"] == [1]


class TestApply:
    def test_writes_are_applied(self, world: Image, genesis: Ref) -> None:
        """Slots of several objects are set at once; an inherited slot becomes the receiver's own."""
        other = world.transact_now(registry.create, None, {}).value
        reads = world.read_now(dispatch.snapshot, genesis).value.reads
        world.transact_now(dispatch.apply, {genesis: {"shared": [1, 2], "friend": other}, other: {"n": 5}}, reads)
        assert world.read_now(dispatch.own_slots, genesis).value == {"n": 2, "shared": [1, 2], "friend": other}
        assert world.read_now(dispatch.own_slots, "traits_obj").value["shared"] == [1]
        assert world.read_now(dispatch.own_slots, other).value == {"n": 5}

    @pytest.mark.parametrize("changed", ["genesis_obj", "traits_obj"])
    def test_a_change_to_what_was_read_is_a_conflict(self, world: Image, genesis: Ref, changed: str) -> None:
        """If the receiver or a parent changed since the read, nothing is written."""
        seen = world.read_now(dispatch.snapshot, genesis).value
        looked = world.read_now(dispatch.look, genesis, "greet").value
        world.transact_now(registry.set_slots, changed, {"other": 1})
        for reads in (seen.reads, looked.reads):
            with pytest.raises(Conflict):
                world.transact_now(dispatch.apply, {genesis: {"n": 7}}, reads)
            assert world.read_now(dispatch.current, reads).value is False
        assert world.read_now(dispatch.own_slots, genesis).value["n"] == 2

    def test_what_is_nearer_than_the_answer_counts(self, world: Image, genesis: Ref) -> None:
        """An own slot that now hides what a parent answered is a conflict; what lies behind the answer is not."""
        near = world.read_now(dispatch.look, genesis, "n").value
        world.transact_now(registry.set_slots, "traits_obj", {"other": 1})
        assert world.read_now(dispatch.current, near.reads).value is True

    def test_a_change_between_check_and_commit_is_a_conflict(self, world: Image, genesis: Ref) -> None:
        """What was read is checked once more by the storage, against writers of other processes."""
        reads = world.read_now(dispatch.snapshot, genesis).value.reads
        raced = []

        def apply(view: View) -> None:
            dispatch.apply(view, {genesis: {"n": 7}}, reads)
            if not raced:
                raced.append(1)
                manager = TransactionManager(explicit=True)
                other = view.conn.db().open(manager)
                manager.begin()
                other.root()["traits_obj"].n = 5
                manager.commit()
                other.close()

        with pytest.raises(Conflict):
            world.transact_now(apply)
        assert world.read_now(dispatch.own_slots, genesis).value["n"] == 2

    def test_an_object_that_is_gone_is_a_conflict(self, world: Image) -> None:
        """If what was read does not exist any more the call must run again."""
        ref = world.transact_now(registry.create, None, {}).value
        reads = world.read_now(dispatch.snapshot, ref).value.reads
        world.transact_now(registry.remove, ref)
        world.pack_now()
        assert world.read_now(dispatch.current, reads).value is False
        with pytest.raises(Conflict):
            world.transact_now(dispatch.apply, {}, reads)

    @pytest.mark.parametrize(
        ("slots", "error"),
        [
            ({"_p_changed": 1}, BadField),
            ({"_removed_methods_": {}}, BadField),
            ({"parents": 5}, BadField),
            ({"n": Ref(b"\xff" * 8)}, UnknownTarget),
            ({"n": object()}, BadField),
        ],
    )
    def test_hostile_writes_are_refused_whole(
        self, world: Image, genesis: Ref, slots: dict[str, object], error: type[Exception]
    ) -> None:
        """A write to a system slot or of a forged reference fails, and the good writes beside it with it."""
        with pytest.raises(error):
            world.transact_now(dispatch.apply, {genesis: {"good": 1, **slots}}, {})
        assert world.read_now(dispatch.own_slots, genesis).value == {"n": 2}

    def test_behaviour_is_not_overwritten(self, world: Image) -> None:
        """Generated code cannot replace a method or a primitive by data."""
        traits = world.read_now(lambda view: view.ref(view.resolve("traits_obj"))).value

        def furnish(view: View) -> None:
            obj = view.resolve("traits_obj")
            obj.clone = Primitive("clone")
            methods.install(view, obj, "greet", SOURCE, {}, signature="(self)", summary="")

        world.transact_now(furnish)
        for slot, error in (("greet", BadField), ("clone", NotAllowed)):
            with pytest.raises(error):
                world.transact_now(dispatch.apply, {traits: {slot: 1}}, {})


def test_signatures_are_written_as_they_are_called(world: Image, genesis: Ref) -> None:
    """Methods that the object understands, without `self`; primitives are not among them."""

    def install(view: View, selector: str, signature: str) -> None:
        obj = view.get(genesis)
        methods.install(view, obj, selector, f"def {selector}{signature}: pass", {}, signature=signature, summary="")

    world.transact_now(install, "add", "(self, a, b=1)")
    world.transact_now(install, "now", "(self)")
    assert world.read_now(dispatch.signatures, genesis).value == ["add(a, b=1)", "greet(name='you')", "now()"]
    assert world.read_now(dispatch.signatures, "traits_obj").value == ["greet(name='you')"]
