"""Looking after an image (`batos.kernel.upkeep`), without a kernel."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from batos.errors import Busy
from batos.image import migrations
from batos.image.graph import quiet
from batos.image.store import Image
from batos.kernel.upkeep import Progress, Upkeep
from batos.wire_image import ImageWork

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def upkeep(tmp_path: Path) -> Iterator[Upkeep]:
    image = Image(tmp_path / "i.fs", tmp_path / "i.fs.blob")
    migrations.migrate(image)
    yield Upkeep(image, 30)
    image.close_now()


def test_one_at_a_time(upkeep: Upkeep, tmp_path: Path) -> None:
    """While a backup runs a pack and a check are refused, looks are not; afterwards they are taken."""
    inside, go_on = threading.Event(), threading.Event()

    def tell(what: str, done: int, total: int) -> None:
        del what, done, total
        inside.set()
        assert go_on.wait(30)

    asked = ImageWork(command="image", action="backup", folder=str(tmp_path / "backup"))
    running = threading.Thread(target=upkeep.do, args=(asked, tell))
    running.start()
    assert inside.wait(30)
    assert upkeep.statistics() == {"doing": "backups", "packs": 0, "checks": 0, "backups": 0}
    with pytest.raises(Busy, match="backups"):
        upkeep.pack(0, quiet)
    with pytest.raises(Busy):
        upkeep.do(ImageWork(command="image", action="check"), quiet)
    assert upkeep.do(ImageWork(command="image", action="census"), quiet)["kinds"]
    go_on.set()
    running.join()
    upkeep.pack(0, quiet)
    assert upkeep.statistics() == {"doing": "", "packs": 1, "checks": 0, "backups": 1}


def test_progress_is_not_a_flood() -> None:
    """The first word of each kind of work and its last are passed on, and few of the thousands between."""
    heard: list[tuple[Any, ...]] = []
    progress = Progress(lambda *word: heard.append(word))
    for what in ("copy", "compare"):
        for done in range(10_001):
            progress(what, done, 10_000)
    ends = [(what, done) for what in ("copy", "compare") for done in (0, 10_000)]
    assert [word[:2] for word in heard if word[1] in (0, 10_000)] == ends
    assert len(heard) < 1000
