"""Attacks against a sandbox, and the look at the host after each."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from batos.errors import BatosError, CodeError
from batos.sandbox.runner import Limits, Sandbox
from tests.sandbox.attacks import MODULES
from tests.sandbox.attacks.alone import SECRET
from tests.sandbox.memory_world import MemoryWorld

if TYPE_CHECKING:
    from tests.sandbox.attacks.kinds import Attack

STALL_SECONDS = 0.25
MEMORY_BYTES = 96 << 20
OUTPUT_CHARACTERS = 66_000
_TICK = 0.005
_HANGING = 6
_SECONDS = 0.5


def children_of(pid: int | None) -> list[int]:
    """Every living process under one, by /proc."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                found += [int(folder.name), *children_of(int(folder.name))]
    return found


class Siege:
    """A sandbox with every check inside of the walls switched off, its world, and a watch on its host.

    Args:
        without: Layers to leave out; generated code is let in all the same.
        folder: Where a method may try to write; only where walls are missing it can be told of it.
    """

    def __init__(self, without: frozenset[str] = frozenset(), folder: Path | None = None) -> None:
        os.environ["BATOS_ATTACK_SECRET"] = SECRET
        self.sandbox = Sandbox(
            pool=3, limits=Limits(seconds=_SECONDS), bare=True, modules=tuple(MODULES), without=without
        )
        self.worst = 0.0
        self._folder = folder
        self._watch: asyncio.Task[None] | None = None
        self._memory = 0

    async def __aenter__(self) -> Self:
        await self.sandbox.start()
        # Where layers are missing, this is a look at what the others hold.
        self.refused, self.sandbox.refusal = self.sandbox.refusal, None
        self._memory = _resident()
        self._watch = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._watch is not None:
            self._watch.cancel()
        await self.sandbox.close()

    async def run(self, attacks: list[Attack]) -> dict[str, str]:
        """Run attacks; gives those that got out, each with what it got."""
        escapes: dict[str, str] = {}
        slow = [attack for attack in attacks if attack.alone == "hangs"]
        for attack in attacks:
            if attack not in slow:
                escapes[attack.name] = await self._one(attack)
        for start in range(0, len(slow), _HANGING):
            batch = slow[start : start + _HANGING]
            results = await asyncio.gather(*map(self._one, batch))
            escapes |= dict(zip([attack.name for attack in batch], results, strict=True))
        return {name: got for name, got in escapes.items() if got}

    async def _one(self, attack: Attack) -> str:
        world = MemoryWorld()
        ref = world.add(n=1)
        world.add(secret=1)
        world.teach(ref, "def keep(self, thing):\n    return True\n", attack.method)
        before = world.savepoint()
        self.worst = 0.0
        try:
            outcome = await self.sandbox.call(world, ref, "attack", [], {}, source=self._placed(attack))
        except (CodeError, BatosError):
            got = ""
        else:
            got = "it got what it wanted" if outcome.result is True else ""
            got = got or ("it changed the world" if outcome.changed else "")
            got = got or ("its output was not cut" if len(outcome.output) > OUTPUT_CHARACTERS else "")
        return got or ("the world has changed" if world.savepoint() != before else "") or await self._harm()

    def _placed(self, attack: Attack) -> str:
        if self._folder is None or attack.source:
            return attack.method
        lines = f"import os\ntry: os.chdir({str(self._folder)!r})\nexcept OSError: pass\n"
        return lines + attack.method

    async def _harm(self) -> str:
        """Look at the host: its loop, its memory, its processes, and whether it still serves."""
        world = MemoryWorld()
        ref = world.add(n=1)
        try:
            outcome = await self.sandbox.call(
                world, ref, "echo", [], {}, source="def echo(self):\n    return [len(str(self.n)), sum([2, 3])]\n",
                limits=Limits(seconds=20),
            )  # fmt: skip
        except BatosError as error:
            return f"the next call fails: {error.message}"
        if outcome.result != [1, 5]:
            return "the next call is wrong"
        if self.worst > STALL_SECONDS:
            return f"the loop was busy for {self.worst:.2f} s"
        if _resident() - self._memory > MEMORY_BYTES:
            return "the kernel's memory grew"
        return ""

    async def strays(self) -> list[int]:
        """Processes under the zygote that the pool does not know; empty once the dead ones are gone."""
        for _ in range(500):
            statistics = self.sandbox.statistics()
            known: int = statistics["alive"] + 1  # the zygote may have a first process in its pid namespace
            there = children_of(statistics["zygote"])
            if len(there) <= known:
                return []
            await asyncio.sleep(0.01)
        return there

    async def _tick(self) -> None:
        """Measure how long the loop works without a pause, in processor time: other load must not count."""
        last = time.thread_time()
        while True:
            await asyncio.sleep(_TICK)
            now = time.thread_time()
            self.worst = max(self.worst, now - last)
            last = now


def _resident() -> int:
    fields: list[Any] = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
