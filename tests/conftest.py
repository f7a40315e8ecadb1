"""Shared fixtures: each test starts without settings from outside, and may have a home of its own."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_KEPT = {"BATOS_WEIGHTS_CACHE"}
_FOREIGN = {"LLAMA_MODEL_PATH", "OPENAI_BASE_URL", "OPENAI_API_KEY"}


@pytest.fixture(autouse=True)
def clean_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the person who runs the tests reaches them, save where the weights lie."""
    for name in list(os.environ):
        if (name.startswith("BATOS_") and name not in _KEPT) or name in _FOREIGN:
            monkeypatch.delenv(name)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty BATOS_HOME."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("BATOS_HOME", str(folder))
    return folder


@pytest.fixture
def until() -> Callable[..., None]:
    """Wait until a condition holds; fails after a generous time, so that only a wrong outcome can fail it."""

    def wait(condition: Callable[[], object], what: str = "", seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"never came: {what or condition}"
            time.sleep(0.01)

    return wait
