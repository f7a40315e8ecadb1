"""The real embedding model, for tests marked `real`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from batos.mind import sources
from batos.mind.catalog import find
from batos.mind.protocol import ModelSpec
from batos.mind.service import HostMind
from batos.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "all-MiniLM-L6-v2"


def embedding_cache() -> Path:
    """The cache that has the weights; the test is skipped where they were not fetched, and fails in CI."""
    cache = Settings.load().weights_cache
    if not sources.is_whole(find(MODEL), cache):
        message = f"the weights are not in the cache: python -m batos models fetch {MODEL}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    return cache


def embedding_mind() -> HostMind:
    """A mind that embeds with real weights."""
    cache = embedding_cache()
    spec = ModelSpec(name=MODEL, kind="embedding", path=str(sources.path_of(find(MODEL), cache)))
    return HostMind({"embedding": spec, MODEL: spec}, embedding=MODEL)
