"""A world in memory: objects with slots, methods and one parent each, and an overlay that can be put back."""

from __future__ import annotations

from typing import Any

from batos.codec import Ref
from batos.errors import BadField, UnknownTarget
from batos.sandbox.world import Looked


class MemoryWorld:
    """Implements `batos.sandbox.world.World` for tests."""

    def __init__(self) -> None:
        self.slots: dict[Ref, dict[str, Any]] = {}
        self.methods: dict[tuple[Ref, str], str] = {}
        self.parents: dict[Ref, Ref] = {}
        self.primitives: list[tuple[str, list[Any]]] = []
        self.unknown: list[tuple[Ref, str, list[Any], dict[str, Any]]] = []
        self.writes = 0

    def add(self, *, parent: Ref | None = None, **slots: Any) -> Ref:
        """Make an object."""
        ref = Ref(((len(self.slots) + 1) << 40).to_bytes(8, "big"))
        self.slots[ref] = slots
        if parent is not None:
            self.parents[ref] = parent
        return ref

    def teach(self, ref: Ref, *sources: str) -> None:
        """Give an object methods."""
        for source in sources:
            name = source.partition("def ")[2].partition("(")[0]
            self.methods[ref, name] = source

    def chain(self, ref: Ref) -> list[Ref]:
        """The object and its parents."""
        if ref not in self.slots:
            raise UnknownTarget(f"no object {ref.hex}")
        found = [ref]
        while found[-1] in self.parents:
            found.append(self.parents[found[-1]])
        return found

    async def snapshot(self, ref: Ref) -> tuple[dict[str, Any], frozenset[str]]:
        slots: dict[str, Any] = {}
        for holder in reversed(self.chain(ref)):
            slots |= self.slots[holder]
        chain = self.chain(ref)
        return slots, frozenset(name for holder, name in self.methods if holder in chain)

    async def look(self, ref: Ref, selector: str) -> Looked:
        for holder in self.chain(ref):
            if (holder, selector) in self.methods:
                return Looked("method", source=self.methods[holder, selector])
            if selector in self.slots[holder]:
                return Looked("data", value=self.slots[holder][selector])
        if selector in ("clone", "_clone_persistent_", "refuse"):
            return Looked("primitive", primitive=selector)
        return Looked("quarantined" if selector == "shut_off" else "missing")

    async def missing(
        self, ref: Ref, selector: str, args: list[Any], kwargs: dict[str, Any], sender: tuple[Ref, str]
    ) -> str:
        self.unknown.append((ref, selector, args, kwargs))
        return ""

    async def primitive(self, name: str, ref: Ref, args: list[Any], kwargs: dict[str, Any]) -> Any:
        self.primitives.append((name, args))
        if name == "refuse":
            raise BadField("the primitive refuses")
        return self.add(parent=ref, **kwargs)

    def write(self, ref: Ref, name: str, value: Any) -> None:
        if (ref, name) in self.methods:
            raise BadField(f"{name} is a method")
        self.slots[ref][name] = value
        self.writes += 1

    def made(self, ref: Ref) -> bool:
        return False

    def savepoint(self) -> object:
        return {ref: dict(slots) for ref, slots in self.slots.items()}

    def restore(self, mark: object) -> None:
        assert isinstance(mark, dict)
        self.slots = {ref: dict(slots) for ref, slots in mark.items()}
