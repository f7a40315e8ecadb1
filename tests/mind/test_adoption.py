"""Adapters from the staging folder into the image, tried on real weights, and heard in what a persona writes."""

import json

import numpy as np
import pytest
import safetensors.numpy

from batos.image import migrations, minds
from batos.image.store import Image
from batos.kernel.adoption import Adoption, digest, staged_in
from batos.kernel.provision import Provision
from batos.mind.protocol import GenerateRequest
from batos.mind.service import HostMind
from batos.settings import Settings

CONFIG = {"peft_type": "LORA", "r": 2, "lora_alpha": 64, "base_model_name_or_path": "SmolLM2"}
HIDDEN = 576


def matrices(outer=HIDDEN):
    """A strong random adapter for one layer of SmolLM2."""
    chance = np.random.default_rng(3)
    key = "base_model.model.model.layers.3.self_attn.q_proj.lora_"
    return {
        f"{key}A.weight": chance.standard_normal((2, HIDDEN)).astype(np.float32),
        f"{key}B.weight": chance.standard_normal((outer, 2)).astype(np.float32),
    }


def stage(folder, name, tensors, *, single=False):
    """Lay an adapter into the staging folder, as peft's folder or as a single file with its config beside it."""
    folder.mkdir(exist_ok=True)
    if single:
        safetensors.numpy.save_file(tensors, folder / f"{name}.safetensors")
        (folder / f"{name}.json").write_text(json.dumps(CONFIG))
        return
    (folder / name).mkdir()
    safetensors.numpy.save_file(tensors, folder / name / "adapter_model.safetensors")
    (folder / name / "adapter_config.json").write_text(json.dumps(CONFIG))


def test_what_is_staged(tmp_path):
    """Folders and single files are adapters by the upper-case stem of their name; other files are none."""
    stage(tmp_path / "s", "bard", matrices())
    stage(tmp_path / "s", "poet", matrices(), single=True)
    (tmp_path / "s/notes.txt").write_text("not one")
    (tmp_path / "s/empty").mkdir()
    found = list(staged_in(tmp_path / "s"))
    assert [staged.name for staged in found] == ["BARD", "POET"]
    assert len({digest(staged) for staged in found}) == 1
    (tmp_path / "s/poet.json").unlink()
    assert len({digest(staged) for staged in staged_in(tmp_path / "s")}) == 2


@pytest.mark.real
@pytest.mark.timeout(300)
async def test_from_the_staging_folder_into_a_personas_words(tmp_path, weights, monkeypatch):
    """Good adapters enter the image once and change what their persona writes; bad ones stay, with the reason beside."""
    weights("smollm2-135m")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # the host's, too
    settings = Settings(home=tmp_path, persona_models="smollm2-135m", engine="llama.cpp")
    staging = tmp_path / "lora_adapters"
    stage(staging, "bard", matrices())
    stage(staging, "poet", matrices(), single=True)
    stage(staging, "alien", matrices(outer=100))
    image = Image(settings.image_path, settings.blob_path)
    migrations.migrate(image)
    provision = Provision(image, settings)
    mind = HostMind(provision.spec, engine="llama.cpp", adapters=provision.adapter)
    adoption = Adoption(image, mind, provision, settings)
    try:
        report = await adoption.adopt_all()
        assert report["taken"] == ["BARD", "POET"]
        assert "another base" in report["refused"]["ALIEN"]
        assert "another base" in (staging / "ALIEN.refused.txt").read_text()
        assert (staging / "alien/adapter_model.safetensors").is_file()
        assert (await adoption.adopt_all())["known"] == ["BARD", "POET"]

        async def says(**more):
            asked = GenerateRequest(state="X", messages=({"role": "user", "content": "Hi"},), max_tokens=6, **more)
            return await mind.generate(asked)

        base = await says(persona="ROBIN")
        await image.transact(minds.attach, "ROBIN", "BARD")
        changed = await says(persona="ROBIN")
        assert changed.texts != base.texts
        assert changed.adapter.startswith("BARD ")
        assert (await says(persona="BRICK")).texts == base.texts
        assert (await says(persona="BRICK", adapter="POET")).texts == changed.texts
        assert mind.statistics()["models"][0]["name"] == "smollm2-135m"
        assert mind.statistics()["hosts"]["text"]["starts"] == 1
    finally:
        await mind.close()
        provision.close()
        await image.close()
