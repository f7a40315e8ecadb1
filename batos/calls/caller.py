"""Send a message that is understood: data, primitive or method; the way that needs no model."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from batos.calls.overlay import Overlay
from batos.codec import Ref
from batos.errors import BadField, BatosError, CodeError, Conflict, MessageNotUnderstood, MethodError, NotAllowed
from batos.image import dispatch, failures

if TYPE_CHECKING:
    from batos.image.store import Image
    from batos.sandbox.runner import Sandbox

PrimitiveRun = Callable[[str, Ref, list[Any], dict[str, Any]], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Sent:
    """The answer to a message: `result`, the `tid` of its write or snapshot, and what it printed."""

    result: Any
    tid: str
    output: str = ""


class Caller:
    """Sends messages.

    Args:
        image: The image.
        sandbox: Where methods run.
        primitives: Runs a native primitive by name on an object.
        retries: Runs of a call whose objects others keep changing.
    """

    def __init__(self, image: Image, sandbox: Sandbox, primitives: PrimitiveRun, *, retries: int) -> None:
        self._image = image
        self._sandbox = sandbox
        self._primitives = primitives
        self._retries = retries
        self._turns: WeakValueDictionary[Ref, asyncio.Lock] = WeakValueDictionary()
        self._counts = {"sends": 0, "conflicts": 0, "failures": 0}

    def statistics(self) -> dict[str, int]:
        """Sends, runs repeated after a conflict, and calls that raised."""
        return dict(self._counts)

    async def look(self, ref: Ref, selector: str) -> dispatch.Looked:
        """Say what an object answers a selector with, without running it."""
        return (await self._image.read(dispatch.look, ref, selector)).value

    async def send(
        self, ref: Ref, selector: str, args: list[Any], kwargs: dict[str, Any], *, at: str | None = None
    ) -> Sent:
        """Send a message.

        Args:
            ref: The receiver.
            selector: The message.
            args: Positional arguments, plain data.
            kwargs: Named arguments, plain data.
            at: A tid: send it to the past; nothing is written.

        Raises:
            MessageNotUnderstood: Nobody understands it.
            CodeError: The method failed; its changes are dropped and `details["failure"]` names the record.
            Conflict: Others kept changing the same objects.
        """
        self._counts["sends"] += 1
        looked, tid = await self._image.read(dispatch.look, ref, selector, at=at)
        if looked.kind == "missing":
            raise MessageNotUnderstood(f"{ref.hex} does not understand {selector!r}", selector=selector)
        if looked.kind == "data":
            return _answer_data(selector, looked.value, args, kwargs, tid)
        if looked.kind == "primitive":
            if at is not None:
                raise NotAllowed("A primitive cannot run in the past", "Send it without `as_of`.")
            result = await self._primitives(looked.primitive, ref, args, kwargs)
            return Sent(result, self._image.statistics()["tid"])
        try:
            return await self._run(ref, selector, args, kwargs, at)
        except CodeError as error:
            if at is None and not isinstance(error, MessageNotUnderstood):
                await self._record(error, ref, selector, args, kwargs, looked)
            raise

    async def _run(self, ref: Ref, selector: str, args: list[Any], kwargs: dict[str, Any], at: str | None) -> Sent:
        for attempt in range(self._retries + 1):
            overlay = Overlay(self._image, at=at)
            try:
                # Who lost a race goes on in turn, so that everybody comes through; who has not lost one never waits.
                async with self._turn(ref) if attempt else nullcontext():
                    outcome = await self._sandbox.call(overlay, ref, selector, args, kwargs)
                    tid = overlay.tid if at is not None else await overlay.commit(f"send {selector}")
            except Conflict:
                if attempt == self._retries:
                    raise
                self._counts["conflicts"] += 1
                await asyncio.sleep(random.uniform(0, 0.002 * 2**attempt))  # noqa: S311 - jitter, not a secret
            else:
                return Sent(outcome.result, tid, outcome.output)
        raise Conflict(f"Others kept changing what {selector!r} reads")

    def _turn(self, ref: Ref) -> asyncio.Lock:
        lock = self._turns.get(ref)
        if lock is None:
            lock = self._turns[ref] = asyncio.Lock()
        return lock

    async def _record(
        self,
        error: BatosError,
        ref: Ref,
        selector: str,
        args: list[Any],
        kwargs: dict[str, Any],
        looked: dispatch.Looked,
    ) -> None:
        self._counts["failures"] += 1
        post_mortem = {
            "receiver": ref,
            "selector": selector,
            "args": args,
            "kwargs": kwargs,
            "sha256": looked.sha256,
            "error": type(error).__name__,
            "message": error.message,
            "line": error.details.get("line"),
            "traceback": error.details.get("traceback"),
            "time": datetime.now(UTC).isoformat(),
            "tid": self._image.statistics()["tid"],
        }
        error.details["failure"] = (
            await self._image.transact(failures.record, post_mortem, note=f"failure of {selector}")
        ).value


def _answer_data(selector: str, value: Any, args: list[Any], kwargs: dict[str, Any], tid: str) -> Sent:
    if args or kwargs:
        raise BadField(f"{selector!r} is a data slot: it takes no arguments", "Send it without arguments, or `set` it.")
    return Sent(value, tid)


__all__ = ["Caller", "MethodError", "PrimitiveRun", "Sent"]
