"""Fixtures of the image's tests: an open image in a folder of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batos.image.objects import UvmObject
from batos.image.store import Image, View

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def reopen(tmp_path: Path) -> Iterator[Callable[[], Image]]:
    """Open the test's image; what was open before is closed, so that nothing comes out of a cache."""
    opened: list[Image] = []

    def again() -> Image:
        for image in opened:
            image.close_now()
        opened.append(Image(tmp_path / "live_image.fs", tmp_path / "live_image.fs.blob"))
        return opened[-1]

    yield again
    for image in opened:
        image.close_now()


@pytest.fixture
def image(reopen: Callable[[], Image]) -> Image:
    """An open image with nothing in it."""
    return reopen()


@pytest.fixture
def world(image: Image) -> Image:
    """An open image with `traits_obj` and, below it, `genesis_obj`."""
    image.transact_now(_little_world)
    return image


def _little_world(view: View) -> None:
    view.root["traits_obj"] = traits = UvmObject()
    view.root["genesis_obj"] = UvmObject(parents=[traits])
