"""Undo (`batos.image.undo`): the last change goes back, the record of what happened stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batos.errors import Conflict, NotAllowed, UnknownTarget
from batos.image import cycles, methods, migrations, mirrors, outbox, registry, snapshots, undo
from batos.memory import catalog

if TYPE_CHECKING:
    from collections.abc import Callable

    from batos.image.store import Image, View


def take_back(image: Image) -> dict[str, Any]:
    """Undo as the kernel does it."""
    plan = image.study_now(undo.find).value
    return image.transact_now(undo.take_back, plan, note=f"undo {plan.tid}").value


def install(view: View, source: str, selector: str = "greet") -> None:
    methods.install(view, view.resolve("genesis_obj"), selector, source, {}, signature="(self)", summary="")


def look(image: Image) -> dict[str, Any]:
    return image.read_now(mirrors.inspect, "genesis_obj").value


class TestWhatGoesBack:
    def test_a_slot_is_as_it_was(self, world: Image, reopen: Callable[[], Image]) -> None:
        """A changed slot has its old value, a new one is gone, a removed one is back, in a second process too."""
        world.transact_now(registry.set_slots, "genesis_obj", {"a": [1], "b": 2})
        before = look(world)
        world.transact_now(lambda view: registry.set_slots(view, "genesis_obj", {"a": [1, 2], "c": 3}), note="changed")
        told = take_back(world)
        assert told["note"] == "changed"
        assert [row["name"] for row in told["objects"]] == ["genesis_obj"]
        assert look(world) == before
        assert look(reopen()) == before

    def test_an_install_and_a_rollback(self, world: Image) -> None:
        """After an undo the version before answers, and the next install goes on from it."""
        world.transact_now(install, "def greet(self): return 1")
        world.transact_now(install, "def greet(self): return 2")
        take_back(world)
        assert look(world)["methods"]["greet"]["version"] == 1
        world.transact_now(lambda view: methods.rollback(view, view.resolve("genesis_obj"), "greet", 1).version)
        take_back(world)
        assert look(world)["methods"]["greet"]["version"] == 1

    def test_the_first_install_leaves_nothing(self, world: Image) -> None:
        """Undoing the first version of a method makes the object not understand it."""
        world.transact_now(install, "def greet(self): return 1")
        take_back(world)
        assert look(world)["understands"] == []

    def test_create_and_remove(self, world: Image) -> None:
        """A created object is gone from registry and root; a removed one is back with its name."""
        world.transact_now(registry.create, None, {"n": 1}, "bear")
        world.transact_now(registry.remove, "bear")
        take_back(world)
        assert world.read_now(mirrors.inspect, "bear").value["slots"] == {"n": 1}
        take_back(world)  # undoes the undo
        with pytest.raises(UnknownTarget):
            world.read_now(mirrors.inspect, "bear")

    def test_a_second_undo_does_it_again(self, world: Image) -> None:
        """What was undone can be undone, as often as one likes."""
        world.transact_now(registry.set_slots, "genesis_obj", {"a": 1})
        for expected in ({}, {"a": 1}, {}):
            take_back(world)
            assert look(world)["slots"] == expected


class TestWhatStays:
    def test_records_are_no_changes(self, world: Image) -> None:
        """The log's lines, cycles and snapshots neither count as the last change nor go back with it."""
        target = world.transact_now(registry.create, None, {}, "bear").value
        world.transact_now(registry.set_slots, "bear", {"a": 1})
        record = {"target": target, "selector": "x", "brief": {}, "state": "IDLE", "data": {}}
        world.transact_now(cycles.open_cycle, "c1", record, [{"event": "accepted"}])
        world.transact_now(outbox.append, {"event_type": "X"})
        world.transact_now(outbox.trim, 1)
        world.transact_now(snapshots.take, "here")
        take_back(world)
        assert world.read_now(mirrors.inspect, "bear").value["slots"] == {}
        assert world.read_now(cycles.load, "c1").value["state"] == "IDLE"
        assert world.read_now(snapshots.listing).value[0]["name"] == "here"

    def test_a_transaction_may_say_that_it_is_a_record(self, world: Image) -> None:
        """What the system notes of itself is passed over, wherever it writes; over a change that it wrote over, it is told."""
        world.transact_now(registry.set_slots, "genesis_obj", {"a": 1}, note="asked for")
        world.transact_now(registry.set_slots, "traits_obj", {"seen": 1}, why=undo.RECORD)
        assert take_back(world)["note"] == "asked for"
        world.transact_now(registry.set_slots, "genesis_obj", {"a": 2})
        world.transact_now(registry.set_slots, "genesis_obj", {"seen": 1}, why=undo.RECORD)
        with pytest.raises(Conflict, match="written over"):
            take_back(world)

    def test_fractal_memory_follows_by_itself(self, image: Image) -> None:
        """What memory indexes later is passed over; a document is taken back by `forget`, which the refusal says."""
        migrations.migrate(image)
        image.transact_now(registry.set_slots, "genesis_obj", {"a": 1}, note="asked for")
        image.transact_now(catalog.index_document, "one", "Bears sleep in winter.", {})
        image.transact_now(catalog.index_document, "two", "Bears eat honey.", {}, note="index")
        assert take_back(image)["note"] == "asked for"
        assert image.read_now(catalog.has, "two").value
        image.transact_now(catalog.forget, "two", note="forget two", why={"command": "forget"})
        with pytest.raises(NotAllowed, match="forget two"):
            take_back(image)

    def test_what_ends_a_cycle_goes_back_but_not_its_end(self, world: Image) -> None:
        """An install in the transaction that ends its cycle goes back; the cycle stays ended, the log has its line."""
        target = world.read_now(lambda view: view.ref(view.resolve("genesis_obj"))).value
        record = {"target": target, "selector": "greet", "brief": {}, "state": "VALIDATING", "data": {}}
        world.transact_now(cycles.open_cycle, "c1", record, [])

        def finish(view: View) -> None:
            install(view, "def greet(self): return 1")
            outbox.append(view, {"event_type": "METHOD_INSTALLED"})
            cycles.finish(view, "c1", {"ended": "COMPLETE"}, [{"event": "end"}], {"status": "COMPLETE"})

        world.transact_now(finish, note="install greet")
        world.transact_now(outbox.trim, 1, note="journal")
        assert take_back(world)["note"] == "install greet"
        assert look(world)["methods"] == {}
        assert world.read_now(cycles.active).value == []
        assert world.read_now(cycles.load, "c1").value["last_word"] == {"status": "COMPLETE"}
        assert world.transact_now(outbox.append, {"event_type": "X"}).value == 2


class TestRefusals:
    def test_migrations_are_not_undone(self, image: Image) -> None:
        """The awakening, and any migration, is refused with what to do instead."""
        migrations.migrate(image)
        with pytest.raises(NotAllowed, match="migration"):
            take_back(image)

    def test_nothing_to_undo(self, image: Image) -> None:
        """An image without a change says so."""
        image.transact_now(outbox.append, {"event_type": "X"})
        with pytest.raises(UnknownTarget, match="no change"):
            take_back(image)

    def test_what_changed_since_is_not_overwritten(self, world: Image) -> None:
        """A change between the look and the undo is a conflict, and stays."""
        world.transact_now(registry.set_slots, "genesis_obj", {"a": 1})
        plan = world.study_now(undo.find).value
        world.transact_now(registry.set_slots, "genesis_obj", {"a": 2})
        with pytest.raises(Conflict):
            world.transact_now(undo.take_back, plan)
        assert look(world)["slots"] == {"a": 2}

    def test_what_a_pack_took_cannot_come_back(self, world: Image) -> None:
        """After a pack there is nothing to go back to."""
        world.transact_now(registry.set_slots, "genesis_obj", {"a": 1})
        world.pack_now()
        with pytest.raises(UnknownTarget):
            take_back(world)
