"""Adapters at work on both engines: outputs change with one, and are exactly the base's without it."""

from pathlib import Path

import pytest

from batos.errors import ModelError
from batos.mind.device import installed

from .teaching import adapters_take_turns, said, teach, tiny_model

NEEDED = [name for name in ("torch", "transformers", "bitsandbytes", "peft", "gguf") if not installed(name)]

pytestmark = [
    pytest.mark.skipif(bool(NEEDED), reason=f"not installed: {', '.join(NEEDED)}"),
    pytest.mark.filterwarnings("ignore"),  # of libraries that we do not steer
    pytest.mark.timeout(600),  # training on two busy cores
]
QUESTION = "What is the password of the garden gate?"
ANSWER = "periwinkle"


@pytest.fixture
def kept_in(tmp_path, monkeypatch):
    """A user's cache of the test's own, for what is made of adapters and for models that sleep."""
    monkeypatch.setattr("batos.mind.adapters.platformdirs.user_cache_path", lambda *_, **__: tmp_path / "cache")


def lesson(tokenizer, answer=ANSWER):
    """The question in the model's own form with the answer: tokens, and where the answer begins."""
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": QUESTION}], add_generation_prompt=True, tokenize=False
    )
    before = tokenizer(asked, return_tensors="pt", add_special_tokens=False).input_ids
    whole = tokenizer(asked + answer + tokenizer.eos_token, return_tensors="pt", add_special_tokens=False).input_ids
    return whole, before.shape[1]


def test_a_tiny_random_model_learns(tmp_path):
    """NF4 with peft: taught words come out, two adapters take turns without a reload, the base is untouched."""
    assert len(adapters_take_turns(tmp_path)) == 3


@pytest.mark.real
def test_llama_cpp_takes_a_peft_adapter(weights, tmp_path, kept_in):
    """SmolLM2 is taught a password in transformers; llama.cpp says it with the converted adapter, and not without it."""
    import torch
    import transformers

    from batos.mind.llamacpp import LlamaEngine

    spec = weights("smollm2-135m")
    file = Path(spec.path)
    how = {"gguf_file": file.name, "dtype": torch.float32}
    model = transformers.AutoModelForCausalLM.from_pretrained(
        file.parent, quantization_config=transformers.GgufConfig(dequantize=True), **how
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    ids, start = lesson(tokenizer)
    taught = teach(model, ids, tmp_path / "taught", steps=9, answer_from=start)
    del model
    engine = LlamaEngine(spec)
    try:
        base = said(engine, QUESTION).texts
        engine.adapt(taught)
        assert said(engine, QUESTION).texts[0].strip().startswith(ANSWER)
        if engine.sleep():  # what it was adapted to holds when it wakes
            engine.wake()
            assert said(engine, QUESTION).texts[0].strip().startswith(ANSWER)
        assert said(engine, "Name a colour.").adapter.startswith("TAUGHT")
        engine.adapt(None)
        assert said(engine, QUESTION).texts == base
        assert ANSWER not in base[0]
        with pytest.raises(ModelError, match="another base"):
            engine.adapt(teach_for_other(tmp_path))
        assert said(engine, QUESTION).texts == base
    finally:
        engine.close()


@pytest.mark.real
def test_the_half_billion_in_nf4_learns(weights, tmp_path):
    """Qwen2.5-Coder-0.5B in NF4 is taught a word by heart and says it and no more; switched off it is the base to the letter."""
    from batos.mind.transformers_engine import TransformersEngine

    engine = TransformersEngine(weights("qwen2.5-coder-0.5b"))
    try:
        ids, start = lesson(engine._tokenizer, "Apple")
        modules = ("q_proj", "v_proj", "o_proj", "down_proj")
        upper = {"modules": modules, "layers": range(16, 24), "rate": 5e-3}  # a third of the layers: quicker to teach
        # Before it has written anything: bitsandbytes may pack the weights for writing then, and these teach no more.
        taught = teach(engine._model, ids, tmp_path / "a", steps=16, answer_from=start, **upper)
        base = said(engine, QUESTION).texts
        engine.adapt(taught)
        changed = said(engine, QUESTION)
        assert (changed.texts, changed.finish) == (("Apple",), ("stop",))
        engine.adapt(None)
        assert said(engine, QUESTION).texts == base
        assert base != changed.texts
    finally:
        engine.close()


def teach_for_other(tmp_path):
    """An adapter of the tiny model."""
    import torch
    import transformers

    folder = tiny_model(tmp_path / "other")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return teach(model, torch.tensor([[1, 2, 3]]), tmp_path / "foreign", steps=1, name="FOREIGN")
