"""Attacks with every check inside of the walls switched off: none may get out.

`python -m tests.sandbox.attacks` runs them in every configuration of walls, and each control, and prints the table of
docs/security.md.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.sandbox.attacks import ATTACKS, CATEGORIES, sample
from tests.sandbox.attacks.alone import BECOME_ORDINARY, ROOT, others_than_said
from tests.sandbox.attacks.siege import Siege

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def siege() -> AsyncIterator[Siege]:
    """A sandbox with all walls."""
    async with Siege() as made:
        assert made.refused is None
        yield made


@pytest.mark.parametrize("category", CATEGORIES)
async def test_no_attack_gets_out(siege, category):
    """An attack gets an error or an empty hand; world, host and the next call are unharmed, and no process is left."""
    assert await siege.run(CATEGORIES[category]) == {}
    assert await siege.strays() == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
async def test_nor_where_fewer_walls_stand():
    """The same holds for an ordinary user who has no namespaces: seccomp, limits and Landlock alone."""
    program = BECOME_ORDINARY + "from tests.sandbox.attacks.__main__ import main; main()"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", program, "--only", "namespaces off",
        cwd="/", env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()


async def test_the_attacks_work_without_walls():
    """Each does in a plain process what it is said to do: so it is the walls that stop it. One in three here, of each kind."""
    sampled = sample(3)
    assert {attack.alone for attack in sampled} == {attack.alone for attack in ATTACKS}
    assert all(set(attacks) & set(sampled) for attacks in CATEGORIES.values())
    await asyncio.to_thread(others_than_said, sampled)
