"""What the sandbox and the kernel agree on: the world of one call, its limits, and what comes out.

The kernel implements `World` as the overlay of one top-level call; the sandbox never sees the image. Everything that
passes here is plain data (what `codec` packs), with `Ref` for objects of the image.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from batos.codec import Ref

Kind = Literal["method", "primitive", "data", "missing", "quarantined"]

# Underscore names that generated code may send as messages; every other one is refused on both sides.
PROTOCOL_MESSAGES = frozenset({"_clone_persistent_", "_doesNotUnderstand_"})


class Looked(NamedTuple):
    """What a selector means to an object.

    Attributes:
        kind: `method` (then `source` holds), `primitive` (then `primitive` names it), `data` (then `value` holds),
            `missing` (nobody understands it) or `quarantined` (shut off after too many failures).
        source: The method's source text, one `def`.
        sha256: Its digest.
        value: The data slot's value, plain.
        primitive: The primitive's name.
    """

    kind: Kind
    source: str = ""
    sha256: str = ""
    value: Any = None
    primitive: str = ""


class Reach(NamedTuple):
    """What a candidate may change itself besides the data of its object, of its arguments' objects and of those it makes.

    What other objects do when it sends them a message is theirs, and not held to this.

    Attributes:
        objects: Further objects whose slots it may set.
        parents: Whether it may set whom an object delegates to.
    """

    objects: frozenset[Ref] = frozenset()
    parents: bool = False


class World(Protocol):
    """The overlay of one top-level call; used by one task at a time.

    What `look`, `snapshot` or `missing` raises ends the whole call and reaches its caller as it is; so a kernel that wants
    to have a missing method written first raises from `missing`.
    """

    async def snapshot(self, ref: Ref) -> tuple[dict[str, Any], frozenset[str]]:
        """Give the data slots that the object shows (own and inherited, with this call's writes) and its selectors.

        Raises:
            UnknownTarget: There is no such object.
        """
        ...

    async def look(self, ref: Ref, selector: str) -> Looked:
        """Look the selector up along the object's parents."""
        ...

    async def missing(
        self, ref: Ref, selector: str, args: list[Any], kwargs: dict[str, Any], sender: tuple[Ref, str]
    ) -> str:
        """Hear of a message that nobody understands, and of the object and method that sent it, which may catch that it failed.

        Returns:
            Why it is not learned, for the error's text; an empty text says nothing.

        Raises:
            BatosError: The whole call ends with it.
        """
        ...

    async def primitive(self, name: str, ref: Ref, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Run a trusted primitive inside the call; its arguments are hostile. It changes no object that was there before.

        Raises:
            BatosError: The primitive refused or failed; generated code that sent the message may catch it.
        """
        ...

    def write(self, ref: Ref, name: str, value: Any) -> None:
        """Set a slot in the overlay.

        Raises:
            BatosError: The slot can't be set so; the activation that wrote it fails with this error.
        """
        ...

    def made(self, ref: Ref) -> bool:
        """Tell whether this call made the object."""
        ...

    def savepoint(self) -> object:
        """Mark the overlay as it is now."""
        ...

    def restore(self, mark: object) -> None:
        """Put the overlay back to a mark; a mark may be used more than once."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one top-level call, nested sends included.

    Attributes:
        seconds: Wall-clock time.
        memory_mb: Memory of each worker, MiB.
        bytes: Size of the arguments, of the result and of each frame.
        depth: Nested sends.
        requests: Requests to the kernel.
        slots: Slot writes.
        output: Bytes of what it prints.
    """

    seconds: float = 2.0
    memory_mb: int = 192
    bytes: int = 1 << 20
    depth: int = 8
    requests: int = 2000
    slots: int = 1000
    output: int = 64 << 10


class Outcome(NamedTuple):
    """What a call came to.

    Attributes:
        result: Plain data, with `Ref` for objects.
        output: What it printed; cut with a notice at the limit.
        changed: Whether it wrote to the world.
        seconds: How long it took.
    """

    result: Any
    output: str
    changed: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What the Guardian says of a source text.

    Attributes:
        source: The text with its mends in.
        mends: What was mended, a sentence each.
        findings: What still stands against it (`kind`, `rule`, `line`, `column`, `message`, `mend`); empty: it passes.
        signature: The parameters as written, like `(self, name='you')`.
        parameters: `{"name", "has_default"}` each, without `self`.
        summary: The first line of the docstring, or an empty text.
        warnings: Policy findings that the policy `warn` lets pass.
        slots: The slots of self that it names.
        idle: Whether it sets the Covenant's flag although it changes nothing.
    """

    source: str
    mends: list[str] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    signature: str = ""
    parameters: list[dict[str, Any]] = field(default_factory=list)
    summary: str = ""
    warnings: list[dict[str, Any]] = field(default_factory=list)
    slots: list[str] = field(default_factory=list)
    idle: bool = False
