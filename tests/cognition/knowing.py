"""What states and voices know in these tests: an awoken image whose memory means few things."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from zlib import crc32

from batos.memory import catalog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batos.cognition.services import Services

AXES = {"sting": 0, "wasp": 0, "sea": 1, "ship": 1}


async def embed(texts: Sequence[str]) -> list[list[float]]:
    """A vector by the matter that a text names; other texts are like nothing else."""
    axes = [
        next((axis for word, axis in AXES.items() if word in text), 2 + crc32(text.encode()) % 998) for text in texts
    ]
    return [[float(place == axis) for place in range(1000)] for axis in axes]


async def woven(services: Services) -> None:
    """Give all documents vectors."""
    services.memory.begin_weaving()
    async with asyncio.timeout(120):
        while (await services.image.read(catalog.statistics)).value["unwoven"]:
            await asyncio.sleep(0.01)
