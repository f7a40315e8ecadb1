"""The Orchestrator: accepts missions, drives their cycles state by state, and never loses one.

A cycle is on disk before it is acknowledged. Each state runs without a transaction; what it hands back is committed as
one. After a restart every active cycle goes on in the state that it had reached.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from batos.codec import Ref
from batos.cognition import acceptance, schema
from batos.cognition.acceptance import Mandate
from batos.cognition.hub import Hub, Listener, Message, relay
from batos.cognition.ledger import MovedOn, story, write_step
from batos.cognition.meter import Meter
from batos.cognition.services import Context, Record, Services, Step
from batos.cognition.states import NEXT, STATES, StateFunction
from batos.errors import (
    BadField,
    BatosError,
    Busy,
    Cancelled,
    Conflict,
    DeadlineExceeded,
    ImageReadOnly,
    ModelError,
    Stopping,
    UnknownTarget,
    to_wire,
)
from batos.image import cycles, machine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


_log = logging.getLogger("batos.cognition")
_READ_ONLY_SECONDS = 2.0


class Orchestrator:
    """Starts and drives cognitive cycles.

    Args:
        services: The parts of the system that states use.
        after_commit: Called after each commit that wrote log lines; it wakes the journal.
        on_change: Called with each state change, for people who watch the kernel.
    """

    def __init__(
        self, services: Services, *, after_commit: Callable[[], None], on_change: Callable[[Record, Step], None]
    ) -> None:
        self._services = services
        self._after_commit = after_commit
        self._on_change = on_change
        self._hub = Hub()
        self._workers = asyncio.Semaphore(services.settings.workers)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._steps: dict[str, tuple[str, asyncio.Task[Step]]] = {}
        self._cancelled: set[str] = set()
        self._waiting: dict[str, Listener] = {}
        self._counts = {"accepted": 0, "complete": 0, "failed": 0}
        self._stopping = False

    def statistics(self) -> dict[str, int]:
        """Cycles accepted and ended since the start, in progress, and those that wait for a worker."""
        waiting = len(self._tasks) - (self._services.settings.workers - self._workers._value)  # noqa: SLF001 - no public count
        return {**self._counts, "in_progress": len(self._tasks), "waiting": max(0, waiting)}

    async def resume(self) -> int:
        """Go on with every active cycle; gives how many there are."""
        records = (await self._services.image.read(cycles.active)).value
        for record in records:
            self._go_on(record)
        return len(records)

    async def accept(self, mandate: Mandate) -> str:
        """Make a cycle durable and start it, or join the one that is there; gives its id.

        Raises:
            Busy: The queue is full.
            BadField: The same `request_id` came with another body before.
            UnknownTarget: There is no such object.
        """
        # Its requester may leave while it waits to be written: on the disk it is then, and nobody would drive it.
        return await asyncio.shield(asyncio.ensure_future(self._accept(mandate)))

    async def _accept(self, mandate: Mandate) -> str:
        if self._stopping:
            raise Stopping
        settings = self._services.settings
        full = len(self._tasks) >= settings.queue_limit
        if full and not (await self._services.image.read(acceptance.joins, mandate)).value:
            raise Busy(f"{len(self._tasks)} missions are in progress or waiting, the limit is QUEUE_LIMIT")
        commit = await self._services.image.transact(
            acceptance.accept,
            mandate,
            uuid.uuid4().hex,
            settings.default_persona_model,
            _now(),
            note=f"mission {mandate.brief['selector']}",
        )
        accepted = commit.value
        if accepted["new"]:
            self._counts["accepted"] += 1
            self._after_commit()
            self._start(accepted["cycle_id"])
        return str(accepted["cycle_id"])

    async def known(self, mandate: Mandate) -> str | None:
        """The cycle that a `request_id` names already, or None."""
        return (await self._services.image.read(acceptance.known, mandate)).value

    async def follow(self, cycle_id: str, from_seq: int, reply: Callable[[Message], Awaitable[None]]) -> Message:
        """Hand a cycle's events to `reply`, from `from_seq` on, and give its last word.

        Raises:
            UnknownTarget: There is no such cycle.
        """
        listener = self._hub.listen(cycle_id)
        try:
            record, past = (await self._services.image.read(story, cycle_id, from_seq)).value
            if record is None:
                raise UnknownTarget(f"There is no cycle {cycle_id!r}", "The command `cycles` lists them.")
            seq = from_seq - 1
            for event in past:
                await reply(event)
                seq = int(event["seq"])
            if record.get("last_word"):
                return dict(record["last_word"])
            if self._stopping:
                return _stopping(cycle_id)
            self._go_on(record)
            return await relay(listener, seq, reply)
        finally:
            self._hub.leave(cycle_id, listener)

    async def cancel(self, cycle_id: str) -> None:
        """Cancel a cycle; one that has ended stays as it is.

        Raises:
            UnknownTarget: There is no such cycle.
        """
        record = await self._record(cycle_id)
        if record.get("last_word") or record["state"] == "FAILED":
            return
        self._cancelled.add(cycle_id)
        state, step = self._steps.get(cycle_id, ("", None))
        if step is not None:
            # The end of a failed cycle is written whole, however often it is cancelled.
            if state != "FAILED":
                step.cancel()
            return
        if cycle_id in self._waiting:
            self._waiting[cycle_id].put({"status": "CANCELLED"})
            return
        with suppress(MovedOn):  # its driver took it up meanwhile, and sees that it is cancelled
            await self._commit(record, self._fail(record, Cancelled("The mission was cancelled")))
        self._start(cycle_id)

    async def approve(self, cycle_id: str, verdict: str) -> None:
        """Decide on a cycle that waits for an approval.

        Raises:
            UnknownTarget: There is no such cycle.
            BadField: It does not wait, or no more.
        """
        record = await self._record(cycle_id)
        if record.get("awaiting") != "approval":
            raise BadField(f"The cycle {cycle_id} does not wait for an approval")
        step = Step("COMPLETE", changes={"awaiting": None, "approved": _now()})
        if verdict == "reject":
            step = self._fail(record, Cancelled("The Architect rejected the method", "Say what should be different."))
        try:
            await self._commit(record, step)
        except MovedOn:
            raise BadField(f"The cycle {cycle_id} was decided on meanwhile") from None
        self._start(cycle_id)

    async def rest(self, seconds: float) -> None:
        """Take no more missions, and let each cycle come to the end of the state that it is in.

        Args:
            seconds: How long that may take; a state that takes longer begins again after the restart.
        """
        self._stopping = True
        busy = [self._tasks[cycle_id] for cycle_id in self._steps if cycle_id in self._tasks]
        if busy and seconds > 0:
            await asyncio.wait(busy, timeout=seconds)

    async def close(self) -> None:
        """Stop driving; cycles rest where they are, and those who wait are told to follow after the restart."""
        self._stopping = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._hub.publish_all(_stopping)

    async def _record(self, cycle_id: str) -> Record:
        record = (await self._services.image.read(cycles.load, cycle_id)).value
        if record is None:
            raise UnknownTarget(f"There is no cycle {cycle_id!r}", "The command `cycles` lists them.")
        return record if record.get("last_word") else schema.current(record)

    def _go_on(self, record: Record) -> None:
        """Drive a cycle whose driver is gone (a fault can end one), unless it waits for somebody."""
        if not record.get("awaiting"):
            self._start(record["cycle_id"])

    def _start(self, cycle_id: str) -> None:
        driver = self._tasks.get(cycle_id)
        if self._stopping or (driver is not None and not driver.done()):
            return
        task = asyncio.create_task(self._drive(cycle_id), name=f"cycle {cycle_id}")
        self._tasks[cycle_id] = task
        task.add_done_callback(lambda done: self._ended(cycle_id, done))

    def _ended(self, cycle_id: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(cycle_id) is task:
            del self._tasks[cycle_id]
        fault = None if task.cancelled() else task.exception()
        if fault is not None:
            _log.error("cycle %s stopped by a fault of the kernel", cycle_id, exc_info=fault)
            self._hub.publish(cycle_id, {"status": "ERROR", "cycle_id": cycle_id, "error": to_wire(fault)})

    async def _drive(self, cycle_id: str) -> None:
        record = await self._record(cycle_id)
        await self._turn(record)
        # Somebody waits inside a call for a nested mission: it must not wait for a worker that waits for it.
        async with nullcontext() if record.get("depth") else self._workers:
            began = time.monotonic()
            while True:
                record = await self._record(cycle_id)
                if record.get("last_word") or (record.get("awaiting") and cycle_id not in self._cancelled):
                    return
                began = await self._advance(record, began)
                if self._stopping:
                    return

    async def _turn(self, record: Record) -> None:
        """Wait, without a worker, until the cycle that goes before this one has ended."""
        before = record.get("after")
        if not before or record["state"] != "IDLE":
            return
        listener = self._hub.listen(before)
        try:
            ahead = (await self._services.image.read(cycles.load, before)).value
            if ahead is not None and not ahead.get("last_word"):
                self._waiting[record["cycle_id"]] = listener
                self._go_on(ahead)
                async for _ in listener:
                    pass
        finally:
            self._waiting.pop(record["cycle_id"], None)
            self._hub.leave(before, listener)

    async def _advance(self, record: Record, began: float) -> float:
        """Run the cycle's state once and commit what it handed back; gives the time up to which it was counted."""
        meter = Meter(record.get("spent"), self._services.settings.cycle_tokens)
        step = await self._step(record, meter)
        now = began
        for attempt in range(self._services.settings.conflict_retries):
            now = time.monotonic()
            step.changes["elapsed"] = record["elapsed"] + now - began
            step.changes["spent"] = meter.plain()
            try:
                await self._commit(record, step)
            except Conflict:
                # What the call read has changed: think again, as after any conflict.
                await asyncio.sleep(random.uniform(0, 0.005 * 2**attempt))  # noqa: S311 - jitter, not a secret
                step = await self._step(record, meter)
            except MovedOn:
                return now
            except Exception as error:
                if not isinstance(error, BatosError):
                    _log.exception("the step of cycle %s cannot be written", record["cycle_id"])
                await self._commit(record, self._fail(record, error))
                return now
            else:
                return now
        await self._commit(record, self._fail(record, Conflict("Others kept changing what the call reads")))
        return now

    async def _step(self, record: Record, meter: Meter) -> Step:
        cycle_id = record["cycle_id"]
        if cycle_id in self._cancelled and record["state"] != "FAILED":
            return self._fail(record, Cancelled("The mission was cancelled"))
        task = asyncio.create_task(self._run_state(record, meter))
        self._steps[cycle_id] = record["state"], task
        try:
            return await task
        except asyncio.CancelledError:
            if cycle_id in self._cancelled and record["state"] != "FAILED":
                return self._fail(record, Cancelled("The mission was cancelled"))
            task.cancel()
            raise
        except BatosError as error:
            return self._fail(record, error)
        except Exception as error:
            _log.exception("state %s of cycle %s", record["state"], cycle_id)
            return self._fail(record, error)
        finally:
            self._steps.pop(cycle_id, None)

    async def _run_state(self, record: Record, meter: Meter) -> Step:
        state = record["state"]
        name = (await self._services.image.read(machine.behaviour, state)).value
        if name not in STATES:
            raise ModelError(
                f"The state {state} has the behaviour {name!r}, which this kernel does not have",
                f"Set the slot {state} of {machine.HOLDER} to a prototype of that state, or `bind` it.",
            )
        left = self._services.settings.cycle_seconds - record["elapsed"]
        context = Context(meter.on(self._services), record, lambda text: self._token(record["cycle_id"], text))
        try:
            # An end is never cut short: what is left is one call and one transaction.
            async with asyncio.timeout(None if state in ("COMPLETE", "FAILED") else max(0.0, left)):
                await self._pause(state)
                step = await self._unconflicted(STATES[name], context)
        except TimeoutError:
            raise DeadlineExceeded(
                "The cycle ran out of time", "Raise CYCLE_SECONDS, or use a smaller model."
            ) from None
        if step.to is not None and step.to not in NEXT[state]:
            raise ModelError(f"The state {state} may not go to {step.to}")
        return step

    async def _unconflicted(self, state: StateFunction, context: Context) -> Step:
        """Run a state; again where others changed what it was reading."""
        for attempt in range(self._services.settings.conflict_retries):
            try:
                return await state(context)
            except Conflict:
                await asyncio.sleep(random.uniform(0, 0.005 * 2**attempt))  # noqa: S311 - jitter, not a secret
        return await state(context)

    async def _pause(self, state: str) -> None:
        name, _, seconds = self._services.settings.test_pause.partition(":")
        if name == state:
            await asyncio.sleep(float(seconds))

    def _token(self, cycle_id: str, text: str) -> None:
        self._hub.publish(cycle_id, {"event": "token", "text": text})

    @staticmethod
    def _fail(record: Record, error: BaseException) -> Step:
        if record["state"] == "FAILED":
            raise error
        changes = {"error": to_wire(error), "failed_in": record["state"], "awaiting": None}
        return Step("FAILED", changes=changes)

    async def _commit(self, record: Record, step: Step) -> None:
        note = f"{record['selector']}: {record['state']} to {step.to or 'its end'}"
        write = write_step, record, step, _now(), self._services.settings.archive_limit
        while True:
            try:
                events, last_word = (await self._services.image.transact(*write, note=note)).value
                break
            except ImageReadOnly as error:
                # It was accepted, so it waits: the disk may be full now and not later.
                _log.warning("%s; the cycle %s waits for that", error.message, record["cycle_id"])
                await asyncio.sleep(_READ_ONLY_SECONDS)
        self._after_commit()
        self._on_change(record, step)
        for event in events:
            self._hub.publish(record["cycle_id"], event)
        if last_word is not None:
            self._counts[last_word["status"].lower()] += 1
            self._cancelled.discard(record["cycle_id"])
            self._hub.publish(record["cycle_id"], last_word)


def _stopping(cycle_id: str) -> Message:
    return {"status": "ERROR", "cycle_id": cycle_id, "error": {**to_wire(Stopping()), "cycle_id": cycle_id}}


def _now() -> str:
    return datetime.now(UTC).isoformat()


__all__ = ["Mandate", "Orchestrator", "Ref"]
