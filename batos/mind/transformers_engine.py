"""The transformers engine: 4-bit NF4 weights by bitsandbytes, on a CUDA device or on the cores.

The candidates of a request are computed as one batch, each with its own sampling and constraint; those that have ended
leave the batch. Weights in GGUF are unpacked, quantised and saved once; from then on the saved folder is loaded.
"""

from __future__ import annotations

import json
import shutil
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from batos.errors import Cancelled, ModelError
from batos.mind import chat
from batos.mind.adapters import read
from batos.mind.budget import Messages, fit
from batos.mind.constraints import Constraint, Grammar
from batos.mind.corelock import FileLock, core_lock
from batos.mind.device import cores, installed
from batos.mind.drafting import Draft, samplings
from batos.mind.protocol import AdapterSpec, GenerateReply, GenerateRequest, ModelSpec, OnToken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CHUNK = 256
TOP_K, TOP_P = 40, 0.95


@dataclass(slots=True)
class _Line:
    """One candidate being written: its draft, its sampling, and tokens that are chosen but not yet computed."""

    draft: Draft
    temperature: float
    chance: Any
    constraint: Constraint | None
    pending: list[int] = field(default_factory=list)


class TransformersEngine:
    """One model in 4-bit NF4.

    Args:
        spec: The model; `path` is a folder, or a GGUF file. `extra` may have `quantized`, the folder for what is made
            of a GGUF file.

    Raises:
        ModelError: A package is missing, or the weights cannot be loaded.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._torch, self._library = _libraries()
        self._device = "cuda" if self._torch.cuda.is_available() else "cpu"
        if self._device == "cpu":
            self._torch.set_num_threads(cores())
        try:
            folder = self._folder()
            self._tokenizer: Any = self._library.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model = self._load(folder)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelError(f"transformers cannot load {spec.path}: {error}") from None
        trained = getattr(self._model.config, "max_position_embeddings", spec.context)
        self._limit = min(spec.context, trained)
        self._ends = _end_tokens(self._model, self._tokenizer)
        self._guide: Any = None
        self._adapter = ""
        self._adapters: dict[str, str] = {}

    def generate(self, request: GenerateRequest, on_token: OnToken, cancelled: Callable[[], bool]) -> GenerateReply:
        """Generate text; see `Engine`.

        Raises:
            ContextTooLong: The prompt leaves no room for an answer; `details` has `tokens`, `context` and `over`.
            ModelError: The model cannot do what is asked.
            Cancelled: `cancelled` said so.
        """
        started = time.monotonic()
        prompt, dropped = fit(request, lambda messages: self._prompt(messages, request.prefill), self._limit)
        lines = self._lines(request, on_token)
        limit = min(request.max_tokens, self._limit - len(prompt))
        lock = core_lock(cancelled=cancelled) if self._device == "cpu" else nullcontext()
        with lock, self._torch.inference_mode():
            self._write(prompt, lines, limit, cancelled)
        return GenerateReply(
            texts=tuple(line.draft.text for line in lines),
            finish=tuple(line.draft.finish for line in lines),
            model=self._spec.name,
            model_sha256=self._spec.sha256,
            adapter=self._adapter,
            engine=f"transformers {self._library.__version__}, bitsandbytes {installed('bitsandbytes')}",
            prompt_tokens=len(prompt),
            dropped=dropped,
            completion_tokens=sum(line.draft.tokens for line in lines),
            seconds=time.monotonic() - started,
            form="constrained" if request.schema is not None else "",
        )

    def adapt(self, adapter: AdapterSpec | None) -> None:
        """Use an adapter from now on, or none; the base stays as it is.

        Raises:
            ModelError: peft is missing, or the adapter is broken or made for another base.
        """
        name = f"{adapter.name} {adapter.sha256}" if adapter is not None else ""
        if name == self._adapter:
            return
        if adapter is None:
            self._model.disable_adapters()
        else:
            self._attach(name, adapter)
        self._adapter = name

    def _attach(self, name: str, adapter: AdapterSpec) -> None:
        if not installed("peft"):
            raise ModelError("adapters need peft", "Install BAT OS in full.")
        if name not in self._adapters:
            own = f"adapter{len(self._adapters)}"
            read(adapter.name, Path(adapter.path))
            try:
                self._model.load_adapter(adapter.path, adapter_name=own, adapter_kwargs={"local_files_only": True})
            except (OSError, ValueError, KeyError, RuntimeError) as error:
                raise ModelError(f"peft cannot load the adapter {adapter.name}: {error}") from None
            self._adapters[name] = own
        self._model.enable_adapters()
        self._model.set_adapter(self._adapters[name])

    def count_tokens(self, text: str) -> int:
        """Count tokens with the model's own tokenizer."""
        return len(self._tokens(text, marks=False))

    def sleep(self) -> bool:
        """Tell that this engine gives memory back only by being closed."""
        return False

    def wake(self) -> None:
        """Nothing to do: it never sleeps."""

    def close(self) -> None:
        """Let the model go."""
        self._model = self._guide = None
        if self._device == "cuda":
            self._torch.cuda.empty_cache()

    def _folder(self) -> str:
        """The folder to load from; one is made of a GGUF file if there is none yet."""
        path = Path(self._spec.path)
        if path.is_dir():
            return str(path)
        kept = platformdirs.user_cache_path("batos", appauthor=False) / "nf4" / (self._spec.sha256[:16] or path.stem)
        folder = Path(self._spec.extra.get("quantized", kept))
        with FileLock(folder.with_name(folder.name + ".lock")):
            if not (folder / "config.json").is_file():
                quantize(path, folder)
        return str(folder)

    def _load(self, folder: str) -> Any:
        return load_nf4(folder, self._device)

    def _tokens(self, text: str, *, marks: bool) -> list[int]:
        tokens: list[int] = self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=not marks)
        return tokens

    def _prompt(self, messages: Messages, prefill: str = "") -> list[int]:
        """The whole prompt in the model's own form and tokens."""
        bos, eos = self._tokenizer.bos_token or "", self._tokenizer.eos_token or ""
        segments = chat.render(self._tokenizer.chat_template or "", messages, prefill, bos=bos, eos=eos)
        return [t for segment in segments for t in self._tokens(segment.text, marks=segment.marks)]

    def _lines(self, request: GenerateRequest, on_token: OnToken) -> list[_Line]:
        grammar = Grammar(self._guide_tokenizer(), request.schema) if request.schema is not None else None
        prefill = self._tokens(request.prefill, marks=False) if grammar else []
        lines = []
        for i, (temperature, seed) in enumerate(samplings(request)):
            chance = self._torch.Generator().manual_seed(seed)
            draft = Draft(request.stop, on_token if i == 0 else None)
            lines.append(_Line(draft, temperature, chance, grammar.constraint(prefill) if grammar else None))
        return lines

    def _guide_tokenizer(self) -> Any:
        if self._guide is None:
            from llguidance.hf import from_tokenizer

            self._guide = from_tokenizer(self._tokenizer, n_vocab=self._model.config.vocab_size)
        return self._guide

    def _write(self, prompt: list[int], lines: list[_Line], limit: int, cancelled: Callable[[], bool]) -> None:
        cache = self._library.DynamicCache(config=self._model.config)
        for start in range(0, len(prompt), CHUNK):
            _check(cancelled)
            logits = self._forward([prompt[start : start + CHUNK]], cache)
        if len(lines) > 1:
            cache.batch_repeat_interleave(len(lines))
        rows = [logits[0]] * len(lines)
        live = list(lines)
        while live:
            _check(cancelled)
            for line, row in zip(live, rows, strict=True):
                self._choose(line, row, limit)
            staying = [i for i, line in enumerate(live) if not line.draft.done]
            if staying and len(staying) < len(live):
                cache.batch_select_indices(self._torch.tensor(staying, device=self._device))
            live = [live[i] for i in staying]
            if live:
                rows = list(self._forward([[line.pending.pop(0)] for line in live], cache))

    def _forward(self, tokens: Sequence[Sequence[int]], cache: Any) -> Any:
        """Compute tokens of each line of the batch; gives the logits of each line's last one, on the cores."""
        ids = self._torch.tensor(tokens, device=self._device)
        reply = self._model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return reply.logits[:, -1].float().cpu()

    def _choose(self, line: _Line, logits: Any, limit: int) -> None:
        """Choose the next token of a line, unless its constraint has already, and add it to its draft."""
        if not line.pending:
            logits = logits.clone()
            if line.constraint is not None:
                line.constraint.mask(logits.numpy())
            token = self._sample(logits, line)
            if token in self._ends:
                line.draft.end("stop")
                return
            line.pending = [token, *(line.constraint.take(token) if line.constraint is not None else [])]
        line.draft.add(self._piece(line.pending[0]))
        if line.constraint is not None and line.constraint.complete and len(line.pending) == 1:
            line.draft.end("stop")
        elif line.draft.tokens >= limit:
            line.draft.end("length")

    def _sample(self, logits: Any, line: _Line) -> int:
        if line.temperature <= 0:
            return int(logits.argmax())
        values, tokens = logits.topk(TOP_K)
        shares = (values / line.temperature).softmax(-1)
        shares[shares.cumsum(-1) - shares > TOP_P] = 0.0
        return int(tokens[self._torch.multinomial(shares, 1, generator=line.chance)])

    def _piece(self, token: int) -> bytes:
        """The bytes of a token; llguidance knows them for every kind of tokenizer."""
        return bytes(self._guide_tokenizer().decode_bytes([token]))


