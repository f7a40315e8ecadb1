"""The one door to the image (`batos.image.store`)."""

from __future__ import annotations

import asyncio
import errno
import subprocess
import sys
import textwrap
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import transaction
from ZODB.POSException import ConflictError, POSKeyError

from batos.codec import Ref
from batos.errors import BadField, Conflict, ImageDamaged, ImageInUse, ImageReadOnly, Stopping, TooLarge, UnknownTarget
from batos.image.objects import UvmObject
from batos.image.store import TRIES, Image, View

if TYPE_CHECKING:
    from collections.abc import Callable


def put(view: View, name: str, slots: dict[str, object] | None = None) -> Ref:
    view.root[name] = obj = UvmObject(**(slots or {}))
    return view.ref(obj)


def slot(view: View, target: str | Ref, name: str) -> object:
    return getattr(view.resolve(target), name)


class TestUnitsOfWork:
    def test_a_write_is_there_after_a_restart(self, image: Image, reopen: Callable[[], Image]) -> None:
        """What a unit of work stored is read from the disk by the next opener."""
        ref = image.transact_now(put, "thing", {"n": 1}).value
        assert reopen().read_now(slot, ref, "n").value == 1

    def test_a_unit_that_raises_stores_nothing(self, image: Image) -> None:
        """The error passes through unchanged, and nothing that was done before it is kept."""

        def half(view: View) -> None:
            put(view, "thing")
            raise ZeroDivisionError("half way")

        before = image.tid
        with pytest.raises(ZeroDivisionError, match="half way"):
            image.transact_now(half)
        assert image.tid == before
        with pytest.raises(UnknownTarget):
            image.read_now(slot, "thing", "n")

    def test_a_read_keeps_nothing(self, image: Image) -> None:
        """What a read changes is gone for the next unit of work, also in the cache that they share."""
        image.transact_now(put, "thing", {"n": 1})

        def change(view: View) -> None:
            view.resolve("thing").n = 2

        image.read_now(change)
        assert image.read_now(slot, "thing", "n").value == 1

    def test_tids_name_the_write_and_the_snapshot(self, image: Image) -> None:
        """A write gives its own tid, and a read the tid of the last write that it sees."""
        first = image.transact_now(put, "one").tid
        second = image.transact_now(put, "two").tid
        assert len(first) == 16
        assert first < second == image.read_now(lambda view: None).tid == image.tid

    def test_the_past_can_be_read(self, image: Image) -> None:
        """`at` shows the image as it was right after that transaction."""
        old = image.transact_now(put, "thing", {"n": 1}).tid
        image.transact_now(lambda view: setattr(view.resolve("thing"), "n", 2))
        assert image.read_now(slot, "thing", "n", at=old) == (1, old)
        assert image.read_now(slot, "thing", "n").value == 2

    @pytest.mark.parametrize("at", ["", "xyz", "00", "f" * 16, "7" + "f" * 15, "0" * 15 + "1"])
    def test_a_moment_that_never_was_is_refused(self, image: Image, at: str) -> None:
        """A text that is no tid of the past is the request's fault."""
        with pytest.raises(BadField):
            image.read_now(lambda view: None, at=at)

    def test_live_objects_stay_inside(self, image: Image) -> None:
        """A unit of work that gives an object back is told so, and its write is dropped."""

        def leak(view: View) -> UvmObject:
            put(view, "thing")
            return view.resolve("thing")

        with pytest.raises(TypeError, match="plain data"):
            image.transact_now(leak)
        assert image.read_now(lambda view: "thing" in view.root).value is False

    def test_a_unit_must_not_wait_for_another(self, image: Image) -> None:
        """Waiting for the image thread inside it would hang for ever: it is an error instead."""
        with pytest.raises(RuntimeError, match="unit of work"):
            image.transact_now(lambda view: image.read_now(lambda inner: None).value)

    def test_the_thread_local_manager_is_left_alone(self, image: Image) -> None:
        """No unit of work joins the manager that other code in the thread may use."""
        seen = image.transact_now(lambda view: view.conn.transaction_manager is not transaction.manager.manager)
        assert seen.value is True

    def test_notes_are_in_the_change_log(self, image: Image) -> None:
        """The note, the user and the reason are written with the transaction."""
        image.transact_now(put, "thing", note="make a thing", user="architect", why={"cycle": "c1"})
        entry = image.read_now(lambda view: view.conn.db().undoLog(0, 1)[0]).value
        assert (entry["description"], entry["user_name"], entry["cycle"]) == ("make a thing", "architect", "c1")

    def test_a_note_over_the_format_s_limit_is_refused(self, image: Image) -> None:
        """A note too long for a transaction's record is an error, not a cut."""
        with pytest.raises(TooLarge):
            image.transact_now(put, "thing", note="x" * 70_000)


