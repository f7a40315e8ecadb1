"""Questions about the whole image (`batos.image.census`, `senders`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from batos.image import census, methods, registry, senders
from batos.image.methods import Primitive
from batos.image.store import Image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from batos.image.view import View


def install(view: View, target: Any, source: str, selector: str = "greet") -> None:
    methods.install(view, view.resolve(target), selector, source, {}, signature="(self)", summary="")


def sending(image: Image, name: str) -> list[tuple[str | None, str]]:
    return [(row["name"], row["selector"]) for row in image.study_now(census.senders_of, name).value]


class TestSenders:
    def test_any_call_on_something_counts(self) -> None:
        """Calls on self, on parts and on results count; plain functions, attributes and broken text do not."""
        source = "def f(self):\n    self.a().b()\n    self.c.d(self.e)\n    g()\n    return [x.h() for x in self.i]"
        assert senders.calls(source) == {"a", "b", "d", "h"}
        assert senders.calls("def f(self: return") == set()

    def test_the_index_follows_installs_rollbacks_clones_and_removals(self, world: Image) -> None:
        """Only active methods count, each under the object that holds it."""
        world.transact_now(install, "genesis_obj", "def greet(self): return self.old()")
        world.transact_now(install, "genesis_obj", "def greet(self): return self.new()")
        assert (sending(world, "old"), sending(world, "new")) == ([], [("genesis_obj", "greet")])
        world.transact_now(registry.clone, "genesis_obj", "twin")
        assert sending(world, "new") == [("genesis_obj", "greet"), ("twin", "greet")]
        world.transact_now(lambda view: methods.rollback(view, view.resolve("twin"), "greet", 1).version)
        assert (sending(world, "old"), sending(world, "new")) == ([("twin", "greet")], [("genesis_obj", "greet")])
        world.transact_now(registry.remove, "genesis_obj", "greet")
        assert sending(world, "new") == []
        world.transact_now(registry.remove, "twin")
        assert sending(world, "old") == []

    def test_an_image_without_an_index_gets_one(self, world: Image) -> None:
        """An older image answers by reading all methods, and its next install makes the index of all."""
        world.transact_now(install, "traits_obj", "def greet(self): return self.old()")
        world.transact_now(lambda view: view.root.__delitem__(senders.SENDERS))
        assert sending(world, "old") == [("traits_obj", "greet")]
        world.transact_now(install, "genesis_obj", "def greet(self): return self.new()")
        assert world.read_now(lambda view: senders.SENDERS in view.root).value
        assert sending(world, "old") == [("traits_obj", "greet")]

    @settings(max_examples=25, deadline=None)
    @given(
        st.lists(
            st.tuples(st.sampled_from(["install", "rollback", "remove"]), st.sampled_from("ab"), st.integers(0, 3)),
            max_size=12,
        )
    )
    def test_it_never_lacks_and_never_invents(
        self, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, int]]
    ) -> None:
        """After any steps the index finds just the active methods whose source has the call."""
        home: Path = tmp_path_factory.mktemp("image")
        image = Image(home / "i.fs", home / "i.fs.blob")
        try:
            for name in "ab":
                image.transact_now(registry.create, [], {}, name)
            active: dict[str, list[int]] = {"a": [], "b": []}
            now: dict[str, int | None] = {"a": None, "b": None}
            for step, name, n in steps:
                if step == "install":
                    image.transact_now(install, name, f"def greet(self): return self.m{n}()")
                    active[name].append(n)
                    now[name] = n
                elif step == "rollback" and len(active[name]) > n:
                    image.transact_now(
                        lambda view, o, v: methods.rollback(view, view.resolve(o), "greet", v).version, name, n + 1
                    )
                    active[name].append(active[name][n])
                    now[name] = active[name][n]
                elif step == "remove" and now[name] is not None:
                    image.transact_now(registry.remove, name, "greet")
                    now[name] = None
            for n in range(4):
                assert sending(image, f"m{n}") == [(name, "greet") for name in "ab" if now[name] == n]
        finally:
            image.close_now()


class TestCensus:
    def test_implementors_are_own_slots_alone(self, world: Image) -> None:
        """Who inherits a method does not implement it; primitives do; an object only a slot holds is found too."""

        def furnish(view: View) -> None:
            view.resolve("traits_obj").greet = Primitive("clone")
            install(view, "genesis_obj", "def greet(self): pass")
            hidden = registry.create(view, [], {})
            install(view, hidden, "def greet(self): pass")
            registry.create(view, None, {"inside": [hidden]}, "holder")
            del registry.registered(view)[hidden.oid]

        world.transact_now(furnish)
        rows = world.study_now(census.implementors, "greet").value
        found = {(row["name"], row["kind"], row["version"]) for row in rows}
        assert found == {("traits_obj", "primitive", None), ("genesis_obj", "method", 1), (None, "method", 1)}

    def test_references_name_the_slots(self, world: Image) -> None:
        """Parents, nested containers and root count, by object and slot."""
        bear = world.transact_now(registry.create, [], {}, "bear").value
        world.transact_now(registry.create, [bear], {"deep": {"a": [(bear,)]}, "other": 1}, "cub")
        rows = world.study_now(census.references_to, "bear").value
        assert {(row["name"], tuple(row["slots"])) for row in rows if row["name"]} == {("cub", ("deep", "parents"))}
        assert {row["kind"] for row in rows} >= {"PersistentMapping"}

    def test_census_and_statistics_agree(self, world: Image) -> None:
        """Objects are counted by each parent they name, records by kind; both have the same sums."""
        world.transact_now(registry.create, ["traits_obj", "genesis_obj"], {}, "bear")
        told = world.study_now(census.census).value
        assert {row["name"]: row["objects"] for row in told["prototypes"]} == {"traits_obj": 2, "genesis_obj": 1}
        figures = world.study_now(census.statistics).value
        assert sum(row["records"] for row in told["kinds"]) == figures["records"]
        assert sum(row["bytes"] for row in told["kinds"]) == figures["bytes"]
        assert (figures["objects"], figures["registered"], figures["kept_from"]) == (3, 1, None)
        world.pack_now()
        assert world.study_now(census.statistics).value["kept_from"] == world.tid

    def test_it_sees_the_past(self, world: Image) -> None:
        """Asked of a moment, it counts what was there then."""
        tid = world.tid
        world.transact_now(registry.create, [], {}, "bear")
        assert world.study_now(census.statistics, at=tid).value["objects"] == 2


def test_answers_hold_no_live_objects(world: Image, reopen: Callable[[], Image]) -> None:
    """Every answer about a whole image is plain data that packs for the wire."""
    from batos import codec

    world.transact_now(install, "genesis_obj", "def greet(self): return self.m()")
    again = reopen()
    for fn, args in (
        (census.census, ()),
        (census.statistics, ()),
        (census.implementors, ("greet",)),
        (census.senders_of, ("m",)),
        (census.references_to, ("traits_obj",)),
    ):
        answer = again.study_now(fn, *args).value
        assert codec.unpack(codec.pack(answer)) == answer
