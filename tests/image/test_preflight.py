"""The look at the file before it is opened (`batos.image.preflight`)."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batos.errors import ImageDamaged
from batos.image import preflight
from batos.image.objects import UvmObject
from batos.image.preflight import find_damage
from batos.image.store import Image, View

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT = 12


def put(view: View, number: int) -> None:
    view.root[f"thing{number}"] = UvmObject(n=number, text="x" * number * 10)


def count(view: View) -> int:
    return len(view.root)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[int]]:
    """The bytes of a sound image, and where its transactions end."""
    home = tmp_path_factory.mktemp("made")
    image = Image(home / "i.fs", home / "i.blob")
    ends = [image.statistics()["bytes"]]
    for number in range(COUNT):
        image.transact_now(put, number)
        ends.append(image.statistics()["bytes"])
    image.close_now()
    return (home / "i.fs").read_bytes(), ends


class Home:
    """A folder with an image's file as a crash may leave it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "i.fs"
        self.blobs = folder / "i.blob"

    def leave(self, data: bytes) -> None:
        for old in self.file.parent.glob("i.fs*"):
            old.unlink()
        self.file.write_bytes(data)

    def open(self) -> tuple[int, preflight.Health]:
        image = Image(self.file, self.blobs)
        try:
            return image.read_now(count).value, image.health
        finally:
            image.close_now()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


class TestSound:
    def test_a_new_image(self, home: Home) -> None:
        """Without a file there is nothing to look at; an empty file is no image yet."""
        assert home.open() == (0, preflight.Health("new"))
        home.leave(b"")
        assert home.open()[1].state == "new"

    def test_closed_in_order(self, home: Home, made: tuple[bytes, list[int]]) -> None:
        """A file without an index is read whole; after a proper close it is trusted."""
        home.leave(made[0])
        assert home.open() == (COUNT, preflight.Health("sound"))
        assert home.open() == (COUNT, preflight.Health("clean"))

    def test_undo_and_pack_leave_it_sound(self, home: Home, made: tuple[bytes, list[int]]) -> None:
        """Records that point back, and packed transactions, are no damage."""
        home.leave(made[0])
        image = Image(home.file, home.blobs)

        def undo(view: View) -> None:
            db = view.conn.db()
            db.undo(db.undoLog(0, 1)[0]["id"], view.conn.transaction_manager.get())

        image.transact_now(undo)
        assert find_damage(home.file) is None
        image.pack_now()
        image.transact_now(put, 99)
        image.close_now()
        assert find_damage(home.file) is None
        assert home.open()[0] == COUNT


class TestTail:
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
    @given(cut=st.integers(1, 400), fill=st.sampled_from([b"", b"\0" * 50, b"\0" * 5000, b"\xa5garbage" * 40]))
    def test_a_torn_tail_is_healed(self, home: Home, made: tuple[bytes, list[int]], cut: int, fill: bytes) -> None:
        """Cut anywhere and followed by nothing, zeros or garbage: all whole transactions stay, and the rest is kept."""
        data, ends = made
        left = data[: max(len(data) - cut, ends[0])] + fill
        whole = max(end for end in ends if end <= len(data) - cut or end == ends[0])
        home.leave(left)
        things, health = home.open()
        assert things == ends.index(whole)
        if len(left) > whole:
            assert health.state == "healed"
            assert health.kept is not None
            assert health.kept.read_bytes() == left[whole:]
            assert home.file.read_bytes()[:whole] == data[:whole]
        else:
            assert health.state == "sound"
        assert home.open()[1].state == "clean"

    def test_a_stale_index_does_not_hide_a_torn_tail(self, home: Home, made: tuple[bytes, list[int]]) -> None:
        """A crash after more commits leaves an index of before: the tail behind it is looked at."""
        data, ends = made
        home.leave(data[: ends[5]])
        home.open()
        home.file.write_bytes(data[: ends[9] - 3])
        things, health = home.open()
        assert (things, health.state) == (8, "healed")

    def test_a_transaction_that_was_not_finished_goes(self, home: Home, made: tuple[bytes, list[int]]) -> None:
        """A last transaction with the mark of an unfinished commit never happened."""
        data, ends = made
        home.leave(data[: ends[-2] + 16] + b"c" + data[ends[-2] + 17 :])
        things, health = home.open()
        assert (things, health.healed_bytes) == (COUNT - 1, ends[-1] - ends[-2])

    @pytest.mark.skipif(sys.platform == "win32", reason="needs a hard kill")
    def test_a_killed_process_loses_no_acknowledged_commit(self, home: Home) -> None:
        """After a kill in the middle of commits, everything that was acknowledged is there."""
        script = textwrap.dedent(
            """
            import sys
            from pathlib import Path
            from batos.image.objects import UvmObject
            from batos.image.store import Image

            image = Image(Path(sys.argv[1]), Path(sys.argv[2]))
            for number in range(100_000):
                image.transact_now(lambda view: view.root.__setitem__(f"thing{number}", UvmObject(n=number)))
                print(number, flush=True)
            """
        )
        command = [sys.executable, "-c", script, str(home.file), str(home.blobs)]
        with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            seen = [int(process.stdout.readline()) for _ in range(40)]
            process.kill()
            seen += [int(line) for line in process.stdout if line.endswith("\n")]
        assert home.open()[0] >= len(seen)


