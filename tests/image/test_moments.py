"""Moments, snapshots and differences (`batos.image.moments`, `snapshots`, `past`)."""

from __future__ import annotations

import datetime as dt
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batos.errors import BadField, UnknownTarget
from batos.image import engine, methods, mirrors, moments, packing, past, registry, snapshots

if TYPE_CHECKING:
    from collections.abc import Callable

    from batos.image.store import Image, View


def set_n(image: Image, n: Any) -> str:
    return image.transact_now(registry.set_slots, "genesis_obj", {"n": n}).tid


def find(image: Image, text: str) -> str:
    return image.read_now(moments.find, text).value


def n_at(image: Image, tid: str) -> Any:
    return image.study_now(mirrors.inspect, "genesis_obj", at=tid).value["slots"].get("n")


class TestMoments:
    def test_a_tid_a_time_and_a_name_mean_the_same(self, world: Image) -> None:
        """Each form gives the image as it was right after that transaction."""
        first = set_n(world, 1)
        world.transact_now(snapshots.take, "one", "ada")
        between = dt.datetime.now(dt.UTC)
        time.sleep(0.01)
        set_n(world, 2)
        for text in (first, first.upper(), "one", between.isoformat(), between.replace(tzinfo=None).isoformat()):
            assert n_at(world, find(world, text)) == 1
        assert n_at(world, find(world, dt.datetime.now(dt.UTC).isoformat())) == 2

    @pytest.mark.parametrize("text", ["nobody", "12", "2999-01-01", "f" * 16, "1200-01-01", ""])
    def test_what_is_no_moment(self, world: Image, text: str) -> None:
        """Other words, times to come and tids to come are bad fields."""
        with pytest.raises(BadField):
            find(world, text)

    def test_before_the_image_began(self, world: Image) -> None:
        """A time before the first transaction is no moment of the image."""
        with pytest.raises(BadField):
            n_at(world, find(world, "1999-01-01"))

    def test_what_was_packed_away_is_told(self, world: Image) -> None:
        """After a pack an older moment gets an error that says from when on history is kept; the last one stays."""
        first, last = set_n(world, 1), set_n(world, 2)
        packing.pack(world, 0)
        with pytest.raises(UnknownTarget, match=f"packed away: history is kept from .*{last}"):
            find(world, first)
        assert n_at(world, find(world, last)) == 2

    @given(st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2090, 1, 1)), st.integers(0, 2**32 - 1))  # noqa: DTZ001
    def test_a_transactions_time_names_its_moment(self, day: dt.datetime, within: int) -> None:
        """The image as of the time that is told of a transaction has it; as of two microseconds before, it has not."""
        minute = bytes.fromhex(moments.tid_at(day.replace(tzinfo=dt.UTC)))[:4]
        tid = (minute + within.to_bytes(4, "big")).hex()
        told = dt.datetime.fromisoformat(snapshots.time_of(tid))
        found = moments.tid_at(told)
        assert moments.tid_at(told - dt.timedelta(microseconds=2)) < tid <= found
        assert moments.before(tid) < tid


class TestSnapshots:
    def test_taken_listed_removed(self, world: Image) -> None:
        """A name is given once, listed oldest first, and free again when it is removed."""
        set_n(world, 1)
        taken = world.transact_now(snapshots.take, "one", "ada").value
        assert (taken["name"], taken["user"], n_at(world, taken["tid"])) == ("one", "ada", 1)
        world.transact_now(snapshots.take, "another")
        with pytest.raises(BadField, match="already"):
            world.transact_now(snapshots.take, "one")
        assert [row["name"] for row in world.read_now(snapshots.listing).value] == ["one", "another"]
        world.transact_now(snapshots.remove, "one")
        with pytest.raises(UnknownTarget):
            world.transact_now(snapshots.remove, "one")

    def test_a_named_moment_survives_a_pack(self, world: Image, reopen: Callable[[], Image]) -> None:
        """A pack goes no further than the oldest snapshot and says so; without the name it goes on."""
        early = set_n(world, -1)
        set_n(world, 0)
        set_n(world, 1)
        world.transact_now(snapshots.take, "one")
        set_n(world, 2)
        report = packing.pack(world, 0)
        assert report["held_by"] == "one"
        again = reopen()
        assert n_at(again, find(again, "one")) == 1
        with pytest.raises(UnknownTarget):
            find(again, early)
        again.transact_now(snapshots.remove, "one")
        assert packing.pack(again, 0)["held_by"] is None


