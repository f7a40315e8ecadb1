"""Self-repair: good calls are kept as examples, failures past a threshold start a repair, what keeps failing is shut off.

A call is noted without a write. Notes are written later, in batches, and only of calls that come out the same when they
are made again at their moment: those alone can tell whether a repair does harm.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batos import codec, plain
from batos.calls.overlay import Overlay
from batos.cognition.compare import same
from batos.cognition.orchestrator import Mandate
from batos.errors import BatosError
from batos.image import cycles, dispatch, failures, laws, quarantine, undo

if TYPE_CHECKING:
    from batos.calls.caller import Sent
    from batos.codec import Ref
    from batos.image.view import View
    from batos.kernel.uvm import BatOS_UVM

_log = logging.getLogger("batos.kernel")
_NOTES = 64
_NOTE_BYTES = 4096
_COUNTED = 10_000
"""Receivers and selectors whose calls are counted at once."""
_DEEPER = 16
"""Levels that a kept call may be packed into: one that was nested as deep as a message can be would fail there."""
_PAUSE_SECONDS = 0.2
_FAULT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Note:
    """A call that came out well."""

    receiver: Ref
    selector: str
    args: list[Any]
    kwargs: dict[str, Any]
    result: Any
    tid: str


class Keeper:
    """Hears how calls end, and looks after methods that fail."""

    def __init__(self, uvm: BatOS_UVM) -> None:
        self._uvm = uvm
        self._notes: deque[_Note] = deque(maxlen=_NOTES)
        self._failed: deque[tuple[Ref, str]] = deque(maxlen=_NOTES)
        self._calls: Counter[tuple[Ref, str]] = Counter()
        self._streaks: Counter[tuple[Ref, str]] = Counter()
        self._ailing: set[str] = set()
        self._repairs: dict[str, str] = {}
        """The cycle that repairs, or did not, by the digest of the source that failed."""
        self._wake = asyncio.Event()
        self._counts = {"kept_calls": 0, "looked_after": 0, "repairs": 0, "quarantined": 0}

    def statistics(self) -> dict[str, int]:
        """Good calls kept, looks at methods that failed, repairs started, methods shut off."""
        return dict(self._counts)

    def went_well(self, receiver: Ref, selector: str, args: list[Any], kwargs: dict[str, Any], sent: Sent) -> None:
        """Hear of a call that came out well; one in RECORD_EVERY is kept, and those of methods that have failed."""
        every = self._uvm.settings.record_every
        key = receiver, selector
        if len(self._calls) >= _COUNTED:
            self._calls.clear()
        self._calls[key] += 1
        self._streaks.pop(key, None)
        if not every or (selector not in self._ailing and self._calls[key] % every):
            return
        self._notes.append(_Note(receiver, selector, args, kwargs, sent.result, sent.tid))
        self._wake.set()

    def went_wrong(self, receiver: Ref, selector: str) -> None:
        """Hear of a call that raised."""
        self._ailing.add(selector)
        self._streaks[receiver, selector] += 1
        self._failed.append((receiver, selector))
        self._wake.set()

    async def run(self) -> None:
        """Work on what was heard, one thing after the other, until it is cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(_PAUSE_SECONDS)
            self._wake.clear()
            try:
                await self._keep()
                for receiver, selector in dict.fromkeys(self._failed):
                    await self._look_after(receiver, selector)
            except Exception as error:  # noqa: BLE001 - one call's fault must not end self-repair for all
                if isinstance(error, BatosError):
                    _log.warning("self-repair: %s", error.message)
                else:
                    _log.exception("self-repair met a fault of the kernel, and goes on")
                await asyncio.sleep(_FAULT_SECONDS)
                if self._failed or self._notes:
                    self._wake.set()

    async def _keep(self) -> None:
        kept = []
        while self._notes:
            note = self._notes.popleft()
            row = await self._proven(note)
            if row is not None:
                kept.append((note, row))
        if kept:
            await self._uvm.image.transact(_write_calls, kept, note="calls that came out well", why=undo.RECORD)
            self._counts["kept_calls"] += len(kept)

    async def _proven(self, note: _Note) -> dict[str, Any] | None:
        """A call as it is kept; None where it does not come out the same again, or is too large."""
        if not _can_be_kept(note):
            return None
        # A read names the moment that it saw, a write the one that it made: then what it saw was just before.
        for tid in (note.tid, f"{int(note.tid, 16) - 1:016x}"):
            overlay = Overlay(self._uvm.image, at=tid)
            try:
                outcome = await self._uvm.sandbox.call(
                    overlay, note.receiver, note.selector, note.args, note.kwargs, fixed=True
                )
            except BatosError:
                continue
            if same(outcome.result, note.result):
                looked = (await self._uvm.image.read(dispatch.look, note.receiver, note.selector, at=tid)).value
                call = {"receiver": note.receiver, "args": note.args, "kwargs": note.kwargs}
                return {**call, "result": note.result, "tid": tid, "sha256": looked.sha256}
        return None

    async def _look_after(self, receiver: Ref, selector: str) -> None:
        """Repair a method that failed too often; shut it off where that did not help and it goes on failing."""
        self._failed = deque((item for item in self._failed if item != (receiver, selector)), maxlen=_NOTES)
        self._counts["looked_after"] += 1
        limit = self._uvm.settings.failure_limit
        found = (await self._uvm.image.study(_ailing, receiver, selector)).value if limit else None
        if found is None or found["count"] < limit:
            return
        cycle_id = self._repairs.get(found["sha256"])
        if cycle_id is None:
            # It is not waited for: it may wait for a person, and other methods fail meanwhile.
            self._repairs[found["sha256"]] = await self._begin(receiver, selector, "self-repair")
            self._counts["repairs"] += 1
        elif self._streaks[receiver, selector] >= 2 * limit and await self._has_ended(cycle_id):
            shut = await self._uvm.image.transact(
                quarantine.shut, found["holder"], selector, found["version"], note=f"quarantine {selector}"
            )
            self._counts["quarantined"] += int(shut.value)
            _log.warning("%s keeps failing and is shut off", selector)

    async def repair(self, receiver: str | Ref, selector: str, origin: str) -> dict[str, Any]:
        """Start a repair, or join the one that is on its way; gives its last word, {} where it waits for an approval."""
        cycle_id = await self._begin(receiver, selector, origin)
        try:
            return await self._uvm.orchestrator.follow(cycle_id, 0, _until_asked)
        except _AsksApproval:
            return {}

    async def _has_ended(self, cycle_id: str) -> bool:
        record = (await self._uvm.image.read(cycles.load, cycle_id)).value
        return record is None or bool(record.get("last_word"))

    async def _begin(self, receiver: str | Ref, selector: str, origin: str) -> str:
        brief = {"type": "unhandled_message", "selector": selector}
        mandate = Mandate(
            target=receiver,
            brief=brief,
            brief_hash=plain.brief_hash(brief),
            proceed=False,
            kind="repair",
            origin=origin,
        )
        return await self._uvm.orchestrator.accept(mandate)


class _AsksApproval(Exception):
    """A repair waits for a person, so nobody waits for it."""


async def _until_asked(message: dict[str, Any]) -> None:
    if message.get("event") == "approval_needed":
        raise _AsksApproval


def _can_be_kept(note: _Note) -> bool:
    held: list[Any] = [note.args, note.kwargs, note.result]
    for _ in range(_DEEPER):
        held = [held]
    try:
        return len(codec.pack(held)) <= _NOTE_BYTES
    except codec.CodecError:
        return False


def _ailing(view: View, receiver: Ref, selector: str) -> dict[str, Any] | None:
    """How often the method that answers now has failed: `holder`, `version`, `sha256`, `count`."""
    looked = dispatch.look(view, receiver, selector)
    if looked.kind != "method":
        return None
    count = len(failures.against(view, selector, looked))
    return {"holder": looked.holder, "version": looked.version, "sha256": looked.sha256, "count": count}


def _write_calls(view: View, kept: list[tuple[_Note, dict[str, Any]]]) -> None:
    for note, row in kept:
        looked = dispatch.look(view, note.receiver, note.selector)
        if looked.kind == "method" and looked.holder is not None:
            laws.add_call(view, looked.holder, note.selector, row)
