"""LoRA adapters from the staging folder into the image: tried on the models in use, with a reason for each refusal."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from batos.errors import BatosError
from batos.image import blobs, minds
from batos.mind.protocol import AdapterSpec
from batos.mind.service import HostMind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batos.image.store import Image
    from batos.kernel.provision import Provision
    from batos.mind.protocol import Mind, ModelSpec
    from batos.settings import Settings

_log = logging.getLogger("batos.adapters")
CONFIG, WEIGHTS, REASON = "adapter_config.json", "adapter_model.safetensors", ".refused.txt"


class Staged(NamedTuple):
    """An adapter in the staging folder: its name, its config and its weights."""

    name: str
    config: Path
    weights: Path


class Adoption:
    """Takes adapters in.

    Args:
        image: The image.
        mind: The mind whose models they are tried on.
        provision: Says where those models lie.
        settings: LORA_STAGING_DIR and the personas' models.
    """

    def __init__(self, image: Image, mind: Mind, provision: Provision, settings: Settings) -> None:
        self._image = image
        self._mind = mind
        self._provision = provision
        self._folder = settings.path(settings.lora_staging_dir)
        self._busy = asyncio.Lock()

    async def adopt_all(self) -> dict[str, Any]:
        """Take in what is staged.

        Returns:
            `taken`: names of adapters that are new in the image; `refused`: name → why; `known`: names it had already.
        """
        report: dict[str, Any] = {"taken": [], "known": [], "refused": {}}
        async with self._busy:
            if not self._folder.is_dir():
                return report
            for staged in await asyncio.to_thread(lambda: list(staged_in(self._folder))):
                await self._adopt(staged, report)
        return report

    async def _adopt(self, staged: Staged, report: dict[str, Any]) -> None:
        reason = self._folder / f"{staged.name}{REASON}"
        try:
            sha256 = await asyncio.to_thread(digest, staged)
            if (await self._image.read(minds.has_adapter, staged.name, sha256)).value:
                report["known"].append(staged.name)
                return
            await self._take(staged, sha256)
        except (BatosError, OSError) as error:
            report["refused"][staged.name] = str(error)
            _log.warning("%s", error)
            await asyncio.to_thread(reason.write_text, f"{error}\n", encoding="utf-8")
        else:
            report["taken"].append(staged.name)
            reason.unlink(missing_ok=True)
            _log.info("the adapter %s was taken into the image", staged.name)

    async def _take(self, staged: Staged, sha256: str) -> None:
        with tempfile.TemporaryDirectory(prefix="batos-adapter-") as place:
            folder = Path(place)
            await asyncio.to_thread(_lay_out, staged, folder)
            spec = AdapterSpec(name=staged.name, path=str(folder), sha256=sha256)
            model, about = await self._fitting(spec)
            name = minds.blob_name(staged.name)
            await asyncio.to_thread(blobs.adopt_folder, self._image, folder, name=name, source=str(staged.weights))
        fields = {"sha256": sha256, "model": model, **{key: about[key] for key in ("rank", "modules", "base")}}
        await self._image.transact(minds.take_in, staged.name, fields, note=f"adopt the adapter {staged.name}")

    async def _fitting(self, spec: AdapterSpec) -> tuple[str, dict[str, Any]]:
        """The first model in use that an adapter fits, and what the adapter is.

        Raises:
            BatosError: It fits none; the error is that of the first model.
        """
        if not isinstance(self._mind, HostMind):
            raise BatosError(
                f"the adapter {spec.name} is refused: this engine has no local models to try it on",
                "Set ENGINE to llama.cpp or transformers.",
            )
        first: BatosError | None = None
        for model in await self._models():
            try:
                return model.name, await self._mind.check_adapter(model, spec)
            except BatosError as error:
                first = first or error
        raise first or BatosError(f"the adapter {spec.name} is refused: no model is there to try it on")

    async def _models(self) -> list[ModelSpec]:
        found: dict[str, ModelSpec] = {}
        for persona in minds.PERSONAS:
            spec = await self._provision.spec(persona)
            found[spec.name] = spec
        return list(found.values())


def staged_in(folder: Path) -> Iterator[Staged]:
    """What lies in a staging folder: folders as peft saves them, and single files with `NAME.json` beside them."""
    for entry in sorted(folder.iterdir()):
        name = entry.stem.upper()
        if entry.is_dir() and (entry / CONFIG).is_file():
            yield Staged(entry.name.upper(), entry / CONFIG, entry / WEIGHTS)
        elif entry.suffix == ".safetensors":
            yield Staged(name, entry.with_suffix(".json"), entry)


def digest(staged: Staged) -> str:
    """The digest of an adapter: of its config and its weights together; a missing file counts as empty."""
    sha = hashlib.sha256()
    for file in (staged.config, staged.weights):
        data = file.read_bytes() if file.is_file() else b""
        sha.update(hashlib.sha256(data).digest())
    return sha.hexdigest()


def _lay_out(staged: Staged, folder: Path) -> None:
    """Copy an adapter's files under the names that peft gives them; the staged ones stay as they are."""
    for file, name in ((staged.config, CONFIG), (staged.weights, WEIGHTS)):
        if file.is_file():
            shutil.copyfile(file, folder / name)
    for pickle in staged.weights.parent.glob("adapter_model.bin"):
        (folder / pickle.name).touch()  # its name is enough for the reason
