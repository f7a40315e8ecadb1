"""The proof at start, and what happens where a layer is missing."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from batos.errors import SandboxRefused
from batos.sandbox.runner import Sandbox
from batos.sandbox.tasks import verdict
from tests.sandbox.attacks.alone import BECOME_ORDINARY
from tests.sandbox.memory_world import MemoryWorld

ROOT = Path(__file__).parents[2]


async def levels(without: set[str]) -> tuple[str, dict]:
    """Start a sandbox without some layers, and make a call if it lets one."""
    sandbox, world = Sandbox(pool=1, without=frozenset(without)), MemoryWorld()
    await sandbox.start()
    try:
        call = sandbox.call(world, world.add(), "go", [], {}, source="def go(self):\n    return 1\n")
        if sandbox.refusal is None:
            assert (await call).result == 1
        else:
            with pytest.raises(SandboxRefused):
                await call
        return sandbox.level, sandbox.layers
    finally:
        await sandbox.close()


async def test_all_layers_stand():
    """With everything on, the level is `full`, and every layer says what it is."""
    level, layers = await levels(set())
    assert level == "full"
    assert layers["missing"] == []
    assert (layers["process"], layers["seccomp"], layers["rlimits"]) == (True, True, True)
    assert layers["landlock"] or layers["namespaces"]
    assert layers["uid"] != 0


@pytest.mark.parametrize("wall", ["seccomp", "rlimits"])
async def test_a_wall_that_carries_cannot_be_missing(wall):
    """Without seccomp, or without limits, generated code is refused and the reason is named."""
    level, layers = await levels({wall})
    assert level == "none"
    assert wall in layers["missing"]


async def test_one_of_two_second_walls_is_enough():
    """Without Landlock or without namespaces it runs, and `layers` tells which; without both it refuses."""
    both = await levels(set())
    if not (both[1]["landlock"] and both[1]["namespaces"]):
        pytest.skip("this machine has only one of the two")
    level, layers = await levels({"landlock"})
    assert (level, layers["landlock"]) == ("full", 0)
    level, layers = await levels({"namespaces"})
    assert (level, layers["namespaces"], layers["empty_root"]) == ("full", [], False)
    level, layers = await levels({"landlock", "namespaces"})
    assert level == "none"
    assert "landlock or namespaces" in layers["missing"]


def test_the_verdict_names_each_hole():
    """A probe that was not stopped, or a deadly call that was survived, is named."""
    layers = {"seccomp": True, "rlimits": True, "landlock": 7, "namespaces": []}
    assert verdict("full", layers, {"open": True}, killed=True) == []
    holes = verdict("full", layers, {"open": False, "fork": True}, killed=False)
    assert holes == ["the wall against «open»", "the wall against «trace»"]


@pytest.mark.parametrize("require", ["seatbelt", "job"])
async def test_levels_of_other_systems_refuse_here(require):
    """A level that this system does not have is a refusal, not a weaker sandbox."""
    sandbox = Sandbox(require=require)
    await sandbox.start()
    assert sandbox.refusal is not None
    assert require in sandbox.refusal.message


ORDINARY = """
import asyncio, json, sys
from batos.sandbox.runner import Sandbox
from tests.sandbox.attacks.alone import BECOME_ORDINARY
from tests.sandbox.memory_world import MemoryWorld
async def main():
    sandbox, world = Sandbox(pool=1, without=frozenset(json.loads(sys.argv[1]))), MemoryWorld()
    await sandbox.start()
    result = None
    if sandbox.refusal is None:
        result = (await sandbox.call(world, world.add(), "go", [], {}, source="def go(self):\\n    return 42\\n")).result
    print(json.dumps([sandbox.level, sandbox.layers, result, os.getuid()]))
    await sandbox.close()
asyncio.run(main())
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("without", [[], ["namespaces"]])
async def test_an_ordinary_user_has_the_same_level(without):
    """A kernel that runs as an ordinary user reaches the level `full` too, with and without user namespaces."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BECOME_ORDINARY + ORDINARY, json.dumps(without), cwd=ROOT, stdout=subprocess.PIPE
    )
    out, _ = await process.communicate()
    level, layers, result, uid = json.loads(out)
    assert (level, result, uid, layers["missing"]) == ("full", 42, 1234, [])
    assert without == [] or layers["namespaces"] == []
