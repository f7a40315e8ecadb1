"""A model that sleeps, with real weights: its memory is gone, its texts are the same, its next use is no load."""

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from batos.mind.llamacpp import CHUNK, FIRST_CELLS, LlamaEngine
from batos.mind.protocol import GenerateRequest
from batos.mind.service import HostMind

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(sys.platform != "linux", reason="models sleep on Linux alone"),
]
MODEL = "qwen2.5-coder-0.5b"
LONG = "You write one Python method at a time for a living object. " * 12


def asked(max_tokens=12, **more):
    messages = ({"role": "system", "content": LONG}, {"role": "user", "content": "Say something about lighthouses."})
    return GenerateRequest(state="X", messages=messages, max_tokens=max_tokens, temperature=0.8, seed=4, **more)


def write(engine, request):
    return engine.generate(request, lambda text: None, lambda: False)


def resident():
    """Bytes that this process has in memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def engine(weights, tmp_path, monkeypatch):
    """An engine whose file for sleeping lies in a folder of the test."""
    monkeypatch.setattr("batos.mind.llamacpp.platformdirs.user_cache_path", lambda *_, **__: tmp_path)
    made = LlamaEngine(weights(MODEL), lock=lambda **_: nullcontext())
    yield made
    made.close()


def test_wakes_as_it_was(engine, tmp_path):
    """Asleep it holds little memory; awake it writes the same, also after it fell asleep again; nothing lies about."""
    first = write(engine, asked())
    awake = resident()
    for _ in range(2):
        assert engine.sleep()
        assert awake - resident() > 300 << 20
        engine.wake()
        again = write(engine, asked())
        assert (again.texts, again.finish) == (first.texts, first.finish)
    assert engine.statistics()["reused_tokens"] >= CHUNK  # what was read before the sleep was not read again
    assert list((tmp_path / "asleep").iterdir()) == []


def test_a_larger_context_changes_nothing(engine):
    """The context grows with what is asked, and the same request gives the same text in it."""
    small = write(engine, asked())
    assert engine._context.cells == FIRST_CELLS
    write(engine, asked(max_tokens=2, n=2))
    assert engine._context.cells == FIRST_CELLS
    engine._make_room(5000)
    assert engine._context.cells == 4 * FIRST_CELLS
    assert write(engine, asked()).texts == small.texts


SLEEP_AND_FREE = """
import sys, tempfile
from contextlib import nullcontext
from batos.mind import llamacpp
from batos.mind.protocol import ModelSpec
llamacpp.platformdirs.user_cache_path = lambda *_, **__: __import__("pathlib").Path(sys.argv[2])
for _ in range(2):
    engine = llamacpp.LlamaEngine(ModelSpec(name="m", path=sys.argv[1]), lock=lambda **_: nullcontext())
    assert engine.sleep()
    engine.wake()
    engine.close()
"""


def test_memory_of_a_model_that_slept_is_free_for_others(weights, tmp_path):
    """Where the weights lie in the heap itself, what sleeping made of them is undone before they are freed."""
    command = [sys.executable, "-c", SLEEP_AND_FREE, weights(MODEL).path, str(tmp_path)]
    subprocess.run(command, check=True, timeout=200, env={**os.environ, "MALLOC_MMAP_MAX_": "0"})


async def test_models_that_take_turns_sleep_in_between(weights):
    """With a budget for one, two models are loaded once each; `status` tells who sleeps; an unload ends it all."""
    one, two = weights(MODEL), weights("smollm2-135m")
    mind = HostMind({"one": one, "two": two}, engine="llama.cpp", budget=Path(one.path).stat().st_size + (16 << 20))
    try:
        heard = [(await mind.generate(asked(model=name))).texts for name in ("one", "two", "one", "two", "one")]
        told = mind.statistics()
        assert heard[0] == heard[2] == heard[4]
        assert heard[1] == heard[3]
        assert {model["name"]: model["state"] for model in told["models"]} == {MODEL: "loaded", two.name: "asleep"}
        assert (told["hosts"]["text"]["loads"], told["hosts"]["text"]["wakes"]) == (2, 3)
        await mind.unload("two")
        assert [model["name"] for model in mind.statistics()["models"]] == [MODEL]
        await mind.unload("one")
        assert mind.statistics()["memory"] == 0
    finally:
        await mind.close()
