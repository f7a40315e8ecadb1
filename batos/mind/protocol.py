"""The model protocol: what a mind is asked, and what it answers.

A `Mind` is what the kernel holds: asynchronous, its models may live in another process. An `Engine` is what the mind
host holds: synchronous, one loaded model. Both speak the same plain requests and replies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

OnToken = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateRequest:
    """One request for text.

    Args:
        state: The PSM state (or CONVERSING, TRANSLATING) that asks.
        persona: The persona that speaks.
        model: Name of the model; empty asks the persona's.
        adapter: Name of the adapter; empty asks the persona's.
        messages: Chat messages, `{"role": "system"|"user"|"assistant", "content": text}`, without the prefill.
        optional: Parts of the messages' contents that are left out where the prompt is too long, the most useful first.
        prefill: Text that the answer begins with; the reply's texts do not repeat it.
        stop: Texts that end the answer; they are not part of it.
        max_tokens: The most tokens of one text.
        temperature: 0 is greedy.
        seed: Seed of the sampling; text i of a batch uses `seed + i`.
        n: How many texts are wanted.
        schema: A JSON schema that the answer must satisfy, or None.
        options: Answers to weigh instead of writing one; an engine that cannot weigh writes by the schema.
        intent: The Architect's words of the mission.
        selector: The mission's selector.
    """

    state: str
    persona: str = ""
    model: str = ""
    adapter: str = ""
    messages: tuple[dict[str, str], ...] = ()
    optional: tuple[str, ...] = ()
    prefill: str = ""
    stop: tuple[str, ...] = ()
    max_tokens: int = 512
    temperature: float = 0.0
    seed: int = 0
    n: int = 1
    schema: dict[str, Any] | None = None
    options: tuple[str, ...] = ()
    intent: str = ""
    selector: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateReply:
    """What a mind answered.

    Args:
        texts: The answers, `n` of them, without the prefill.
        finish: For each text why it ended: `stop`, `length`, or `loop` where it went round in circles.
        model: Name of the model.
        model_sha256: Digest of its weights, empty where there are none.
        adapter: Name and digest of the adapter that was used, empty without one.
        engine: Name and version of the engine.
        prompt_tokens: Tokens of the prompt.
        dropped: How many optional parts were left out of it.
        completion_tokens: Tokens of all texts together.
        seconds: Time that the generation took.
        scores: For each option that was weighed the logarithm of its likelihood; empty where none was.
        form: How the schema was kept: `constrained` in decoding, `checked` afterwards, and how many texts had to be
            asked for again; empty without a schema.
    """

    texts: tuple[str, ...]
    finish: tuple[str, ...] = ()
    model: str = ""
    model_sha256: str = ""
    adapter: str = ""
    engine: str = ""
    prompt_tokens: int = 0
    dropped: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    scores: tuple[float, ...] = ()
    form: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A model that can be loaded: its name, its file or folder on disk, its digest, its context in tokens."""

    name: str
    path: str
    sha256: str = ""
    context: int = 8192
    kind: str = "gguf"
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterSpec:
    """A LoRA adapter: its name, its folder on disk, its digest, and how strongly it counts."""

    name: str
    path: str
    sha256: str = ""
    scale: float = 1.0


class Mind(Protocol):
    """What the kernel asks of models. Every method may raise `ModelError`, `NoWeights` or `ContextTooLong`."""

    async def generate(self, request: GenerateRequest, on_token: OnToken | None = None) -> GenerateReply:
        """Generate text; `on_token` hears the pieces of the first text as they come. Cancelling the task stops it."""

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Give an embedding for each text."""

    async def load(self, name: str) -> None:
        """Load a model ahead of its first use."""

    async def unload(self, name: str) -> None:
        """Let a model go; its memory comes back."""

    def statistics(self) -> dict[str, Any]:
        """Engine, models (`name`, `state`: loading, loaded, asleep; `bytes`), memory, counts: plain data."""

    async def close(self) -> None:
        """Stop everything that this mind started."""


class Engine(Protocol):
    """One loaded model in the mind host; synchronous."""

    def generate(self, request: GenerateRequest, on_token: OnToken, cancelled: Callable[[], bool]) -> GenerateReply:
        """Generate text; looks at `cancelled` between tokens."""

    def adapt(self, adapter: AdapterSpec | None) -> None:
        """Use an adapter from now on, or none; the base stays loaded."""

    def count_tokens(self, text: str) -> int:
        """Count tokens with the model's own tokenizer."""

    def sleep(self) -> bool:
        """Give the memory back and stay ready for `wake`; False where only `close` does that."""

    def wake(self) -> None:
        """Be ready again after a `sleep`."""

    def close(self) -> None:
        """Free the model."""
