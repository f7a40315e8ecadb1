"""The kernel's mind: local models in host processes, and which mind the settings ask for.

Text is written in one host, embeddings are made in another (they need torch, text need not), each started on first
need. The kernel process itself never loads an engine. Models that nobody asks for leave after a while, pinned ones stay.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batos.errors import BatosError, ModelError, NoWeights
from batos.mind import select
from batos.mind.link import STALL_SECONDS, HostLink
from batos.mind.protocol import AdapterSpec, GenerateReply, GenerateRequest, Mind, ModelSpec, OnToken
from batos.mind.residency import weight_bytes
from batos.mind.turns import Turns

if TYPE_CHECKING:
    from batos.settings import Settings

Resolver = Callable[[str], "ModelSpec | Awaitable[ModelSpec]"]
_WITH_MODEL = ("generate", "embed", "load")
AdapterResolver = Callable[[str], "AdapterSpec | Awaitable[AdapterSpec | None] | None"]


class HostMind:
    """Local models in a process of their own.

    Args:
        models: Where models lie: a mapping from persona or model name, or a function, asynchronous if it may block.
        engine: `llama.cpp`, `transformers` or `auto`.
        budget: Bytes that the loaded models of both hosts may take together; 0 for no limit.
        embedding: Name of the embedding model.
        stall_seconds: How long a host may work without a sign of life.
        idle_seconds: Models that nobody asked for so long are unloaded, pinned ones excepted; 0 keeps them.
        adapters: Which adapter a persona, or a name, has; None for no adapters at all.
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
        idle_seconds: float = 0.0,
        adapters: AdapterResolver | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        self._models = models
        self._adapters = adapters
        self._idle_seconds = idle_seconds
        self._turns = Turns(lambda name: any(model["name"] == name for model in self._text.models))
        self.pinned: set[str] = set()
        self._used: dict[str, float] = {}
        self._busy: Counter[str] = Counter()
        self._budget = budget
        self._room = asyncio.Lock()
        self._leaving: set[str] = set()
        self._idling: asyncio.Task[None] | None = None
        self._closed = False
        self._embedding = embedding
        self.choice = select.choose_engine(engine)
        arguments = (self.choice.engine, str(budget))
        self._text = HostLink(arguments, command=command, stall_seconds=stall_seconds)
        self._vectors = HostLink(arguments, command=command, stall_seconds=stall_seconds)
        self._counts = {"requests": 0, "failures": 0, "tokens": 0, "seconds": 0.0, "embeddings": 0}

    async def generate(self, request: GenerateRequest, on_token: OnToken | None = None) -> GenerateReply:
        """Generate text; see `Mind`."""
        spec = await self._spec(request.model or request.persona)
        adapter = await self._adapter(request)
        self._counts["requests"] += 1
        frame = {"op": "generate", "request": asdict(request), "stream": on_token is not None}
        if adapter is not None:
            frame["adapter"] = asdict(adapter)
        try:
            reply = GenerateReply(**await self._in_turn(spec, frame, on_token))
        except Exception:
            self._counts["failures"] += 1
            raise
        self._counts["tokens"] += reply.completion_tokens
        self._counts["seconds"] += reply.seconds
        return reply

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Give a unit vector for each text; see `Mind`."""
        spec = await self._spec(self._embedding)
        vectors: list[list[float]] = await self._ask(self._vectors, spec, {"op": "embed", "texts": list(texts)})
        self._counts["embeddings"] += len(vectors)
        return vectors

    async def load(self, name: str) -> None:
        """Load a persona's model, or a named one, ahead of its first use."""
        spec = await self._spec(name)
        if spec.kind == "embedding":
            await self._ask(self._vectors, spec, {"op": "load"})
        else:
            await self._in_turn(spec, {"op": "load"})

    async def unload(self, name: str) -> None:
        """Let a model go; the host that has none left ends, and with it all its memory comes back."""
        links = (self._text, self._vectors)
        if not any(_knows(link, name) for link in links):
            name = (await self._spec(name)).name
        for link in links:
            if _knows(link, name):
                async with self._turn(link, name):
                    await self._drop(link, name)

    async def _drop(self, link: HostLink, name: str) -> None:
        self._leaving.add(name)  # who asks for it meanwhile waits for its load
        try:
            await link.call({"op": "unload", "name": name})
        finally:
            self._leaving.discard(name)
        if not (link.models or link.waiting):
            await link.stop()

    async def pin(self, name: str, *, pinned: bool = True) -> str:
        """Make a model stay loaded once it is, or let it leave again; gives the model's name."""
        spec = await self._spec(name)
        (self.pinned.add if pinned else self.pinned.discard)(spec.name)
        return spec.name

    async def quantize(self, spec: ModelSpec, folder: Path) -> None:
        """Make a 4-bit folder of a GGUF file or of a folder, for the transformers engine; takes minutes."""
        await self._in_turn(spec, {"op": "quantize", "folder": str(folder)})

    async def check_adapter(self, spec: ModelSpec, adapter: AdapterSpec) -> dict[str, Any]:
        """Try an adapter on its model; gives what it is.

        Raises:
            BadAdapter: It is not for this model, or broken; the message says which.
        """
        told: dict[str, Any] = await self._in_turn(spec, {"op": "check_adapter", "adapter": asdict(adapter)})
        return told

    def statistics(self) -> dict[str, Any]:
        """Engine and why, models, memory, counts, and the hosts: plain data."""
        hosts = {"text": self._text.statistics(), "embedding": self._vectors.statistics()}
        return {
            "engine": self.choice.engine,
            "reason": self.choice.reason,
            "models": [*_models(self._text), *_models(self._vectors)],
            "memory": sum(int(host["memory"]) for host in hosts.values()),
            "budget": self._budget,
            "hosts": hosts,
            "pinned": sorted(self.pinned),
            "waiting": self._turns.waiting,
            "switches": self._turns.switches,
            **self._counts,
        }

    async def close(self) -> None:
        """End the hosts."""
        self._closed = True
        if self._idling is not None:
            self._idling.cancel()
            await asyncio.gather(self._idling, return_exceptions=True)
        await self._text.stop()
        await self._vectors.stop()

    async def _in_turn(self, spec: ModelSpec, frame: dict[str, Any], on_token: OnToken | None = None) -> Any:
        """Send a request to the text host when its turn has come."""
        async with self._turn(self._text, spec.name):
            return await self._ask(self._text, spec, frame, on_token)

    async def _ask(
        self, link: HostLink, spec: ModelSpec, frame: dict[str, Any], on_token: OnToken | None = None
    ) -> Any:
        """Send a request to a host, which loads the model first; as long as it lasts the model is not idle."""
        if self._closed:
            raise ModelError("the mind host was stopped", "Start the system again.")
        self._watch_idle()
        self._busy[spec.name] += 1
        try:
            if frame["op"] in _WITH_MODEL and (spec.name in self._leaving or not _has(link, spec)):
                async with self._room:  # one load at a time: what the other host has is known
                    await self._make_room(link, spec)
                    await link.call(self._framed(link, spec, {"op": "load"}))
            return await link.call(self._framed(link, spec, frame), on_token)
        finally:
            self._busy[spec.name] -= 1
            self._used[spec.name] = asyncio.get_running_loop().time()

    def _framed(self, link: HostLink, spec: ModelSpec, frame: dict[str, Any]) -> dict[str, Any]:
        return {**frame, "model": asdict(spec), "pinned": list(self.pinned), "beside": _bytes(self._other(link).models)}

    def _other(self, link: HostLink) -> HostLink:
        return self._vectors if link is self._text else self._text

    async def _make_room(self, link: HostLink, spec: ModelSpec) -> None:
        """Have models of the other host leave where the budget has no room for one of this host beside them.

        Text goes before embeddings: the embedding model leaves for a text model, but the text model that was used last
        stays, and what is still too much then is refused by the host.
        """
        other = self._other(link)
        size = weight_bytes(Path(spec.path)) + _bytes(model for model in link.models if model["name"] in self.pinned)
        if not size <= self._budget:  # there is no limit, or it is too much in any case
            return
        leaving = other.models if link is self._text else other.models[:-1]
        for model in [model for model in leaving if model["name"] not in self.pinned]:
            if size + _bytes(other.models) <= self._budget:
                return
            await self._drop(other, model["name"])

    def _turn(self, link: HostLink, name: str) -> contextlib.AbstractAsyncContextManager[None]:
        return self._turns.turn(name) if link is self._text else contextlib.nullcontext()

    def _watch_idle(self) -> None:
        if self._idle_seconds and self._idling is None:
            self._idling = asyncio.create_task(self._unload_idle(), name="batos-mind-idle")

    async def _unload_idle(self) -> None:
        """Unload what nobody asked for, for ever."""
        while True:
            await asyncio.sleep(self._idle_seconds / 4)
            now = asyncio.get_running_loop().time()
            idle = [name for name, used in self._used.items() if now - used > self._idle_seconds]
            for name in set(idle) - self.pinned - {name for name, count in self._busy.items() if count}:
                del self._used[name]
                with contextlib.suppress(BatosError):
                    await self.unload(name)

    async def _adapter(self, request: GenerateRequest) -> AdapterSpec | None:
        name = request.adapter or request.persona
        if self._adapters is None or not name:
            return None
        found = self._adapters(name)
        return await found if inspect.isawaitable(found) else found

    async def _spec(self, name: str) -> ModelSpec:
        if callable(self._models):
            found = self._models(name)
            return await found if inspect.isawaitable(found) else found
        by_name = {spec.name: spec for spec in self._models.values()}
        spec = self._models.get(name) or by_name.get(name)
        if spec is None:
            raise NoWeights(f"no model is known for {name!r}")
        return spec


