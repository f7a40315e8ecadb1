"""Weights in the image: 4-bit folders are made once and stay, adapters lie ready, nothing is left behind."""

import asyncio
import json
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest

from batos.image import blobs, migrations
from batos.image.store import Image
from batos.kernel.provision import Provision
from batos.mind.device import installed
from batos.mind.protocol import ModelSpec
from batos.mind.service import HostMind
from batos.mind.transformers_engine import TransformersEngine, quantize
from batos.settings import Settings
from tests.memory.weights import MODEL, embedding_cache
from tests.mind.teaching import said, tiny_model

NEEDED = [name for name in ("torch", "transformers", "bitsandbytes", "accelerate") if not installed(name)]


@pytest.fixture
def home(tmp_path):
    """A folder with a model's file."""
    (tmp_path / "tiny.gguf").write_bytes(b"GGUF")
    return tmp_path


class Kernel:
    """An open image with its provision, as the kernel has them."""

    def __init__(self, home, model="tiny.gguf"):
        settings = Settings(home=home, persona_models=model)
        self.image = Image(settings.image_path, settings.blob_path)
        migrations.migrate(self.image)
        self.provision = Provision(self.image, settings)
        self.made = []
        self.provision.quantize = self.quantize

    async def quantize(self, spec, folder):
        self.made.append(spec.name)
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"four bits")

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.provision.close()
        await self.image.close()


async def test_four_bits_are_made_once(home):
    """The 4-bit folder of a GGUF file is made once, kept in the image, and laid out from there ever after."""
    for kernel_made in (["tiny"], []):
        async with Kernel(home) as kernel:
            spec = await kernel.provision.spec("BRICK")
            assert (spec.kind, kernel.made) == ("transformers", kernel_made)
            folder = kernel.image.blob_dir / "tmp"
            assert (folder / spec.path / "model.safetensors").read_bytes() == b"four bits"
            assert await kernel.provision.spec("ROBIN") == spec
            blobs.verify(kernel.image, "tiny@nf4")
        assert not list(folder.glob("folder-*"))


async def test_damage_in_the_image_is_found_at_the_next_start(home):
    """Digests are held against the bytes once a boot: a blob of the same size and time with other bytes is not loaded but made anew."""
    async with Kernel(home) as kernel:
        await kernel.provision.spec("BRICK")
        (blob,) = [file for file in kernel.image.blob_dir.rglob("*.blob") if file.read_bytes() == b"four bits"]
    times = blob.stat()
    blob.chmod(0o600)
    blob.write_bytes(b"four BITS")
    os.utime(blob, ns=(times.st_atime_ns, times.st_mtime_ns))
    async with Kernel(home) as kernel:
        spec = await kernel.provision.spec("BRICK")
        assert kernel.made == ["tiny"]
        assert (Path(spec.path) / "model.safetensors").read_bytes() == b"four bits"


async def test_four_bits_are_made_anew_of_other_weights(home):
    """A file of the same name with other bytes is another model: its 4-bit folder takes the place of the old one's."""
    for content, kernel_made in ((b"GGUF", ["tiny"]), (b"GGUF other", ["tiny"]), (b"GGUF other", [])):
        (home / "tiny.gguf").write_bytes(content)
        async with Kernel(home) as kernel:
            await kernel.provision.spec("BRICK")
            assert kernel.made == kernel_made


@pytest.mark.skipif(bool(NEEDED), reason=f"not installed: {', '.join(NEEDED)}")
@pytest.mark.filterwarnings("ignore")  # of libraries that we do not steer
async def test_a_folder_of_weights_is_brought_to_four_bits_once(tmp_path):
    """With the real quantisation: the image keeps the 4-bit folder with its digests, the next start loads it, and it writes the same."""
    folder = tiny_model(tmp_path / "tiny")
    engine = TransformersEngine(ModelSpec(name="tiny", path=str(folder), kind="transformers", context=256))
    expected = said(engine, "go").texts
    engine.close()
    for times in (1, 0):
        async with Kernel(tmp_path, "tiny") as kernel:
            made = []

            async def make(spec, into, made=made):
                made.append(spec.name)
                await asyncio.to_thread(quantize, Path(spec.path), into)

            kernel.provision.quantize = make
            spec = await kernel.provision.spec("BRICK")
            assert made == ["tiny"] * times
            blobs.verify(kernel.image, "tiny@nf4")
            assert kernel.image.blob_dir in Path(spec.path).parents
            assert "quantization_config" in json.loads((Path(spec.path) / "config.json").read_text())
            engine = TransformersEngine(replace(spec, context=256))
            try:
                assert said(engine, "go").texts == expected
            finally:
                engine.close()


async def test_a_folder_in_four_bits_is_left_as_it_is(tmp_path):
    """A folder that was quantised already is loaded as it is; nothing is made of it."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "config.json").write_text('{"quantization_config": {}}')
    (tmp_path / "own" / "model.safetensors").write_bytes(b"w")
    async with Kernel(tmp_path, "own") as kernel:
        assert (await kernel.provision.spec("BRICK")).path == str(tmp_path / "own")
        assert kernel.made == []


async def test_what_a_killed_kernel_left_goes(home):
    """Folders that a killed kernel had laid out are gone after the next start."""
    async with Kernel(home) as kernel:
        left = kernel.image.blob_dir / "tmp" / "folder-old"
        left.mkdir(parents=True)
    async with Kernel(home):
        assert not left.exists()


async def test_a_persona_without_an_adapter_has_none(home):
    """No adapter is no trouble; a named one that is not there is an error; a persona's own model wins over the default."""
    async with Kernel(home) as kernel:
        assert await kernel.provision.adapter("BRICK") is None
        assert await kernel.provision.adapter("") is None
        with pytest.raises(Exception, match="no adapter 'X'"):
            await kernel.provision.adapter("X")


async def test_the_image_names_a_personas_model(home):
    """Without the setting the image's word counts; with it the setting's."""
    async with Kernel(home) as kernel:

        def say(view):
            view.root["brick_prototype_obj"]._slots["model_id"] = "mine"

        await kernel.image.transact(say)
        assert await kernel.provision.model_name("BRICK") == "tiny.gguf"
        bare = Provision(kernel.image, Settings(home=home))
        assert await bare.model_name("BRICK") == "mine"


@pytest.mark.real
async def test_the_embedding_model_enters_the_image_and_embeds(tmp_path):
    """A model of several files enters the image whole, is laid out from there, and the host embeds with it; also without the cache."""
    cache = embedding_cache()
    for weights_cache in (cache, tmp_path / "empty"):
        settings = Settings(home=tmp_path, weights_cache=weights_cache)
        image = Image(settings.image_path, settings.blob_path)
        migrations.migrate(image)
        provision = Provision(image, settings)
        mind = HostMind(provision.spec, embedding=MODEL)
        try:
            owl, bird, tax = await mind.embed(["an owl", "a bird of the night", "the tax on wine"])
            assert math.dist(owl, bird) < math.dist(owl, tax)
            assert blobs.verify(image, MODEL) is None
            assert image.blob_dir in Path((await provision.spec(MODEL)).path).parents
        finally:
            await mind.close()
            provision.close()
            await image.close()
