"""LoRA adapters: which are refused and why, what they are for llama.cpp, and that they change outputs and are undone."""

import json

import numpy as np
import pytest
import safetensors.numpy

from batos.errors import ModelError
from batos.mind import adapters
from batos.mind.protocol import AdapterSpec, ModelSpec

RANK = 2
PREFIX = "base_model.model.model.layers.0.self_attn."


@pytest.fixture
def make(tmp_path):
    """Write an adapter's folder; gives its spec."""

    def write(tensors=None, name="a", **config):
        folder = tmp_path / name
        folder.mkdir()
        config = {"peft_type": "LORA", "r": RANK, "lora_alpha": 4, "base_model_name_or_path": "tiny"} | config
        (folder / adapters.CONFIG).write_text(json.dumps(config))
        safetensors.numpy.save_file(tensors if tensors is not None else pair("q_proj", 6, 8), folder / adapters.WEIGHTS)
        return AdapterSpec(name=name, path=str(folder), sha256="f" * 64)

    return write


def pair(module, outer, inner, rank=RANK):
    chance = np.random.default_rng(1)
    return {
        f"{PREFIX}{module}.lora_A.weight": chance.standard_normal((rank, inner), np.float32),
        f"{PREFIX}{module}.lora_B.weight": chance.standard_normal((outer, rank), np.float32),
    }


@pytest.fixture
def base(tmp_path):
    """A folder of a base model with one module."""
    folder = tmp_path / "base"
    folder.mkdir()
    safetensors.numpy.save_file(
        {"model.layers.0.self_attn.q_proj.weight": np.zeros((6, 8), np.float32)}, folder / "model.safetensors"
    )
    return ModelSpec(name="tiny", path=str(folder), kind="transformers")


def test_good_adapter(make, base):
    """A folder as peft saves it is read, and fits the base that it was made for."""
    assert adapters.check(make(), base) == {"name": "a", "rank": RANK, "alpha": 4.0, "modules": 1, "base": "tiny"}


def test_rank_stabilised_scaling(make):
    """With rsLoRA the product counts by the root of the rank."""
    assert adapters.read("a", adapters.Path(make(use_rslora=True).path)).alpha == pytest.approx(4 * RANK**0.5)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"peft_type": "IA3"}, "no LoRA adapter"),
        ({"r": 0}, "no LoRA adapter"),
        ({"use_dora": True}, "use_dora"),
        ({"rank_pattern": {"q_proj": 4}}, "rank_pattern"),
        ({"r": 3}, "do not fit together at rank 3"),
    ],
)
def test_configs_that_are_refused(make, base, config, why):
    """What is not plain LoRA, or does not belong to its weights, is refused by name."""
    with pytest.raises(ModelError, match=why):
        adapters.check(make(**config), base)


@pytest.mark.parametrize(
    ("tensors", "why"),
    [
        ({}, "no LoRA matrices"),
        (pair("q_proj", 6, 8) | {"x.weight": np.zeros((1, 1), np.float32)}, "no LoRA matrix"),
        (dict(list(pair("q_proj", 6, 8).items())[:1]), "do not fit together"),
        ({key: value.astype(np.int8) for key, value in pair("q_proj", 6, 8).items()}, "I8"),
        (pair("q_proj", 6, 9), "another base"),
        (pair("v_proj", 6, 8), "no module .*v_proj"),
    ],
)
def test_weights_that_are_refused(make, base, tensors, why):
    """Other tensors, other numbers, other shapes and other modules are refused, and what is wrong is said."""
    with pytest.raises(ModelError, match=why):
        adapters.check(make(tensors), base)


def test_pickles_are_never_read(make, base):
    """A pickle beside the config is named and refused; it is not opened."""
    spec = make()
    folder = adapters.Path(spec.path)
    (folder / adapters.WEIGHTS).unlink()
    (folder / "adapter_model.bin").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ModelError, match="pickle"):
        adapters.check(spec, base)


@pytest.mark.parametrize("damage", ["config", "weights", "list"])
def test_broken_files(make, base, damage):
    """A broken config or broken weights are refused with what the reader says."""
    spec = make()
    folder = adapters.Path(spec.path)
    broken = {"config": (adapters.CONFIG, "{"), "list": (adapters.CONFIG, "[1]"), "weights": (adapters.WEIGHTS, "xx")}
    file, text = broken[damage]
    (folder / file).write_text(text)
    with pytest.raises(ModelError, match="refused"):
        adapters.check(spec, base)


def test_half_precision_numbers(make):
    """bfloat16 and float16 weights come out as the numbers that they are."""
    import torch
    from safetensors.torch import save_file

    spec = make()
    wanted = {key: torch.tensor(value) for key, value in pair("q_proj", 6, 8).items()}
    for kind in (torch.bfloat16, torch.float16):
        halves = {key: value.to(kind) for key, value in wanted.items()}
        save_file(halves, adapters.Path(spec.path) / adapters.WEIGHTS)
        (found,) = adapters.read("a", adapters.Path(spec.path)).pairs.values()
        down, up = (value.float().numpy() for value in halves.values())
        assert np.array_equal(found.down, down)
        assert np.array_equal(found.up, up)


def test_rows_of_llama_files_are_interleaved():
    """Rows of a head are ordered as llama files want them: undone by the opposite order, nothing is lost."""
    rows = np.arange(16.0).reshape(8, 2)
    mixed = adapters._interleaved(rows, heads=2)
    assert mixed[:4, 0].tolist() == [0.0, 4.0, 2.0, 6.0]
    assert sorted(mixed.flatten()) == sorted(rows.flatten())
