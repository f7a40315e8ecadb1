"""`SIGKILL` in random moments of writing, installing, packing, backing up and swapping blobs.

`BATOS_IMAGE_KILLS=200 pytest tests/image/test_kills.py` kills so often.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from batos.image import blobs, methods, restore
from batos.image.preflight import find_damage
from batos.image.store import Image
from tests.image.busy import WRITERS

if TYPE_CHECKING:
    from batos.image.store import View

KILLS = int(os.environ.get("BATOS_IMAGE_KILLS", "8"))


class Told:
    """What the killed process had acknowledged, over all its lives."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(range(WRITERS), 0)
        self.installed = 0
        self.weights: set[str] = set()
        self.backups: list[Path] = []
        self.packs = 0

    def hear(self, line: str) -> None:
        word, *rest = line.split()
        if word == "wrote":
            self.counts[int(rest[0])] = int(rest[1])
        elif word == "installed":
            self.installed = int(rest[0])
        elif word == "packed":
            self.packs += 1
        elif word == "backup":
            self.backups.append(Path(rest[0]))
        elif word == "swapping":
            # Either of the two may be there when it is killed now.
            self.weights.add(rest[0])
        elif word == "swapped":
            self.weights = {rest[0]}


def live_and_die(home: Path, seed: int, told: Told) -> None:
    """Start the busy process, kill it after a random while, and hear all that it had said."""
    chance = random.Random(seed)
    command = [sys.executable, "-m", "tests.image.busy", str(home), str(seed)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        if process.stdout.readline() != "ready\n":
            raise AssertionError(process.stderr.read())
        time.sleep(chance.uniform(0.0, 0.8))
        process.kill()
        for line in process.stdout.read().splitlines(keepends=True):
            # The last line may be torn; what it said is not promised then.
            if line.endswith("\n"):
                told.hear(line)
        assert process.stderr.read() == ""


def look(view: View) -> tuple[dict[int, int], int, list[int], bool, str | None]:
    """What the image holds: counters, the number of the last install in its three places, the weights."""
    learner = view.root["learner"]
    counts = {who: view.root[f"writer{who}"] for who in range(WRITERS)}
    sound = all(not obj.count or obj.notes[-1] == obj.count for obj in counts.values())
    numbers = [row["version"] for row in methods.history(view, learner, "greet")] if learner.installed else []
    last = learner.installed
    sound = sound and (not last or view.root[f"proof{last % 5}"].number == last)
    listed = blobs.listing(view)
    kept = listed[0]["sha256"] if listed else None
    return {who: obj.count for who, obj in counts.items()}, last, numbers, sound, kept


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """After every kill the image opens by itself, holds all that was acknowledged, and no half of anything."""
    told = Told()
    for number in range(KILLS):
        live_and_die(tmp_path, number, told)
        image = Image(tmp_path / "live_image.fs", tmp_path / "live_image.fs.blob")
        try:
            counts, installed, numbers, sound, kept = image.read_now(look).value
            assert sound
            for who, count in told.counts.items():
                assert count <= counts[who] <= count + 1
            assert told.installed <= installed <= told.installed + 1
            assert numbers == list(range(1, installed + 1))
            if told.weights:
                assert kept in told.weights or (kept is None and len(told.weights) == 1)
            if kept is not None:
                blobs.verify(image, "weights")
            told.counts, told.installed, told.weights = counts, installed, {kept} if kept else set()
        finally:
            image.close_now()
        assert find_damage(tmp_path / "live_image.fs") is None
        if told.backups:
            restore.verify(told.backups[-1])
        for left in tmp_path.glob("backup-*"):
            shutil.rmtree(left)
        told.backups.clear()
    assert told.installed
    print(f"{KILLS} kills: {sum(told.counts.values())} writes, {told.installed} installs, {told.packs} packs")
