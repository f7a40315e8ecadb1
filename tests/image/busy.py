"""A process that changes an image in every way at once and says what is done, until somebody kills it.

Each line that it prints is an acknowledgement: what stands there was committed before.
"""

from __future__ import annotations

import hashlib
import random
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from batos.image import backup, blobs, methods, packing
from batos.image.objects import UvmObject
from batos.image.store import Image

if TYPE_CHECKING:
    from batos.image.store import View

WRITERS = 4
_saying = threading.Lock()


def say(*words: object) -> None:
    with _saying:
        print(*words, flush=True)


def furnish(view: View) -> None:
    if "learner" not in view.root:
        view.root["learner"] = UvmObject(installed=0)
        for who in range(WRITERS):
            view.root[f"writer{who}"] = UvmObject(count=0, notes=[])


def write(view: View, who: int) -> int:
    obj = view.root[f"writer{who}"]
    obj.count += 1
    obj.notes.append(obj.count)
    del obj.notes[:-20]
    obj._p_changed = True
    return int(obj.count)


def install(view: View) -> int:
    """A version, its number in a slot and a new object: all of it, or nothing."""
    learner = view.root["learner"]
    number = learner.installed + 1
    source = f"def greet(self):\n    return {number}\n"
    version = methods.install(view, learner, "greet", source, {"number": number}, signature="(self)", summary="")
    learner.installed = version.version
    view.root[f"proof{number % 5}"] = UvmObject(number=number)
    return number


def keep_writing(image: Image, who: int) -> None:
    while True:
        say("wrote", who, image.transact_now(write, who).value)


def keep_installing(image: Image) -> None:
    while True:
        say("installed", image.transact_now(install).value)


def keep_house(image: Image, home: Path, chance: random.Random) -> None:
    """Pack, back up and swap blobs, one after the other: a backup does not run beside a pack."""
    while True:
        what = chance.choice(["pack", "backup", "swap", "swap"])
        if what == "pack":
            packing.pack(image, chance.choice([0, 1]))
            say("packed")
        elif what == "backup":
            folder = home / f"backup-{chance.getrandbits(64):x}"
            image.study_now(backup.write, str(folder), frozenset())
            say("backup", folder)
        else:
            file = home / f"weights-{chance.getrandbits(64):x}"
            file.write_bytes(chance.randbytes(chance.randrange(1, 400_000)))
            sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
            say("swapping", sha256)
            blobs.adopt_file(image, file, sha256=sha256, name="weights")
            file.unlink()
            say("swapped", sha256)


def main() -> None:
    home, seed = Path(sys.argv[1]), int(sys.argv[2])
    image = Image(home / "live_image.fs", home / "live_image.fs.blob")
    image.transact_now(furnish)
    say("ready")
    threads = [threading.Thread(target=keep_writing, args=(image, who)) for who in range(WRITERS)]
    threads.append(threading.Thread(target=keep_installing, args=(image,)))
    for thread in threads:
        thread.start()
    keep_house(image, home, random.Random(seed))


if __name__ == "__main__":
    main()
