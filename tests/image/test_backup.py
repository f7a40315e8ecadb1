"""Backup and restore (`batos.image.backup`, `restore`): one moment, whole, with its blobs, and proven."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from batos.errors import BadField, ImageDamaged, ImageInUse, NotAllowed, NoWeights
from batos.image import backup, blobs, graph, mirrors, registry, restore, soundness
from batos.image.store import Image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batos.image.view import View

KILLED = """
import os, pathlib, sys
from batos.image import restore
folder, db_file, blob_dir, after = *map(pathlib.Path, sys.argv[1:4]), int(sys.argv[4])
real, count = pathlib.Path.rename, iter(range(100))
def rename(self, target):
    if next(count) == after:
        os._exit(7)
    return real(self, target)
pathlib.Path.rename = rename
restore.restore(folder, db_file, blob_dir, force=True)
"""
"""A restore that is killed before one of its renames."""

NOTHING: frozenset[str] = frozenset()


def weights(image: Image, folder: Path, name: str, content: bytes) -> dict[str, Any]:
    file = folder / f"{name}.gguf"
    file.write_bytes(content)
    return blobs.adopt_file(image, file, sha256=None, name=name)


def prints(image: Image, at: str | None = None) -> graph.Print:
    """The digest of the whole graph."""
    return image.study_now(lambda view: graph.fingerprint(graph.of_view(view)), at=at).value


def restored(folder: Path, into: Path) -> Image:
    restore.restore(folder, into / "live_image.fs", into / "live_image.fs.blob")
    return Image(into / "live_image.fs", into / "live_image.fs.blob")


class TestUnderLoad:
    def test_it_is_one_moment_with_its_blobs(self, world: Image, tmp_path: Path) -> None:
        """A backup while others write and take weights in, restored elsewhere, is the image of its moment, blobs too."""
        weights(world, tmp_path, "first", b"1" * 100_000)
        stop, copying = threading.Event(), threading.Event()
        written = 0

        def pair(view: View, n: int) -> None:
            # Two objects that are equal at every moment: a copy that mixes two moments shows.
            registry.set_slots(view, "genesis_obj", {"n": n})
            registry.set_slots(view, "traits_obj", {"n": n})

        def write() -> None:
            nonlocal written
            while not stop.is_set():
                written += 1
                world.transact_now(pair, written)
                if written % 20 == 0:
                    weights(world, tmp_path, f"w{written}", bytes([written % 256]) * 50_000)
                copying.set()

        writer = threading.Thread(target=write)
        writer.start()
        copying.wait()
        try:
            taken = [world.study_now(backup.write, str(tmp_path / f"backup{n}"), NOTHING).value for n in range(4)]
        finally:
            stop.set()
            writer.join()
        assert len({row["tid"] for row in taken}) > 1
        for number, told in enumerate(taken):
            (tmp_path / f"home{number}").mkdir()
            copy = restored(tmp_path / f"backup{number}", tmp_path / f"home{number}")
            try:
                assert copy.tid == told["tid"]
                assert prints(copy) == prints(world, told["tid"])
                assert prints(copy).sha256 == told["graph"]["sha256"]
                ns = [
                    copy.read_now(mirrors.inspect, name).value["slots"]["n"] for name in ("genesis_obj", "traits_obj")
                ]
                assert ns[0] == ns[1]
                assert copy.study_now(soundness.check, True).value["bad"] == []
                listed = copy.read_now(blobs.listing).value
                assert "first" in [row["name"] for row in listed]
                for row in listed:
                    blobs.verify(copy, row["name"])
            finally:
                copy.close_now()


class TestBackup:
    def test_it_goes_where_nothing_is(self, world: Image, tmp_path: Path) -> None:
        """A folder that is there, and a relative one, are refused; nothing half made stays behind."""
        (tmp_path / "there").mkdir()
        for folder in (str(tmp_path / "there"), "backup"):
            with pytest.raises(BadField):
                world.study_now(backup.write, folder, NOTHING)
        assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []

    def test_a_failure_leaves_nothing(self, world: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """When the copy is not what the image holds there is no backup, and no rest of one."""
        monkeypatch.setattr(backup, "print_of", lambda *_: graph.Print("0", 0))
        with pytest.raises(ImageDamaged):
            world.study_now(backup.write, str(tmp_path / "backup"), NOTHING)
        assert [path.name for path in tmp_path.iterdir() if "backup" in path.name] == []

    def test_weights_may_be_left_out(self, world: Image, tmp_path: Path) -> None:
        """What a source can give again is named with digest and size; the rest is taken; the restored image says so."""
        again = weights(world, tmp_path, "catalogued", b"c" * 1000)
        weights(world, tmp_path, "own", b"o" * 1000)
        told = world.study_now(backup.write, str(tmp_path / "backup"), frozenset({again["sha256"]})).value
        assert told["left_out"] == [{"name": "catalogued", "sha256": again["sha256"], "size": 1000}]
        assert told["blobs"] == 1
        (tmp_path / "home").mkdir()
        copy = restored(tmp_path / "backup", tmp_path / "home")
        try:
            blobs.verify(copy, "own")
            with pytest.raises(NoWeights, match="missing"):
                blobs.path(copy, "catalogued")
            (bad,) = copy.study_now(soundness.check).value["bad"]
            assert "catalogued" in bad["why"]
            weights(copy, tmp_path, "catalogued", b"c" * 1000)  # fetched again
            blobs.verify(copy, "catalogued")
        finally:
            copy.close_now()

    def test_progress_is_told(self, world: Image, tmp_path: Path) -> None:
        """Copying and comparing are told to their ends."""
        heard: list[tuple[str, int, int]] = []
        weights(world, tmp_path, "w", b"x")
        world.study_now(backup.write, str(tmp_path / "backup"), NOTHING, lambda *word: heard.append(word))
        ends = {what for what, done, total in heard if done == total}
        assert ends == {"copy", "blobs", "compare"}


class TestRestore:
    @pytest.fixture
    def folder(self, world: Image, tmp_path: Path) -> Path:
        """A backup of an image with weights."""
        weights(world, tmp_path, "w", b"x" * 1000)
        world.study_now(backup.write, str(tmp_path / "backup"), NOTHING)
        return tmp_path / "backup"

    def test_it_needs_the_image_stopped(self, world: Image, folder: Path) -> None:
        """A process that has the image open keeps it."""
        with pytest.raises(ImageInUse, match="stopped"):
            restore.restore(folder, world.db_file, world.blob_dir, force=True)
        assert prints(world)

    def test_an_image_is_not_overwritten(self, world: Image, folder: Path, reopen: Callable[[], Image]) -> None:
        """Without force nothing happens; with it the old image is kept aside and can be opened there."""
        world.transact_now(registry.set_slots, "genesis_obj", {"later": 1})
        world.close_now()
        with pytest.raises(NotAllowed):
            restore.restore(folder, world.db_file, world.blob_dir)
        told = restore.restore(folder, world.db_file, world.blob_dir, force=True)
        assert "later" not in reopen().read_now(mirrors.inspect, "genesis_obj").value["slots"]
        old = Image(*(type(world.db_file)(place) for place in told["kept"]))
        assert old.read_now(mirrors.inspect, "genesis_obj").value["slots"] == {"later": 1}
        blobs.verify(old, "w")
        old.close_now()

    @pytest.mark.parametrize("fails", [0, 1, 2, 3])
    def test_a_failure_on_the_way_leaves_all_as_it_was(
        self, world: Image, folder: Path, reopen: Callable[[], Image], monkeypatch: pytest.MonkeyPatch, fails: int
    ) -> None:
        """Whichever rename the disk refuses, the old image is in its place with its blobs, and nothing is left over."""
        world.transact_now(registry.set_slots, "genesis_obj", {"later": 1})
        world.close_now()
        before = {path.name for path in world.db_file.parent.iterdir() if not path.name.endswith(".index")}
        real, count = type(folder).rename, iter(range(100))

        def refused(self: Path, target: Path) -> Path:
            if next(count) == fails:
                raise OSError(28, "no space")
            return real(self, target)

        with monkeypatch.context() as patch:
            patch.setattr(type(folder), "rename", refused)
            with pytest.raises(OSError, match="no space"):
                restore.restore(folder, world.db_file, world.blob_dir, force=True)
        assert {path.name for path in world.db_file.parent.iterdir() if not path.name.endswith(".index")} == before
        again = reopen()
        assert again.read_now(mirrors.inspect, "genesis_obj").value["slots"] == {"later": 1}
        blobs.verify(again, "w")

    @pytest.mark.parametrize("after", range(5))
    def test_killed_on_the_way(self, world: Image, folder: Path, reopen: Callable[[], Image], after: int) -> None:
        """Killed after any rename there is the old image, the new one, or none; none says so, and a restore heals it."""
        world.transact_now(registry.set_slots, "genesis_obj", {"later": 1})
        world.close_now()
        done = subprocess.run(
            [sys.executable, "-c", KILLED, folder, world.db_file, world.blob_dir, str(after)], check=False
        )
        assert done.returncode == (7 if after < 4 else 0)
        if not world.db_file.exists():
            with pytest.raises(ImageDamaged):
                reopen()
            restore.restore(folder, world.db_file, world.blob_dir, force=True)
        again = reopen()
        slots = again.read_now(mirrors.inspect, "genesis_obj").value["slots"]
        assert slots == ({"later": 1} if after == 0 else {})
        blobs.verify(again, "w")

    @pytest.mark.parametrize("what", ["database", "blob", "blob missing", "manifest", "path", "format"])
    def test_a_damaged_backup_is_refused(self, world: Image, folder: Path, tmp_path: Path, what: str) -> None:
        """A changed byte, a missing file or a foreign manifest stops it before anything is put anywhere."""
        world.close_now()
        blob = next(folder.rglob("*.blob"))
        manifest = json.loads((folder / backup.MANIFEST).read_text())
        if what == "database":
            data = bytearray((folder / backup.DATABASE).read_bytes())
            data[len(data) // 2] ^= 1
            (folder / backup.DATABASE).write_bytes(data)
        elif what == "manifest":
            (folder / backup.MANIFEST).write_text("[")
        elif what == "format":
            (folder / backup.MANIFEST).write_text(json.dumps({**manifest, "format": 99}))
        elif what == "path":
            manifest["blobs"][0]["path"] = "../../outside.blob"
            (folder / backup.MANIFEST).write_text(json.dumps(manifest))
        else:
            blob.unlink()
            if what == "blob":
                blob.write_bytes(b"y" * 1000)
        with pytest.raises((ImageDamaged, BadField)):
            restore.restore(folder, tmp_path / "home" / "i.fs", tmp_path / "home" / "i.fs.blob")
        assert [path.name for path in (tmp_path / "home").glob("*") if not path.name.endswith(".lock")] == []
        with pytest.raises((ImageDamaged, BadField)):
            restore.verify(folder)


class TestGraph:
    def test_a_pack_changes_nothing_that_can_be_reached(self, world: Image, reopen: Callable[[], Image]) -> None:
        """The digest of the graph is the same before and after a pack, and in a second process."""
        for n in range(5):
            world.transact_now(registry.create, None, {"n": n}, f"bear{n}")
            world.transact_now(registry.remove, f"bear{n}")
        before = prints(world)
        world.pack_now()
        assert prints(world) == before
        assert prints(reopen()) == before

    def test_any_change_shows(self, world: Image) -> None:
        """A write that leaves the value as it is still is another moment."""
        before = prints(world)
        world.transact_now(registry.set_slots, "genesis_obj", {"n": 1})
        assert prints(world) != before
