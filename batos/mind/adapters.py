"""LoRA adapters: what makes one good, whether it fits a model, and its form for llama.cpp.

An adapter is a folder with `adapter_config.json` and `adapter_model.safetensors`, as peft saves it. Pickles are never
read. llama.cpp wants a GGUF file under its own tensor names: that is made once for each adapter and base, and kept in
the user's cache.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import platformdirs

from batos.errors import ModelError
from batos.mind.corelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batos.mind.protocol import AdapterSpec, ModelSpec

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_SIZES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_HINT = "It stays where it is; mend it, or save it again with peft."
_PICKLES = (".bin", ".pt", ".pth", ".pkl")


class Pair(NamedTuple):
    """The two matrices of one module: shapes are (rank, in) and (out, rank)."""

    down: Any
    up: Any


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter that was read.

    Args:
        name: Its name.
        rank: Its rank.
        alpha: What its product is multiplied by, times the rank.
        pairs: Module name as in transformers, without `base_model.model.` and `.weight` → its matrices, as numpy arrays.
        base: The base model that its config names, for people.
    """

    name: str
    rank: int
    alpha: float
    pairs: dict[str, Pair]
    base: str


def read(name: str, folder: Path) -> Adapter:
    """Read and check an adapter's folder.

    Raises:
        ModelError: It is not a LoRA adapter in safetensors, or broken; the message says what is wrong.
    """
    config = _config(name, folder)
    rank = config.get("r")
    if config.get("peft_type") != "LORA" or not isinstance(rank, int) or rank < 1:
        raise _bad(name, f"it is no LoRA adapter (peft_type {config.get('peft_type')!r}, r {rank!r})")
    special = [key for key in ("use_dora", "alpha_pattern", "rank_pattern", "modules_to_save") if config.get(key)]
    if special:
        raise _bad(name, f"it uses {', '.join(special)}, which is not supported")
    alpha = float(config.get("lora_alpha", rank)) * (math.sqrt(rank) if config.get("use_rslora") else 1.0)
    pairs = dict(_pairs(name, _tensors(name, folder / WEIGHTS), rank))
    return Adapter(name, rank, alpha, pairs, str(config.get("base_model_name_or_path") or ""))


def check(spec: AdapterSpec, model: ModelSpec) -> dict[str, Any]:
    """Tell what an adapter is, after trying it on the shapes of a model.

    Returns:
        `name`, `rank`, `alpha`, `modules` (a count), `base` (as its config says).

    Raises:
        ModelError: It is broken, or made for another base.
    """
    adapter = read(spec.name, Path(spec.path))
    shapes = _gguf_shapes(model, adapter) if model.kind == "gguf" else _folder_shapes(Path(model.path))
    for module, pair in adapter.pairs.items():
        if module not in shapes:
            raise _bad(adapter.name, f"{model.name} has no module {module}: it was made for another base")
        wanted, found = shapes[module], (pair.up.shape[0], pair.down.shape[1])
        if wanted is not None and wanted != found:
            raise _bad(adapter.name, f"{module} is {found}, in {model.name} it is {wanted}: it is for another base")
    about = {"name": adapter.name, "rank": adapter.rank, "alpha": adapter.alpha}
    return {**about, "modules": len(adapter.pairs), "base": adapter.base}


def as_gguf(spec: AdapterSpec, model: ModelSpec) -> Path:
    """Give the adapter in the form of llama.cpp, made for that model; it is made once.

    Raises:
        ModelError: It is broken, or made for another base.
    """
    kept = platformdirs.user_cache_path("batos", appauthor=False) / "adapters"
    file = kept / f"{spec.sha256[:16] or spec.name}-{model.sha256[:16] or model.name}.gguf"
    with FileLock(file.with_suffix(".lock")):
        if not file.is_file():
            check(spec, model)
            _convert(read(spec.name, Path(spec.path)), model, file)
    return file


def _config(name: str, folder: Path) -> dict[str, Any]:
    pickles = [file.name for file in folder.glob("*") if file.suffix in _PICKLES]
    if not (folder / WEIGHTS).is_file():
        why = f"{pickles[0]} is a pickle, which is never read" if pickles else f"{WEIGHTS} is missing"
        raise _bad(name, f"{why}: only safetensors are taken")
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _bad(name, f"{CONFIG} cannot be read: {error}") from None
    if not isinstance(config, dict):
        raise _bad(name, f"{CONFIG} is not a map")
    return config