def open_mind(
    settings: Settings, models: Mapping[str, ModelSpec] | Resolver, adapters: AdapterResolver | None = None
) -> Mind:
    """The mind that the setting ENGINE asks for.

    Args:
        settings: The settings.
        models: Where local models lie; see `HostMind`.
        adapters: Which adapter a persona has; see `HostMind`.

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
    return HostMind(
        models,
        engine=settings.engine,
        budget=budget,
        embedding=settings.sentence_transformer_model,
        idle_seconds=settings.model_idle_seconds,
        adapters=adapters,
    )


def _has(link: HostLink, spec: ModelSpec) -> bool:
    """Whether a host has a model loaded, with these very weights."""
    return any((model["name"], model["sha256"]) == (spec.name, spec.sha256) for model in link.models)


def _knows(link: HostLink, name: str) -> bool:
    """Whether a host has a model of that name, loaded or asleep."""
    return any(model["name"] == name for model in (*link.models, *link.asleep))


def _bytes(models: Iterable[Mapping[str, Any]]) -> int:
    return sum(int(model["bytes"]) for model in models)


def _models(link: HostLink) -> list[dict[str, Any]]:
    loaded = [{**model, "state": "loaded"} for model in link.models]
    loaded += [{**model, "state": "asleep"} for model in link.asleep if model["name"] != link.loading]
    return [*loaded, {"name": link.loading, "state": "loading", "bytes": 0}] if link.loading else loaded
