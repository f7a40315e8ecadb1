"""The overlay of one top-level call: what it read, what it wrote, and nothing in the image until it is applied.

The sandbox asks it for slots and methods; each answer comes from a short read of the image, and the serial of every
object that was looked at is kept. The call counts only if all those serials still hold when it is applied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batos.codec import Ref
from batos.errors import Conflict, MethodError
from batos.image import dispatch
from batos.sandbox.world import Looked

if TYPE_CHECKING:
    from batos.image.store import Image, View

Writes = dict[Ref, dict[str, Any]]
Reads = dict[bytes, bytes]


class Overlay:
    """The world of one top-level call, as the sandbox sees it (`batos.sandbox.world.World`).

    Args:
        image: The image that is read.
        at: The moment that is read, as a tid; None reads what is current.
        selector: The message that is about to be understood, where a candidate is tried.
    """

    def __init__(self, image: Image, *, at: str | None = None, selector: str = "") -> None:
        self._image = image
        self._selector = selector
        self._understood: dict[Ref, frozenset[str]] = {}
        self._at = at
        self.writes: Writes = {}
        self.reads: Reads = {}
        self.tid = ""
        self._looks = 0

    async def snapshot(self, ref: Ref) -> tuple[dict[str, Any], frozenset[str]]:
        """Give the data slots that an object shows, with what this call wrote, and the selectors it understands."""
        seen, tid = await self._image.read(dispatch.snapshot, ref, self.writes, at=self._at)
        self._note(seen.reads, tid)
        self._understood[ref] = seen.understands
        return seen.slots, seen.understands

    async def look(self, ref: Ref, selector: str) -> Looked:
        """Say what an object answers a selector with."""
        own = self.writes.get(ref, {})
        if selector in own:
            return Looked(kind="data", value=own[selector])
        seen, tid = await self._image.read(dispatch.look, ref, selector, at=self._at)
        self._note(seen.reads, tid)
        return Looked(
            kind=seen.kind, source=seen.source, sha256=seen.sha256, value=seen.value, primitive=seen.primitive
        )

    async def primitive(self, name: str, ref: Ref, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Refuse: a primitive has effects beyond the overlay."""
        del ref, args, kwargs
        raise MethodError(
            f"The primitive {name!r} cannot be sent from inside a method",
            "Send it yourself, and pass its answer to the method.",
        )

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

    def savepoint(self) -> Writes:
        """Give a mark that `restore` takes the writes back to."""
        return {ref: dict(slots) for ref, slots in self.writes.items()}

    def restore(self, mark: object) -> None:
        """Drop the writes made since the mark."""
        assert isinstance(mark, dict)
        self.writes = {ref: dict(slots) for ref, slots in mark.items()}

    async def commit(self, note: str) -> str:
        """Apply the writes in one transaction of their own.

        Returns:
            The tid of the write, or of the snapshot where nothing was written.

        Raises:
            Conflict: Something that the call read has changed since.
        """
        if self.writes:
            return (await self._image.transact(self.apply, note=note)).tid
        if self._looks > 1 and self._at is None and not (await self._image.read(dispatch.current, self.reads)).value:
            raise Conflict("What the call read has changed since")
        return self.tid

    def apply(self, view: View) -> None:
        """Apply the writes within a unit of work; raises `Conflict` when something read has changed."""
        dispatch.apply(view, self.writes, self.reads)

    def _note(self, reads: Reads, tid: str) -> None:
        self._looks += 1
        self.tid = self.tid or tid
        for oid, serial in reads.items():
            if self.reads.setdefault(oid, serial) != serial:
                raise Conflict("An object changed while the call read it")