def quantize(source: Path, folder: Path) -> None:
    """Bring a GGUF file, or a folder of weights, to 4 bits and save it in a folder, which is there whole or not at all.

    Raises:
        ModelError: A package is missing, or the weights cannot be read.
    """
    torch, library = _libraries()
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    plain = source if source.is_dir() else fresh / "plain"
    try:
        if plain != source:
            _unpack(source, plain)
        load_nf4(str(plain), "cuda" if torch.cuda.is_available() else "cpu").save_pretrained(fresh)
        shutil.rmtree(fresh / "plain", ignore_errors=True)
        words = (source, {}) if plain == source else (source.parent, {"gguf_file": source.name})
        library.AutoTokenizer.from_pretrained(str(words[0]), local_files_only=True, **words[1]).save_pretrained(fresh)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise ModelError(f"{source.name} cannot be brought to 4 bits: {error}") from None
    shutil.rmtree(folder, ignore_errors=True)
    fresh.replace(folder)


def _unpack(file: Path, plain: Path) -> None:
    """Save a GGUF file as a folder of plain weights."""
    torch, library = _libraries()
    unpack = library.GgufConfig(dequantize=True)
    library.AutoModelForCausalLM.from_pretrained(
        str(file.parent), quantization_config=unpack, gguf_file=file.name, dtype=torch.bfloat16
    ).save_pretrained(plain)


