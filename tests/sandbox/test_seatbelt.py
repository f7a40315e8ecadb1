"""The level of macOS, with its two system calls doubled; on a Mac it has not been run."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from batos.errors import DeadlineExceeded, MemoryExceeded, SandboxRefused
from batos.sandbox import seatbelt
from batos.sandbox.runner import Limits, Sandbox
from tests.sandbox.darwin import ROOT, boot
from tests.sandbox.memory_world import MemoryWorld
from tests.sandbox.test_pool import descendants, gone

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS = Limits(seconds=300, memory_mb=48)  # so long that only a kill can end what spins
QUICK = "def quick(self):\n    self.n = 42\n    self._p_changed = True\n    return self.n\n"
SPIN = "def spin(self):\n    while True: pass\n"
HOARD = "def hoard(self):\n    held = []\n    while True: held.append('x' * (1 << 20))\n"
KERNEL = """
import asyncio
from types import SimpleNamespace
from batos.sandbox import pool, runner
from tests.sandbox.darwin import boot
from tests.sandbox.memory_world import MemoryWorld
async def main():
    pool._BOOT, runner.sys = boot(), SimpleNamespace(platform="darwin")
    world, sandbox = MemoryWorld(), runner.Sandbox(require="seatbelt", pool=0, limits=runner.Limits(seconds=60))
    await sandbox.start()
    call = sandbox.call(world, world.add(), "spin", [], {}, source="def spin(self):\\n    while True: pass\\n")
    task = asyncio.create_task(call)
    await asyncio.sleep(0.3)
    print("up", flush=True)
    await task
asyncio.run(main())
"""


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Sandbox]:
    """Make a sandbox that takes this machine for a Mac."""

    def make(require: str = "seatbelt", fault: str = "", pool: int = 1) -> Sandbox:
        monkeypatch.setattr("batos.sandbox.runner.sys", SimpleNamespace(platform="darwin"))
        monkeypatch.setattr("batos.sandbox.pool._BOOT", boot(fault))
        return Sandbox(require=require, pool=pool, limits=LIMITS)

    return make


async def settled(sandbox: Sandbox) -> None:
    """Wait until every process under the zygote is an idle worker: the others were killed."""
    while True:
        counts = sandbox.statistics()
        if counts["alive"] == counts["idle"] == len(descendants(counts["zygote"])):
            return
        await asyncio.sleep(0.01)


async def test_it_runs_and_ends_what_it_must(mac):
    """Calls run; one that spins or hoards is killed, by the zygote, and says why; nothing is left at the end."""
    sandbox, world = mac(), MemoryWorld()
    ref = world.add(n=1)
    await sandbox.start()
    family = descendants(sandbox.statistics()["zygote"])
    try:
        assert (sandbox.refusal, sandbox.level, sandbox.layers["missing"]) == (None, "seatbelt", [])
        assert (sandbox.layers["seatbelt"], sandbox.layers["rlimits"]) == (True, True)
        assert (await sandbox.call(world, ref, "quick", [], {}, source=QUICK)).result == 42
        with pytest.raises(MemoryExceeded):
            await sandbox.call(world, ref, "hoard", [], {}, source=HOARD)
        with pytest.raises(DeadlineExceeded):
            await sandbox.call(world, ref, "spin", [], {}, source=SPIN, limits=Limits(seconds=0.2, memory_mb=48))
        await settled(sandbox)
        assert (await sandbox.call(world, ref, "quick", [], {}, source=QUICK)).result == 42
        family += descendants(sandbox.statistics()["zygote"])
    finally:
        await sandbox.close()
    assert family
    await gone(family)


async def test_a_worker_that_spins_goes_with_the_sandbox(mac):
    """Closing in the middle of a call ends its worker too, although nothing binds it to its parent."""
    sandbox, world = mac(pool=0), MemoryWorld()
    await sandbox.start()
    task = asyncio.create_task(sandbox.call(world, world.add(), "spin", [], {}, source=SPIN))
    while not (family := descendants(sandbox.statistics()["zygote"])):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await sandbox.close()
    await gone(family)


async def test_a_killed_zygote_is_started_again(mac):
    """Its end is seen although a socket for datagrams does not tell."""
    sandbox, world = mac(), MemoryWorld()
    await sandbox.start()
    try:
        os.kill(sandbox.statistics()["zygote"], signal.SIGKILL)
        while not sandbox.statistics()["restarts"]:
            await asyncio.sleep(0.01)
        assert (await sandbox.call(world, world.add(), "quick", [], {}, source=QUICK)).result == 42
    finally:
        await sandbox.close()


async def test_workers_die_with_the_kernel():
    """After kill -9 of a kernel in the middle of a call, the zygote ends its workers and itself."""
    kernel = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KERNEL, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert kernel.stdout is not None
    assert await kernel.stdout.readline() == b"up\n"
    family = descendants(kernel.pid)
    assert len(family) >= 2
    kernel.kill()
    await kernel.wait()
    await gone(family)


@pytest.mark.parametrize(
    ("fault", "lacks"),
    [("lax", ["«open»", "«stat»", "«connect»", "«bind»"]), ("blind", ["«memory»"])],
)
async def test_a_wall_that_does_not_hold_is_found(mac, fault, lacks):
    """A profile that is taken and holds nothing, or memory that nobody watches: refused, and the holes are named."""
    sandbox, world = mac(fault=fault), MemoryWorld()
    await sandbox.start()
    try:
        assert sandbox.level == "none"
        assert [name for name in lacks if name not in sandbox.refusal.message] == []
        with pytest.raises(SandboxRefused):
            await sandbox.call(world, world.add(), "quick", [], {}, source=QUICK)
    finally:
        await sandbox.close()


async def test_a_profile_that_is_gone_is_a_refusal(mac):
    """A system that has the profile no more starts no worker."""
    sandbox = mac(fault="refuses")
    await sandbox.start()
    assert sandbox.refusal is not None
    await sandbox.close()


async def test_it_must_be_asked_for_by_name(mac):
    """`auto` does not take a level that nobody has run, and says how to ask for it."""
    sandbox = mac(require="auto")
    await sandbox.start()
    assert "SANDBOX=seatbelt" in sandbox.refusal.message
    assert sandbox.statistics()["zygote"] is None


def test_a_system_without_the_calls_is_an_error(monkeypatch):
    """Where the C library has neither call, neither is taken for done."""
    monkeypatch.setattr(seatbelt, "_libc", SimpleNamespace())
    with pytest.raises(OSError, match="sandbox_init"):
        seatbelt.enter_profile()
    with pytest.raises(OSError, match="proc_pid_rusage"):
        seatbelt.footprint(1)
