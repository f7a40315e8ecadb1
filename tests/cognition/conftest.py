"""The parts of the system that states work with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from batos.cognition.services import Services
from batos.image.migrations import migrate
from batos.image.store import Image
from batos.memory.service import FractalMemory
from batos.testing.scripted import ScriptedMind
from tests.cognition.knowing import embed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    """An awoken image and its memory, and a mind that says one thing; there is no sandbox."""
    image = Image(tmp_path / "live_image.fs", tmp_path / "live_image.fs.blob")
    migrate(image)
    memory = FractalMemory(image, embed, "axes")
    await memory.start()
    mind = ScriptedMind([{"text": "As ROBIN says."}])
    yield Services(image, mind, cast("Any", None), memory, cast("Any", None))
    await memory.close()
    await image.close()
