"""Versions of methods (`batos.image.methods`)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batos.codec import Ref
from batos.errors import BadField, MethodError, NotAllowed, UnknownTarget
from batos.image import methods
from batos.image.methods import Primitive
from batos.image.objects import UvmObject

if TYPE_CHECKING:
    from collections.abc import Callable

    from batos.image.store import Image, View

TARGET = "genesis_obj"


def install(view: View, source: str, provenance: dict[str, object] | None = None, target: str = TARGET) -> int:
    obj = view.resolve(target)
    made = methods.install(
        view, obj, "greet", source, provenance or {"origin": "test"}, signature="(self, name)", summary="Greet."
    )
    return made.version


def remove(view: View) -> int:
    return methods.remove_method(view, view.resolve(TARGET), "greet").version


def rollback(view: View, number: int) -> int:
    return methods.rollback(view, view.resolve(TARGET), "greet", number).version


def history(view: View, target: str = TARGET) -> list[dict[str, object]]:
    return methods.history(view, view.resolve(target), "greet")


def held(view: View) -> str | None:
    value = view.resolve(TARGET)._slots.get("greet")
    return value.source if value is not None else None


class TestHistory:
    def test_it_has_the_contract_s_fields(self, world: Image, reopen: Callable[[], Image]) -> None:
        """Each version shows number, transaction, time, source, digest, whether it is active, and provenance."""
        tid = world.transact_now(install, "def greet(self): return 1", {"origin": "mission", "n": [1]}).tid
        (row,) = reopen().read_now(history).value
        assert row.pop("time").endswith("+00:00")
        assert row == {
            "version": 1,
            "tid": tid,
            "source": "def greet(self): return 1",
            "sha256": hashlib.sha256(b"def greet(self): return 1").hexdigest(),
            "signature": "(self, name)",
            "summary": "Greet.",
            "active": True,
            "provenance": {"origin": "mission", "n": [1]},
        }

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
    @given(steps=st.lists(st.sampled_from(["install", "remove", "rollback"]), min_size=1, max_size=8))
    def test_it_holds_everything_that_ever_was(self, world: Image, steps: list[str]) -> None:
        """After any row of installs, removals and rollbacks: numbers 1, 2, 3 …, every source, at most one active."""
        world.transact_now(lambda view: setattr(view.root[TARGET], "parents", []))
        world.transact_now(lambda view: view.root.__setitem__(TARGET, UvmObject()))
        sources: list[str] = []
        active: str | None = None
        for number, step in enumerate(steps):
            if step == "install":
                active = f"def greet(self): return {number}"
                sources.append(active)
                world.transact_now(install, active)
            elif step == "remove" and active is not None:
                world.transact_now(remove)
                active = None
            elif step == "rollback" and sources:
                active = sources[0]
                sources.append(active)
                world.transact_now(rollback, 1)
        assert world.read_now(held).value == active
        if sources:
            rows = world.read_now(history).value
            assert [row["version"] for row in rows] == list(range(1, len(sources) + 1))
            assert [row["source"] for row in rows] == sources
            assert [row["version"] for row in rows if row["active"]] == ([len(sources)] if active else [])

    def test_a_removal_is_told(self, world: Image) -> None:
        """A removed version says when it was removed; a rollback brings it back under a new number."""
        world.transact_now(install, "def greet(self): return 1")
        world.transact_now(remove)
        (row,) = world.read_now(history).value
        assert row["active"] is False
        assert row["removed"]["version"] == 1
        assert world.transact_now(rollback, 1).value == 2
        first, second = world.read_now(history).value
        assert ("removed" in first, "removed" in second) == (True, False)
        assert second["provenance"] == {"origin": "test", "rollback_of": 1}

    def test_an_inherited_method_has_its_holder_s_history(self, world: Image) -> None:
        """What a parent's method went through is shown for the child too; taking back is for the holder alone."""
        world.transact_now(install, "def greet(self): return 1", None, "traits_obj")
        assert [row["active"] for row in world.read_now(history).value] == [True]
        with pytest.raises(UnknownTarget):
            world.transact_now(rollback, 1)

    def test_references_in_provenance_survive(self, world: Image) -> None:
        """A reference in the provenance is stored as the object and comes back as a reference."""
        ref = world.read_now(lambda view: view.ref(view.resolve("traits_obj"))).value
        world.transact_now(install, "def greet(self): pass", {"examples": [{"args": [ref]}]})
        assert world.read_now(history).value[0]["provenance"] == {"examples": [{"args": [ref]}]}
        with pytest.raises(UnknownTarget):
            world.transact_now(install, "def greet(self): pass", {"args": [Ref(b"\xff" * 8)]})

    def test_versions_are_picked_by_number(self, world: Image) -> None:
        """Without a number the newest version is told; a number that never was is unknown."""
        for number in range(3):
            world.transact_now(install, f"def greet(self): return {number}")

        def pick(view: View, number: int | None) -> object:
            return methods.version(view, view.resolve(TARGET), "greet", number)["source"]

        assert world.read_now(pick, None).value == "def greet(self): return 2"
        assert world.read_now(pick, 2).value == "def greet(self): return 1"
        with pytest.raises(UnknownTarget):
            world.read_now(pick, 4)


class TestRefusals:
    def test_data_and_primitives_are_not_overwritten(self, world: Image) -> None:
        """A method does not replace data, the parents, or native behaviour."""

        def into(view: View, selector: str) -> None:
            obj = view.resolve(TARGET)
            obj.count, obj.clone = 5, Primitive("clone")
            methods.install(view, obj, selector, "def count(self): pass", {}, signature="(self)", summary="")

        for selector, error in (("count", BadField), ("parents", BadField), ("clone", NotAllowed)):
            with pytest.raises(error):
                world.transact_now(into, selector)

    def test_only_own_methods_are_removed(self, world: Image) -> None:
        """What is not there is unknown, also when a parent has it; a primitive stays."""
        world.transact_now(install, "def greet(self): pass", None, "traits_obj")
        with pytest.raises(UnknownTarget):
            world.transact_now(remove)

        def primitive(view: View) -> None:
            view.resolve(TARGET).greet = Primitive("clone")
            remove(view)

        with pytest.raises(NotAllowed):
            world.transact_now(primitive)

    def test_a_method_that_never_was_has_no_history(self, world: Image) -> None:
        """A selector that nobody has, and a primitive, have no history."""
        with pytest.raises(UnknownTarget):
            world.read_now(history)


class TestDigest:
    def test_a_changed_source_is_refused(self, world: Image, reopen: Callable[[], Image]) -> None:
        """A source that is not what was installed is not given out; the history names it and stays readable."""
        world.transact_now(install, "def greet(self): return 1")
        world.transact_now(install, "def greet(self): return 2")

        def spoil(view: View) -> None:
            view.resolve(TARGET)._slots["greet"]._source = "def greet(self): return 3"

        world.transact_now(spoil)
        again = reopen()
        with pytest.raises(MethodError, match=r"greet. version 2"):
            again.read_now(held)
        whole, damaged = again.read_now(history).value
        assert (whole["source"], damaged["source"], damaged["damaged"]) == ("def greet(self): return 1", None, True)
        with pytest.raises(MethodError):
            again.transact_now(rollback, 2)
        again.transact_now(rollback, 1)
        assert again.read_now(held).value == "def greet(self): return 1"