class TestRetries:
    def test_a_conflict_runs_the_unit_again(self, image: Image) -> None:
        """A unit that met a conflict runs again from its start, and what its failed run did is gone."""
        runs: list[bool] = []

        def racing(view: View) -> None:
            runs.append("thing" in view.root)
            put(view, "thing")
            if len(runs) < 3:
                raise ConflictError("somebody was quicker")

        image.transact_now(racing)
        assert runs == [False, False, False]
        assert image.statistics()["conflicts"] == 2

    def test_it_gives_up_in_the_end(self, image: Image) -> None:
        """Conflicts without an end become our own error after a set number of tries."""
        runs = []

        def losing(view: View) -> None:
            runs.append(1)
            raise ConflictError("again")

        with pytest.raises(Conflict):
            image.transact_now(losing)
        assert len(runs) == TRIES


class TestTargets:
    def test_every_form_of_a_target(self, image: Image) -> None:
        """A name, a reference, an integer, hex digits and decimal digits lead to the same object."""
        ref = image.transact_now(put, "thing", {"n": 7}).value
        number = int.from_bytes(ref.oid, "big")
        for target in ("thing", ref, number, ref.hex, str(number)):
            assert image.read_now(slot, target, "n").value == 7

    def test_what_is_no_object_is_unknown(self, image: Image) -> None:
        """Names and oids of nothing, and of things that are not objects, are unknown targets."""
        image.transact_now(lambda view: view.root.__setitem__("figure", 5))
        root = image.read_now(lambda view: Ref(view.root._p_oid)).value
        for target in ("nobody", "figure", root, Ref(b"\xff" * 8), 2**64 - 1, ""):
            with pytest.raises(UnknownTarget):
                image.read_now(slot, target, "n")


class TestTasks:
    async def test_many_tasks_lose_no_update(self, image: Image) -> None:
        """Units of work from many tasks and threads at once each count."""
        image.transact_now(put, "thing", {"n": 0})

        def count(view: View) -> int:
            obj = view.resolve("thing")
            obj.n += 1
            return obj.n

        threads = [threading.Thread(target=image.transact_now, args=(count,)) for _ in range(5)]
        for thread in threads:
            thread.start()
        done = await asyncio.gather(*(image.transact(count) for _ in range(30)))
        for thread in threads:
            thread.join()
        assert (await image.read(slot, "thing", "n")).value == 35
        assert len({commit.tid for commit in done}) == 30

    async def test_cancelling_the_caller_does_not_stop_the_unit(self, image: Image) -> None:
        """A cancelled task leaves at once; its unit of work, running or waiting, ends whole, and the next is in order."""
        started, go = threading.Event(), threading.Event()

        def slow(view: View) -> None:
            started.set()
            go.wait(30)
            put(view, "thing", {"n": 1})

        task = asyncio.create_task(image.transact(slow))
        await asyncio.to_thread(started.wait, 30)
        waiting = asyncio.create_task(image.transact(put, "other", {"n": 2}))
        await asyncio.sleep(0)
        for cancelled in (task, waiting):
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
        go.set()
        assert (await image.read(slot, "thing", "n")).value == 1
        assert (await image.read(slot, "other", "n")).value == 2

    async def test_closing_ends_what_waits(self, image: Image, reopen: Callable[[], Image]) -> None:
        """Work that was taken before the close is done; work after it is told that the image stops."""
        waiting = [asyncio.create_task(image.transact(put, f"thing{n}")) for n in range(5)]
        await asyncio.sleep(0)
        await image.close()
        await asyncio.gather(*waiting)
        with pytest.raises(Stopping):
            await image.transact(put, "late")
        await image.close()
        assert reopen().read_now(lambda view: sorted(view.root)).value == [f"thing{n}" for n in range(5)]


