"""The mind host: a process of its own that loads models and writes text, `python -m batos.mind.host`.

It speaks frames on its standard input and output. The main thread works through the requests in the order in which
they came; a second thread listens, so that a cancel is heard while a model writes. When the kernel is gone, so is the
host. It may die at any time without harm to the kernel.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from batos.codec import CodecError
from batos.errors import BadField, BatosError, Cancelled, ModelError, to_wire
from batos.mind.frames import read_frame, write_frame
from batos.mind.protocol import AdapterSpec, GenerateRequest, ModelSpec
from batos.mind.residency import Residency

if TYPE_CHECKING:
    from collections.abc import Callable

BEAT_SECONDS = 0.5


class Host:
    """Serves the requests that come on one stream and answers on another.

    Args:
        source: Where frames come from.
        target: Where frames go.
        make: Loads a model; the default chooses by the engine's name and the kind of the weights.
        budget: Bytes that loaded models may take; 0 for no limit.
    """

    def __init__(
        self, source: IO[bytes], target: IO[bytes], make: Callable[[ModelSpec], Any], *, budget: int = 0
    ) -> None:
        self._source = source
        self._target = target
        self._models = Residency(make, budget)
        self._jobs: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        self._writing = threading.Lock()
        self._beat_at = 0.0

    def listen(self) -> None:
        """Take frames until the kernel closes the stream; then end the work."""
        with contextlib.suppress(EOFError, OSError, CodecError):
            while True:
                frame = read_frame(self._source)
                if frame["op"] == "cancel":
                    self._cancelled.add(frame["id"])
                else:
                    self._jobs.put(frame)
        self._jobs.put(None)

    def work(self) -> None:
        """Work through the requests until the end."""
        while (job := self._jobs.get()) is not None:
            number = job["id"]
            try:
                self._send({"id": number, "value": self._do(number, job)})
            except Exception as error:  # noqa: BLE001 - whatever a library raises, the kernel must hear it
                self._send({"id": number, "error": to_wire(_known(error))})
            self._cancelled.discard(number)
        self._models.clear()

    def _do(self, number: int, job: dict[str, Any]) -> Any:
        if self._is_cancelled(number):
            raise Cancelled
        actions = {
            "generate": self._generate,
            "embed": self._embed,
            "load": self._load,
            "unload": self._unload,
            "quantize": self._quantize,
            "check_adapter": self._check_adapter,
        }
        action = actions.get(job["op"])
        if action is None:
            raise BadField(f"the mind host knows no {job['op']!r}")
        return action(number, job)

    def _generate(self, number: int, job: dict[str, Any]) -> dict[str, Any]:
        engine = self._engine(number, job)
        engine.adapt(AdapterSpec(**job["adapter"]) if "adapter" in job else None)
        request = GenerateRequest(**job["request"])

        def on_token(text: str) -> None:
            if job.get("stream", True):
                self._send({"id": number, "token": text})

        return asdict(engine.generate(request, on_token, lambda: self._is_cancelled(number)))

    def _embed(self, number: int, job: dict[str, Any]) -> list[list[float]]:
        vectors: list[list[float]] = self._engine(number, job).embed(
            list(job["texts"]), lambda: self._is_cancelled(number)
        )
        return vectors

    def _load(self, number: int, job: dict[str, Any]) -> None:
        self._engine(number, job)

    def _unload(self, number: int, job: dict[str, Any]) -> None:
        del number
        self._models.drop(job["name"])
        self._tell_models()

    def _quantize(self, number: int, job: dict[str, Any]) -> None:
        from batos.mind.transformers_engine import quantize

        spec = ModelSpec(**job["model"])
        self._send({"loading": spec.name, "id": number})
        try:
            quantize(Path(spec.path), Path(job["folder"]))
        finally:
            self._tell_models()

    def _check_adapter(self, number: int, job: dict[str, Any]) -> dict[str, Any]:
        del number
        from batos.mind import adapters

        return adapters.check(AdapterSpec(**job["adapter"]), ModelSpec(**job["model"]))

    def _engine(self, number: int, job: dict[str, Any]) -> Any:
        spec = ModelSpec(**job["model"])
        self._models.pinned = frozenset(job.get("pinned", ()))
        self._models.beside = job.get("beside", 0)
        if self._models.has(spec):
            return self._models.get(spec)
        self._send({"loading": spec.name, "id": number})
        try:
            return self._models.get(spec)
        finally:
            self._tell_models()

    def _tell_models(self) -> None:
        told = {"loads": self._models.loads, "wakes": self._models.wakes, "asleep": self._models.sleeping()}
        self._send({"models": self._models.listing(), **told})

    def _is_cancelled(self, number: int) -> bool:
        """Tell whether a request was cancelled; the kernel hears by the way that the host is alive."""
        now = time.monotonic()
        if now - self._beat_at > BEAT_SECONDS:
            self._send({"beat": number})
        return number in self._cancelled

    def _send(self, frame: dict[str, Any]) -> None:
        self._beat_at = time.monotonic()
        with self._writing, contextlib.suppress(OSError):  # a kernel that is gone is noticed by `listen`
            write_frame(self._target, frame)


def make_engine(engine: str, spec: ModelSpec) -> Any:
    """Load a model with an engine.

    Raises:
        ModelError: The engine cannot load weights of this kind, or they are broken.
    """
    if spec.kind == "embedding":
        from batos.mind.embedding import EmbeddingEngine

        return EmbeddingEngine(spec)
    if engine == "transformers":
        from batos.mind.transformers_engine import TransformersEngine

        return TransformersEngine(spec)
    if spec.kind != "gguf":
        raise ModelError(
            f"{spec.name} is a folder of {spec.kind} weights, and llama.cpp reads GGUF files",
            "Set ENGINE to transformers, or name a GGUF file in PERSONA_MODELS.",
        )
    from batos.mind.llamacpp import LlamaEngine

    return LlamaEngine(spec)


def _known(error: Exception) -> BatosError:
    if isinstance(error, BatosError):
        return error
    if isinstance(error, MemoryError):
        return ModelError("the mind host has too little memory for this", "Use a smaller model, or lower the budgets.")
    return ModelError(f"the mind host failed: {type(error).__name__}: {error}")


def _claim_streams() -> tuple[IO[bytes], IO[bytes]]:
    """Keep the frames' streams for frames alone: whatever libraries print goes to standard error."""
    source, target = os.dup(0), os.dup(1)
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a device, not a path of ours
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return os.fdopen(source, "rb"), os.fdopen(target, "wb")


def _volunteer() -> None:
    """Offer this process first where memory runs out: it is the one that can be replaced."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123
        file.write("500")


def main(arguments: list[str] | None = None) -> None:
    """Run the mind host; its arguments are the engine's name and the budget in bytes."""
    engine, budget = (sys.argv[1:] if arguments is None else arguments)[:2]
    source, target = _claim_streams()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in a terminal is for the kernel, which stops its host
    _volunteer()
    host = Host(source, target, lambda spec: make_engine(engine, spec), budget=int(budget))

    def listen() -> None:
        host.listen()
        time.sleep(1.0)
        os._exit(0)  # the kernel is gone, and a model may be deep in native code

    threading.Thread(target=listen, name="batos-listen", daemon=True).start()
    host.work()


if __name__ == "__main__":
    main()
