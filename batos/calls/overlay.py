"""The overlay of one top-level call: what it read, what it wrote, and nothing in the image until it is applied.

The sandbox asks it for slots and methods; each answer comes from a short read of the image, and the serial of every
object that was looked at is kept. The call counts only if all those serials still hold when it is applied.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from batos.calls.newborn import Newborn, Nursery, original, provisional, settled
from batos.codec import Ref
from batos.errors import BadField, Conflict, MethodError
from batos.image import dispatch
from batos.sandbox.protocol import is_slot
from batos.sandbox.world import Looked

if TYPE_CHECKING:
    from batos.image.store import Image, View

Writes = dict[Ref, dict[str, Any]]
Capabilities = Mapping[str, Callable[[Ref, list[Any], dict[str, Any]], Awaitable[Any]]]
Reads = dict[bytes, bytes]

NEW_OBJECTS = 256
_NOT_NESTED = (
    "no mission is nested in a trial or a first call: use what is understood already, or write it out in the method"
)
_SHOWN = 100


class Opening(NamedTuple):
    """What a message begins with, read in one go.

    Attributes:
        ref: The receiver.
        looked: What it answers the selector with.
        seen: What it shows to a method; None where no method answers.
    """

    ref: Ref
    looked: dispatch.Looked
    seen: dispatch.Snapshot | None


def opening(view: View, target: str | Ref, selector: str) -> Opening:
    """Find the receiver and what it answers a selector with; a unit of work.

    Raises:
        UnknownTarget: There is no such object.
    """
    ref = view.ref(view.resolve(target))
    looked = dispatch.look(view, ref, selector)
    return Opening(ref, looked, dispatch.snapshot(view, ref) if looked.kind == "method" else None)


class Overlay:
    """The world of one top-level call, as the sandbox sees it (`batos.sandbox.world.World`).

    Args:
        image: The image that is read.
        at: The moment that is read, as a tid; None reads what is current.
        selector: The message that is about to be understood, where a candidate is tried.
        objects: New objects that the call may make.
        missing: Told of each message of a method that nobody understands; it says why that is not learned, or raises to end
            the call. None: nothing is learned, because a candidate is tried, or a call made again.
        capabilities: Runs the primitives that objects may be granted, by name; without an effect on any object.
    """

    def __init__(
        self,
        image: Image,
        *,
        at: str | None = None,
        selector: str = "",
        objects: int = NEW_OBJECTS,
        missing: Callable[[Ref, str, list[Any], dict[str, Any], tuple[Ref, str]], str] | None = None,
        capabilities: Capabilities | None = None,
    ) -> None:
        self._image = image
        self._selector = selector
        self._receiver: Ref | None = None
        self._objects = objects
        self._missing = missing
        self._capabilities = capabilities or {}
        self._granted: dict[tuple[Ref, str], int] = {}
        self._understood: dict[Ref, frozenset[str]] = {}
        self._at = at
        self._opening: tuple[str, Opening] | None = None
        self._made = 0
        self.writes: Writes = {}
        self.born: dict[Ref, Newborn] = {}
        self.real: dict[Ref, Ref] = {}
        self.reads: Reads = {}
        self.tid = ""
        self._looks = 0

    def begin(self, selector: str, opened: Opening, tid: str) -> None:
        """Take what was read of the receiver already, so that it is not read again."""
        self._opening = selector, opened
        self._note(opened.looked.reads | (opened.seen.reads if opened.seen else {}), tid)

    async def snapshot(self, ref: Ref) -> tuple[dict[str, Any], frozenset[str]]:
        """Give the data slots that an object shows, with what this call wrote, and the selectors it understands."""
        slots, understands = await self._shown(ref, self.writes)
        self._receiver = self._receiver or ref  # the first one that is asked for
        if self._selector and ref == self._receiver and self._selector not in slots:
            understands |= {self._selector}  # as it will be once the candidate is installed
        self._understood[ref] = understands
        return slots, understands

    async def look(self, ref: Ref, selector: str) -> Looked:
        """Say what an object answers a selector with."""
        own = self.writes.get(ref, {})
        if selector in own:
            return Looked(kind="data", value=own[selector])
        if ref in self.born:
            seen = await self.look(self.born[ref].base, selector)
        else:
            seen = await self._look(ref, selector)
        if self.writes and seen.kind in ("data", "missing"):
            # A parent may have been written in this call.
            slots, _ = await self.snapshot(ref)
            return Looked(kind="data", value=slots[selector]) if selector in slots else Looked(kind="missing")
        return seen

    async def missing(
        self, ref: Ref, selector: str, args: list[Any], kwargs: dict[str, Any], sender: tuple[Ref, str]
    ) -> str:
        """Hear that nobody understands a message of a method; a new object stands for the one that it was made from."""
        while ref in self.born:
            ref = self.born[ref].base
        asker = sender[0]
        while asker in self.born:
            asker = self.born[asker].base
        if self._missing is None:
            return _NOT_NESTED
        return self._missing(ref, selector, *_known((args, kwargs), self.born), (asker, sender[1]))

    async def primitive(self, name: str, ref: Ref, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Clone or create; of the primitives that reach beyond the overlay only those that the object was granted.

        Raises:
            MethodError: It cannot run inside a call, the object cannot be cloned, or the arguments do not fit.
        """
        if name not in ("clone", "create"):
            return await self._beyond(name, ref, args, kwargs)
        if args or (kwargs and name == "clone"):
            text = "clone takes no arguments" if name == "clone" else "create takes slots by name"
            raise MethodError(text, error_type="TypeError")
        if bad := [name for name in kwargs if not is_slot(name) or name == "parents"]:
            raise MethodError(
                f"{bad[0][:_SHOWN]!r} is not a slot that an object can be created with", error_type="TypeError"
            )
        if self._made >= self._objects:
            raise MethodError(f"a call may make {self._objects} objects, no more", error_type="RuntimeError")
        return await self._clone(ref) if name == "clone" else self._bear(Newborn("child", ref), dict(kwargs))

    async def _beyond(self, name: str, ref: Ref, args: list[Any], kwargs: dict[str, Any]) -> Any:
        left, run = self._granted.get((ref, name)), self._capabilities.get(name)
        if left is None or run is None:
            raise MethodError(
                f"The primitive {name!r} cannot be sent from inside a method: it reaches beyond the call",
                "Send it yourself, and pass its answer to the method.",
                error_type="NotAllowed",
            )
        if left == 0:
            raise MethodError(f"a call may use {name!r} so often, no more", error_type="NotAllowed")
        self._granted[ref, name] = left - 1
        return await run(ref, args, kwargs)

    def write(self, ref: Ref, name: str, value: Any) -> None:
        """Change a slot in this overlay alone.

        Raises:
            MethodError: The name is that of a message that the object understands, or is about to.
        """
        if name == self._selector or name in self._understood.get(ref, ()):
            raise MethodError(
                f"`{name}` is a message, so no slot can have its name", "Keep the value in a slot of another name."
            )
        self.writes.setdefault(ref, {})[name] = value

    def made(self, ref: Ref) -> bool:
        """Tell whether this call made the object."""
        return ref in self.born

    def savepoint(self) -> tuple[Writes, dict[Ref, Newborn]]:
        """Give a mark that `restore` takes the writes and the new objects back to."""
        return {ref: dict(slots) for ref, slots in self.writes.items()}, dict(self.born)

    def restore(self, mark: object) -> None:
        """Drop what was written and made since the mark."""
        assert isinstance(mark, tuple)
        writes, born = mark
        self.writes = {ref: dict(slots) for ref, slots in writes.items()}
        self.born = dict(born)

    async def commit(self, note: str) -> str:
        """Apply the call in one transaction of its own.

        Returns:
            The tid of the write, or of the snapshot where nothing was written.

        Raises:
            Conflict: Something that the call read has changed since.
        """
        if self.writes or self.born:
            return (await self._image.transact(self.apply, note=note)).tid
        if self._looks > 1 and self._at is None and not (await self._image.read(dispatch.current, self.reads)).value:
            raise Conflict("What the call read has changed since")
        return self.tid

    def apply(self, view: View) -> None:
        """Apply the call within a unit of work; raises `Conflict` when something read has changed."""
        nursery = Nursery(view, self.born) if self.born else view
        dispatch.apply(nursery, self.writes, self.reads)
        self.real = nursery.real if isinstance(nursery, Nursery) else {}

    def settled(self, value: Any) -> Any:
        """Give a result of the call with the references that its new objects have got when it was applied."""
        return settled(value, self.real)

    def described(self, value: Any) -> Any:
        """Give a result of a call that will not be applied, with a text in the place of each new object."""
        return settled(value, dict.fromkeys(self.born, "<a new object>"))

    async def _clone(self, ref: Ref) -> Ref:
        if ref in self.born:
            return self._bear(self.born[ref], dict(self.writes.get(ref, {})))
        try:
            (slots, reads), tid = await self._image.read(original, ref, at=self._at)
        except BadField as error:
            raise MethodError(error.message, error.hint, error_type="TypeError") from None
        self._note(reads, tid)
        return self._bear(Newborn("clone", ref), slots | self.writes.get(ref, {}))

    def _bear(self, newborn: Newborn, slots: dict[str, Any]) -> Ref:
        self._made += 1
        ref = provisional(self._made)
        self.born[ref] = newborn
        self.writes[ref] = slots
        return ref

    async def _shown(self, ref: Ref, writes: Writes) -> tuple[dict[str, Any], frozenset[str]]:
        if ref in self.born:
            kind, base = self.born[ref]
            own = self.writes.get(ref, {})
            # A clone has its own copy of all that its original had of its own.
            others = {other: slots for other, slots in writes.items() if other != base} if kind == "clone" else writes
            slots, understands = await self._shown(base, others)
            return slots | own, understands - own.keys()
        opened = self._opening[1] if self._opening else None
        if not writes and opened and opened.ref == ref and opened.seen:
            return opened.seen.slots, opened.seen.understands
        seen, tid = await self._image.read(dispatch.snapshot, ref, writes, at=self._at)
        self._note(seen.reads, tid)
        return seen.slots, seen.understands

    async def _look(self, ref: Ref, selector: str) -> Looked:
        if self._opening and (self._opening[1].ref, self._opening[0]) == (ref, selector):
            seen = self._opening[1].looked
        else:
            seen, tid = await self._image.read(dispatch.look, ref, selector, at=self._at)
            self._note(seen.reads, tid)
        if seen.granted is not None:
            self._granted.setdefault((ref, seen.primitive), seen.granted["calls"])
        return Looked(
            kind=seen.kind, source=seen.source, sha256=seen.sha256, value=seen.value, primitive=seen.primitive
        )

    def _note(self, reads: Reads, tid: str) -> None:
        self._looks += 1
        self.tid = self.tid or tid
        for oid, serial in reads.items():
            if self.reads.setdefault(oid, serial) != serial:
                raise Conflict("An object changed while the call read it")


def _known(said: tuple[list[Any], dict[str, Any]], born: dict[Ref, Newborn]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a message; none where they hold an object that will not be there any more."""
    return said if settled(said, dict.fromkeys(born)) == said else ([], {})
