"""Weights for the personas: from the image's blobs, else from the cache, else fetched; visible all the while."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from batos.errors import BatosError, NoWeights, UnknownTarget
from batos.image import blobs
from batos.mind import select, sources

if TYPE_CHECKING:
    from pathlib import Path

    from batos.image.store import Image
    from batos.mind.protocol import ModelSpec
    from batos.settings import Settings

_log = logging.getLogger("batos.weights")
_MIB = 1 << 20
_SAY_SECONDS = 10.0


class Provision:
    """Makes the weights of models be in the image, once each, and says where they lie.

    Args:
        image: The image; its blobs hold the weights from then on.
        settings: Which models, where the cache is.
    """

    def __init__(self, image: Image, settings: Settings) -> None:
        self._image = image
        self._settings = settings
        self._locks: dict[str, asyncio.Lock] = {}
        self._specs: dict[str, ModelSpec] = {}
        self._states: dict[str, dict[str, Any]] = {}
        self._stop = False

    def statistics(self) -> dict[str, Any]:
        """For each model that was asked for: `state` (fetching, entering, ready, missing), bytes `done` and `total`."""
        return {name: dict(state) for name, state in self._states.items()}

    def close(self) -> None:
        """Stop a fetch in progress; what has come stays in the cache."""
        self._stop = True

    def model_name(self, persona: str) -> str:
        """The model of a persona."""
        return select.model_for(self._settings, persona)

    async def spec(self, persona_or_model: str) -> ModelSpec:
        """Where a persona's model, or a named model, lies; waits for its weights.

        Raises:
            NoWeights: No source has them.
        """
        name = persona_or_model
        if name.upper() in ("ALFRED", "BRICK", "ROBIN", "BABS", ""):
            name = self.model_name(name.upper() or self._settings.default_persona_model)
        lock = self._locks.setdefault(name, asyncio.Lock())
        async with lock:
            if name not in self._specs:
                self._specs[name] = await self._make(name)
            return self._specs[name]

    async def _make(self, name: str) -> ModelSpec:
        try:
            spec = await self._enter(name)
        except BatosError:
            self._states[name] = {"state": "missing"}
            raise
        self._states[name] = {"state": "ready", "path": spec.path}
        return spec

    async def _enter(self, name: str) -> ModelSpec:
        """From the image, else into it."""
        return await asyncio.to_thread(self._enter_now, name)

    def _enter_now(self, name: str) -> ModelSpec:
        if not select.is_catalogued(name):
            return select.resolve(self._settings, name)
        sha256 = select.digest_of(name)
        try:
            path = blobs.path(self._image, name)
        except (UnknownTarget, NoWeights):
            file = self._fetch(name)
            self._states[name] = {"state": "entering"}
            blobs.adopt_file(self._image, file, sha256=sha256, name=name)
            path = blobs.path(self._image, name)
        return select.spec_of(name, path, sha256)

    def _fetch(self, name: str) -> Path:
        said = 0.0

        def progress(done: int, total: int, text: str) -> None:
            nonlocal said
            self._states[name] = {"state": "fetching", "done": done, "total": total}
            if time.monotonic() - said > _SAY_SECONDS:
                said = time.monotonic()
                _log.info("%s: %d of %d MiB, %s", name, done // _MIB, total // _MIB, text)

        settings = self._settings
        return sources.fetch(name, settings.weights_cache, progress, settings.hub_seconds, cancelled=lambda: self._stop)
