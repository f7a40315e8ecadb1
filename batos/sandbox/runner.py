"""The sandbox as the kernel sees it: `Sandbox.audit` and `Sandbox.call`."""

from __future__ import annotations

from typing import Any

from batos.codec import Ref
from batos.errors import SandboxRefused
from batos.sandbox.world import Audit, Limits, Outcome, World

__all__ = ["Audit", "Limits", "Outcome", "Sandbox", "World"]


class Sandbox:
    """Runs generated code in processes without rights.

    Args:
        require: The least level: `auto`, `full`, `seatbelt` or `job`.
        pool: Idle workers kept ready.
        uid: User id of the workers when the kernel runs as root.
        limits: Limits of a call that brings none.
        modules: What generated code may import; empty: the pure standard library.
        bare: Give generated code all of Python's builtins and loaded modules, to test the walls alone
            (the kernel sets it with GUARDIAN_POLICY `warn`).
        calls: Top-level calls at once; more wait for their turn.
        without: Layers to leave out (`seccomp`, `landlock`, `namespaces`, `rlimits`), for tests.
    """

    def __init__(
        self,
        *,
        require: str = "auto",
        pool: int = 3,
        uid: int = 65534,
        limits: Limits | None = None,
        modules: tuple[str, ...] = (),
        bare: bool = False,
        calls: int = 16,
        without: frozenset[str] = frozenset(),
    ) -> None:
        self.refusal: SandboxRefused | None = SandboxRefused("the sandbox has not been started")
        self.level = "none"
        self.layers: dict[str, Any] = {}

    async def start(self) -> None:
        """Start the zygote and prove the walls in a real worker; what is amiss stands in `refusal` afterwards."""
        raise NotImplementedError

    def statistics(self) -> dict[str, Any]:
        """Count calls, audits, workers, kills and restarts."""
        raise NotImplementedError

    async def audit(self, source: str, selector: str, *, policy: str = "strict") -> Audit:
        """Mend and audit a source text in a worker; bad text makes findings, never an error.

        Raises:
            SandboxRefused: The sandbox is weaker than asked.
        """
        raise NotImplementedError

    async def call(
        self,
        world: World,
        receiver: Ref,
        selector: str,
        args: list[Any],
        kwargs: dict[str, Any],
        *,
        source: str | None = None,
        fixed: bool = False,
        limits: Limits | None = None,
    ) -> Outcome:
        """Send a message; generated code runs in fresh workers, its writes go to the world.

        Args:
            world: The overlay of this call; any error leaves its writes as they were before.
            receiver: Whom the message is for.
            selector: The message.
            args: Positional arguments, plain data.
            kwargs: Keyword arguments.
            source: A candidate to run instead of what the receiver understands under this selector.
            fixed: Frozen clock and seeded chance, for trials and evidence.
            limits: Other limits than the sandbox's own.

        Raises:
            MethodError: It raised or answered no data (`error_type`, `error_text`, `line`, `traceback`, `output`).
            DeadlineExceeded: It ran out of time.
            MemoryExceeded: It ran out of memory.
            CovenantViolationError: It changed its object and left without the flag.
            MessageNotUnderstood: Nobody understands the selector (here, or sent by the method and not caught).
            SandboxRefused: The sandbox is weaker than asked.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """End every worker and the zygote."""
        raise NotImplementedError
