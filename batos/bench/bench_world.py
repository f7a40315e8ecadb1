"""The smallest world that the sandbox can work on: one object, in memory."""

from __future__ import annotations

from typing import Any

from batos.codec import Ref
from batos.errors import MethodError
from batos.sandbox.world import Looked

ME = Ref((1).to_bytes(8, "big"))


class BenchWorld:
    """Implements `batos.sandbox.world.World` for one object.

    Args:
        slots: Its data slots.
        methods: Its methods' source texts by selector.
    """

    def __init__(self, slots: dict[str, Any], methods: dict[str, str]) -> None:
        self.slots = slots
        self.methods = methods

    async def snapshot(self, ref: Ref) -> tuple[dict[str, Any], frozenset[str]]:
        """Give the slots."""
        del ref
        return self.slots, frozenset(self.methods)

    async def look(self, ref: Ref, selector: str) -> Looked:
        """Give a method."""
        del ref
        source = self.methods.get(selector)
        return Looked("missing") if source is None else Looked("method", source=source)

    async def missing(
        self, ref: Ref, selector: str, args: list[Any], kwargs: dict[str, Any], sender: tuple[Ref, str]
    ) -> str:
        """Nothing is learned here."""
        del ref, selector, args, kwargs, sender
        return ""

    async def primitive(self, name: str, ref: Ref, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """There is none."""
        del ref, args, kwargs
        raise MethodError(f"no primitive {name!r}")

    def write(self, ref: Ref, name: str, value: Any) -> None:
        """Set a slot."""
        del ref
        self.slots[name] = value

    def made(self, ref: Ref) -> bool:
        """It makes none."""
        del ref
        return False

    def savepoint(self) -> object:
        """Give a mark."""
        return dict(self.slots)

    def restore(self, mark: object) -> None:
        """Go back to a mark."""
        assert isinstance(mark, dict)
        self.slots = dict(mark)
