"""The kernel's mind: local models in host processes, and which mind the settings ask for.

Text is written in one host, embeddings are made in another (they need torch, text need not), each started on first
need. The kernel process itself never loads an engine.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from batos.errors import NoWeights
from batos.mind import select
from batos.mind.link import STALL_SECONDS, HostLink
from batos.mind.protocol import GenerateReply, GenerateRequest, Mind, ModelSpec, OnToken

if TYPE_CHECKING:
    from batos.settings import Settings

Resolver = Callable[[str], "ModelSpec | Awaitable[ModelSpec]"]


class HostMind:
    """Local models in a process of their own.

    Args:
        models: Where models lie: a mapping from persona or model name, or a function, asynchronous if it may block.
        engine: `llama.cpp`, `transformers` or `auto`.
        budget: Bytes that loaded models may take; 0 for no limit.
        embedding: Name of the embedding model.
        stall_seconds: How long a host may work without a sign of life.
        command: Another program than the mind host; for tests.
    """

    def __init__(
        self,
        models: Mapping[str, ModelSpec] | Resolver,
        *,
        engine: str = "auto",
        budget: int = 0,
        embedding: str = "all-MiniLM-L6-v2",
        stall_seconds: float = STALL_SECONDS,
        command: Sequence[str] | None = None,
    ) -> None:
        self._models = models
        self._embedding = embedding
        self.choice = select.choose_engine(engine)
        arguments = (self.choice.engine, str(budget))
        self._text = HostLink(arguments, command=command, stall_seconds=stall_seconds)
        self._vectors = HostLink(arguments, command=command, stall_seconds=stall_seconds)
        self._counts = {"requests": 0, "failures": 0, "tokens": 0, "seconds": 0.0, "embeddings": 0}

    async def generate(self, request: GenerateRequest, on_token: OnToken | None = None) -> GenerateReply:
        """Generate text; see `Mind`."""
        spec = await self._spec(request.model or request.persona)
        self._counts["requests"] += 1
        frame = {"op": "generate", "model": asdict(spec), "request": asdict(request), "stream": on_token is not None}
        try:
            reply = GenerateReply(**await self._text.call(frame, on_token))
        except Exception:
            self._counts["failures"] += 1
            raise
        self._counts["tokens"] += reply.completion_tokens
        self._counts["seconds"] += reply.seconds
        return reply

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Give a unit vector for each text; see `Mind`."""
        spec = await self._spec(self._embedding)
        vectors: list[list[float]] = await self._vectors.call(
            {"op": "embed", "model": asdict(spec), "texts": list(texts)}
        )
        self._counts["embeddings"] += len(vectors)
        return vectors

    async def load(self, name: str) -> None:
        """Load a persona's model, or a named one, ahead of its first use."""
        spec = await self._spec(name)
        link = self._vectors if spec.kind == "embedding" else self._text
        await link.call({"op": "load", "model": asdict(spec)})

    async def unload(self, name: str) -> None:
        """Let a model go; the host that has none left ends, and with it all its memory comes back."""
        spec = await self._spec(name)
        for link in (self._text, self._vectors):
            if any(model["name"] == spec.name for model in link.models):
                await link.call({"op": "unload", "name": spec.name})
                if not link.models:
                    await link.stop()

    def statistics(self) -> dict[str, Any]:
        """Engine and why, models, memory, counts, and the hosts: plain data."""
        hosts = {"text": self._text.statistics(), "embedding": self._vectors.statistics()}
        return {
            "engine": self.choice.engine,
            "reason": self.choice.reason,
            "models": [*_models(self._text), *_models(self._vectors)],
            "memory": sum(int(host["memory"]) for host in hosts.values()),
            "hosts": hosts,
            **self._counts,
        }

    async def close(self) -> None:
        """End the hosts."""
        await self._text.stop()
        await self._vectors.stop()

    async def _spec(self, name: str) -> ModelSpec:
        if callable(self._models):
            found = self._models(name)
            return await found if inspect.isawaitable(found) else found
        by_name = {spec.name: spec for spec in self._models.values()}
        spec = self._models.get(name) or by_name.get(name)
        if spec is None:
            raise NoWeights(f"no model is known for {name!r}")
        return spec


def open_mind(settings: Settings, models: Mapping[str, ModelSpec] | Resolver) -> Mind:
    """The mind that the setting ENGINE asks for.

    Args:
        settings: The settings.
        models: Where local models lie; see `HostMind`.

    Raises:
        BadSetting: The script of the scripted engine cannot be read.
    """
    if settings.scripted_file is not None:
        from batos.testing.scripted import ScriptedMind

        return ScriptedMind.load_file(settings.scripted_file)
    if settings.engine == "openai":
        from batos.mind.openai import OpenAIMind

        return OpenAIMind(settings.openai_base_url, settings.openai_api_key, settings.persona_models)
    budget = select.memory_budget(settings)
    return HostMind(models, engine=settings.engine, budget=budget, embedding=settings.sentence_transformer_model)


def _models(link: HostLink) -> list[dict[str, Any]]:
    loaded = [{**model, "state": "loaded"} for model in link.models]
    return [*loaded, {"name": link.loading, "state": "loading", "bytes": 0}] if link.loading else loaded
