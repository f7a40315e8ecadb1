"""The proof of life of a new kernel, before an upgrade is believed: it works, and has served nobody yet.

Until the upgrade's record says `proven`, the bridge answers `ping` and `status` alone and lets everything else wait, so
that going back to the old kernel loses nothing. The proof: the image is open and migrated, what missions stand on is in
its place, and a mission comes to its end, with the real sandbox and Guardian but a mind of its own, on an object of a
scratch image: the Living Image shows no trace of it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batos import plain
from batos.cognition.acceptance import Mandate
from batos.cognition.orchestrator import Orchestrator
from batos.cognition.states import STATES
from batos.errors import Busy, ImageReadOnly, ModelError
from batos.image import genesis, machine, migrations, registry
from batos.image.store import Image
from batos.memory.service import FractalMemory
from batos.testing.scripted import ScriptedMind

if TYPE_CHECKING:
    from collections.abc import Callable

    from batos.cognition.services import Services
    from batos.image.store import View
    from batos.sandbox.runner import Sandbox

Message = dict[str, Any]

HOLD_SECONDS = 20.0
"""How long a request waits for the proof before it is told to come again."""
_OPEN = frozenset({"ping", "status"})
_POLL_SECONDS = 0.02
_log = logging.getLogger("batos.kernel")

SELECTOR = "prove_that_it_lives"
_SOURCE = f"""def {SELECTOR}(self, number):
    self.proven = number * 2
    self._p_changed = True
    return self.proven
"""
_RULES = [{"state": "DECOMPOSING", "text": '["proof of life"]'}, {"state": "SYNTHESIZING", "text": _SOURCE}]
_BRIEF = {"type": "unhandled_message", "selector": SELECTOR, "intent": "prove that missions work", "args": [21]}


class Proof:
    """What stands between a new kernel and its clients.

    Args:
        record: The upgrade's record (`run/upgrade.json`); None for a kernel that has nothing to prove.
    """

    def __init__(self, record: Path | None) -> None:
        self._record = record
        self._opened = asyncio.Event()
        self._told: Message = {"done": False}
        if record is None:
            self._opened.set()

    @property
    def ready(self) -> bool:
        """Whether everybody is served."""
        return self._opened.is_set()

    def answer(self) -> Message:
        """What `ping` says of it."""
        return {"ready": True} if self.ready else {"ready": False, "proof": dict(self._told)}

    async def admit(self, command: object) -> None:
        """Let a request wait until everybody is served.

        Raises:
            Busy: That takes long.
        """
        if self.ready or command in _OPEN:
            return
        try:
            async with asyncio.timeout(HOLD_SECONDS):
                await self._opened.wait()
        except TimeoutError:
            raise Busy("An upgrade is being proven", "Ask again in a moment; `ping` says when it is `ready`.") from None

    async def give(self, services: Services, sandbox: Sandbox, migrated: list[str]) -> bool:
        """Prove that this kernel works, then wait for the watchdog's word; False when that is to go back.

        Raises:
            BatosError: Something does not work; it says what.
        """
        if self._record is None:
            return True
        began = time.monotonic()
        if services.image.health.state == "unwritable":
            raise ImageReadOnly(f"{services.image.db_file} can only be read", "See that this user may write it.")
        await services.image.read(_look)
        refusal = sandbox.refusal
        if refusal is None:
            word = await _rehearse(services)
            mission = f"{word['status']}, {word['result']}"
        else:
            mission = f"left out: {refusal.message}"
        took = round(time.monotonic() - began, 3)
        told = {"mission": mission, "sandbox": sandbox.level, "proof_seconds": took}
        self._told = {"done": True, "migrated": migrated, **told}
        _log.info("This kernel has proven that it works (%s); it waits for the watchdog's word", mission)
        return await self._await_word(self._record)

    async def _await_word(self, record: Path) -> bool:
        while True:
            stage = _stage(record)
            if stage == "proven":
                self._opened.set()
                return True
            if stage != "proving":
                _log.warning("The upgrade is taken back; this kernel ends")
                return False
            await asyncio.sleep(_POLL_SECONDS)


def _stage(record: Path) -> str:
    """How far the upgrade is; empty where nobody knows of one any more."""
    with suppress(OSError, ValueError):
        return str(json.loads(record.read_text(encoding="utf-8")).get("stage"))
    return ""


def _look(view: View) -> None:
    """See that what missions stand on is in its place in the Living Image."""
    for name in genesis.PRIMORDIAL:
        view.resolve(name)
    for state in genesis.STATES:
        behaviour = machine.behaviour(view, state)
        if behaviour not in STATES:
            raise ModelError(f"The state {state} has the behaviour {behaviour!r}, which this kernel does not have")


async def _rehearse(services: Services) -> Message:
    """Bring a mission to its end on an object of a scratch image; gives its last word."""
    with tempfile.TemporaryDirectory(prefix="batos-proof-", ignore_cleanup_errors=True) as folder:
        image = await asyncio.to_thread(Image, Path(folder) / "scratch.fs", Path(folder) / "scratch.blob")
        try:
            await asyncio.to_thread(migrations.migrate, image)
            target = (await image.transact(registry.create, ["genesis_obj"], {}, None)).value
            settings = services.settings.model_copy(update={"approvals": "off", "test_pause": ""})
            mind = ScriptedMind(_RULES)
            memory = FractalMemory(image, mind.embed, settings.sentence_transformer_model)
            scratch = replace(services, image=image, mind=mind, memory=memory, settings=settings)
            word = await _mission(scratch, target)
        finally:
            await image.close()
    if word.get("status") != "COMPLETE" or word.get("result") != 42:
        raise ModelError(f"The mission of the proof did not come to its end: {word.get('error') or word}")
    return word


async def _mission(services: Services, target: Any) -> Message:
    nothing: Callable[..., None] = lambda *_: None  # noqa: E731 - it has a type

    async def unheard(_: Message) -> None:
        """Nobody follows it."""

    orchestrator = Orchestrator(services, after_commit=nothing, on_change=nothing)
    try:
        digest = plain.brief_hash(_BRIEF)
        cycle = await orchestrator.accept(Mandate(target=target, brief=dict(_BRIEF), brief_hash=digest))
        return await orchestrator.follow(cycle, 0, unheard)
    finally:
        await orchestrator.close()