def _tensors(name: str, file: Path) -> dict[str, Any]:
    """All tensors of a safetensors file as float32 arrays."""
    import numpy as np
    import safetensors

    try:
        listed = safetensors.deserialize(file.read_bytes())  # type: ignore[no-untyped-call]
    except (OSError, safetensors.SafetensorError) as error:
        raise _bad(name, f"{WEIGHTS} cannot be read: {error}") from None
    found = {}
    for key, tensor in listed:
        if tensor["dtype"] not in _SIZES:
            raise _bad(name, f"{key} has numbers of the kind {tensor['dtype']}")
        array = np.frombuffer(tensor["data"], dtype=_SIZES[tensor["dtype"]])
        if tensor["dtype"] == "BF16":
            array = (array.astype("<u4") << 16).view("<f4")
        found[key] = array.astype("<f4").reshape(tensor["shape"])
    return found


def _pairs(name: str, tensors: dict[str, Any], rank: int) -> Iterator[tuple[str, Pair]]:
    downs = {key.removesuffix(".lora_A.weight") for key in tensors if key.endswith(".lora_A.weight")}
    strange = [key for key in tensors if key.removesuffix(".lora_A.weight").removesuffix(".lora_B.weight") not in downs]
    if not downs or strange:
        raise _bad(name, f"{strange[0]} is no LoRA matrix" if strange else "it holds no LoRA matrices")
    for key in sorted(downs):
        down, up = tensors[f"{key}.lora_A.weight"], tensors.get(f"{key}.lora_B.weight")
        if up is None or down.ndim != 2 or up.ndim != 2 or down.shape[0] != rank or up.shape[1] != rank:
            raise _bad(name, f"the matrices of {key} do not fit together at rank {rank}")
        yield key.removeprefix("base_model.model."), Pair(down, up)


def _folder_shapes(folder: Path) -> dict[str, tuple[int, int] | None]:
    """Modules of a model's folder and their shapes (out, in); None for one that is packed."""
    import safetensors

    shapes: dict[str, tuple[int, int] | None] = {}
    for file in folder.glob("*.safetensors"):
        with safetensors.safe_open(file, framework="np") as opened:
            for key in opened.keys():  # noqa: SIM118 - it is no mapping
                part = opened.get_slice(key)
                shape = part.get_shape()
                plain = len(shape) == 2 and part.get_dtype() in _SIZES
                if key.endswith(".weight"):
                    shapes[key.removesuffix(".weight")] = (shape[0], shape[1]) if plain else None
    return shapes


def _gguf_shapes(model: ModelSpec, adapter: Adapter) -> dict[str, tuple[int, int] | None]:
    base = _Gguf(model)
    named = {module: base.name(module) for module in adapter.pairs}
    return {module: base.shapes[name] for module, name in named.items() if name in base.shapes}


class _Gguf:
    """What conversion needs to know of a GGUF base: its architecture, its tensors, how many heads it has."""

    def __init__(self, model: ModelSpec) -> None:
        try:
            import gguf
        except ImportError as error:
            raise ModelError(f"adapters for llama.cpp need gguf: {error}", "Install BAT OS in full.") from None
        try:
            reader = gguf.GGUFReader(model.path)
            self.architecture = str(reader.fields["general.architecture"].contents())
            self._blocks = int(reader.fields[f"{self.architecture}.block_count"].contents())
            self.heads = int(reader.fields[f"{self.architecture}.attention.head_count"].contents())
            shared = reader.fields.get(f"{self.architecture}.attention.head_count_kv")
            self.shared_heads = int(shared.contents()) if shared is not None else self.heads
        except (OSError, ValueError, KeyError, IndexError) as error:
            raise ModelError(f"{model.path} cannot be read: {error}") from None
        # GGUF names the innermost size first.
        self.shapes = {t.name: (int(t.shape[1]), int(t.shape[0])) for t in reader.tensors if len(t.shape) == 2}
        kinds = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}
        self._names = gguf.get_tensor_name_map(kinds[self.architecture], self._blocks)

    def name(self, module: str) -> str:
        """The tensor of a module; empty where there is none."""
        found = self._names.get_name(module, try_suffixes=())
        return f"{found}.weight" if found else ""


def _convert(adapter: Adapter, model: ModelSpec, file: Path) -> None:
    import gguf

    base = _Gguf(model)
    fresh = file.with_suffix(f".{os.getpid()}.new")
    writer = gguf.GGUFWriter(fresh, base.architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, adapter.alpha)
    for module, pair in adapter.pairs.items():
        up = pair.up
        if base.architecture == "llama" and module.endswith(("q_proj", "k_proj")):
            up = _interleaved(up, base.heads if module.endswith("q_proj") else base.shared_heads)
        writer.add_tensor(f"{base.name(module)}.lora_a", pair.down)
        writer.add_tensor(f"{base.name(module)}.lora_b", up.copy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    fresh.replace(file)


def _interleaved(rows: Any, heads: int) -> Any:
    """The rows of a head in the order of llama files: halves of a rotation lie side by side there."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def _bad(name: str, why: str) -> ModelError:
    return ModelError(f"the adapter {name} is refused: {why}", _HINT)
