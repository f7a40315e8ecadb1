"""The zygote and its workers: started, lost, started again, and gone with the kernel."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from batos.errors import MethodError, SandboxRefused
from batos.sandbox.runner import Limits, Sandbox
from tests.sandbox.memory_world import MemoryWorld

ROOT = Path(__file__).parents[2]
SLOW = "def slow(self):\n    import time\n    time.sleep(30)\n"
QUICK = "def quick(self):\n    return 1\n"


def descendants(pid: int) -> list[int]:
    """Every process under one, by /proc."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found += [int(folder.name), *descendants(int(folder.name))]
    return found


async def gone(pids: list[int]) -> None:
    """Wait until processes are gone or zombies."""
    for pid in pids:
        for _ in range(1000):
            try:
                state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                break
            if state == "Z":
                break
            await asyncio.sleep(0.01)
        else:
            raise AssertionError(f"{pid} is still there")


async def another_zygote(sandbox: Sandbox, before: int, restarts: int) -> int:
    """Wait until a killed zygote was noticed and replaced; its successor's number."""
    async with asyncio.timeout(30):
        while (now := sandbox.statistics())["restarts"] < restarts or now["zygote"] in (None, before):
            await asyncio.sleep(0.01)
    assert now["restarts"] == restarts
    return now["zygote"]


async def test_a_killed_zygote_is_started_again():
    """After kill -9 of the zygote the next call works, and a call that was under way runs again."""
    world, sandbox = MemoryWorld(), Sandbox(pool=1, limits=Limits(seconds=60))
    ref = world.add()
    await sandbox.start()
    try:
        first = sandbox.statistics()["zygote"]
        os.kill(first, signal.SIGKILL)
        assert (await sandbox.call(world, ref, "quick", [], {}, source=QUICK)).result == 1
        second = await another_zygote(sandbox, first, restarts=1)
        waiting = asyncio.create_task(
            sandbox.call(
                world,
                ref,
                "wait",
                [],
                {},
                source="def wait(self):\n    import time\n    time.sleep(0.5)\n    return 2\n",
            )
        )
        await asyncio.sleep(0.2)
        os.kill(second, signal.SIGKILL)
        assert (await waiting).result == 2
        assert await another_zygote(sandbox, second, restarts=2) != first
    finally:
        await sandbox.close()


async def test_a_killed_worker_harms_only_its_call():
    """A worker that is killed from outside ends its own call with an error; the sandbox goes on."""
    world, sandbox = MemoryWorld(), Sandbox(pool=0, limits=Limits(seconds=20))
    ref = world.add()
    await sandbox.start()
    try:
        task = asyncio.create_task(sandbox.call(world, ref, "slow", [], {}, source=SLOW))
        while len(workers := descendants(sandbox.statistics()["zygote"])) < 2:
            await asyncio.sleep(0.01)
        os.kill(workers[-1], signal.SIGKILL)
        with pytest.raises(MethodError):
            await task
        assert (await sandbox.call(world, ref, "quick", [], {}, source=QUICK)).result == 1
    finally:
        await sandbox.close()


async def test_close_leaves_nothing_behind():
    """After the close, no process of the sandbox is left, and no descriptor is open."""
    descriptors = set(os.listdir("/proc/self/fd"))
    sandbox = Sandbox(pool=2)
    await sandbox.start()
    before = descendants(os.getpid())
    assert before
    await sandbox.close()
    await gone(before)
    await asyncio.sleep(0.05)
    assert len(set(os.listdir("/proc/self/fd")) - descriptors) <= 1  # the loop's own


async def test_workers_die_with_the_kernel():
    """After kill -9 of a kernel in the middle of a call, neither zygote nor worker is left."""
    program = """
import asyncio, sys
from batos.sandbox.runner import Limits, Sandbox
from tests.sandbox.memory_world import MemoryWorld
async def main():
    world, sandbox = MemoryWorld(), Sandbox(pool=1, limits=Limits(seconds=60))
    ref = world.add()
    await sandbox.start()
    task = asyncio.create_task(sandbox.call(world, ref, "spin", [], {}, source="def spin(self):\\n    while True: pass\\n"))
    await asyncio.sleep(0.3)
    print("up", flush=True)
    await task
asyncio.run(main())
"""
    kernel = await asyncio.create_subprocess_exec(sys.executable, "-c", program, cwd=ROOT, stdout=subprocess.PIPE)
    assert kernel.stdout is not None
    assert await kernel.stdout.readline() == b"up\n"
    family = descendants(kernel.pid)
    assert len(family) >= 3
    kernel.kill()
    await kernel.wait()
    await gone(family)


async def test_a_zygote_that_cannot_start_is_a_refusal(monkeypatch):
    """When the zygote does not come up, the sandbox refuses and says so; nothing runs elsewhere instead."""
    monkeypatch.setattr("batos.sandbox.pool._BOOT", "raise SystemExit(3)")
    sandbox, world = Sandbox(), MemoryWorld()
    await sandbox.start()
    assert sandbox.level == "none"
    with pytest.raises(SandboxRefused, match="does not start"):
        await sandbox.call(world, world.add(), "quick", [], {}, source=QUICK)
    await sandbox.close()
