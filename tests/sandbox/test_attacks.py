"""Attacks with every check inside of the walls switched off: none may get out."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from batos.errors import CodeError
from tests.sandbox.payloads import PAYLOADS

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONTROLS = [payload for payload in PAYLOADS if payload.control]


def source_of(body: str) -> str:
    """Write an attack as a method."""
    return "def attack(self):\n" + textwrap.indent(body, "    ") + "\n"


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload.name)
async def test_no_attack_gets_out(bare, world, payload):
    """An attack gets an error or an empty hand; world, host and the next call are unharmed."""
    ref = world.add(n=1)
    world.add(secret=1)
    before = {name: dict(slots) for name, slots in world.slots.items()}
    try:
        outcome = await bare.call(world, ref, "attack", [], {}, source=source_of(payload.body))
        assert outcome.result is not True
        assert not outcome.changed
    except CodeError:
        pass
    assert world.slots == before
    assert not list(Path("/tmp").glob("batos-escape*"))
    assert os.getppid() > 0
    assert (await bare.call(world, ref, "n", [], {})).result == 1
    echo = await bare.call(world, ref, "again", [], {}, source="def again(self):\n    return len(str(self.n))\n")
    assert echo.result == 1


async def test_the_attacks_work_without_walls():
    """The harmless ones of these attacks do succeed in a plain process: so it is the walls that stop them."""
    program = ["import sys, warnings", "warnings.simplefilter('ignore')", "won = []"]
    for payload in CONTROLS:
        program.append(source_of(payload.body))
        program.append(f"try:\n    if attack(None): won.append({payload.name!r})\nexcept Exception: pass\n")
    program.append("print(' '.join(won))")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "\n".join(program), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    out, _ = await process.communicate()
    won = set(out.decode().split())
    # A container may forbid some of them by itself.
    assert len(won) >= len(CONTROLS) * 0.7, {payload.name for payload in CONTROLS} - won
