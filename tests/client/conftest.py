"""Fixtures: a double of the kernel, and clients of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batos.client.bridge import Client
from tests.client.double import Double

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def kernel(tmp_path: Path) -> AsyncIterator[Double]:
    """A running double."""
    double = Double(tmp_path)
    await double.start()
    yield double
    await double.stop()


@pytest.fixture
async def client(kernel: Double) -> AsyncIterator[Client]:
    """A client of the double."""
    async with Client(kernel.endpoint, kernel.keys) as made:
        yield made
