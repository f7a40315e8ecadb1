"""The levels of confinement, one for each system, and what a zygote asks of its walls; `linux` and `seatbelt` give them."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import resource
    from collections.abc import Sequence


class Level(NamedTuple):
    """What one system can do, and what proves it.

    Attributes:
        system: The `sys.platform` that has it.
        by_hand: Whether the operator must ask for it by name, because it has not been run by us, or is weaker.
        carries: Layers without which it does not stand.
        one_of: Layers of which one must stand.
        deadly: What a worker must be killed for (`selftest.DEADLY`).
        status: The exit status that this has.
        lacks: What is missing before anything can run under it, or an empty text.
    """

    system: str
    by_hand: bool
    carries: tuple[str, ...]
    one_of: tuple[str, ...]
    deadly: str
    status: int
    lacks: str = ""


LEVELS = {
    "full": Level("linux", False, ("seccomp", "rlimits"), ("landlock", "namespaces"), "trace", -31),
    "seatbelt": Level("darwin", True, ("seatbelt", "rlimits"), (), "memory", -9),
    "job": Level(
        "win32", True, ("job", "low_integrity"), (), "memory", -9,
        "workers that are started by exec and speak over pipes are not part of the pool yet",
    ),
}  # fmt: skip


def refusal(require: str, system: str) -> str:
    """Say why a level cannot be offered on a system; an empty text: its walls may be tried.

    Args:
        require: A level, or `auto`: the one that the system has without being asked by name.
        system: `sys.platform`.
    """
    there = [name for name, level in LEVELS.items() if level.system == system]
    if not there:
        return f"there is no confinement for {system}"
    name, level = there[0], LEVELS[there[0]]
    if require not in ("auto", name):
        return f"there is no sandbox of level {require!r} on {system}; it has {name!r}"
    if level.lacks:
        return f"the sandbox of level {name!r} is not complete: {level.lacks}"
    if require == "auto" and level.by_hand:
        return f"the sandbox of level {name!r} must be asked for by name: SANDBOX={name}"
    return ""


def send(control: socket.socket, message: bytes, descriptors: Sequence[int]) -> None:
    """Send a message between kernel and zygote.

    Raises:
        OSError: The other side has gone, or its buffer is full.
    """
    if descriptors:
        socket.send_fds(control, [message], descriptors)
    else:
        control.send(message)


class Walls(Protocol):
    """The walls of one zygote and its workers."""

    @property
    def kept(self) -> int:
        """A descriptor that a worker needs until it stands behind its walls; -1 for none."""
        ...

    @property
    def watch_ms(self) -> int | None:
        """How often `footprint` is asked for each worker; None where the system limits memory by itself."""
        ...

    def leave(self, control: socket.socket) -> dict[str, Any]:
        """Take the zygote out of the system, as far as forking goes on; tells the kernel what stands.

        Raises:
            OSError: A wall that carries the sandbox was refused.
        """
        ...

    def enter(self, request: dict[str, Any], kept: int) -> dict[str, Any]:
        """Put the walls of a worker up, in the one order that works; tells what stands.

        Args:
            request: `cpu` (seconds) and `memory` (bytes).
            kept: Where `self.kept` is in the worker.

        Raises:
            OSError: A wall that carries the sandbox was refused.
        """
        ...

    def handle(self, pid: int) -> int:
        """Give a descriptor by which the kernel kills the worker; -1: it asks the zygote to.

        Raises:
            OSError: There is none.
        """
        ...

    def footprint(self, pid: int) -> int:
        """Give the bytes of memory that a worker holds; 0 when it has gone."""
        ...

    def peak(self, usage: resource.struct_rusage) -> int:
        """Give the most bytes of memory that a worker held, from what the system said at its end."""
        ...
