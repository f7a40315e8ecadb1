"""BatOS_UVM: the transient vessel that opens the Living Image and serves it."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import batos
from batos.calls.caller import Caller
from batos.cognition.orchestrator import Orchestrator
from batos.cognition.services import Record, Services, Step
from batos.errors import BatosError
from batos.image import migrations, minds, outbox
from batos.image.store import Image
from batos.journal import Journal
from batos.kernel import narrator
from batos.kernel.adoption import Adoption
from batos.kernel.bridge import Bridge
from batos.kernel.commands import Commands
from batos.kernel.feed import Feed
from batos.kernel.heartbeat import Heartbeat
from batos.kernel.learning import Learner
from batos.kernel.primitives import Primitives
from batos.kernel.proof import Proof
from batos.kernel.provision import Provision
from batos.kernel.repair import Keeper
from batos.kernel.scribe import Scribe
from batos.kernel.translate import KernelTranslator
from batos.kernel.upkeep import Upkeep
from batos.memory import catalog, golden
from batos.memory.service import FractalMemory
from batos.mind.service import HostMind, open_mind
from batos.sandbox.runner import Sandbox
from batos.sandbox.world import Limits
from batos.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from batos.calls.overlay import Capabilities

_log = logging.getLogger("batos.kernel")
_DRAIN_SECONDS = 2.0


class BatOS_UVM:  # noqa: N801 - the name is the original's
    """The kernel: opens the image, serves the bridge, drives the cycles.

    Args:
        db_file: The image; None takes the setting.
        blob_dir: Its blobs; None takes the setting.
        settings: All settings; None reads them from the environment.
        prove: The record of an upgrade that must say `proven` before anybody is served; None serves at once.
    """

    image: Image
    sandbox: Sandbox
    caller: Caller
    capabilities: Capabilities
    orchestrator: Orchestrator

    def __init__(
        self,
        db_file: str | Path | None = None,
        blob_dir: str | Path | None = None,
        settings: Settings | None = None,
        prove: Path | None = None,
    ) -> None:
        settings = settings or Settings.load()
        named = {"db_file": db_file, "blob_dir": blob_dir}
        self.settings = settings.model_copy(
            update={key: str(value) for key, value in named.items() if value is not None}
        )
        self.proof = Proof(prove)
        self._grace = 0.0
        self._started = time.monotonic()
        self._stop = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()

    async def initialize_system(self) -> None:
        """Open the image (awaken it the first time), prove the sandbox, and bind the bridge.

        Raises:
            StartError: The image is in use or damaged, or the endpoint is taken.
        """
        settings = self.settings
        settings.home.mkdir(parents=True, exist_ok=True)
        first = not settings.image_path.exists()
        narrator.awakening(first=first, path=settings.image_path)
        self.image = await asyncio.to_thread(
            Image, settings.image_path, settings.blob_path, cache_objects=settings.cache_objects
        )
        try:
            await self._assemble(await asyncio.to_thread(migrations.migrate, self.image))
        except BaseException:
            await self.image.close()
            raise

    async def _assemble(self, applied: list[str]) -> None:
        settings = self.settings
        if applied:
            _log.info("migrations applied: %s", ", ".join(applied))
        self.sandbox = Sandbox(
            require=settings.sandbox,
            pool=settings.sandbox_pool,
            uid=settings.sandbox_uid,
            limits=_limits(settings),
            modules=settings.allowed_modules,
            bare=settings.guardian_policy == "warn",
        )
        self.upkeep = Upkeep(self.image, settings.retention_days)
        self._provision = Provision(self.image, settings)
        self.mind = open_mind(settings, self._provision.spec, self._provision.adapter)
        self.adoption = Adoption(self.image, self.mind, self._provision, settings)
        if isinstance(self.mind, HostMind):
            self.mind.pinned.update((await self.image.read(minds.pins)).value)
            if self.mind.choice.engine == "transformers":
                self._provision.quantize = self.mind.quantize
        self.memory = FractalMemory(self.image, self.mind.embed, settings.sentence_transformer_model)
        self._scribe = Scribe(self.image, Journal(settings.path(settings.metacognition_log_file)))
        primitives = Primitives(self)
        self.capabilities = primitives.capabilities()
        self.caller = Caller(
            self.image,
            self.sandbox,
            primitives.run,
            retries=settings.conflict_retries,
            learn=Learner(self).learn,
            generations=settings.call_lessons,
            depth=settings.lesson_depth,
            hourly=settings.hourly_lessons,
            objects=settings.call_objects,
            capabilities=self.capabilities,
        )
        services = Services(self.image, self.mind, self.sandbox, self.memory, settings, self.capabilities)
        self._services, self._migrated = services, applied
        self.orchestrator = Orchestrator(services, after_commit=self._scribe.wake, on_change=self._narrate)
        self.keeper = self.caller.witness = Keeper(self)
        self._heartbeat = Heartbeat(self)
        self.feed = Feed(
            {
                "image": lambda: {"tid": self.image.statistics()["tid"]},
                "models": lambda: {"models": self.mind.statistics().get("models", [])},
            }
        )
        self.translator = KernelTranslator(self.image, self.mind, settings)
        self.bridge = Bridge(settings, Commands(self).handle)
        self.bridge.bind()
        await self.sandbox.start()

    async def run(self) -> None:
        """Serve until `shutdown` is asked for."""
        serving = asyncio.create_task(self.bridge.serve(), name="bridge")
        stopping = asyncio.create_task(self._stop.wait())
        beginning = asyncio.create_task(self._begin(), name="begin")
        await asyncio.wait({serving, stopping, beginning}, return_when=asyncio.FIRST_COMPLETED)
        if beginning.done():
            beginning.result()
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (stopping, beginning):
            task.cancel()
        if serving.done():
            serving.result()  # a fault of the bridge is a crash, which the watchdog hears of
        await self.orchestrator.rest(self._grace)
        serving.cancel()
        await asyncio.gather(serving, beginning, return_exceptions=True)

    async def _begin(self) -> None:
        """Prove that this kernel works where that is asked, then take up the work."""
        if not await self.proof.give(self._services, self.sandbox, self._migrated):
            self.stop()
            return
        await self._scribe.start()
        await self.memory.start()
        resumed = await self.orchestrator.resume()
        self._in_background(self._learn_codex, "golden dataset")
        self._in_background(self._load_default_model, "default model")
        self._in_background(self.keeper.run, "self-repair")
        self._in_background(self._heartbeat.run, "heartbeat")
        narrator.ready(self.settings, resumed, self.sandbox.level, self.sandbox.refusal)

    def stop(self, grace: float = 0.0) -> None:
        """Ask `run` to return; safe to call from a signal handler of the loop.

        Args:
            grace: How long cycles may take to the end of their states, in seconds.
        """
        self._grace = grace
        self._stop.set()

    async def shutdown(self) -> None:
        """End cleanly: cycles rest where they are, waiting requests are told, everything is closed."""
        narrator.stopping()
        self._provision.close()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.orchestrator.close()
        self.feed.close()
        await self.memory.close()
        await self.bridge.drain(_DRAIN_SECONDS)
        self.bridge.close()
        await self.mind.close()
        await self.sandbox.close()
        await self._scribe.close()
        await self.image.close()

    def statistics(self) -> dict[str, Any]:
        """What `status` answers: version, image, queue, models, sandbox, and the statistics of each part."""
        image, cycles = self.image.statistics(), self.orchestrator.statistics()
        mind = {**self.mind.statistics(), "provision": self._provision.statistics()}
        return {
            "version": batos.__version__,
            "tid": self.image.statistics()["tid"],
            "uptime": round(time.monotonic() - self._started, 3),
            "queue": cycles["waiting"],
            "workers": self.settings.workers,
            "models": mind.get("models", []),
            "memory": mind.get("memory", {}),
            "sandbox": {"level": self.sandbox.level, "layers": self.sandbox.layers, **self.sandbox.statistics()},
            "fractal_memory": self.memory.statistics(),
            "image": image,
            "cycles": cycles,
            "mind": mind,
            "calls": self.caller.statistics(),
            "repair": self.keeper.statistics(),
            "heartbeat": self._heartbeat.statistics(),
            "bridge": {**self.bridge.statistics(), **self.feed.statistics()},
            "upkeep": self.upkeep.statistics(),
            "journal": self._scribe.statistics(),
        }

    async def models(self) -> dict[str, Any]:
        """What the command `models` answers: the mind's statistics, weights on their way, adapters."""
        statistics = self.mind.statistics()
        adapters = (await self.image.read(minds.adapters)).value
        return {
            **statistics,
            "models": statistics.get("models", []),
            "provision": self._provision.statistics(),
            "adapters": adapters,
        }

    def _narrate(self, record: Record, step: Step) -> None:
        if step.effect is not None:
            self.memory.wake()  # a method came in, and waits for its vector
        narrator.step(record, step)
        self.feed.cycle(record, step)

    def _in_background(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        task = asyncio.create_task(work(), name=name)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _learn_codex(self) -> None:
        """Teach Fractal Memory the persona codex, once."""
        file = self.settings.path(self.settings.persona_codex_file)
        if not file.exists():
            file = Path(batos.__file__).parent.parent / "persona_codex.jsonl"
        if not file.exists() or (await self.image.read(catalog.has, "golden_dataset_0")).value:
            return
        try:
            entries = await asyncio.to_thread(golden.read_codex, file)
            count = (await self.image.transact(golden.index_golden, entries, note="golden dataset")).value
        except (OSError, ValueError) as error:
            _log.warning("the persona codex %s was not learned: %s", file.name, error)
        else:
            self.memory.wake()
            _log.info("Fractal Memory learned the persona codex: %d entries", count)

    async def _load_default_model(self) -> None:
        persona = self.settings.default_persona_model
        try:
            await self.mind.load(persona)
        except BatosError as error:
            _log.warning("The model of %s is not there: %s %s", persona, error.message, error.hint)
        except Exception:  # noqa: BLE001 - Fractal Memory weaves without that model
            _log.exception("The model of %s could not be loaded", persona)
        else:
            await self._log_loaded(persona)
            await self.adoption.adopt_all()
        finally:
            self.memory.begin_weaving()

    async def _log_loaded(self, persona: str) -> None:
        """Write which model was loaded into the metacognition log; the scripted mind has none."""
        models = self.mind.statistics().get("models", [])
        for name in [model["name"] for model in models if model.get("state") == "loaded"]:
            line = {"cycle_id": None, "event_type": "MODEL_LOADED", "current_state": None}
            await self.log({**line, "persona": persona, "model": name})

    async def log(self, line: dict[str, Any]) -> None:
        """Write a line of the metacognition log that belongs to no cycle."""
        stamped = {"timestamp": datetime.now(UTC).isoformat(), **line}
        await self.image.transact(outbox.append, stamped, note=str(line["event_type"]).lower().replace("_", " "))
        self._scribe.wake()


def _limits(settings: Settings) -> Limits:
    return Limits(
        seconds=settings.call_seconds,
        memory_mb=settings.call_memory_mb,
        bytes=settings.call_bytes,
        depth=settings.call_depth,
        requests=settings.call_requests,
        slots=settings.call_slots,
        output=settings.call_output,
    )
