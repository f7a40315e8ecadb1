"""A thin layer over llama.cpp's C interface: a model with its vocabulary, a context with its cache, samplers.

Handles are Python objects that free what they hold on `close`. Nothing here knows of requests or chats.
"""

from __future__ import annotations

import ctypes
import os
import warnings
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from batos.errors import ModelError
from batos.mind import layouts
from batos.mind.device import SPIN_COUNT
from batos.mind.pageable import Pageable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LOG: deque[str] = deque(maxlen=8)
_LEVEL_WARNING, _LEVEL_ERROR = 2, 3
AMX = "AMX"
"""A layout for processors with such tiles."""
_KEEP: list[Any] = []


def library() -> Any:
    """Load llama.cpp, with its log kept for error messages instead of printed.

    Raises:
        ModelError: It is not installed, or its library does not load.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)  # read when the library loads
    try:
        import llama_cpp
    except (ImportError, OSError, RuntimeError) as error:
        raise ModelError(f"llama.cpp cannot be loaded: {error}", "Install llama-cpp-python.") from None
    if not _KEEP:
        _KEEP.append(llama_cpp.llama_log_callback(_on_log))
        llama_cpp.llama_log_set(_KEEP[0], ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
    return llama_cpp


def version() -> str:
    """Name and version of the engine, for provenance."""
    return f"llama.cpp (llama-cpp-python {library().__version__})"


def _on_log(level: int, text: bytes, user_data: Any) -> None:
    del user_data
    if level in (_LEVEL_WARNING, _LEVEL_ERROR):
        _LOG.append(text.decode("utf-8", "replace").strip())


def _last_words() -> str:
    return _LOG[-1] if _LOG else "it said nothing"


class Model:
    """Weights, mapped from a GGUF file.

    Args:
        path: The file.

    Raises:
        ModelError: The file is missing, broken or of a kind that llama.cpp does not know.
    """

    def __init__(self, path: str) -> None:
        self._lib = library()
        parameters = self._lib.llama_model_default_params()
        parameters.n_gpu_layers = 0
        # GCC 12 leaves half of its tile configuration out, and the first prompt ends the process. A library that
        # `puter.sh` has built does not have it; with another one weights stay as they are, which is slower.
        parameters.use_extra_bufts = AMX not in layouts.names(self._lib)
        _LOG.clear()
        self.handle = self._lib.llama_model_load_from_file(path.encode(), parameters)
        if not self.handle:
            hint = "`python -m batos models verify` reads the file again; `models fetch` mends it."
            raise ModelError(f"llama.cpp cannot load {path}: {_last_words()}", hint)
        self.vocab = self._lib.llama_model_get_vocab(self.handle)
        self.vocab_size = int(self._lib.llama_vocab_n_tokens(self.vocab))
        self.bytes = int(self._lib.llama_model_size(self.handle))
        self._buffer = ctypes.create_string_buffer(1 << 12)
        self._weights: Pageable | None = None

    @property
    def template(self) -> str:
        """The chat template that came with the weights, empty if none did."""
        text = self._lib.llama_model_chat_template(self.handle, None)
        return text.decode("utf-8", "replace") if text else ""

    @property
    def trained_context(self) -> int:
        """The longest context that the model was made for, in tokens."""
        return int(self._lib.llama_model_n_ctx_train(self.handle))

    def tokens(self, text: str, *, marks: bool) -> list[int]:
        """Cut text into tokens; `marks` tells whether special tokens in it count as such."""
        data = text.encode("utf-8", "replace")
        size = len(data) + 8
        found = (self._lib.llama_token * size)()
        count = self._lib.llama_tokenize(self.vocab, data, len(data), found, size, False, marks)
        if count < 0:
            raise ModelError(f"llama.cpp cannot cut {len(data)} bytes of text into tokens")
        return list(found[:count])

    def piece(self, token: int, *, marks: bool = False) -> bytes:
        """The bytes of a token."""
        size = self._lib.llama_token_to_piece(self.vocab, token, self._buffer, len(self._buffer), 0, marks)
        return self._buffer.raw[:size] if size > 0 else b""

    def ends(self, token: int) -> bool:
        """Whether a token ends a generation."""
        return bool(self._lib.llama_vocab_is_eog(self.vocab, token))

    def bos(self) -> tuple[int, str, bool]:
        """The token that begins a text, its text, and whether prompts begin with it."""
        token = int(self._lib.llama_vocab_bos(self.vocab))
        text = self.piece(token, marks=True).decode("utf-8", "replace") if token >= 0 else ""
        return token, text, bool(self._lib.llama_vocab_get_add_bos(self.vocab))

    def eos_text(self) -> str:
        """The text of the token that ends a text."""
        token = int(self._lib.llama_vocab_eos(self.vocab))
        return self.piece(token, marks=True).decode("utf-8", "replace") if token >= 0 else ""

    def give_back(self, folder: Path) -> None:
        """Let the system have the memory of the weights; they come back by themselves when they are used again.

        Args:
            folder: Where a file goes for what is not mapped from the model's own.

        Raises:
            ModelError: They cannot be found.
            OSError: There is no room on the disk, or the system does not do this.
        """
        if self._weights is None:
            self._weights = Pageable(layouts.regions(self._lib, self.handle), folder)
        self._weights.give_back()

    def close(self) -> None:
        """Free the weights."""
        if self.handle:
            if self._weights is not None:
                self._weights.release()
                self._weights = None
            self._lib.llama_model_free(self.handle)
            self.handle = None


class Lora:
    """An adapter for a model, from a GGUF file.

    Raises:
        ModelError: The file is broken, or made for another base.
    """

    def __init__(self, model: Model, path: str) -> None:
        self._lib = library()
        self.handle = self._lib.llama_adapter_lora_init(model.handle, path.encode())
        if not self.handle:
            raise ModelError(f"llama.cpp cannot load the adapter: {_last_words()}", "It is made for another model.")

    def close(self) -> None:
        """Free it; contexts that use it must be closed before."""
        if self.handle:
            self._lib.llama_adapter_lora_free(self.handle)
            self.handle = None


class Slot(NamedTuple):
    """One token to compute: its position, the sequences that it belongs to, and whether its logits are wanted."""

    token: int
    position: int
    sequences: Sequence[int]
    wanted: bool


class Context:
    """Working memory of a model: the cache of what it has read, for several sequences at once.

    Args:
        model: The model.
        cells: Tokens that the cache holds, over all sequences.
        sequences: Sequences that may be in it at once.
        batch: Most tokens of one computation.
        threads: Threads that compute.

    Raises:
        ModelError: There is not enough memory for it.
    """

    def __init__(self, model: Model, *, cells: int, sequences: int, batch: int, threads: int) -> None:
        self._lib = library()
        self._model = model
        parameters = self._lib.llama_context_default_params()
        parameters.n_ctx = cells
        parameters.n_batch = parameters.n_ubatch = batch
        parameters.n_seq_max = sequences
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.kv_unified = True
        parameters.no_perf = True
        self.handle = self._lib.llama_init_from_model(model.handle, parameters)
        if not self.handle:
            raise ModelError(f"llama.cpp cannot make a context of {cells} tokens: {_last_words()}")
        self._memory = self._lib.llama_get_memory(self.handle)
        self._batch = self._lib.llama_batch_init(batch, 0, sequences)
        self.cells = int(self._lib.llama_n_ctx(self.handle))

    def compute(self, slots: Sequence[Slot]) -> None:
        """Read tokens into the cache.

        Raises:
            ModelError: The cache is full, or the computation failed.
        """
        batch = self._batch
        batch.n_tokens = len(slots)
        for i, slot in enumerate(slots):
            batch.token[i] = slot.token
            batch.pos[i] = slot.position
            batch.n_seq_id[i] = len(slot.sequences)
            for j, sequence in enumerate(slot.sequences):
                batch.seq_id[i][j] = sequence
            batch.logits[i] = slot.wanted
        outcome = self._lib.llama_decode(self.handle, batch)
        if outcome == 1:
            raise ModelError("the context has no room left", "Ask for fewer or shorter candidates.")
        if outcome != 0:
            raise ModelError(f"llama.cpp failed to compute ({outcome}): {_last_words()}")

    def logits(self, row: int) -> Any:
        """The logits of one token of the last batch, as an array that shares its memory with llama.cpp."""
        import numpy as np

        pointer = self._lib.llama_get_logits_ith(self.handle, row)
        return np.ctypeslib.as_array(pointer, shape=(self._model.vocab_size,))

    def adapt(self, lora: Lora | None, scale: float) -> None:
        """Compute with an adapter from now on, or with none.

        Raises:
            ModelError: llama.cpp does not take it.
        """
        handles = (self._lib.llama_adapter_lora_p_ctypes * 1)(*([lora.handle] if lora is not None else []))
        scales = (ctypes.c_float * 1)(scale)
        count = 1 if lora is not None else 0
        if self._lib.llama_set_adapters_lora(self.handle, handles, count, scales) != 0:
            raise ModelError(f"llama.cpp does not take the adapter: {_last_words()}")

    def share(self, source: int, target: int) -> None:
        """Make a sequence begin with what another one has read."""
        self._lib.llama_memory_seq_cp(self._memory, source, target, -1, -1)

    def cut(self, sequence: int, start: int = 0) -> None:
        """Drop a sequence, or with -1 every sequence, from a position on."""
        self._lib.llama_memory_seq_rm(self._memory, sequence, start, -1)

    def save(self, sequence: int) -> Any:
        """What a sequence has read, as bytes that `restore` takes."""
        size = self._lib.llama_state_seq_get_size(self.handle, sequence)
        state = (ctypes.c_uint8 * size)()
        self._lib.llama_state_seq_get_data(self.handle, state, size, sequence)
        return state

    def restore(self, sequence: int, state: Any) -> bool:
        """Put saved bytes back into an empty sequence; False when there is no room."""
        return bool(self._lib.llama_state_seq_set_data(self.handle, state, len(state), sequence))

    def close(self) -> None:
        """Free the cache."""
        if self.handle:
            self._lib.llama_batch_free(self._batch)
            self._lib.llama_free(self.handle)
            self.handle = None


class Sampler:
    """Chooses tokens: greedy at temperature 0, else by chance with a seed."""

    def __init__(self, temperature: float, seed: int) -> None:
        self._lib = library()
        self._chain = self._lib.llama_sampler_chain_init(self._lib.llama_sampler_chain_default_params())
        for link in self._links(temperature, seed):
            self._lib.llama_sampler_chain_add(self._chain, link)

    def choose(self, context: Context, row: int) -> int:
        """Choose a token by the logits of one row of the last batch."""
        return int(self._lib.llama_sampler_sample(self._chain, context.handle, row))

    def close(self) -> None:
        """Free the sampler."""
        if self._chain:
            self._lib.llama_sampler_free(self._chain)
            self._chain = None

    def _links(self, temperature: float, seed: int) -> list[Any]:
        lib = self._lib
        if temperature <= 0:
            return [lib.llama_sampler_init_greedy()]
        return [
            lib.llama_sampler_init_top_k(40),
            lib.llama_sampler_init_top_p(0.95, 1),
            lib.llama_sampler_init_temp(temperature),
            lib.llama_sampler_init_dist(seed & 0xFFFFFFFF),
        ]


def tokenizer(model: Model) -> Any:
    """The model's tokenizer for llguidance; making it takes about a second.

    Raises:
        ModelError: llguidance is not installed.
    """
    try:
        from llguidance.llamacpp import lltokenizer_from_vocab
    except ImportError as error:
        raise ModelError(f"constrained decoding needs llguidance: {error}", "Install llguidance.") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it uses old names of llama.cpp's functions
        return lltokenizer_from_vocab(model.vocab, model.vocab_size)
