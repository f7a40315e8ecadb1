"""What runs on a CUDA device: NF4, batches, constraints, adapters, memory; the same promises as on the cores."""

import json

import pytest

from batos.mind import device, select
from batos.mind.device import installed
from batos.mind.protocol import GenerateRequest, ModelSpec
from batos.mind.service import HostMind

from .teaching import adapters_take_turns, tiny_model


def missing() -> str:
    """Why these tests cannot run here; empty where they can."""
    if not device.cuda_devices():
        return "there is no CUDA device"
    lacking = [name for name in ("torch", "transformers", "bitsandbytes", "accelerate", "peft") if not installed(name)]
    if lacking:
        return f"not installed: {', '.join(lacking)}"
    import torch

    return "" if torch.cuda.is_available() else "this torch is built for the CPU alone"


pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(bool(missing()), reason=missing() or "a CUDA device is there"),
    pytest.mark.filterwarnings("ignore"),  # of libraries that we do not steer
]
WORD = {"enum": ["red", "green"]}


def asked(text="go", **more):
    return GenerateRequest(state="X", messages=({"role": "user", "content": text},), **{"max_tokens": 8, **more})


def test_auto_takes_the_device():
    """ENGINE=auto chooses transformers and says that there is a device; the budget is of its memory."""
    choice = select.choose_engine("auto")
    assert (choice.engine, "CUDA" in choice.reason) == ("transformers", True)
    assert device.cuda_memory_bytes() > 1 << 30


def test_texts_repeat_and_memory_comes_back(tmp_path):
    """In NF4 on the device a batch repeats, a schema holds, and after closing the device's memory is as before."""
    import torch

    from batos.mind.transformers_engine import TransformersEngine

    before = torch.cuda.memory_allocated()
    spec = ModelSpec(name="tiny", path=str(tiny_model(tmp_path / "tiny")), kind="transformers", context=256)
    engine = TransformersEngine(spec)
    try:
        assert torch.cuda.memory_allocated() > before
        request = asked(n=4, temperature=0.8)
        first, again = (engine.generate(request, lambda text: None, lambda: False).texts for _ in range(2))
        assert first == again
        assert len(set(first)) > 1
        held = engine.generate(asked(schema=WORD, max_tokens=20), lambda text: None, lambda: False)
        assert json.loads(held.texts[0]) in WORD["enum"]
    finally:
        engine.close()
    del engine
    torch.cuda.empty_cache()
    assert torch.cuda.memory_allocated() <= before * 1.05 + (1 << 20)


def test_adapters_take_turns_on_the_device(tmp_path):
    """Adapters change the words and leave the base's to the letter, as on the cores."""
    assert len(adapters_take_turns(tmp_path, "cuda")) == 3


@pytest.mark.real
async def test_real_weights_through_the_host(weights, tmp_path):
    """A GGUF model is brought to NF4 once and writes on the device, through the host, the same text each time."""
    from dataclasses import replace

    spec = weights("qwen2.5-coder-0.5b")
    mind = HostMind({"m": replace(spec, extra={"quantized": str(tmp_path / "nf4")})}, engine="auto")
    try:
        assert mind.choice.engine == "transformers"
        request = asked("Count to five.", model="m", n=2, temperature=0.7)
        assert (await mind.generate(request)).texts == (await mind.generate(request)).texts
    finally:
        await mind.close()
