"""Make the small image of the newest schema that later versions must open: `python -m tests.image.make_old_image`.

Run it once when a migration is added, with the code that adds it, and keep the file for ever: it is what images of that
version look like. It never overwrites one.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batos.image import blobs, cycles, methods, migrations, outbox, registry
from batos.image.store import Image
from batos.memory import catalog

if TYPE_CHECKING:
    from batos.image.store import View

IMAGES = Path(__file__).parent / "images"
SLOTS = {"count": 3, "notes": ["one", {"two": (3, {4})}], "nothing": None, "big": 1 << 80}
TEXT = "The wise bear keeps honey in the hollow oak."
WEIGHTS = bytes(range(256)) * 4


def fill(view: View) -> None:
    """What an image of an Architect holds: objects, versions of methods, a document, cycles, lines of the log."""
    ship = view.get(registry.create(view, None, dict(SLOTS), "ship"))
    registry.create(view, ["ship"], {"friend": view.ref(ship)}, "boat")
    view.get(registry.clone(view, "ship", "copy")).notes.append("more")
    for number in (1, 2):
        _install(view, ship, "sail", f"def sail(self):\n    return {number}\n")
    methods.rollback(view, ship, "sail", 1)
    _install(view, ship, "sink", "def sink(self):\n    return self.sail()\n")
    methods.remove_method(view, ship, "sink")
    catalog.index_document(view, "bears", TEXT, {"kind": "tale"})
    for cycle_id in ("ended", "open"):
        cycles.open_cycle(view, cycle_id, _record(view, cycle_id), [{"event": "accepted"}])
    cycles.bind_request(view, "mine", "open", "body")
    cycles.finish(view, "ended", {"state": "COMPLETE", "ended": "COMPLETE"}, [], {"status": "COMPLETE", "result": 5})
    outbox.append(view, {"event_type": "MISSION_ACCEPTED"})


def _install(view: View, obj: Any, selector: str, source: str) -> None:
    about = {"mission_brief": {"intent": f"let it {selector}"}, "friend": view.ref(obj)}
    methods.install(view, obj, selector, source, about, signature="(self)", summary=f"Can {selector}.")


def _record(view: View, cycle_id: str) -> dict[str, Any]:
    return {
        "cycle_id": cycle_id,
        "schema": 1,
        "state": "IDLE",
        "target": view.ref(view.root["ship"]),
        "selector": cycle_id,
        "brief": {"type": "unhandled_message", "selector": cycle_id, "args": [(1,)]},
        "attempts": [],
        "elapsed": 0.0,
        "data": {},
    }


def main() -> None:
    newest = migrations.MIGRATIONS[-1].__name__[1:]
    target = (Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES) / f"{newest}.zip"
    with tempfile.TemporaryDirectory() as place, zipfile.ZipFile(target, "x", zipfile.ZIP_DEFLATED) as packed:
        home = Path(place)
        image = Image(home / "live_image.fs", home / "live_image.fs.blob")
        migrations.migrate(image)
        image.transact_now(fill, note="an image of this schema")
        (home / "tiny.gguf").write_bytes(WEIGHTS)
        blobs.adopt_file(image, home / "tiny.gguf", sha256=None, name="tiny")
        image.transact_now(lambda view: setattr(view.root["ship"], "count", 4))
        image.close_now()
        for file in sorted(home.rglob("*")):
            if file.is_file() and file.name not in ("tiny.gguf", "live_image.fs.lock"):
                packed.write(file, file.relative_to(home).as_posix())
    print(target, target.stat().st_size)


if __name__ == "__main__":
    main()
