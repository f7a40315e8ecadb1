"""Which engine, which model for which persona, and where its weights lie."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from batos.errors import NoWeights
from batos.mind import device, sources
from batos.mind.catalog import catalog, find
from batos.mind.digests import file_digest
from batos.mind.protocol import ModelSpec

if TYPE_CHECKING:
    from batos.settings import Settings

CONTEXT = 8192
GIB = 1 << 30
SMALL_MEMORY = 6 * GIB
GPU_PROFILE_MEMORY = 8 * GIB
BUDGET_SHARE = 0.7

GPU_PROFILE = {
    "ALFRED": "meta-llama/Meta-Llama-3-8B-Instruct",
    "BRICK": "codellama/CodeLlama-7b-Instruct-hf",
    "ROBIN": "mistralai/Mistral-7B-Instruct-v0.2",
    "BABS": "google/gemma-2b-it",
}


class EngineChoice(NamedTuple):
    """An engine (`transformers`, `llama.cpp`, `openai` or `scripted`) and why it was chosen."""

    engine: str
    reason: str


def choose_engine(setting: str) -> EngineChoice:
    """Choose the engine by the setting ENGINE and, for `auto`, by what this machine has."""
    if setting != "auto":
        return EngineChoice(setting.partition(":")[0], "the setting ENGINE says so")
    devices = device.cuda_devices()
    if not devices:
        return EngineChoice("llama.cpp", "there is no CUDA device, and llama.cpp is the quicker engine on a CPU")
    missing = [name for name in ("torch", "transformers", "bitsandbytes") if not device.installed(name)]
    if missing:
        return EngineChoice("llama.cpp", f"there is a CUDA device, but {', '.join(missing)} is not installed")
    if "+cpu" in device.installed("torch"):
        return EngineChoice("llama.cpp", "there is a CUDA device, but this torch is built for the CPU alone")
    there = "is a CUDA device" if devices == 1 else f"are {devices} CUDA devices"
    return EngineChoice("transformers", f"there {there}, and all that transformers needs is installed")


def default_model(memory: int | None = None) -> str:
    """The model that all personas share on a CPU, by bytes of memory."""
    have = device.memory_bytes() if memory is None else memory
    return "qwen2.5-coder-0.5b" if have < SMALL_MEMORY else "qwen2.5-coder-1.5b"


def model_for(settings: Settings, persona: str) -> str:
    """The model of a persona: as PERSONA_MODELS says, else the default for this machine."""
    named = settings.persona_models
    if isinstance(named, str) and named:
        return named
    if isinstance(named, dict) and persona in named:
        return named[persona]
    choice = choose_engine(settings.engine).engine
    if choice == "transformers" and device.cuda_memory_bytes() >= GPU_PROFILE_MEMORY:
        return GPU_PROFILE.get(persona, GPU_PROFILE[settings.default_persona_model])
    return default_model()


def memory_budget(settings: Settings) -> int:
    """Bytes that loaded models may take: as MEMORY_BUDGET says, else a share of the device's memory."""
    if settings.memory_budget:
        return settings.memory_budget
    on_gpu = choose_engine(settings.engine).engine == "transformers" and device.cuda_memory_bytes()
    return int((on_gpu or device.memory_bytes()) * BUDGET_SHARE)


def is_catalogued(name: str) -> bool:
    """Tell whether the catalog has a model of this name."""
    return name in catalog()


def digest_of(name: str) -> str:
    """The pinned digest of a catalogued model: of its file, or of the list of its files' digests and paths.

    Raises:
        NoWeights: The catalog has no such model.
    """
    files = find(name).files
    if len(files) == 1:
        return files[0].sha256
    lines = "".join(f"{file.sha256}  {file.path}\n" for file in sorted(files, key=lambda file: file.path))
    return hashlib.sha256(lines.encode()).hexdigest()


def spec_of(name: str, path: str | Path, sha256: str = "") -> ModelSpec:
    """Describe a model whose weights lie at a path; the catalog tells the rest where it has the name."""
    entry = catalog().get(name)
    kind = entry.kind if entry is not None else _kind(Path(path))
    context = min(CONTEXT, entry.context) if entry is not None else CONTEXT
    return ModelSpec(name=name, path=str(path), sha256=sha256, context=context, kind=kind)


def resolve(settings: Settings, name: str) -> ModelSpec:
    """Find the weights of a model on this machine: a file or folder, a fetched model of the catalog, or one of the hub.

    Reads the file once for its digest, so call it off the event loop.

    Raises:
        NoWeights: They are not here; the hint tells how to get them.
    """
    cache = settings.weights_cache
    path = settings.path(name)
    if not is_catalogued(name) and path.exists():
        return spec_of(path.stem if path.is_file() else path.name, path, _digest_of_path(path, cache))
    if is_catalogued(name):
        entry = find(name)
        if not sources.is_whole(entry, cache, verify=True):
            raise NoWeights(
                f"the weights of {name} are not here", f"Fetch them: `python -m batos models fetch {name}`."
            )
        return spec_of(name, sources.path_of(entry, cache), digest_of(name))
    if sources.is_hub_id(name):
        folder = cache / "hub" / name.replace("/", "--")
        if not (folder / ".complete").is_file():
            raise NoWeights(
                f"the weights of {name} are not here", f"Fetch them: `python -m batos models fetch {name}`."
            )
        return spec_of(name, folder, _digest_of_path(folder, cache))
    names = ", ".join(catalog())
    raise NoWeights(
        f"there is no model {name!r}: it is neither in the catalog nor a file, a folder or a hub id",
        f"The catalog has {names}; the setting PERSONA_MODELS names models.",
    )


def _kind(path: Path) -> str:
    if path.is_dir():
        return "embedding" if (path / "modules.json").is_file() else "transformers"
    return "gguf"


def _digest_of_path(path: Path, cache: Path) -> str:
    if path.is_file():
        return file_digest(path, cache)
    weights = sorted(path.glob("*.safetensors"))
    lines = "".join(f"{file_digest(file, cache)}  {file.name}\n" for file in weights)
    return hashlib.sha256(lines.encode()).hexdigest()
