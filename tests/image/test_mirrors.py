"""Looking at objects (`batos.image.mirrors`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from BTrees.OOBTree import OOBTree

from batos import codec
from batos.errors import UnknownTarget
from batos.image import methods, mirrors, registry
from batos.image.methods import Primitive

if TYPE_CHECKING:
    from batos.codec import Ref
    from batos.image.store import Image, View


def furnish(view: View) -> Ref:
    genesis, traits = view.resolve("genesis_obj"), view.resolve("traits_obj")
    traits.clone = Primitive("clone")
    genesis.n, genesis.friend, genesis._hidden_ = 1, [traits], 2
    genesis.tree, genesis.large = OOBTree({"a": 1}), "x" * (mirrors.LARGE_BYTES + 1)
    for source in ("def greet(self): pass", "def greet(self): return 1"):
        methods.install(view, genesis, "greet", source, {}, signature="(self)", summary="Greet.")
    return view.ref(traits)


class TestInspect:
    def test_it_shows_what_the_contract_says(self, world: Image) -> None:
        """Own data with references, methods with versions, parents, what is understood; the system's slots stay out."""
        traits = world.transact_now(furnish).value
        seen = world.read_now(mirrors.inspect, "genesis_obj").value
        assert seen == {
            "oid": seen["oid"],
            "name": "genesis_obj",
            "slots": {
                "n": 1,
                "friend": [traits],
                "tree": {"kind": "OOBTree", "size": 1},
                "large": {"kind": "str", "size": len(codec.pack("x" * (mirrors.LARGE_BYTES + 1)))},
            },
            "methods": {"greet": {"version": 2, "signature": "(self)", "summary": "Greet."}},
            "parents": [traits],
            "understands": ["clone", "greet"],
            "ambiguous": [],
        }
        assert world.read_now(mirrors.inspect, seen["oid"]).value == seen
        assert codec.unpack(codec.pack(seen)) == seen

    def test_an_object_without_a_name(self, world: Image) -> None:
        """An object that is no root object has no `name`; ambiguous selectors are told."""
        left = world.transact_now(registry.create, [], {"n": 1}).value
        right = world.transact_now(registry.create, [], {"n": 2}).value
        ref = world.transact_now(registry.create, [left, right], {}).value
        seen = world.read_now(mirrors.inspect, ref).value
        assert "name" not in seen
        assert seen["ambiguous"] == ["n"]

    def test_an_unknown_target(self, world: Image) -> None:
        """What is not there is an unknown target."""
        with pytest.raises(UnknownTarget):
            world.read_now(mirrors.inspect, "nobody")


class TestObjects:
    def test_everything_is_listed_once(self, world: Image) -> None:
        """Root objects and registered ones, each once, with names and parents; up to the limit."""
        named = world.transact_now(registry.create, None, {}, "bear").value
        plain = world.transact_now(registry.create, ["bear"], {}).value
        rows = world.read_now(mirrors.objects, None, 100).value
        assert [row["name"] for row in rows] == ["bear", "genesis_obj", "traits_obj", None]
        assert rows[-1] == {"oid": plain, "name": None, "parents": [named]}
        assert world.read_now(mirrors.objects, None, 2).value == rows[:2]

    def test_a_prototype_picks_what_delegates_to_it(self, world: Image) -> None:
        """Direct and indirect delegation count, the prototype itself does not."""
        bear = world.transact_now(registry.create, None, {}, "bear").value
        cub = world.transact_now(registry.create, [bear], {}).value
        world.transact_now(registry.create, [], {})
        listed = world.read_now(mirrors.objects, "genesis_obj", 100).value
        assert [row["oid"] for row in listed] == [bear, cub]


def test_understands_names_the_holders(world: Image) -> None:
    """Each selector comes with its signature, summary and the object that has it."""
    traits = world.transact_now(furnish).value
    rows = world.read_now(lambda view: mirrors.understands(view, view.resolve("genesis_obj"))).value
    assert [(row["selector"], row["signature"], row["summary"]) for row in rows] == [
        ("clone", "", ""),
        ("greet", "(self)", "Greet."),
    ]
    assert rows[0]["holder"] == traits
