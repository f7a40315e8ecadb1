"""The sandbox as the kernel sees it: `Sandbox.audit` and `Sandbox.call`."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Any

from batos.errors import BatosError, SandboxRefused
from batos.guardian.modules import PURE_MODULES
from batos.sandbox.call import Call, Candidate
from batos.sandbox.pool import Pool, ZygoteLost
from batos.sandbox.tasks import audit_in_worker, probe_workers, verdict
from batos.sandbox.walls import LEVELS, refusal
from batos.sandbox.world import Audit, Limits, Outcome, Reach, World

if TYPE_CHECKING:
    from batos.codec import Ref

__all__ = ["Audit", "Limits", "Outcome", "Sandbox", "World"]

_ELSEWHERE = "Everything but generated code works meanwhile; docs/security.md tells what each system has."
_RUNS = 3


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
        reuse: Let a worker serve again, for measuring alone: one method could then spoil the next.

    Attributes:
        refusal: Why generated code is refused, or None.
        level: `full` or `seatbelt` when every wall that it takes stands, `none` otherwise.
        layers: What each wall is, as zygote, worker and self-test found it.
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
        reuse: bool = False,
    ) -> None:
        self.refusal: SandboxRefused | None = SandboxRefused("the sandbox has not been started")
        self.level = "none"
        self.layers: dict[str, Any] = {}
        self._require = require
        self._level = next((name for name, level in LEVELS.items() if level.system == sys.platform), "full")
        self._limits = limits or Limits()
        self._modules = sorted(modules or PURE_MODULES)
        settings = {"uid": uid, "modules": self._modules, "bare": bare, "reuse": reuse, "level": self._level}
        settings |= {wall: wall not in without for wall in ("seccomp", "landlock", "namespaces", "rlimits")}
        self._pool = Pool(pool, self._limits, settings)
        self._turn = asyncio.Semaphore(calls)
        self._counts = {"calls": 0, "failed": 0, "audits": 0}

    async def start(self) -> None:
        """Start the zygote and prove the walls in a real worker; what is amiss stands in `refusal` afterwards."""
        why = refusal(self._require, sys.platform)
        if why:
            self.refusal = SandboxRefused(why, _ELSEWHERE)
            return
        level = self._level
        try:
            await self._pool.open()
            probes, killed = await probe_workers(self._pool, self._limits, level)
        except (BatosError, OSError) as error:
            self.refusal = SandboxRefused(f"the sandbox does not start: {error}")
            return
        zygote = dict(self._pool.report)
        self.layers = {"process": True, **zygote.pop("worker", {}), **zygote, "probes": len(probes) + 1}
        missing = verdict(level, self.layers, probes, killed=killed)
        self.level = "none" if missing else level
        self.layers["missing"] = missing
        self.refusal = SandboxRefused(f"the sandbox lacks {', '.join(missing)}", missing=missing) if missing else None

    def statistics(self) -> dict[str, Any]:
        """Count calls, audits, workers and restarts."""
        return {**self._counts, **self._pool.statistics(), "level": self.level}

    async def audit(self, source: str, selector: str, *, policy: str = "strict") -> Audit:
        """Mend and audit a source text in a worker; bad text makes findings, never an error.

        Raises:
            SandboxRefused: The sandbox is weaker than asked.
        """
        self._admit()
        self._counts["audits"] += 1
        async with self._turn:
            return await audit_in_worker(self._pool, source, selector, self._modules, policy)

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
        reach: Reach | None = None,
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
            reach: What a candidate may change besides; None does not hold it to anything.

        Raises:
            MethodError: It raised or answered no data (`error_type`, `error_text`, `line`, `traceback`, `output`).
            DeadlineExceeded: It ran out of time.
            MemoryExceeded: It ran out of memory.
            CovenantViolationError: It changed its object and left without the flag.
            PolicyViolation: A candidate changed what is beyond its reach.
            MessageNotUnderstood: Nobody understands the selector (here, or sent by the method and not caught).
            SandboxRefused: The sandbox is weaker than asked.
        """
        self._admit()
        self._counts["calls"] += 1
        candidate = Candidate(receiver, selector, source, reach) if source is not None else None
        limits = limits or self._limits
        async with self._turn:
            try:
                for _ in range(_RUNS):
                    call = Call(self._pool, world, limits, candidate, fixed=fixed)
                    # A zygote that dies under a call leaves nothing of it, so it runs again.
                    with contextlib.suppress(ZygoteLost):
                        return await call.run(receiver, selector, args, kwargs)
            except BatosError:
                self._counts["failed"] += 1
                raise
        raise SandboxRefused("the sandbox's zygote keeps dying")

    async def close(self) -> None:
        """End every worker and the zygote."""
        self.refusal = SandboxRefused("the sandbox is closed")
        await self._pool.close()

    def _admit(self) -> None:
        if self.refusal is not None:
            raise SandboxRefused(self.refusal.message, self.refusal.hint, **self.refusal.details)