class TestDisk:
    def test_a_second_opener_is_told(self, image: Image) -> None:
        """The image has one opener at a time, also within a process."""
        with pytest.raises(ImageInUse):
            Image(image.db_file, image.blob_dir)

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where nothing may be written the image does not open, and the error names the file, the cause and the mend."""

        def refuse(*args: object) -> None:
            raise OSError(errno.EACCES, "Permission denied")

        monkeypatch.setattr("batos.image.engine.zc.lockfile.LockFile", refuse)
        with pytest.raises(ImageReadOnly, match=r"i\.fs cannot be opened for writing: Permission denied") as caught:
            Image(tmp_path / "i.fs", tmp_path / "i.blob")
        assert "this user may write" in caught.value.hint

    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
    def test_an_image_that_may_not_be_written_is_read(
        self, image: Image, reopen: Callable[[], Image], monkeypatch: pytest.MonkeyPatch, code: int
    ) -> None:
        """It opens for reading, refuses writes with the mend, and takes them once it may be written again."""
        image.transact_now(put, "thing", {"n": 1})
        image.close_now()

        def refuse(*args: object) -> None:
            raise OSError(code, "the disk refuses")

        with monkeypatch.context() as broken:
            broken.setattr("batos.image.engine.zc.lockfile.LockFile", refuse)
            again = reopen()
            assert again.health.state == "unwritable"
            for _ in range(2):
                assert again.read_now(slot, "thing", "n").value == 1
                for write in (partial(put, name="other"), lambda view: view.conn.add(UvmObject())):
                    with pytest.raises(ImageReadOnly, match="only be opened for reading") as caught:
                        again.transact_now(write)
                    assert "this user may write" in caught.value.hint
                monkeypatch.setattr("batos.image.engine._AGAIN_SECONDS", 0)  # it is tried again, and refused
        assert again.read_now(slot, "thing", "n").value == 1
        again.transact_now(put, "third")
        assert again.read_now(lambda view: sorted(view.root)).value == ["thing", "third"]

    def test_an_object_that_is_missing_is_told(self, image: Image) -> None:
        """A reference to nothing, as a recovery from damage may leave it, is an error of ours that names the oid."""

        def dangle(view: View) -> Ref:
            put(view, "thing", {"lost": UvmObject()})
            lost = view.ref(view.root["thing"].lost)
            view.conn._added.pop(lost.oid)
            return lost

        lost = image.transact_now(dangle).value
        for ask in (image.read_now, image.transact_now, image.study_now):
            with pytest.raises(ImageDamaged, match=lost.hex):
                ask(lambda view: (view.conn.cacheMinimize(), view.root["thing"].lost.n))
        with pytest.raises(ImageDamaged, match=lost.hex):
            image.study_now(lambda view: view.root["thing"].lost.n, at=image.tid)

    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
    def test_a_full_disk_makes_it_read_only(self, image: Image, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
        """When the disk refuses, the write fails as a whole with the mend; reads go on, and writes later."""
        image.transact_now(put, "thing", {"n": 1})

        def refuse(*args: object) -> None:
            raise OSError(code, "the disk refuses")

        with monkeypatch.context() as broken:
            broken.setattr(sys.modules["ZODB.FileStorage.FileStorage"], "cp", refuse)
            with pytest.raises(ImageReadOnly):
                image.transact_now(put, "other")
            assert image.read_now(slot, "thing", "n").value == 1
        image.transact_now(put, "third")
        assert image.read_now(lambda view: sorted(view.root)).value == ["thing", "third"]

    def test_a_failing_sync_is_survived(self, image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
        """When the disk fails at the end of a commit the engine shuts itself; the next unit opens it anew."""
        image.transact_now(put, "thing", {"n": 1})

        def fail(*args: object) -> None:
            raise OSError(errno.ENOSPC, "no space for the last bytes")

        with monkeypatch.context() as broken:
            broken.setattr(image._db.storage, "_finish_finish", fail)
            with pytest.raises(ImageReadOnly):
                image.transact_now(put, "other")
        assert image.read_now(slot, "thing", "n").value == 1
        image.transact_now(put, "third")
        assert image.read_now(slot, "thing", "n").value == 1

    def test_other_faults_of_the_disk_pass_through(self, image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
        """A fault that is not about room or rights is not called read-only."""

        def fail(*args: object) -> None:
            raise OSError(errno.EIO, "input/output error")

        monkeypatch.setattr(sys.modules["ZODB.FileStorage.FileStorage"], "cp", fail)
        with pytest.raises(OSError, match="input/output"):
            image.transact_now(put, "other")

    @pytest.mark.skipif(sys.platform == "win32", reason="needs a limit of file size")
    def test_a_real_limit_of_file_size(self, tmp_path: Path) -> None:
        """With a file that cannot grow the write is refused, what was there is read, and the file stays sound."""
        script = textwrap.dedent(
            """
            import resource, sys
            from pathlib import Path
            from batos.errors import ImageReadOnly
            from batos.image.objects import UvmObject
            from batos.image.store import Image

            home = Path(sys.argv[1])
            image = Image(home / "i.fs", home / "i.blob")
            image.transact_now(lambda view: view.root.__setitem__("thing", UvmObject(n=1)))
            limit = 64 * 1024
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            try:
                image.transact_now(lambda view: view.root.__setitem__("big", UvmObject(text="x" * limit * 2)))
            except ImageReadOnly:
                print("refused", image.read_now(lambda view: view.resolve("thing").n).value)

            def fresh(view):
                view.conn.cacheMinimize()
                return view.resolve("thing").n

            for room in range(1, 400, 7):  # a little of it comes to the disk, and must be seen by nobody
                size = (home / "i.fs").stat().st_size
                resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, resource.RLIM_INFINITY))
                try:
                    image.transact_now(lambda view: view.root.__setitem__("mid", UvmObject(text="y" * 500)))
                except ImageReadOnly:
                    assert image.study_now(fresh).value == 1
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
                assert (home / "i.fs").stat().st_size == size
                image.transact_now(lambda view: setattr(view.resolve("thing"), "n", 2))
                assert image.study_now(fresh).value == 2
                image.transact_now(lambda view: setattr(view.resolve("thing"), "n", 1))
            image.transact_now(lambda view: setattr(view.resolve("thing"), "n", 2))
            print(image.study_now(fresh).value)
            image.transact_now(lambda view: view.root.__setitem__("small", UvmObject()))
            image.close_now()
            """
        )
        root = Path(__file__).parents[2]
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stdout.split() == ["refused", "1", "2"], done.stderr
        again = Image(tmp_path / "i.fs", tmp_path / "i.blob")
        try:
            assert again.read_now(lambda view: sorted(view.root)).value == ["small", "thing"]
        finally:
            again.close_now()


def test_pack_keeps_what_is_reachable_alone(image: Image) -> None:
    """An object that nothing holds is gone after a pack; what the root holds stays."""
    held = image.transact_now(put, "held", {"n": 1}).value

    def lose(view: View) -> Ref:
        ref = put(view, "lost")
        view.root["keep"] = view.root.pop("lost")
        del view.root["keep"]
        return ref

    lost = image.transact_now(lose).value
    image.pack_now()
    assert image.read_now(slot, held, "n").value == 1
    with pytest.raises(UnknownTarget):
        image.read_now(slot, lost, "n")
    with pytest.raises(POSKeyError):
        image._db.storage.load(lost.oid)
