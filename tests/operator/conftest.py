"""A stopped image, and a kernel with a scripted model."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import batos
from batos.operator import offline
from batos.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(batos.__file__).parents[1]
SOURCE = "def add_two(self, number):\n    return number + 2\n"


@pytest.fixture
def settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of an empty home with a scripted model and a port of its own."""
    rules = [{"state": "DECOMPOSING", "text": '["add"]'}, {"state": "SYNTHESIZING", "match": "add_two", "text": SOURCE}]
    (home / "script.json").write_text(json.dumps(rules))
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("BATOS_ENGINE", "scripted:script.json")
    monkeypatch.setenv("BATOS_ZMQ_ENDPOINT", endpoint)
    return Settings.load()


@pytest.fixture
def image(settings: Settings) -> Settings:
    """A stopped image after its first awakening, with one method `add_two` on genesis_obj."""
    from batos.kernel.uvm import BatOS_UVM

    async def awaken() -> None:
        uvm = BatOS_UVM(settings=settings)
        await uvm.initialize_system()
        await uvm.shutdown()

    asyncio.run(awaken())
    from batos.image.methods import install
    from batos.image.store import Image

    def teach(view) -> None:
        install(
            view, view.root["genesis_obj"], "add_two", SOURCE, {}, signature="(self, number)", summary="Add two to it."
        )

    opened = Image(settings.image_path, settings.blob_path)
    opened.transact_now(teach, note="taught")
    opened.close_now()
    return settings


@pytest.fixture
def kernel(image: Settings, until) -> Iterator[Settings]:
    """A kernel that serves that image."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "batos.py")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ},
    )
    until(lambda: offline.kernel_answers(image))
    yield image
    process.terminate()
    assert process.wait(30) == 0
