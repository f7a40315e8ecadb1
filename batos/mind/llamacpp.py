"""The llama.cpp engine: GGUF weights on a machine's cores.

The candidates of a request are written side by side: the prompt is read once, shared by all, and each step computes
one token of every candidate in one batch. Prompts that begin alike are read only from where they differ.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import platformdirs

from batos.errors import Cancelled, ContextTooLong, ModelError
from batos.mind import adapters, chat
from batos.mind.budget import Messages, fit
from batos.mind.constraints import Constraint, Grammar
from batos.mind.corelock import core_lock
from batos.mind.device import cores
from batos.mind.drafting import Draft, samplings
from batos.mind.llama_native import Context, Lora, Model, Sampler, Slot, tokenizer, version
from batos.mind.prompt_cache import SEQUENCE, PromptCache
from batos.mind.protocol import AdapterSpec, GenerateReply, GenerateRequest, ModelSpec, OnToken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

SIDE_BY_SIDE = 8
CHUNK = 64
WEIGHING = 1
FIRST_CELLS = 2048
ASLEEP_BYTES = 64 << 20


@dataclass(slots=True)
class _Line:
    """One candidate being written: its draft, how its tokens are chosen, and where it stands in the cache."""

    draft: Draft
    sampler: Sampler
    constraint: Constraint | None
    sequence: int
    limit: int
    position: int
    pending: list[int] = field(default_factory=list)


class LlamaEngine:
    """One GGUF model.

    Args:
        spec: The model; `path` is its file. `extra` may have `threads`.
        lock: Makes the lock that each request takes; another one in tests.

    Raises:
        ModelError: The weights cannot be loaded.
    """

    def __init__(self, spec: ModelSpec, *, lock: Callable[..., AbstractContextManager[Any]] = core_lock) -> None:
        self._spec = spec
        self._lock = lock
        self._model = Model(spec.path)
        self._limit = min(spec.context, self._model.trained_context)
        self._threads = min(int(spec.extra.get("threads", cores())), cores())
        self._most_cells = self._limit + self._limit // 2
        self._context = self._new_context(FIRST_CELLS)
        self._adapter, self._scale = "", 0.0
        self._adapters: dict[str, Lora] = {}
        self._caches = {"": PromptCache(self._context, CHUNK)}
        self._tokenizer: Any = None
        self._grammars: dict[str, Grammar] = {}

    @property
    def bytes(self) -> int:
        """Bytes of the weights."""
        return self._model.bytes

    def generate(self, request: GenerateRequest, on_token: OnToken, cancelled: Callable[[], bool]) -> GenerateReply:
        """Generate text; looks at `cancelled` between tokens.

        Raises:
            ContextTooLong: The prompt leaves no room for an answer; `details` has `tokens`, `context` and `over`.
            ModelError: The model cannot do what is asked.
            Cancelled: `cancelled` said so.
        """
        started = time.monotonic()
        prompt, dropped = fit(request, lambda messages: self._tokens(messages, request.prefill), self._limit)
        if request.options:
            return replace(self._weighed(request, prompt, cancelled, started), dropped=dropped)
        drafts = [Draft(request.stop, on_token if i == 0 else None) for i in range(request.n)]
        grammar = self._grammar(request.schema)
        limit = min(request.max_tokens, self._limit - len(prompt))
        with self._lock(cancelled=cancelled), self._lines(request, drafts, grammar, len(prompt), limit) as lines:
            self._make_room(len(prompt) + min(request.n, SIDE_BY_SIDE) * limit)
            width = max(1, min(SIDE_BY_SIDE, (self._context.cells - len(prompt)) // limit))
            for start in range(0, len(lines), width):
                self._write(prompt, lines[start : start + width], cancelled)
        return GenerateReply(
            texts=tuple(draft.text for draft in drafts),
            finish=tuple(draft.finish for draft in drafts),
            model=self._spec.name,
            model_sha256=self._spec.sha256,
            adapter=self._adapter,
            engine=version(),
            prompt_tokens=len(prompt),
            dropped=dropped,
            completion_tokens=sum(draft.tokens for draft in drafts),
            seconds=time.monotonic() - started,
            form="constrained" if request.schema is not None else "",
        )

    def _weighed(
        self, request: GenerateRequest, prompt: list[int], cancelled: Callable[[], bool], started: float
    ) -> GenerateReply:
        """Answer with the likeliest of the options, and how likely each is."""
        options = [self._model.tokens(option, marks=False) for option in request.options]
        self._check_options(options, len(prompt))
        with self._lock(cancelled=cancelled):
            self._make_room(len(prompt) + max(map(len, options)))
            first = log_likelihoods(self._context.logits(self._read(prompt, cancelled)))
            scores = tuple(self._weight(option, first, len(prompt), cancelled) for option in options)
        return GenerateReply(
            texts=(request.options[scores.index(max(scores))],),
            finish=("stop",),
            model=self._spec.name,
            model_sha256=self._spec.sha256,
            adapter=self._adapter,
            engine=version(),
            prompt_tokens=len(prompt),
            seconds=time.monotonic() - started,
            scores=scores,
            form="constrained" if request.schema is not None else "",
        )

    def _check_options(self, options: Sequence[Sequence[int]], position: int) -> None:
        longest = max(map(len, options))
        over = position + longest - self._limit
        if over > 0:
            raise ContextTooLong(
                f"the prompt has {position} tokens and an option {longest}, {over} more than the context of "
                f"{self._limit} has room for",
                tokens=position + longest,
                context=self._limit,
                over=over,
            )

    def _weight(self, option: Sequence[int], first: Any, position: int, cancelled: Callable[[], bool]) -> float:
        """The logarithm of the likelihood of an option's tokens after a prompt that was read into sequence 0."""
        total = float(first[option[0]])
        if len(option) > 1:
            self._context.share(SEQUENCE, WEIGHING)
        for start in range(0, len(option) - 1, CHUNK):
            _check(cancelled)
            follow = option[start + 1 : start + 1 + CHUNK]
            read = option[start : start + len(follow)]
            self._context.compute([Slot(t, position + start + i, (WEIGHING,), True) for i, t in enumerate(read)])
            total += sum(float(log_likelihoods(self._context.logits(i))[t]) for i, t in enumerate(follow))
        if len(option) > 1:
            self._context.cut(WEIGHING)
        return total

    def adapt(self, adapter: AdapterSpec | None) -> None:
        """Use an adapter from now on, or none; what was read with another is kept apart.

        Raises:
            ModelError: It is broken, or made for another base.
        """
        name = f"{adapter.name} {adapter.sha256}" if adapter is not None else ""
        if adapter is not None and name not in self._adapters:
            self._adapters[name] = Lora(self._model, str(adapters.as_gguf(adapter, self._spec)))
            self._caches[name] = PromptCache(self._context, CHUNK)
        if name != self._adapter:
            self._scale = adapter.scale if adapter is not None else 0.0
            self._context.adapt(self._adapters[name] if name else None, self._scale)
            self._adapter = name

    def count_tokens(self, text: str) -> int:
        """Count tokens with the model's own tokenizer."""
        return len(self._model.tokens(text, marks=False))

    def statistics(self) -> dict[str, Any]:
        """Bytes of the weights, context, and how many prompt tokens were found already read."""
        reused = sum(cache.reused for cache in self._caches.values())
        return {"bytes": self.bytes, "context": self._limit, "reused_tokens": reused}

    def sleep(self) -> bool:
        """Give back the memory, all but a little; what a short while ago was read of prompts stays within bounds.

        Returns:
            False where that cannot be: the model must be closed then.
        """
        self._context.close()
        for cache in self._caches.values():
            cache.trim(ASLEEP_BYTES // len(self._caches))
        folder = platformdirs.user_cache_path("batos", appauthor=False) / "asleep"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self._lock():
                self._model.give_back(folder)
        except (OSError, ModelError):
            return False
        return True

    def wake(self) -> None:
        """Be ready again after a `sleep`.

        Raises:
            ModelError: There is not enough memory.
        """
        self._open(FIRST_CELLS)

    def close(self) -> None:
        """Free the model."""
        self._grammars.clear()
        self._tokenizer = None
        self._context.close()
        for lora in self._adapters.values():
            lora.close()
        self._model.close()

    def _new_context(self, cells: int) -> Context:
        wanted = min(cells, self._most_cells)
        return Context(self._model, cells=wanted, sequences=SIDE_BY_SIDE, batch=CHUNK, threads=self._threads)

    def _make_room(self, cells: int) -> None:
        """Have a context of so many cells, as far as one may be; it grows in doublings and never shrinks."""
        wanted = min(self._most_cells, 1 << (cells - 1).bit_length())
        if self._context.cells < wanted:
            self._context.close()
            self._open(wanted)

    def _open(self, cells: int) -> None:
        """Go on with a new context, as it was with the one before."""
        self._context = self._new_context(cells)
        for cache in self._caches.values():
            cache.move(self._context)
        if self._adapter:
            self._context.adapt(self._adapters[self._adapter], self._scale)

    def _tokens(self, messages: Messages, prefill: str) -> list[int]:
        """The whole prompt in the model's own form and tokens."""
        bos, bos_text, begins = self._model.bos()
        segments = chat.render(self._model.template, messages, prefill, bos=bos_text, eos=self._model.eos_text())
        tokens = [t for segment in segments for t in self._model.tokens(segment.text, marks=segment.marks)]
        if begins and tokens[:1] != [bos]:
            tokens.insert(0, bos)
        return tokens

    def _grammar(self, schema: dict[str, Any] | None) -> Grammar | None:
        if schema is None:
            return None
        if self._tokenizer is None:
            self._tokenizer = tokenizer(self._model)
        key = repr(schema)
        if key not in self._grammars:
            if len(self._grammars) >= 16:
                self._grammars.clear()
            self._grammars[key] = Grammar(self._tokenizer, schema)
        return self._grammars[key]

    @contextmanager
    def _lines(
        self, request: GenerateRequest, drafts: Sequence[Draft], grammar: Grammar | None, position: int, limit: int
    ) -> Iterator[list[_Line]]:
        prefill = self._model.tokens(request.prefill, marks=False) if grammar else []
        samplers = [Sampler(temperature, seed) for temperature, seed in samplings(request)]
        try:
            yield [
                _Line(
                    draft, sampler, grammar.constraint(prefill) if grammar else None, i % SIDE_BY_SIDE, limit, position
                )
                for i, (draft, sampler) in enumerate(zip(drafts, samplers, strict=True))
            ]
        finally:
            for sampler in samplers:
                sampler.close()

    def _write(self, prompt: list[int], lines: Sequence[_Line], cancelled: Callable[[], bool]) -> None:
        """Write some candidates side by side, to their ends."""
        row = self._read(prompt, cancelled)
        for i, line in enumerate(lines):
            line.sequence = i
            if i != SEQUENCE:
                self._context.share(SEQUENCE, i)
            self._choose(line, row)
        while live := [line for line in lines if not line.draft.done]:
            _check(cancelled)
            for line, row in self._step(live):
                self._choose(line, row)

    def _read(self, prompt: list[int], cancelled: Callable[[], bool]) -> int:
        """Read the prompt into sequence 0, and give the row of its last token's logits."""
        start = self._caches[self._adapter].begin(prompt)
        chunk: list[Slot] = []
        while start < len(prompt):
            _check(cancelled)
            end = min(start + CHUNK, len(prompt))
            chunk = [Slot(prompt[i], i, (SEQUENCE,), i == len(prompt) - 1) for i in range(start, end)]
            self._context.compute(chunk)
            start = end
            self._caches[self._adapter].note(prompt, end)
        return len(chunk) - 1

    def _step(self, live: Sequence[_Line]) -> list[tuple[_Line, int]]:
        """Compute what every live candidate has pending, and give the row of each one's logits."""
        slots: list[Slot] = []
        rows = []
        for line in live:
            if slots and len(slots) + len(line.pending) > CHUNK:
                continue  # its turn comes with the next step
            for i, token in enumerate(line.pending[:CHUNK]):
                slots.append(Slot(token, line.position + i, (line.sequence,), i == len(line.pending) - 1))
            rows.append((line, len(slots) - 1, len(line.pending) <= CHUNK))
            line.position += min(len(line.pending), CHUNK)
            line.pending = line.pending[CHUNK:]
        self._context.compute(slots)
        return [(line, row) for line, row, whole in rows if whole]

    def _choose(self, line: _Line, row: int) -> None:
        """Choose the next token of a candidate and add it, with the tokens that must follow it, to its draft."""
        if line.constraint is not None:
            line.constraint.mask(self._context.logits(row))
        token = line.sampler.choose(self._context, row)
        if self._model.ends(token):
            line.draft.end("stop")
            return
        forced = line.constraint.take(token) if line.constraint is not None else []
        line.pending = [token, *forced]
        for taken in line.pending:
            line.draft.add(self._model.piece(taken))
            if line.draft.done:
                return
            if line.draft.tokens >= line.limit:
                complete = line.constraint is not None and line.constraint.complete and taken == line.pending[-1]
                line.draft.end("stop" if complete else "length")
                return
        if line.constraint is not None and line.constraint.complete:
            line.draft.end("stop")


def log_likelihoods(logits: Any) -> Any:
    """The logarithm of each token's likelihood, of an array of logits."""
    import numpy as np

    shifted = logits.astype(np.float64) - logits.max()
    return shifted - np.log(np.exp(shifted).sum())


def _check(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise Cancelled("the generation was cancelled")
