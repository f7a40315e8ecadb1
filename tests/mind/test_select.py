"""Which engine, which model, and where its weights lie."""

import hashlib

import pytest

from batos.errors import NoWeights
from batos.mind import device, select
from batos.mind.catalog import catalog, find
from batos.settings import PERSONAS, Settings


@pytest.fixture
def settings(home, tmp_path):
    """Settings with an empty weights cache."""
    return lambda **more: Settings.load(home=home, weights_cache=tmp_path / "cache", **more)


@pytest.fixture
def gpu(monkeypatch):
    """Pretend there is a CUDA device with some memory and some packages."""

    def put(memory, packages):
        monkeypatch.setattr(device, "cuda_devices", lambda: 1)
        monkeypatch.setattr(device, "cuda_memory_bytes", lambda: memory)
        monkeypatch.setattr(device, "installed", lambda name: packages.get(name, ""))

    return put


WHOLE = {"torch": "2.13.0", "transformers": "5", "bitsandbytes": "1"}


def test_cpu_gets_llama_cpp(monkeypatch):
    """Without a CUDA device `auto` is llama.cpp, and says why."""
    monkeypatch.setattr(device, "cuda_devices", lambda: 0)
    choice = select.choose_engine("auto")
    assert choice.engine == "llama.cpp"
    assert "no CUDA device" in choice.reason


@pytest.mark.parametrize(
    ("packages", "engine", "reason"),
    [
        (WHOLE, "transformers", "CUDA"),
        ({**WHOLE, "torch": "2.13.0+cpu"}, "llama.cpp", "CPU alone"),
        ({"torch": "2.13.0"}, "llama.cpp", "transformers, bitsandbytes is not installed"),
    ],
)
def test_gpu_gets_transformers_where_it_can(gpu, packages, engine, reason):
    """With a CUDA device `auto` is transformers, unless a package for it is missing; the reason names which."""
    gpu(16 << 30, packages)
    choice = select.choose_engine("auto")
    assert (choice.engine, reason in choice.reason) == (engine, True)


@pytest.mark.parametrize(("setting", "engine"), [("llama.cpp", "llama.cpp"), ("scripted:x.json", "scripted")])
def test_setting_wins(setting, engine):
    """A named engine is taken as it is."""
    assert select.choose_engine(setting).engine == engine


@pytest.mark.parametrize(("memory", "name"), [(5 << 30, "qwen2.5-coder-0.5b"), (6 << 30, "qwen2.5-coder-1.5b")])
def test_default_model_by_memory(memory, name):
    """Below 6 GB of memory the smaller model is the default."""
    assert select.default_model(memory) == name


def test_persona_models(settings, monkeypatch):
    """One name serves all personas; a mapping serves those it names; the rest have the default."""
    monkeypatch.setattr(device, "cuda_devices", lambda: 0)
    assert select.model_for(settings(persona_models="x"), "BRICK") == "x"
    mapped = settings(persona_models='{"BRICK": "x"}')
    assert select.model_for(mapped, "BRICK") == "x"
    assert select.model_for(mapped, "ROBIN") == select.default_model()


def test_gpu_profile(settings, gpu):
    """A GPU with 8 GB or more gets the profile of several models, a smaller one the shared model."""
    gpu(8 << 30, WHOLE)
    assert {select.model_for(settings(), persona) for persona in PERSONAS} == set(select.GPU_PROFILE.values())
    gpu(7 << 30, WHOLE)
    assert select.model_for(settings(), "BRICK") == select.default_model()


def test_budget(settings):
    """The budget is what the setting says, else a share of the memory."""
    assert select.memory_budget(settings(memory_budget=5)) == 5
    assert 0 < select.memory_budget(settings()) < device.memory_bytes()


def test_file_on_disk(settings, home):
    """A file is found relative to BATOS_HOME and gets the digest of its bytes."""
    (home / "own.gguf").write_bytes(b"weights")
    spec = select.resolve(settings(), "own.gguf")
    assert (spec.name, spec.kind, spec.sha256) == ("own", "gguf", hashlib.sha256(b"weights").hexdigest())


@pytest.mark.parametrize(("marker", "kind"), [("config.json", "transformers"), ("modules.json", "embedding")])
def test_folder_on_disk(settings, home, marker, kind):
    """A folder is transformers weights, or an embedding model where it has that form."""
    (home / "own").mkdir()
    (home / "own" / marker).write_text("{}")
    (home / "own/model.safetensors").write_bytes(b"w")
    spec = select.resolve(settings(), "own")
    assert (spec.kind, len(spec.sha256)) == (kind, 64)


@pytest.mark.parametrize(
    ("name", "hint"), [("smollm2-135m", "models fetch"), ("owner/name", "models fetch"), ("nothing", "PERSONA_MODELS")]
)
def test_absent_weights_say_how_to_get_them(settings, name, hint):
    """Weights that are not here are an error with the mend."""
    with pytest.raises(NoWeights) as caught:
        select.resolve(settings(), name)
    assert hint in caught.value.hint


def test_catalogued_model_is_named_with_its_pinned_digest():
    """The digest of a model with one file is that file's, of a folder that of its list; the context is bounded."""
    for name, entry in catalog().items():
        spec = select.spec_of(name, "/somewhere", select.digest_of(name))
        assert spec.context <= min(select.CONTEXT, entry.context)
        assert spec.kind == entry.kind
        assert len(spec.sha256) == 64
    assert select.digest_of("smollm2-135m") == find("smollm2-135m").files[0].sha256


@pytest.mark.real
def test_fetched_model_resolves(weights):
    """A model in the cache resolves to its file, with the digest of the catalog."""
    expected = weights("qwen2.5-coder-0.5b")
    assert select.resolve(Settings.load(), "qwen2.5-coder-0.5b") == expected
