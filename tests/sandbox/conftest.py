"""Sandboxes for the tests of a module: one confined as the kernel has it, one with all of Python inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from batos.sandbox.runner import Limits, Sandbox
from tests.sandbox.memory_world import MemoryWorld

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIMITS = Limits(seconds=5)


@pytest.fixture
def world() -> MemoryWorld:
    """An empty world."""
    return MemoryWorld()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    """A sandbox with every wall and the names that methods have."""
    made = Sandbox(pool=2, limits=LIMITS)
    await made.start()
    assert made.refusal is None, made.refusal
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bare() -> AsyncIterator[Sandbox]:
    """A sandbox with every wall, and no check inside of them."""
    made = Sandbox(pool=2, limits=Limits(seconds=1), bare=True)
    await made.start()
    assert made.refusal is None, made.refusal
    yield made
    await made.close()
