"""An awoken image for the tests of Fractal Memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batos.image.migrations import migrate
from batos.image.store import Image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Image]:
    """An image after its first awakening."""
    opened = Image(tmp_path / "live_image.fs", tmp_path / "live_image.fs.blob")
    migrate(opened)
    yield opened
    opened.close_now()
