"""Send a message that is understood: data, primitive or method; the way that needs no model."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakValueDictionary

from batos.calls.lessons import NO_WISHES, Asker, Budget, Learn, Lessons, Unlearned, Wishes
from batos.calls.overlay import NEW_OBJECTS, Capabilities, Opening, Overlay, opening
from batos.codec import Ref
from batos.errors import BadField, CodeError, Conflict, MessageNotUnderstood, NotAllowed
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


class Witness(Protocol):
    """Hears how calls of methods end; it must come back at once."""

    def went_well(self, receiver: Ref, selector: str, args: list[Any], kwargs: dict[str, Any], sent: Sent) -> None:
        """Hear of a call that came out well."""

    def went_wrong(self, receiver: Ref, selector: str) -> None:
        """Hear of a call that raised, after its record was written."""


class Caller:
    """Sends messages.

    Args:
        image: The image.
        sandbox: Where methods run.
        primitives: Runs a native primitive by name on an object.
        retries: Runs of a call whose objects others keep changing.
        learn: Has a message understood that a method sent and nobody understands; None: it is an error.
        generations: How often one call may use it.
        depth: How deep missions may come of what such missions brought.
        hourly: How often all calls together may, in an hour.
        objects: New objects of one call.
        capabilities: Runs the primitives that objects may be granted, by name.
    """

    def __init__(
        self,
        image: Image,
        sandbox: Sandbox,
        primitives: PrimitiveRun,
        *,
        retries: int,
        learn: Learn | None = None,
        generations: int = 2,
        hourly: int = 60,
        depth: int = 2,
        objects: int = NEW_OBJECTS,
        capabilities: Capabilities | None = None,
    ) -> None:
        self.witness: Witness | None = None
        self._image = image
        self._sandbox = sandbox
        self._primitives = primitives
        self._retries = retries
        self._learn = learn
        self._generations, self._depth = generations, depth
        self._objects = objects
        self._capabilities = capabilities
        self._budget = Budget(hourly)
        self._turns: WeakValueDictionary[Ref, asyncio.Lock] = WeakValueDictionary()
        self._counts = {"sends": 0, "conflicts": 0, "failures": 0, "lessons": 0}

    def statistics(self) -> dict[str, int]:
        """Sends, runs repeated after a conflict, calls that raised, missions that methods brought about."""
        return {**self._counts, "lessons_left": self._budget.left}

    async def look(self, ref: Ref, selector: str) -> dispatch.Looked:
        """Say what an object answers a selector with, without running it."""
        return (await self._image.read(dispatch.look, ref, selector)).value

    async def send(
        self,
        target: str | Ref,
        selector: str,
        args: list[Any],
        kwargs: dict[str, Any],
        *,
        at: str | None = None,
        learn: bool = True,
        wishes: Wishes = NO_WISHES,
    ) -> Sent:
        """Send a message.

        Args:
            target: The receiver: a reference, or the name of a root object.
            selector: The message.
            args: Positional arguments, plain data.
            kwargs: Named arguments, plain data.
            at: A tid: send it to the past; nothing is written.
            learn: Whether messages that methods send may be learned on the way.
            wishes: What the requester wants of the missions that this brings about.

        Raises:
            MessageNotUnderstood: Nobody understands it.
            CodeError: The method failed; its changes are dropped and `details["failure"]` names the record.
            Conflict: Others kept changing the same objects.
            UnknownTarget: There is no such object.
        """
        self._counts["sends"] += 1
        opened, tid = await self._image.read(opening, target, selector, at=at)
        ref, looked, _ = opened
        if looked.kind == "missing":
            raise MessageNotUnderstood(f"{ref.hex} does not understand {selector!r}", selector=selector)
        if looked.kind == "data":
            return _answer_data(selector, looked.value, args, kwargs, tid)
        if looked.kind == "primitive":
            if at is not None:
                raise NotAllowed("A primitive cannot run in the past", "Send it without `as_of`.")
            result = await self._primitives(looked.primitive, ref, args, kwargs)
            return Sent(result, self._image.statistics()["tid"])
        teacher = self._learn if learn and at is None else None
        lessons = Lessons(Asker(ref, selector, wishes=wishes), teacher, self._generations, self._budget, self._depth)
        try:
            sent = await self._run(opened, tid, selector, args, kwargs, at, lessons)
        except CodeError as error:
            if at is None and not isinstance(error, MessageNotUnderstood):
                await self._record(error, ref, selector, args, kwargs, looked)
                if self.witness is not None:
                    self.witness.went_wrong(ref, selector)
            raise
        if at is None and self.witness is not None:
            self.witness.went_well(ref, selector, args, kwargs, sent)
        return sent

    async def _run(
        self,
        opened: Opening,
        tid: str,
        selector: str,
        args: list[Any],
        kwargs: dict[str, Any],
        at: str | None,
        lessons: Lessons,
    ) -> Sent:
        """Run the call until it comes through: again after a conflict, and after a message that was learned meanwhile."""
        attempt, fresh = 0, True
        while True:
            overlay = Overlay(
                self._image,
                at=at,
                objects=self._objects,
                missing=lessons.missing,
                capabilities=self._capabilities if at is None else None,
            )
            # Who lost a race goes on in turn, so that everybody comes through. While there is a turn others wait behind it:
            # each that overtook it would take it one more race. What was read before such a wait is read anew.
            waits = at is None and (attempt > 0 or opened.ref in self._turns)
            if fresh and not waits:
                overlay.begin(selector, opened, tid)
            fresh = False
            try:
                async with self._turn(opened.ref) if waits else nullcontext():
                    outcome = await self._sandbox.call(overlay, opened.ref, selector, args, kwargs)
                    done = overlay.tid if at is not None else await overlay.commit(f"send {selector}")
            except Unlearned as gap:
                self._counts["lessons"] += 1
                await lessons.learn(gap)
            except Conflict:
                if attempt == self._retries:
                    raise
                self._counts["conflicts"] += 1
                await asyncio.sleep(random.uniform(0, 0.002 * 2**attempt))  # noqa: S311 - jitter, not a secret
                attempt += 1
            except CodeError as error:
                error.moment = overlay.tid
                raise
            else:
                result = overlay.settled(outcome.result) if at is None else overlay.described(outcome.result)
                return Sent(result, done, outcome.output)

    def _turn(self, ref: Ref) -> asyncio.Lock:
        """The turn of an object; it is there only while somebody holds it or waits for it."""
        lock = self._turns.get(ref)
        if lock is None:
            lock = self._turns[ref] = asyncio.Lock()
        return lock

    async def _record(
        self,
        error: CodeError,
        ref: Ref,
        selector: str,
        args: list[Any],
        kwargs: dict[str, Any],
        looked: dispatch.Looked,
    ) -> None:
        self._counts["failures"] += 1
        # What the call saw, not what others have written since.
        moment = error.moment or self._image.statistics()["tid"]
        post_mortem = failures.told(error, ref, selector, args, kwargs, sha256=looked.sha256, tid=moment)
        error.details["failure"] = (
            await self._image.transact(failures.record, post_mortem, note=f"failure of {selector}")
        ).value


def _answer_data(selector: str, value: Any, args: list[Any], kwargs: dict[str, Any], tid: str) -> Sent:
    if args or kwargs:
        raise BadField(f"{selector!r} is a data slot: it takes no arguments", "Send it without arguments, or `set` it.")
    return Sent(value, tid)


__all__ = ["Caller", "Learn", "PrimitiveRun", "Sent"]
