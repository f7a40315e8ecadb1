"""Long reads beside the image's door (`Image.study`), and packs beneath them."""

from __future__ import annotations

import asyncio
import errno
import threading
import time
from typing import TYPE_CHECKING

import pytest
from persistent.timestamp import TimeStamp

from batos.errors import BadField, Conflict, ImageDamaged, ImageReadOnly, Stopping, UnknownTarget
from batos.image.collector import Packer
from batos.image.objects import UvmObject

if TYPE_CHECKING:
    from batos.codec import Ref
    from batos.image.store import Image, View


def put(view: View, name: str, n: int) -> Ref:
    view.root[name] = obj = UvmObject(n=n)
    return view.ref(obj)


def change(view: View, name: str, n: int) -> None:
    view.resolve(name).n = n


def slot(view: View, name: str) -> int:
    view.conn.cacheMinimize()
    n = view.resolve(name).n
    assert isinstance(n, int)
    return n


class TestStudy:
    async def test_nobody_waits_for_a_study(self, image: Image) -> None:
        """While a study runs, writes and reads go through, and the study sees its own moment to the end."""
        image.transact_now(put, "thing", 1)
        started, go = threading.Event(), threading.Event()

        def slow(view: View) -> tuple[int, int]:
            first = slot(view, "thing")
            started.set()
            assert go.wait(30)
            view.breathe()
            return first, slot(view, "thing")

        study = asyncio.create_task(image.study(slow))
        await asyncio.to_thread(started.wait, 30)
        written = await image.transact(change, "thing", 2)
        assert (await image.read(slot, "thing")).value == 2
        assert image.statistics()["studies"] == 1
        go.set()
        done = await study
        assert done.value == (1, 1)
        assert done.tid < written.tid
        assert image.statistics()["studies"] == 0

    async def test_a_study_of_the_past(self, image: Image) -> None:
        """`at` shows the moment right after that transaction; what is no moment is refused."""
        old = image.transact_now(put, "thing", 1).tid
        image.transact_now(change, "thing", 2)
        assert await image.study(slot, "thing", at=old) == (1, old)
        assert image.study_now(slot, "thing").value == 2
        for at in ("", "00", "f" * 16, "0" * 15 + "1"):
            with pytest.raises(BadField):
                await image.study(slot, "thing", at=at)

    def test_a_study_keeps_nothing(self, image: Image) -> None:
        """What a study changes is gone, also in the cache that the next study gets."""
        image.transact_now(put, "thing", 1)
        image.study_now(change, "thing", 2)
        assert image.study_now(slot, "thing").value == 1

    async def test_closing_ends_a_long_study(self, image: Image) -> None:
        """A study that breathes ends when the image closes; a later one is refused."""
        started = threading.Event()

        def endless(view: View) -> None:
            while True:
                started.set()
                view.breathe()

        study = asyncio.create_task(image.study(endless))
        await asyncio.to_thread(started.wait, 30)
        await image.close()
        with pytest.raises(Stopping):
            await study
        with pytest.raises(Stopping):
            await image.study(slot, "thing")

    def test_the_queue_is_counted(self, image: Image) -> None:
        """The statistics show how many units of work wait now, and the most that ever did."""
        started, go = threading.Event(), threading.Event()

        def hold(view: View) -> None:
            started.set()
            go.wait(30)

        threads = [threading.Thread(target=image.read_now, args=(hold,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert started.wait(30)
        while image.statistics()["queue"] < 3:
            pass
        go.set()
        for thread in threads:
            thread.join()
        figures = image.statistics()
        assert (figures["queue"], figures["queue_highest"]) == (0, 3)


class TestPack:
    def test_a_moment_that_was_packed_away_says_so(self, image: Image) -> None:
        """Before the pack the past can be seen; after it the answer names the oldest moment that can."""
        old = image.transact_now(put, "thing", 1).tid
        middle = image.transact_now(change, "thing", 2).tid
        image.pack_now()
        new = image.transact_now(change, "thing", 3).tid
        with pytest.raises(UnknownTarget, match="packed away") as caught:
            image.study_now(slot, "thing", at=old)
        assert middle in caught.value.hint
        assert [image.study_now(slot, "thing", at=at).value for at in (middle, new)] == [2, 3]

    def test_a_pack_beneath_a_study_of_the_past(self, image: Image) -> None:
        """A moment that is packed away while it is studied gives the same answer, not an error of the engine."""
        old = image.transact_now(put, "thing", 1).tid
        image.transact_now(change, "thing", 2)

        def packing(view: View) -> int:
            image._pack()
            return slot(view, "thing")

        with pytest.raises(UnknownTarget, match="packed away"):
            image.study_now(packing, at=old)

    def test_a_pack_beneath_a_study_of_now(self, image: Image) -> None:
        """A study whose snapshot lost an object to a pack runs again on a newer one."""
        image.transact_now(put, "thing", 1)
        runs: list[int] = []

        def packing(view: View) -> list[str]:
            names = sorted(view.root)
            runs.append(len(runs))
            if len(runs) == 1:
                image.transact_now(lambda inner: inner.root.pop("thing") and None)
                image._pack()
            return [f"{name}={slot(view, name)}" for name in names]

        image.transact_now(put, "other", 2)
        assert image.study_now(packing).value == ["other=2"]
        assert len(runs) == 2

    def test_a_packed_file_is_synced_before_it_counts(self, image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
        """When the disk refuses to sync what the pack wrote, the old file stays, and writing goes on."""
        old = image.transact_now(put, "thing", 1).tid
        image.transact_now(change, "thing", 2)

        def refuse(handle: int) -> None:
            raise OSError(errno.ENOSPC, "no room for what was packed")

        with monkeypatch.context() as broken:
            broken.setattr("batos.image.engine.os.fsync", refuse)
            with pytest.raises(ImageReadOnly):
                image.pack_now()
        assert image.study_now(slot, "thing", at=old).value == 1
        image.transact_now(change, "thing", 3)
        image.pack_now()
        assert image.read_now(slot, "thing").value == 3

    def test_what_was_put_back_survives_a_pack_to_before(self, image: Image) -> None:
        """An object that nothing held at the pack's time, but something holds now, is there after the pack."""
        image.transact_now(put, "thing", 1)
        kept = image.transact_now(lambda view: view.ref(view.root.pop("thing"))).value
        gone = TimeStamp(bytes.fromhex(image.tid)).timeTime()
        time.sleep(0.01)
        image.transact_now(lambda view: view.root.update(back=view.get(kept)))
        image.pack_now(until=gone + 0.005)
        assert image.read_now(slot, "back").value == 1

    def test_what_is_put_back_during_a_pack_stops_it(self, image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
        """When something that was to go is held again before the pack ends, the pack is given up."""
        image.transact_now(put, "thing", 1)
        kept = image.transact_now(lambda view: view.ref(view.root.pop("thing"))).value
        copy = Packer.copyToPacktime

        def put_back(self: Packer) -> object:
            image.transact_now(lambda view: view.root.update(back=view.get(kept)))
            return copy(self)

        with monkeypatch.context() as racing:
            racing.setattr(Packer, "copyToPacktime", put_back)
            with pytest.raises(Conflict, match="put back meanwhile"):
                image.pack_now()
        assert image.read_now(slot, "back").value == 1
        image.pack_now()
        assert image.read_now(slot, "back").value == 1

    def test_a_missing_object_does_not_stop_a_pack(self, image: Image) -> None:
        """An image with a reference to nothing, as a recovery leaves it, can be packed."""
        image.transact_now(put, "thing", 1)

        def dangle(view: View) -> None:
            lost = view.root["thing"].lost = UvmObject()
            view.conn.add(lost)
            view.conn._added.pop(lost._p_oid)

        image.transact_now(dangle)
        image.transact_now(change, "thing", 2)
        image.pack_now()
        assert image.read_now(slot, "thing").value == 2
        with pytest.raises(ImageDamaged):
            image.read_now(lambda view: view.root["thing"].lost.n)
