"""Small models and small adapters for tests, made on the spot: nothing is fetched and nothing is kept."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from batos.errors import ModelError
from batos.mind.protocol import AdapterSpec, GenerateReply, GenerateRequest, ModelSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

KNOWN_BY_HEART = 1e-3
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"


def tiny_model(folder: Path) -> Path:
    """Save a random two-layer model with a tokenizer of its own, as transformers does."""
    import torch
    import transformers
    from tokenizers import ByteLevelBPETokenizer

    torch.manual_seed(7)
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(["the quick brown fox", "assistant: user:"], vocab_size=300, special_tokens=["<end>"])
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer._tokenizer, eos_token="<end>")
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    config = transformers.Qwen2Config(
        vocab_size=len(fast) + 7, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=256, eos_token_id=0, bos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    transformers.Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    return folder


def teach(
    model: Any,
    ids: Any,
    folder: Path,
    *,
    steps: int,
    name: str = "TAUGHT",
    answer_from: int = 0,
    rate: float = 1e-2,
    modules: Sequence[str] = ("q_proj", "k_proj", "v_proj"),
    layers: Sequence[int] | None = None,
) -> AdapterSpec:
    """Train a small adapter on one text by heart and save it as peft does.

    Args:
        model: The base; it is left as it was.
        ids: Tokens of the text, shape (1, length).
        folder: Where the adapter goes.
        steps: Steps of training at most; it ends when the text is known by heart.
        name: The adapter's name.
        answer_from: Tokens before this place are given, not taught.
        rate: How far a step goes.
        modules: What the adapter is laid on.
        layers: Where; everywhere if it is not said. Only from the first of them on must a step go back.
    """
    import peft
    import torch

    torch.manual_seed(5)
    where = {"target_modules": list(modules), "layers_to_transform": None if layers is None else list(layers)}
    config = peft.LoraConfig(r=4, lora_alpha=16, task_type="CAUSAL_LM", **where)
    learner = peft.get_peft_model(model, config)
    labels = ids.clone()
    labels[:, :answer_from] = -100
    optimizer = torch.optim.AdamW([p for p in learner.parameters() if p.requires_grad], lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = learner(input_ids=ids, labels=labels).loss
        if loss.item() < KNOWN_BY_HEART:
            break
        loss.backward()
        optimizer.step()
    learner.save_pretrained(folder)
    learner.unload()
    sha256 = hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()
    return AdapterSpec(name=name, path=str(folder), sha256=sha256)


def said(engine: Any, text: str, **more: Any) -> GenerateReply:
    """What an engine writes, greedily."""
    request = GenerateRequest(state="X", messages=({"role": "user", "content": text},), max_tokens=8, **more)
    return engine.generate(request, lambda token: None, lambda: False)


def adapters_take_turns(place: Path, device: str = "cpu") -> set[tuple[str, ...]]:
    """Teach a tiny model two adapters and let them take turns; each time its words are those of the first time.

    Returns:
        The different words that were heard: of one, of the other, and of the base.
    """
    import torch
    import transformers

    from batos.mind.transformers_engine import TransformersEngine

    folder = tiny_model(place / "tiny")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    specs = []
    for name, word in (("ONE", " fox fox fox fox"), ("TWO", " the the the the")):
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        ids = tokenizer("user: go\nassistant:" + word, return_tensors="pt").input_ids
        specs.append(teach(model, ids, place / name, steps=60, name=name))
    engine = TransformersEngine(ModelSpec(name="tiny", path=str(folder), kind="transformers", context=256))
    try:
        assert next(engine._model.parameters()).device.type == device
        base = said(engine, "go").texts
        heard = []
        for spec in (*specs, None, *specs, None):
            engine.adapt(spec)
            reply = said(engine, "go")
            heard.append(reply.texts)
            assert reply.adapter == (f"{spec.name} {spec.sha256}" if spec else "")
        one, two, *_ = heard
        assert heard == [one, two, base, one, two, base]
        with pytest.raises(ModelError, match="missing"):
            engine.adapt(specs[0].__class__(name="GONE", path=str(place)))
        assert said(engine, "go").texts == base
        return {base, one, two}
    finally:
        engine.close()
