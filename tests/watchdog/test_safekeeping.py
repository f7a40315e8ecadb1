"""The backup of the image that an upgrade takes: exact, and put back as often as is needed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from batos.settings import Settings
from batos.watchdog.safekeeping import Safekeeping


@pytest.fixture
def image(home):
    """An image and two blobs."""
    file = home / "live_image.fs"
    file.write_bytes(b"committed")
    (home / "live_image.fs.blob" / "0x01").mkdir(parents=True)
    (home / "live_image.fs.blob" / "0x01" / "a.blob").write_bytes(b"a")
    (home / "live_image.fs.blob" / ".layout").write_bytes(b"bushy")
    return file


def _keeping() -> Safekeeping:
    return Safekeeping(Settings.load(), "u", lambda: None)


def test_what_grows_after_the_copy_is_added(image):
    """The part that was committed is copied first; what came in its place or after it is taken when the kernel has stopped."""
    image.write_bytes(b"committed half")
    keeping = _keeping()
    keeping.begin(len(b"committed"))
    image.write_bytes(b"committed whole and more")
    kept = keeping.complete()
    assert (keeping.folder / image.name).read_bytes() == b"committed whole and more"
    assert kept.bytes == len(b"committed whole and more")


def test_a_pack_meanwhile_means_a_whole_copy(image):
    """An image that was replaced between the two parts is copied from its beginning."""
    keeping = _keeping()
    keeping.begin(len(b"committed"))
    new = image.with_name("packed")
    new.write_bytes(b"PACKED and longer than before")
    new.replace(image)
    keeping.complete()
    assert (keeping.folder / image.name).read_bytes() == b"PACKED and longer than before"


def test_restoring_takes_back_what_was_written(image, home):
    """Image and blobs are those of the backup again, also the second time, and a saved index is gone."""
    keeping = _keeping()
    keeping.begin(9)
    kept = keeping.complete()
    assert not keeping.differs(kept)
    blobs = home / "live_image.fs.blob" / "0x01"
    for _ in range(2):
        image.write_bytes(b"committed and migrated")
        image.with_name("live_image.fs.index").write_bytes(b"newer")
        (blobs / "b.blob").write_bytes(b"b")
        (blobs / "a.blob").unlink(missing_ok=True)
        assert keeping.differs(kept)
        keeping.restore(kept)
        assert image.read_bytes() == b"committed"
        assert {file.name: file.read_bytes() for file in blobs.iterdir()} == {"a.blob": b"a"}
        assert not image.with_name("live_image.fs.index").exists()


def test_what_was_added_is_cut_off_without_room(image):
    """The image that only grew is put back on a disk that takes no copy."""
    keeping = _keeping()
    keeping.begin(9)
    kept = keeping.complete()
    number = image.stat().st_ino
    with image.open("ab") as out:
        out.write(b" and migrated")
    keeping.restore(kept)
    assert (image.read_bytes(), image.stat().st_ino) == (b"committed", number)


def test_an_image_that_was_packed_is_copied_back(image):
    """One whose beginning is another one, or that is shorter, is that of the backup again."""
    keeping = _keeping()
    keeping.begin(9)
    kept = keeping.complete()
    for text in (b"packed, and longer", b"short"):
        image.write_bytes(text)
        keeping.restore(kept)
        assert image.read_bytes() == b"committed"


def test_a_home_without_an_image(home):
    """Where there was no image, putting it back removes the one that the new kernel made."""
    keeping = _keeping()
    keeping.begin(0)
    kept = keeping.complete()
    (home / "live_image.fs").write_bytes(b"awakened")
    assert keeping.differs(kept)
    keeping.restore(kept)
    assert not (home / "live_image.fs").exists()


def test_a_full_disk_is_told_before_anything_stops(image, monkeypatch):
    """Where there is no room for the backup, it is refused at its beginning."""
    monkeypatch.setattr("batos.watchdog.safekeeping.shutil.disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(OSError, match="has 10 left"):
        _keeping().begin(9)
