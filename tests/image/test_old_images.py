"""Images of every schema that there ever was open, are brought up to date, and hold what they held."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batos.image import blobs, cycles, genesis, lookup, methods, migrations, outbox, packing, soundness
from batos.image.store import Image
from batos.memory import catalog
from tests.image.make_old_image import IMAGES, SLOTS, TEXT, WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batos.image.view import View

OLD = sorted(IMAGES.glob("*.zip"))


def unpack(old: Path, into: Path) -> None:
    with zipfile.ZipFile(old) as packed:
        packed.extractall(into)


def open_image(home: Path) -> Image:
    return Image(home / "live_image.fs", home / "live_image.fs.blob")


@pytest.fixture(params=OLD, ids=lambda path: path.stem)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Image]:
    """An image of an old schema, brought up to date and opened again."""
    unpack(request.param, tmp_path)
    image = open_image(tmp_path)
    migrations.migrate(image)
    # As the kernel does once it runs.
    image.transact_now(catalog.renew)
    image.close_now()
    image = open_image(tmp_path)
    yield image
    image.close_now()


def test_every_schema_has_its_image() -> None:
    """Whoever adds a migration keeps an image of it: `python -m tests.image.make_old_image`."""
    assert [path.stem for path in OLD] == [migration.__name__[1:] for migration in migrations.MIGRATIONS]


def test_its_objects_are_what_they_were(old: Image) -> None:
    """Slots with their types, delegation, clones and names are as they were."""

    def look(view: View) -> list[Any]:
        ship, boat, copy = (view.root[name] for name in ("ship", "boat", "copy"))
        data = {name: value for name, value in ship._slots.items() if name in SLOTS}
        return [
            data,
            boat.friend is ship,
            boat.big,
            copy.notes,
            [view.ref(p) for p in lookup.parents(boat)] == [view.ref(ship)],
        ]

    wanted = [SLOTS | {"count": 4}, True, 1 << 80, ["one", {"two": (3, {4})}, "more"], True]
    assert old.read_now(look).value == wanted
    assert old.read_now(lambda view: all(name in view.root for name in genesis.PRIMORDIAL)).value


def test_its_methods_have_their_history(old: Image) -> None:
    """All versions with source and provenance are there, a removed method's too, and can be rolled back."""

    def look(view: View) -> list[Any]:
        ship = view.root["ship"]
        rows = methods.history(view, ship, "sail")
        told = rows[0]["provenance"] == {"mission_brief": {"intent": "let it sail"}, "friend": view.ref(ship)}
        return [[(row["version"], row["source"][-2], row["active"]) for row in rows], told, "sink" in ship._slots]

    assert old.read_now(look).value == [[(1, "1", False), (2, "2", False), (3, "1", True)], True, False]
    old.transact_now(lambda view: methods.rollback(view, view.root["ship"], "sink", 1).version)
    assert old.read_now(lambda view: view.root["boat"].sink.version).value == 2


def test_its_memory_cycles_and_weights_are_there(old: Image) -> None:
    """Documents are found, an open cycle is open, an ended one has its last word, weights have their digest."""

    def look(view: View) -> list[Any]:
        found = catalog.search(view, "honey")
        ended = cycles.load(view, "ended")
        bound = cycles.request(view, "mine")
        return [
            found[0]["text"],
            ended and ended["last_word"]["result"],
            bound and bound["cycle_id"],
            outbox.pending(view, 0, 9),
        ]

    lines = [{"seq": 1, "event_type": "MISSION_ACCEPTED"}]
    assert old.read_now(look).value == [TEXT, 5, "open", lines]
    blobs.verify(old, "tiny")
    assert blobs.path(old, "tiny").read_bytes() == WEIGHTS


def test_it_is_sound_and_can_be_packed(old: Image) -> None:
    """A check finds nothing, before and after a pack that drops all history."""
    assert old.study_now(soundness.check, True).value["bad"] == []
    packing.pack(old, 0)
    assert old.study_now(soundness.check, True).value["bad"] == []


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
@pytest.mark.parametrize("where", ["in the unit", "in the commit"])
def test_a_kill_in_a_migration_leaves_the_image_before_it(tmp_path: Path, where: str) -> None:
    """A process that dies in the middle of a migration leaves no half of it; the next start applies it whole."""
    unpack(OLD[0], tmp_path)
    script = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from batos.image import engine, migrations
        from batos.image.store import Image

        def die(*args):
            os.kill(os.getpid(), signal.SIGKILL)

        def m999_dies(view):
            view.root["half"] = 1
            view.root["ship"].count = 99
            if sys.argv[2] == "in the unit":
                view.conn.transaction_manager.savepoint()
                die()
            engine.ImageStorage._finish = die

        home = Path(sys.argv[1])
        image = Image(home / "live_image.fs", home / "live_image.fs.blob")
        migrations.migrate(image, (*migrations.MIGRATIONS, m999_dies))
        """
    )
    command = [sys.executable, "-c", script, str(tmp_path), where]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr

    def m999_dies(view: View) -> None:
        view.root["ship"].count += 1

    image = open_image(tmp_path)
    try:
        names = [migration.__name__ for migration in migrations.MIGRATIONS]
        assert image.read_now(lambda view: (migrations.applied(view), "half" in view.root)).value == (names, False)
        assert migrations.migrate(image, (*migrations.MIGRATIONS, m999_dies)) == ["m999_dies"]
        assert image.read_now(lambda view: view.root["ship"].count).value == 5
    finally:
        image.close_now()