def load_nf4(folder: str, device: str) -> Any:
    """Load a folder in 4-bit NF4; one that was saved in 4 bits is taken as it is."""
    torch, library = _libraries()
    config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    how: dict[str, Any] = {}
    if "quantization_config" not in config:
        how["quantization_config"] = library.BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    return library.AutoModelForCausalLM.from_pretrained(
        folder,
        local_files_only=True,
        use_safetensors=True,
        dtype=torch.bfloat16,
        device_map={"": 0 if device == "cuda" else "cpu"},
        **how,
    ).eval()


def _libraries() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ImportError as error:
        raise ModelError(f"the transformers engine cannot be loaded: {error}", "Install BAT OS in full.") from None
    missing = [name for name in ("bitsandbytes", "accelerate", "llguidance") if not installed(name)]
    if missing:
        raise ModelError(f"the transformers engine needs {', '.join(missing)}", "Install BAT OS in full.")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return torch, transformers


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Tokens that end a generation, from the model's own settings and the tokenizer."""
    own = model.generation_config.eos_token_id
    listed = own if isinstance(own, list) else [own]
    marks = [tokenizer.convert_tokens_to_ids(mark) for mark in ("<|im_end|>", "<|eot_id|>", "<|endoftext|>")]
    known = [token for token in (*listed, *marks, tokenizer.eos_token_id) if token is not None and token >= 0]
    return frozenset(token for token in known if token != tokenizer.unk_token_id)


def _check(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise Cancelled("the generation was cancelled")
