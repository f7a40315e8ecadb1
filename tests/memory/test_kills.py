"""`SIGKILL` in random moments of learning: whole documents only, nothing acknowledged lost, all indexes agree.

`BATOS_MEMORY_KILLS=200 pytest tests/memory/test_kills.py` kills so often.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from batos.image.store import Image
from batos.memory import intake, records
from batos.memory.check import check
from batos.memory.service import FractalMemory
from tests.memory.busy import embed, text_of

if TYPE_CHECKING:
    from batos.image.view import View

KILLS = int(os.environ.get("BATOS_MEMORY_KILLS", "6"))
ROOT = Path(__file__).parents[2]


class Told:
    """What each document may be now: the version that was acknowledged last, or one that was tried after it."""

    def __init__(self) -> None:
        self.possible: defaultdict[str, set[int]] = defaultdict(lambda: {0})
        self.acknowledged = 0

    def hear(self, line: str) -> None:
        verb, name, version = line.split()
        if verb == "done":
            self.possible[name] = {int(version)}
            self.acknowledged += 1
        else:
            self.possible[name].add(int(version))


def live_and_die(home: Path, seed: int, told: Told) -> None:
    """Start the busy process, kill it after a random while, and hear all that it had said."""
    command = [sys.executable, "-m", "tests.memory.busy", str(home), str(seed)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        if process.stdout.readline() != "ready\n":
            raise AssertionError(process.stderr.read())
        time.sleep(random.Random(seed).uniform(0.0, 0.8))
        process.kill()
        for line in process.stdout.read().splitlines(keepends=True):
            # The last line may be torn; what it said is not promised then.
            if line.endswith("\n"):
                told.hear(line)
        assert process.stderr.read() == ""


def versions(view: View) -> dict[str, int]:
    """The version of each document; its text is that version's, whole."""
    slots = records.slots_of(view)
    found: dict[str, int] = {}
    for name in records.documents(view):
        known = records.record(view, name)
        assert slots is not None
        assert known is not None
        version = slots.chunks[records.key_of(name, 0)].metadata["version"]
        assert records.text_of(slots, name, known) == text_of(name, version)
        found[name] = version
    return found


async def settle(image: Image) -> None:
    """Be the next kernel: index what waits, and give vectors to all."""
    memory = FractalMemory(image, embed, "hash")
    await memory.start()
    memory.begin_weaving()
    async with asyncio.timeout(120):
        while (await image.read(intake.length)).value or memory.statistics()["unwoven"]:
            await asyncio.sleep(0.01)
    await memory.close()


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """After every kill all indexes agree at once; the next kernel finishes the queue, and each document is as was said."""
    told = Told()
    for seed in range(1, KILLS + 1):
        live_and_die(tmp_path, seed, told)
        image = Image(tmp_path / "live_image.fs", tmp_path / "live_image.fs.blob")
        try:
            assert image.study_now(check).value["bad"] == []
            image.study_now(versions)
            asyncio.run(settle(image))
            report = image.study_now(check).value
            assert report["bad"] == []
            found = image.study_now(versions).value
            for name, possible in told.possible.items():
                assert found.get(name, 0) in possible, name
            assert set(found) <= set(told.possible)
            told.possible = defaultdict(lambda: {0}, {name: {found.get(name, 0)} for name in told.possible})
        finally:
            image.close_now()
    assert told.acknowledged
    assert report["chunks"] > report["documents"] > 0
    print(f"{KILLS} kills: {told.acknowledged} acknowledged, {report}")
