"""Cycles in the image: accepted is never lost, events are numbered, ends are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batos.codec import Ref
from batos.errors import BadField, UnknownTarget
from batos.image import cycles
from batos.image.objects import UvmObject

if TYPE_CHECKING:
    from collections.abc import Callable

    from batos.image.store import Image, View

_OTHER = Ref(b"\0" * 7 + b"\x77")


def _record(cycle_id: str, target: Ref, selector: str = "greet", **more: Any) -> dict[str, Any]:
    return {
        "cycle_id": cycle_id,
        "schema": 1,
        "state": "IDLE",
        "target": target,
        "selector": selector,
        "brief": {"type": "unhandled_message", "selector": selector, "args": [1, (2,)]},
        "attempts": [],
        "elapsed": 0.0,
        "data": {},
        **more,
    }


@pytest.fixture
def target(world: Image) -> Ref:
    """A target of missions."""
    return world.read_now(lambda view: view.ref(view.root["genesis_obj"])).value


@pytest.fixture
def start(world: Image, target: Ref) -> Callable[..., dict[str, Any]]:
    """Open a cycle; gives its record."""

    def opens(cycle_id: str, selector: str = "greet", **more: Any) -> dict[str, Any]:
        record = _record(cycle_id, target, selector, **more)
        world.transact_now(cycles.open_cycle, cycle_id, record, [{"event": "accepted"}])
        return record

    return opens


def _end(image: Image, cycle_id: str, status: str = "COMPLETE", **more: Any) -> list[dict[str, Any]]:
    changes, word = {"state": "IDLE", "ended": status}, {"status": status, "result": (1, 2)}
    return image.transact_now(
        lambda view: cycles.finish(view, cycle_id, changes, [{"event": "transition", "to": status}], word, **more)
    ).value


def _load(image: Image, cycle_id: str) -> dict[str, Any] | None:
    return image.read_now(cycles.load, cycle_id).value


class TestLife:
    def test_a_record_survives_a_restart(self, start: Any, reopen: Callable[[], Image]) -> None:
        """What was opened comes back whole from the disk, with every type it had."""
        brief = {"selector": "greet", "args": [_OTHER, (1, {2})], "kwargs": {"to": {"deep": _OTHER}}}
        record = start("c1", brief=brief, data={"needs": ["x"], "result": _OTHER})
        assert _load(reopen(), "c1") == record

    def test_its_slots_have_the_original_names(self, world: Image, start: Any, target: Ref) -> None:
        """A cycle is an object in `active_cycles` whose slots tell brief, target, state and data."""
        start("c1", data={"research_plan": ["q"]})

        def look(view: View) -> dict[str, Any]:
            cycle = view.root["active_cycles"]["c1"]
            assert isinstance(cycle, UvmObject)
            names = ("mission_brief", "target_oid", "synthesis_state", "_tmp_synthesis_data", "schema")
            return {name: cycle._slots[name] for name in names}

        assert world.read_now(look).value == {
            "mission_brief": {"type": "unhandled_message", "selector": "greet", "args": [1, (2,)]},
            "target_oid": target.hex,
            "synthesis_state": "IDLE",
            "_tmp_synthesis_data": {"research_plan": ["q"]},
            "schema": 1,
        }

    def test_changes_are_merged(self, world: Image, start: Any) -> None:
        """Saving changes what it names and leaves the rest."""
        record = start("c1")
        changes = {"state": "VALIDATING", "data": {"generated_artifact": "x"}, "awaiting": "approval"}
        world.transact_now(cycles.save, "c1", changes, [])
        assert _load(world, "c1") == {**record, **changes}

    def test_an_end_moves_it_to_the_archive(self, world: Image, start: Any) -> None:
        """An ended cycle leaves the active ones and keeps its record, with the last word."""
        record = start("c1")
        _end(world, "c1")
        word = {"status": "COMPLETE", "result": (1, 2)}
        assert _load(world, "c1") == {**record, "ended": "COMPLETE", "last_word": word}
        assert world.read_now(cycles.active).value == []
        assert world.read_now(lambda view: len(view.root["active_cycles"])).value == 0

    def test_a_failed_transaction_ends_nothing(self, world: Image, start: Any) -> None:
        """The end is all or nothing: when the unit of work fails, the cycle is where it was."""
        record = start("c1")

        def fails(view: View) -> None:
            cycles.finish(view, "c1", {"state": "IDLE"}, [{"event": "x"}], {"status": "COMPLETE"})
            raise RuntimeError

        with pytest.raises(RuntimeError):
            world.transact_now(fails)
        assert _load(world, "c1") == record
        assert len(world.read_now(cycles.events, "c1", 1).value) == 1

    def test_an_unknown_or_ended_cycle_takes_no_changes(self, world: Image, start: Any) -> None:
        """Only active cycles change; a cycle ends once; an id is used once."""
        start("c1")
        with pytest.raises(BadField):
            start("c1")
        _end(world, "c1")
        for cycle_id in ("c1", "c2"):
            with pytest.raises(UnknownTarget):
                world.transact_now(cycles.save, cycle_id, {}, [])
            with pytest.raises(UnknownTarget):
                _end(world, cycle_id)
        with pytest.raises(BadField):
            start("c1")
        assert _load(world, "c2") is None


class TestEvents:
    def test_they_are_numbered_over_the_whole_life(self, world: Image, start: Any) -> None:
        """Events get 1, 2, 3 … over opening, saving and ending, are given back numbered, and stay readable."""
        start("c1")
        events = [{"event": "artifact", "text": "é"}, {"event": "token"}]
        given = world.transact_now(cycles.save, "c1", {}, events).value
        assert [event["seq"] for event in given] == [2, 3]
        assert events is given  # those who publish them have the numbers too
        assert [event["seq"] for event in _end(world, "c1")] == [4]
        told = world.read_now(cycles.events, "c1", 1).value
        assert [(e["seq"], e["event"]) for e in told] == [
            (1, "accepted"),
            (2, "artifact"),
            (3, "token"),
            (4, "transition"),
        ]
        assert told[1]["text"] == "é"

    @pytest.mark.parametrize(("from_seq", "count"), [(-5, 3), (0, 3), (1, 3), (3, 1), (4, 0), (2**40, 0)])
    def test_they_can_be_followed_from_anywhere(self, world: Image, start: Any, from_seq: int, count: int) -> None:
        """A follower gets the events from its number on, whatever number it gives."""
        start("c1")
        world.transact_now(cycles.save, "c1", {}, [{"event": "a"}, {"event": "b"}])
        assert len(world.read_now(cycles.events, "c1", from_seq).value) == count

    def test_an_unknown_cycle_has_none(self, world: Image) -> None:
        """Events of an unknown cycle are an error, not an empty list."""
        with pytest.raises(UnknownTarget):
            world.read_now(cycles.events, "c9", 1)


class TestListing:
    def test_newest_first_by_state(self, world: Image, start: Any) -> None:
        """All cycles are listed, newest first; a state selects, and ended ones are found by how they ended."""
        for n in range(5):
            start(f"c{n}", selector=f"s{n}")
        _end(world, "c1")
        _end(world, "c3", "FAILED")
        world.transact_now(cycles.save, "c2", {"state": "VALIDATING"}, [])

        def ids(state: str | None, limit: int = 10) -> list[str]:
            return [record["cycle_id"] for record in world.read_now(cycles.listing, state, limit).value]

        assert ids(None) == ["c4", "c3", "c2", "c1", "c0"]
        assert ids(None, 2) == ["c4", "c3"]
        assert (ids("COMPLETE"), ids("FAILED"), ids("VALIDATING"), ids("NONE")) == (["c1"], ["c3"], ["c2"], [])

    def test_active_ones_oldest_first(self, world: Image, start: Any) -> None:
        """A restart takes up the active cycles in the order in which they came."""
        for cycle_id in ("z", "a", "m"):
            start(cycle_id, selector=cycle_id)
        _end(world, "a")
        assert [record["cycle_id"] for record in world.read_now(cycles.active).value] == ["z", "m"]

    def test_an_empty_image_lists_nothing(self, world: Image) -> None:
        """Before the first mission there is nothing to list, to resume or to join."""
        assert world.read_now(cycles.active).value == []
        assert world.read_now(cycles.listing, None, 5).value == []
        assert world.read_now(cycles.alike, _OTHER, "greet").value == []


class TestArchive:
    def test_the_oldest_leave(self, world: Image, start: Any) -> None:
        """Over the limit the oldest ended cycles go, with their events and request ids; active ones never do."""
        start("first", selector="still_active")
        for n in range(4):
            start(f"c{n}")
            world.transact_now(cycles.bind_request, f"r{n}", f"c{n}", "body")
            _end(world, f"c{n}", keep=2)
        listed = [record["cycle_id"] for record in world.read_now(cycles.listing, None, 10).value]
        assert listed == ["c3", "c2", "first"]
        assert _load(world, "c1") is None
        bound = [world.read_now(cycles.request, f"r{n}").value is not None for n in range(4)]
        assert bound == [False, False, True, True]


class TestRequests:
    def test_a_request_names_its_cycle_for_good(self, start: Any, reopen: Callable[[], Image]) -> None:
        """A binding survives the restart and the end of the cycle; binding it again the same way is fine."""
        start("c1")
        image = reopen()
        for _ in range(2):
            image.transact_now(cycles.bind_request, "r1", "c1", "body")
        _end(image, "c1")
        assert reopen().read_now(cycles.request, "r1").value == {"cycle_id": "c1", "body": "body"}

    def test_a_request_is_bound_once(self, world: Image, start: Any) -> None:
        """Another body, another cycle or an unknown cycle cannot take a request id."""
        start("c1")
        world.transact_now(cycles.bind_request, "r1", "c1", "body")
        with pytest.raises(BadField):
            world.transact_now(cycles.bind_request, "r1", "c1", "another")
        with pytest.raises(UnknownTarget):
            world.transact_now(cycles.bind_request, "r2", "c9", "body")
        assert world.read_now(cycles.request, "r2").value is None

    def test_active_cycles_of_the_same_message_are_alike(self, world: Image, start: Any, target: Ref) -> None:
        """Cycles for the same target and selector are given, oldest first, while they are active; no others are."""
        start("c1", selector="greet")
        start("c2", selector="greet")

        def alike(where: Ref | str, selector: str) -> list[str]:
            return [record["cycle_id"] for record in world.read_now(cycles.alike, where, selector).value]

        assert alike(target, "greet") == alike(target.hex, "greet") == ["c1", "c2"]
        assert alike(target, "other") == []
        assert alike(_OTHER, "greet") == []
        _end(world, "c1")
        assert alike(target, "greet") == ["c2"]


class TestWords:
    def test_the_same_words_recall_the_brief(self, world: Image, target: Ref) -> None:
        """Case, blanks and punctuation at the end make no difference; the target does."""
        brief = {"selector": "greet_user", "args": [(1, _OTHER)]}
        world.transact_now(cycles.remember_words, "Please write a method to greet a user.", target.hex, brief)

        def recall(words: str, where: Ref | str = target) -> dict[str, Any] | None:
            return world.read_now(cycles.recall_words, words, where).value

        assert recall("please  write a METHOD to\ngreet a user ?!") == brief
        assert recall("Please write a method to greet a user", target.hex) == brief
        assert recall("Please write a method to greet two users") is None
        assert recall("Please write a method to greet a user.", _OTHER) is None

    def test_the_newest_brief_wins(self, world: Image, target: Ref) -> None:
        """Words that led to another brief since recall that one."""
        for selector in ("a", "b"):
            world.transact_now(cycles.remember_words, "do it", target, {"selector": selector})
        assert world.read_now(cycles.recall_words, "Do it!", target).value == {"selector": "b"}
