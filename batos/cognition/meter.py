"""What a cycle spends: tokens, and seconds in models and in the sandbox; and the budget that ends it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from batos.errors import DeadlineExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batos.codec import Ref
    from batos.cognition.services import Runner, Services
    from batos.mind.protocol import GenerateReply, GenerateRequest, Mind, OnToken
    from batos.sandbox.world import Audit, Limits, Outcome, Reach, World


class Meter:
    """Counts what one cycle spends.

    Args:
        spent: What it had spent before, as `plain` gave it.
        tokens: How many tokens it may write in all.
    """

    def __init__(self, spent: dict[str, Any] | None, tokens: int) -> None:
        spent = spent or {}
        self._limit = tokens
        self._prompt_tokens = int(spent.get("prompt_tokens", 0))
        self._completion_tokens = int(spent.get("completion_tokens", 0))
        self._seconds = {
            "model": float(spent.get("model_seconds", 0.0)),
            "sandbox": float(spent.get("sandbox_seconds", 0.0)),
        }
        self._running = {"model": 0, "sandbox": 0}
        self._since = {"model": 0.0, "sandbox": 0.0}

    def plain(self) -> dict[str, Any]:
        """What was spent: `prompt_tokens`, `completion_tokens`, `model_seconds`, `sandbox_seconds`."""
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": self._completion_tokens,
            **{f"{name}_seconds": round(value, 6) for name, value in self._seconds.items()},
        }

    def on(self, services: Services) -> Services:
        """The parts of the system, with those that are counted behind this meter."""
        return replace(services, mind=_MeteredMind(services.mind, self), sandbox=_MeteredRunner(services.sandbox, self))

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Count the time of a block; of blocks that overlap, the time is counted once."""
        if not self._running[name]:
            self._since[name] = time.monotonic()
        self._running[name] += 1
        try:
            yield
        finally:
            self._running[name] -= 1
            if not self._running[name]:
                self._seconds[name] += time.monotonic() - self._since[name]

    def allow(self, request: GenerateRequest) -> GenerateRequest:
        """Hold a request to what is left of the tokens.

        Raises:
            DeadlineExceeded: Nothing is left.
        """
        left = self._limit - self._completion_tokens
        if left <= 0:
            raise DeadlineExceeded(
                f"The cycle has written {self._completion_tokens} tokens, which is all it may",
                "Raise CYCLE_TOKENS, or say more exactly what is wanted.",
            )
        return replace(request, max_tokens=max(1, min(request.max_tokens, left // request.n)))

    def count(self, reply: GenerateReply) -> None:
        """Count the tokens of an answer."""
        self._prompt_tokens += reply.prompt_tokens
        self._completion_tokens += reply.completion_tokens


class _MeteredMind:
    """A mind whose answers are counted."""

    def __init__(self, mind: Mind, meter: Meter) -> None:
        self._mind = mind
        self._meter = meter

    async def generate(self, request: GenerateRequest, on_token: OnToken | None = None) -> GenerateReply:
        with self._meter.running("model"):
            reply = await self._mind.generate(self._meter.allow(request), on_token)
        self._meter.count(reply)
        return reply

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mind, name)


class _MeteredRunner:
    """A sandbox whose time is counted."""

    def __init__(self, sandbox: Runner, meter: Meter) -> None:
        self._sandbox = sandbox
        self._meter = meter

    async def audit(self, source: str, selector: str, *, policy: str = "strict") -> Audit:
        with self._meter.running("sandbox"):
            return await self._sandbox.audit(source, selector, policy=policy)

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
        with self._meter.running("sandbox"):
            return await self._sandbox.call(
                world, receiver, selector, args, kwargs, source=source, fixed=fixed, limits=limits, reach=reach
            )
