"""Words to requests on the Architect's side: memory first, then a small model in this process, then rules.

The model is llama.cpp's; it loads when words first need it, in a thread, and its engine takes the lock that every
process with a model takes. Where another process holds the models (scripted, openai), the kernel translates.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from batos.cognition import deciding, translation
from batos.errors import BatosError, ModelError, NoWeights
from batos.mind.protocol import GenerateReply, GenerateRequest, ModelSpec

if TYPE_CHECKING:
    from batos.client.bridge import Client, Message
    from batos.cognition.rulebook import Translation
    from batos.mind.protocol import Engine
    from batos.settings import Settings

CONTEXT = 4096
MAX_NOTICE = 300
Notice = Callable[[str], None]
Cancelled = Callable[[], bool]


class Writer(Protocol):
    """What answers a request with JSON, or weighs; blocking, called in a thread of its own."""

    def __call__(self, request: GenerateRequest, cancelled: Cancelled) -> GenerateReply:
        """Answer; raises a `BatosError` when it cannot."""

    def close(self) -> None:
        """Free the model."""


class Translator:
    """Turns the Architect's words into requests.

    Args:
        client: Asks the kernel what it remembers and what the target understands.
        settings: TRANSLATOR, ENGINE and where the weights are.
        notice: Told in a line when a rule stood in for a model, and why; each reason once.
        writer: The model; by default llama.cpp with the weights of the settings, loaded on first use.
    """

    def __init__(self, client: Client, settings: Settings, notice: Notice, writer: Writer | None = None) -> None:
        self._client = client
        self._notice = notice
        self._mode = _mode(settings)
        self._writer: Writer = writer or LocalWriter(settings)
        self._thread = ThreadPoolExecutor(1, "batos-translator")
        self._told: set[str] = set()

    async def translate(self, text: str, target: Any) -> Translation:
        """Translate words for a target.

        Raises:
            BatosError: The kernel's error, for example an unknown target; or `Unreachable`.
        """
        remembered = self._mode != "kernel"
        reply = await self._client.call("translate", text=text, target_oid=target, remembered=remembered)
        if not remembered or reply.get("kind") != "unclear":
            if reply.get("notice"):
                self._tell(str(reply["notice"]))
            return translation.from_reply(reply)
        understands = await self._understands(reply, target)
        certain = translation.explicit(text, understands, target=target)
        if certain is not None:
            return certain
        if self._mode == "rules":
            return translation.rules(text, understands, target=target)
        return await self._by_model(text, understands, target)

    def close(self) -> None:
        """Let the model go, once what it writes has been stopped."""
        self._thread.submit(self._writer.close)
        self._thread.shutdown(wait=True)

    async def _understands(self, reply: Message, target: Any) -> list[dict[str, Any]]:
        listed = reply.get("understands")
        if isinstance(listed, list):
            return [item for item in listed if isinstance(item, dict)]
        seen = await self._client.call("inspect", target_oid=target)
        own = {name: dict(about) for name, about in dict(seen.get("methods") or {}).items()}
        return [{"selector": name, **own.get(name, {})} for name in {*own, *seen.get("understands", [])}]

    async def _by_model(self, text: str, understands: list[dict[str, Any]], target: Any) -> Translation:
        stop = threading.Event()
        loop = asyncio.get_running_loop()

        async def ask(request: GenerateRequest) -> GenerateReply:
            return await loop.run_in_executor(self._thread, self._writer, request, stop.is_set)

        try:
            return await deciding.by_model(ask, text, understands, target=target)
        except BatosError as error:
            self._tell(f"Translated by rules, because the local model did not answer: {error.message} {error.hint}")
            return translation.rules(text, understands, target=target)
        finally:
            stop.set()

    def _tell(self, text: str) -> None:
        line = text.strip().split("\n", 1)[0][:MAX_NOTICE]
        if line not in self._told:
            self._told.add(line)
            self._notice(line)


class LocalWriter:
    """llama.cpp in this process, loaded on first use.

    Args:
        settings: LLAMA_MODEL_PATH, or the default weights from the cache.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine: Engine | None = None

    def __call__(self, request: GenerateRequest, cancelled: Cancelled) -> GenerateReply:
        """Answer a request.

        Raises:
            BatosError: No weights, or the model failed.
        """
        if self._engine is None:
            self._engine = _load(self._spec())
        return self._engine.generate(request, lambda _token: None, cancelled)

    def close(self) -> None:
        """Free the model."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _spec(self) -> ModelSpec:
        from batos.mind import select

        chosen = self._settings.llama_model_path
        if chosen is None:
            own = self._settings.persona_models
            spec = select.resolve(
                self._settings, select.model_for(self._settings, "ALFRED") if own else select.default_model()
            )
        else:
            file = self._settings.path(chosen)
            if not file.is_file():
                raise NoWeights(f"LLAMA_MODEL_PATH names {file}, which is not there.", "Mend the setting, or unset it.")
            spec = ModelSpec(name=file.stem, path=str(file))
        if spec.kind != "gguf":
            raise NoWeights(
                f"{spec.name} is no GGUF file.", "Name one with LLAMA_MODEL_PATH, or set TRANSLATOR=kernel."
            )
        return replace(spec, context=min(spec.context, CONTEXT))


def _load(spec: ModelSpec) -> Engine:
    try:
        from batos.mind.llamacpp import LlamaEngine
    except ImportError as error:
        raise ModelError(f"llama.cpp cannot be loaded: {error}.", "Install it with `./puter.sh`.") from None
    return LlamaEngine(spec)


def _mode(settings: Settings) -> str:
    elsewhere = settings.scripted_file is not None or settings.engine == "openai"
    return "kernel" if settings.translator == "client" and elsewhere else settings.translator
