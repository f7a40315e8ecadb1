"""One activation as the kernel sees it: one method, one worker, one list of capabilities.

Every word of a worker is hostile: shapes and types are checked, references are handles, everything is counted. What an
honest method can do wrong becomes an error that the sender of the message may catch; what no honest worker does ends
the whole call.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from batos.codec import CodecError, Ref
from batos.errors import (
    BatosError,
    CovenantViolationError,
    DeadlineExceeded,
    MemoryExceeded,
    MethodError,
    PolicyViolation,
    TooLarge,
)
from batos.plain import references
from batos.sandbox.codec import Handles, KernelCodec, ProtocolFault
from batos.sandbox.pool import LOST, ZygoteLost
from batos.sandbox.protocol import LAST_WORDS, fits, is_selector, is_slot

if TYPE_CHECKING:
    from batos.sandbox.call import Call
    from batos.sandbox.connection import Worker
    from batos.sandbox.world import Reach

_SNAPSHOT_LIMIT = 1 << 18
_LARGE_SLOT = 1 << 15
_TEXT_LIMIT = 2000
_NAME_LIMIT = 200
_LINES = 1 << 20
_END_SECONDS = 1.0
_SIGNALS = {
    -31: "a forbidden system call",
    -11: "a crash",
    -9: "a kill by the operating system",
    -7: "a crash",
    -6: "a crash",
    -4: "a crash",
}
_SIGXCPU = -24


class Ended(Exception):
    """The whole call ends with this error; no sender in between may catch it."""

    def __init__(self, error: BatosError) -> None:
        super().__init__(str(error))
        self.error = error


class Activation:
    """One run of one method in one worker."""

    def __init__(
        self, call: Call, receiver: Ref, selector: str, source: str, depth: int, reach: Reach | None = None
    ) -> None:
        self._call = call
        self._receiver = receiver
        self._selector = selector
        self._source = source
        self._depth = depth
        self._reach = reach
        self._given: frozenset[Ref] = frozenset()
        self._codec = KernelCodec(Handles())
        self._told: dict[Ref, dict[str, bytes]] = {}

    async def run(self, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Run to the end and give the result; the worker is dead afterwards, whatever happens."""
        self._given = frozenset([self._receiver, *references([args, kwargs])])
        opening = await self._opening(args, kwargs)
        worker = await ending(self._call.pool.take(self._call.limits))
        try:
            await worker.transmit(opening)
            while (message := await self._hear(worker))[0] not in LAST_WORDS:
                answer = await self._answer(message)
                self._call.count_bytes(len(answer))
                await worker.transmit(answer)
        except BaseException:
            worker.kill()
            raise
        self._call.pool.retire(worker)
        return self._last(message)

    async def _opening(self, args: list[Any], kwargs: dict[str, Any]) -> bytes:
        limits = self._call.limits
        fields = {
            "source": self._source,
            "selector": self._selector,
            "self": self._receiver,
            "slots": await self._load(self._receiver),
            "args": args,
            "kwargs": kwargs,
            "fixed": self._call.fixed,
            "output": limits.output,
            "bytes": limits.bytes,
            "frame": limits.bytes + limits.output + (1 << 16),
        }
        try:
            size = len(self._codec.pack([args, kwargs]))
            opening = self._codec.pack(["call", fields])
        except CodecError as error:
            raise MethodError(f"the arguments are not plain data: {error}", selector=self._selector) from None
        if size > limits.bytes:
            raise TooLarge(f"the arguments have {size} bytes; CALL_BYTES allows {limits.bytes}")
        return opening

    async def _load(self, ref: Ref) -> list[Any]:
        """Give the snapshot of an object: slots packed one by one, large ones by name only, and its selectors."""
        slots, understands = await ending(self._call.world.snapshot(ref))
        try:
            told = self._told[ref] = {name: self._codec.pack(value) for name, value in slots.items()}
        except CodecError as error:
            raise Ended(MethodError(f"the slots of {ref.hex} cannot be handed to a method: {error}")) from None
        room = _SNAPSHOT_LIMIT
        packed, large = {}, []
        for name, data in sorted(told.items(), key=lambda item: len(item[1])):
            room -= len(data)
            if room < 0 and len(data) > _LARGE_SLOT:
                large.append(name)
            else:
                packed[name] = data
        return [packed, large, sorted(understands)]

    async def _hear(self, worker: Worker) -> list[Any]:
        """Wait for the worker's next word, well-formed.

        Raises:
            Ended: It is not well-formed, or over the budget.
            BatosError: The worker has died.
        """
        payload = await worker.receive()
        if payload is None:
            raise await self._death(worker)
        self._call.count_frame(len(payload))
        try:
            message = self._codec.unpack(payload)
        except ProtocolFault as error:
            raise Ended(_hostile(str(error))) from None
        except CodecError as error:
            raise Ended(_hostile(f"it sent what is not plain data: {str(error)[:_TEXT_LIMIT]}")) from None
        if not fits(message):
            raise Ended(_hostile("it sent a malformed request"))
        return message  # type: ignore[no-any-return]

    async def _death(self, worker: Worker) -> BatosError:
        """Say why a worker is gone.

        Raises:
            Ended: The kernel killed it, or its zygote is gone too.
        """
        if not worker.fault:
            try:
                async with asyncio.timeout(_END_SECONDS):
                    await worker.ended.wait()
            except TimeoutError:
                worker.kill()
        if worker.fault == LOST:
            raise Ended(ZygoteLost(worker.fault))
        if worker.fault:
            raise Ended(_hostile(worker.fault))
        details = {"selector": self._selector, "output": self._call.output}
        status = worker.exit_status
        if status == _SIGXCPU:
            return DeadlineExceeded("the call used up its processor time", **details)
        if status in _SIGNALS and worker.memory_used > self._call.limits.memory_mb << 19:
            return MemoryExceeded("the call ran out of memory", **details)
        cause = _SIGNALS.get(status or 0, f"exit status {status}")
        return MethodError(f"the worker ended: {cause}", error_type="WorkerDied", error_text=cause, **details)

    async def _answer(self, message: list[Any]) -> bytes:
        if message[0] == "load":
            self._apply(message[2])
            return self._codec.pack(["ok", await self._load(message[1])])
        if message[0] == "slot":
            return self._codec.pack(["ok", self._told.get(message[1], {}).get(message[2], b"\xc0")])
        _, target, selector, args, kwargs, delta, printed = message
        self._call.print_out(printed)
        if not is_selector(selector):
            raise Ended(_hostile("it sent a message under a name that is none"))
        self._apply(delta)
        return await self._nested(target, selector, args, kwargs)

    async def _nested(self, target: Ref, selector: str, args: list[Any], kwargs: dict[str, Any]) -> bytes:
        """Send a message for the method; if it fails, the overlay is as it was before, and the method may go on."""
        call = self._call
        mark, writes, activity = call.world.savepoint(), call.writes, call.activity
        try:
            sender = self._receiver, self._selector
            value = await call.send(target, selector, args, kwargs, self._depth + 1, sender)
        except BatosError as error:
            call.world.restore(mark)
            call.writes = writes
            return self._error(error)
        refreshed = await self._refreshed() if call.activity != activity else []
        return self._packed_value(value, refreshed)

    def _packed_value(self, value: Any, refreshed: list[Any]) -> bytes:
        try:
            packed = self._codec.pack(["ok", [value, refreshed]])
        except CodecError as error:
            return self._error(MethodError(f"the answer is not plain data: {error}"))
        return packed

    def _error(self, error: BatosError) -> bytes:
        """Tell a method that its message failed."""
        self._call.errors.append(error)
        kind = "MemoryError" if isinstance(error, MemoryExceeded) else str(error.details.get("error_type", ""))
        text = str(error.details.get("error_text", error.message))[:_TEXT_LIMIT]
        return self._codec.pack(["error", type(error).__name__, kind, text, len(self._call.errors) - 1])

    async def _refreshed(self) -> list[Any]:
        """Tell what others changed in the objects whose slots this worker holds."""
        changes = []
        for ref, before in list(self._told.items()):
            await self._load(ref)
            now = self._told[ref]
            packed = {name: data for name, data in now.items() if before.get(name) != data}
            gone = [name for name in before if name not in now]
            if packed or gone:
                changes.append([ref, packed, gone])
        return changes

    def _apply(self, delta: list[Any]) -> None:
        for ref, writes in delta:
            for name, value in writes.items():
                if not is_slot(name):
                    raise Ended(_hostile("it wrote a slot under a name that is none"))
                self._stay_within(ref, name)
                self._call.write(ref, name, value)
                if ref in self._told:
                    self._told[ref][name] = self._codec.pack(value)

    def _stay_within(self, ref: Ref, name: str) -> None:
        """End the call where a candidate changes what is beyond its reach; nobody may catch that."""
        reach = self._reach
        if reach is None:
            return
        if name == "parents" and not reach.parents:
            what, mend = "whom its object delegates to", "Leave the slot `parents` alone."
        elif ref not in self._given and ref not in reach.objects and not self._call.world.made(ref):
            what = f"the slot {name!r} of another object ({ref.hex}), which the mission does not speak of"
            mend = "Change self and what is given as an argument only; send another object a message."
        else:
            return
        raise Ended(PolicyViolation(f"{self._selector} changed {what}", mend, selector=self._selector))

    def _last(self, message: list[Any]) -> Any:
        """Take the last word: the result, or the error that it tells of."""
        call, details = self._call, {"selector": self._selector}
        call.print_out(message[-1])
        if message[0] == "done":
            self._apply(message[2])
            return message[1]
        if message[0] == "broken":
            slots = ", ".join(str(name) for name in message[1])[:_TEXT_LIMIT]
            text = f"{self._selector} changed {slots} and ended without self._p_changed = True after it"
            raise CovenantViolationError(
                text, slots=[name[:_NAME_LIMIT] for name in message[1][:100]], output=call.output, **details
            )
        fields = message[1]
        index = fields.get("remote", -1)
        if type(index) is int and 0 <= index < len(call.errors):
            raise call.errors[index]
        raise _method_error(fields, call.output, self._selector)


def _method_error(fields: dict[str, Any], output: str, selector: str) -> BatosError:
    kind, text = str(fields.get("type", "Exception"))[:_NAME_LIMIT], str(fields.get("text", ""))[:_TEXT_LIMIT]
    if kind == "MemoryError":
        return MemoryExceeded(f"{selector} ran out of memory", selector=selector, output=output)
    return MethodError(
        f"{kind}: {text}" if text else kind,
        error_type=kind,
        error_text=text,
        line=fields.get("line", 0) if fields.get("line", 0) in range(_LINES) else 0,
        traceback="\n".join(fields.get("traceback", []))[:_TEXT_LIMIT],
        output=output,
        selector=selector,
    )


async def ending(work: Any) -> Any:
    """Await what the world does; its errors end the whole call."""
    try:
        return await work
    except BatosError as error:
        raise Ended(error) from None


def _hostile(what: str) -> MethodError:
    return MethodError(f"the worker was killed: {what}", error_type="ProtocolFault", error_text=what)