class TestPack:
    def test_versions_and_provenance_stay(self, world: Image, reopen: Callable[[], Image]) -> None:
        """Every version of every method is there after a pack with its provenance and its tid; the file is smaller."""

        def install(view: View, n: int) -> None:
            obj = view.resolve("genesis_obj")
            source = f"def greet(self): return {n}"
            methods.install(view, obj, "greet", source, {"model": f"m{n}"}, signature="(self)", summary="")

        for n in range(20):
            world.transact_now(install, n)
            set_n(world, "x" * 5000)
        world.transact_now(methods_removed)
        before = world.read_now(lambda view: methods.history(view, view.resolve("genesis_obj"), "greet")).value
        report = packing.pack(world, 0)
        assert report["bytes"][1] < report["bytes"][0] / 2
        after = reopen().read_now(lambda view: methods.history(view, view.resolve("genesis_obj"), "greet")).value
        assert after == before
        assert len(after) == 20

    def test_retention(self, world: Image) -> None:
        """History younger than the days that are kept stays readable."""
        first = set_n(world, 1)
        set_n(world, 2)
        packing.pack(world, 1)
        assert n_at(world, first) == 1

    def test_units_of_work_go_on_while_it_runs(self, world: Image, monkeypatch: pytest.MonkeyPatch) -> None:
        """A pack that has begun does not end before a read and a write that came later have: nobody waits for it."""
        began, went_on = threading.Event(), threading.Event()
        real = engine.pack

        def slow(db: Any, until: float) -> None:
            began.set()
            assert went_on.wait(30)
            real(db, until)

        monkeypatch.setattr(engine, "pack", slow)
        packer = threading.Thread(target=packing.pack, args=(world, 0))
        packer.start()
        assert began.wait(30)
        set_n(world, 3)
        assert world.read_now(mirrors.inspect, "genesis_obj").value["slots"] == {"n": 3}
        went_on.set()
        packer.join()
        assert world.read_now(mirrors.inspect, "genesis_obj").value["slots"] == {"n": 3}

    def test_a_second_pack_finds_nothing(self, world: Image) -> None:
        """Packing a packed image does no harm."""
        set_n(world, 1)
        packing.pack(world, 0)
        assert packing.pack(world, 0)["bytes"][0] == packing.pack(world, 0)["bytes"][1]


def methods_removed(view: View) -> None:
    methods.remove_method(view, view.resolve("genesis_obj"), "greet")


class TestDifferences:
    def test_of_versions(self, world: Image) -> None:
        """Two versions give a unified difference; of removed methods too."""

        def install(view: View, source: str) -> None:
            obj = view.resolve("genesis_obj")
            methods.install(view, obj, "greet", source, {}, signature="(self)", summary="")

        world.transact_now(install, "def greet(self):\n    return 1\n")
        world.transact_now(install, "def greet(self):\n    return 2")
        world.transact_now(methods_removed)
        told = world.read_now(past.of_versions, "genesis_obj", "greet", 1, 2).value
        assert told["unified"] == (
            "--- greet version 1\n+++ greet version 2\n@@ -1,2 +1,2 @@\n def greet(self):\n"
            "-    return 1\n+    return 2\n\\ No newline at end of file\n"
        )
        with pytest.raises(UnknownTarget):
            world.read_now(past.of_versions, "genesis_obj", "greet", 1, 3)

    def test_of_moments(self, world: Image) -> None:
        """Slots that came, went and changed by type or value; methods that came as a difference from nothing."""
        first = world.transact_now(registry.set_slots, "genesis_obj", {"a": 1, "b": 1, "c": [1]}).tid

        def change(view: View) -> None:
            registry.set_slots(view, "genesis_obj", {"a": True, "d": 4})
            registry.remove(view, "genesis_obj", slot="b")
            obj = view.resolve("genesis_obj")
            methods.install(view, obj, "greet", "def greet(self): pass\n", {}, signature="(self)", summary="")

        second = world.transact_now(change).tid
        states = [world.study_now(past.state, "genesis_obj", at=tid).value for tid in (first, second)]
        told = past.of_states(*states, ("before", "after"))
        assert told["slots"] == {"added": {"d": 4}, "removed": {"b": 1}, "changed": {"a": [1, True]}}
        assert told["unified"].startswith("--- greet before\n+++ greet after\n@@ -0,0 +1 @@\n+def greet")

    def test_an_object_that_was_not_there_yet(self, world: Image) -> None:
        """Everything of it has come; where it was at neither moment it is an unknown target."""
        first = set_n(world, 1)
        made = world.transact_now(registry.create, [], {"a": 1}, "bear").tid
        states = [world.study_now(past.state, "bear", at=tid).value for tid in (first, made)]
        assert states[0] is None
        assert past.of_states(*states, ("a", "b"))["slots"]["added"] == {"a": 1, "parents": []}
        with pytest.raises(UnknownTarget):
            past.of_states(None, None, ("a", "b"))

    @settings(max_examples=200)
    @given(st.text("ab\n\r\x0c", max_size=12), st.text("ab\n\r\x0c", max_size=12))
    def test_a_difference_says_both_texts(self, old: str, new: str) -> None:
        """The lines without and with `-`, and those without and with `+`, are the two texts, where they differ at all."""
        told = past.unified(old, new, "a", "b")
        if old == new:
            assert told == ""
            return
        bare = told.replace("\n\\ No newline at end of file\n", "\0")
        rows = [row for row in bare.replace("\0", "\0\n").split("\n")[2:] if row and not row.startswith("@@")]
        for text, signs in ((old, " -"), (new, " +")):
            assert "".join(row[1:] + "\n" for row in rows if row[0] in signs).replace("\0\n", "") == text
