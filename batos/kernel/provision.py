"""Weights and adapters for the personas: from the image's blobs, else from the cache, else fetched; visible all the while.

Where the engine wants 4-bit folders, one is made of a GGUF file or a folder once and kept in the image beside it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batos.errors import BatosError, NoWeights, UnknownTarget
from batos.image import blobs, minds
from batos.mind import select, sources
from batos.mind.catalog import find
from batos.mind.protocol import AdapterSpec

if TYPE_CHECKING:
    from batos.image.store import Image, View
    from batos.mind.catalog import FileEntry
    from batos.mind.protocol import ModelSpec
    from batos.settings import Settings

Quantize = Callable[["ModelSpec", Path], Awaitable[None]]

_log = logging.getLogger("batos.weights")
_NF4 = "@nf4"
_WORK = "folder-"
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
        for left in (image.blob_dir / "tmp").glob(f"{_WORK}*"):  # of a kernel that was killed
            shutil.rmtree(left, ignore_errors=True)
        self._laid: dict[str, Path] = {}
        self._folders: list[tempfile.TemporaryDirectory[str]] = []
        self.quantize: Quantize | None = None
        """Makes a 4-bit folder of a model; None where the engine does not want one."""

    def statistics(self) -> dict[str, Any]:
        """For each model that was asked for: `state` (fetching, entering, ready, missing), bytes `done` and `total`."""
        return {name: dict(state) for name, state in self._states.items()}

    def close(self) -> None:
        """Stop a fetch in progress; what has come stays in the cache."""
        self._stop = True
        for folder in self._folders:
            folder.cleanup()

    async def model_name(self, persona: str) -> str:
        """The model of a persona: as the setting says, else as the image says, else the default for this machine."""
        if not self._settings.persona_models:
            said = (await self._image.read(minds.assigned, persona)).value["model"]
            if said:
                return str(said)
        return select.model_for(self._settings, persona)

    async def adapter(self, persona_or_name: str) -> AdapterSpec | None:
        """The adapter of a persona, or the one of that name; None for a persona without one.

        Raises:
            UnknownTarget: There is no adapter of that name.
        """
        name = persona_or_name
        if name.upper() in minds.PERSONAS:
            name = (await self._image.read(minds.assigned, name)).value["adapter"]
        if not name:
            return None
        sha256 = (await self._image.read(minds.adapter_digest, name)).value
        folder = await asyncio.to_thread(self._laid_out, minds.blob_name(name), sha256)
        return AdapterSpec(name=name, path=str(folder), sha256=sha256)

    async def spec(self, persona_or_model: str) -> ModelSpec:
        """Where a persona's model, or a named model, lies; waits for its weights.

        Raises:
            NoWeights: No source has them.
        """
        name = persona_or_model
        if name.upper() in (*minds.PERSONAS, ""):
            name = await self.model_name(name.upper() or self._settings.default_persona_model)
        lock = self._locks.setdefault(name, asyncio.Lock())
        async with lock:
            if name not in self._specs:
                self._specs[name] = await self._make(name)
            return self._specs[name]

    async def _make(self, name: str) -> ModelSpec:
        try:
            spec = await self._enter(name)
            if self.quantize is not None and await asyncio.to_thread(_is_plain, spec):
                spec = await self._in_four_bits(spec, self.quantize)
        except BatosError:
            self._states[name] = {"state": "missing"}
            raise
        self._states[name] = {"state": "ready", "path": spec.path}
        return spec

    async def _enter(self, name: str) -> ModelSpec:
        """From the image, else into it."""
        return await asyncio.to_thread(self._enter_now, name)

    async def _in_four_bits(self, spec: ModelSpec, quantize: Quantize) -> ModelSpec:
        """The 4-bit folder of a model, from the image, else made and taken in; anew where the weights have changed."""
        name, source = spec.name + _NF4, f"{spec.name} {spec.sha256}"
        made = (await self._image.read(_is_made_of, name, source)).value
        if not (made and await asyncio.to_thread(self._is_sound, name)):
            self._states[spec.name] = {"state": "quantizing"}
            with tempfile.TemporaryDirectory(dir=self._place(), prefix=_WORK) as place:
                folder = Path(place) / "nf4"
                await quantize(spec, folder)
                await asyncio.to_thread(blobs.adopt_folder, self._image, folder, name=name, source=source)
        folder = await asyncio.to_thread(self._laid_out, name, spec.sha256)
        return replace(spec, path=str(folder), kind="transformers")

    def _is_sound(self, name: str) -> bool:
        """Whether weights of the image still are what was taken in; reads them once a boot."""
        try:
            blobs.verify(self._image, name)
        except NoWeights as error:
            _log.warning("%s", error.message)
            return False
        return True

    def _laid_out(self, name: str, version: str) -> Path:
        """A folder of the image's weights under its own file names: links to the blobs, as long as the kernel runs."""
        key = f"{name} {version}"
        if key not in self._laid:
            place = tempfile.TemporaryDirectory(dir=self._place(), prefix=_WORK)
            self._folders.append(place)
            self._laid[key] = blobs.folder(self._image, name, Path(place.name))
        return self._laid[key]

    def _place(self) -> Path:
        """Where folders are made: beside the blobs, so that files are linked; it goes with the kernel."""
        place = self._image.blob_dir / "tmp"
        place.mkdir(parents=True, exist_ok=True)
        return place

    def _enter_now(self, name: str) -> ModelSpec:
        if not select.is_catalogued(name):
            if sources.is_hub_id(name) and not self._settings.path(name).exists():
                self._fetch(name)
            return select.resolve(self._settings, name)
        files = find(name).files
        sha256 = select.digest_of(name)
        try:
            blobs.verify(self._image, name)  # once a boot: what is asked for again is known by then
            path = self._from_image(name, sha256, files)
        except (UnknownTarget, NoWeights):
            fetched = self._fetch(name)
            self._states[name] = {"state": "entering"}
            if len(files) == 1:
                blobs.adopt_file(self._image, fetched, sha256=sha256, name=name)
            else:
                digests = {file.path: file.sha256 for file in files}
                blobs.adopt_folder(self._image, fetched, digests=digests, name=name)
            path = self._from_image(name, sha256, files)
        return select.spec_of(name, path, sha256)

    def _from_image(self, name: str, sha256: str, files: tuple[FileEntry, ...]) -> Path:
        return blobs.path(self._image, name) if len(files) == 1 else self._laid_out(name, sha256)

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


def _is_plain(spec: ModelSpec) -> bool:
    """Whether a model's weights are not in 4 bits yet: a GGUF file, or a folder that says nothing of it."""
    if spec.kind != "transformers":
        return spec.kind == "gguf"
    try:
        config = json.loads((Path(spec.path) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False  # the engine says what is wrong with it
    return "quantization_config" not in config


def _is_made_of(view: View, name: str, source: str) -> bool:
    return any(record["name"] == name and record["source"] == source for record in blobs.listing(view))