class TestMiddle:
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80)
    @given(data=st.data())
    def test_a_flipped_bit_in_the_structure_never_cuts(
        self, home: Home, made: tuple[bytes, list[int]], data: st.DataObject
    ) -> None:
        """Whatever bit flips in a header before the last transaction: refused with its place, and nothing changed."""
        whole, ends = made
        number = data.draw(st.integers(0, COUNT - 2), label="transaction")
        # The header, the first record's frame (save the place of its older record), the closing length.
        offset = data.draw(st.sampled_from([*range(23), *range(31, 39), *range(47, 65), *range(-8, 0)]), label="offset")
        bit = data.draw(st.integers(0, 7), label="bit")
        place = (ends[number] if offset >= 0 else ends[number + 1]) + offset
        flipped = bytearray(whole)
        flipped[place] ^= 1 << bit
        home.leave(bytes(flipped))
        with pytest.raises(ImageDamaged) as caught:
            home.open()
        assert caught.value.details["offset"] == ends[number]
        assert home.file.read_bytes() == bytes(flipped)

    def test_a_saved_index_does_not_hide_it(self, home: Home, made: tuple[bytes, list[int]]) -> None:
        """A file that was closed in order and damaged later is refused like any other."""
        data, ends = made
        home.leave(data)
        home.open()
        assert home.open() == (COUNT, preflight.Health("clean"))
        flipped = bytearray(data)
        flipped[ends[4] + 10] ^= 4
        home.file.write_bytes(flipped)
        with pytest.raises(ImageDamaged, match=str(ends[4])):
            home.open()

    def test_a_large_file_is_read_after_the_start(
        self, home: Home, made: tuple[bytes, list[int]], monkeypatch: pytest.MonkeyPatch, until: Callable[..., None]
    ) -> None:
        """What is too large to be read at the start is read then: a sound one goes on, a damaged one takes no writes."""
        data, ends = made
        monkeypatch.setattr(preflight, "SMALL", 1000)
        home.leave(data)
        home.open()
        flipped = bytearray(data)
        flipped[ends[4] + 10] ^= 4
        for content, state in ((data, "sound"), (bytes(flipped), "damaged")):
            home.file.write_bytes(content)
            image = Image(home.file, home.blobs)
            try:
                until(lambda image=image: image.health.state != "clean")
                assert image.health.state == state
                assert image.read_now(count).value == COUNT
                if state == "damaged":
                    with pytest.raises(ImageDamaged, match=str(ends[4])):
                        image.transact_now(put, 99)
            finally:
                image.close_now()

    def test_damage_with_a_torn_tail_behind_it_never_cuts(self, home: Home, made: tuple[bytes, list[int]]) -> None:
        """Two faults at once: as long as something whole lies behind the first, nothing is cut."""
        data, ends = made
        spoilt = bytearray(data[: ends[-1] - 5])
        spoilt[ends[2] + 10] ^= 0x40
        home.leave(bytes(spoilt))
        with pytest.raises(ImageDamaged):
            home.open()

    def test_another_file_is_not_an_image(self, home: Home) -> None:
        """A file that does not begin as an image is left alone."""
        home.leave(b"PK\x03\x04 something else")
        with pytest.raises(ImageDamaged):
            home.open()
        assert home.file.read_bytes().startswith(b"PK")


class TestOrphans:
    def test_blobs_without_their_image_are_kept(self, home: Home, tmp_path: Path) -> None:
        """Where the file is gone but its blobs are there, nothing is opened: a new image would delete them."""
        weights = home.blobs / "0x00" / "0x01.blob"
        weights.parent.mkdir(parents=True)
        weights.touch()
        with pytest.raises(ImageDamaged, match="blobs"):
            home.open()
        assert weights.exists()

    def test_a_pack_that_was_killed_between_its_renames(self, home: Home, made: tuple[bytes, list[int]]) -> None:
        """The old file is the whole image still, and is put back."""
        home.leave(made[0])
        home.file.rename(home.file.with_name("i.fs.old"))
        assert home.open() == (COUNT, preflight.Health("healed"))


def test_nothing_is_healed_under_another_opener(home: Home, made: tuple[bytes, list[int]]) -> None:
    """While another process has the image open, its unfinished last transaction is left alone."""
    from batos.errors import ImageInUse

    home.leave(made[0])
    image = Image(home.file, home.blobs)
    try:
        with home.file.open("ab") as file:
            file.write(b"half a transaction")
        with pytest.raises(ImageInUse):
            Image(home.file, home.blobs)
        assert home.file.read_bytes().endswith(b"half a transaction")
    finally:
        image.close_now()
