"""What a cycle works with, and what a state hands back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from batos.calls.overlay import Capabilities
    from batos.codec import Ref
    from batos.image.store import Image, View
    from batos.memory.service import FractalMemory
    from batos.mind.protocol import Mind
    from batos.sandbox.world import Audit, Limits, Outcome, Reach, World
    from batos.settings import Settings

Record = dict[str, Any]
LogLine = tuple[str, dict[str, Any]]


class Runner(Protocol):
    """What cognition asks of the sandbox; see `batos.sandbox.runner.Sandbox`."""

    async def audit(self, source: str, selector: str, *, policy: str = "strict") -> Audit:
        """Mend and audit a source text."""
        ...

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
        """Run one top-level message."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of the system that states use."""

    image: Image
    mind: Mind
    sandbox: Runner
    memory: FractalMemory
    settings: Settings
    capabilities: Capabilities = field(default_factory=dict)
    """Runs the primitives that objects may be granted, by name."""


@dataclass(slots=True)
class Context:
    """One run of one state.

    Args:
        services: The parts of the system.
        record: The cycle's record, plain data; a state reads it and changes it only through its `Step`.
        on_token: Hears the pieces of text that a model writes.
    """

    services: Services
    record: Record
    on_token: Callable[[str], None]

    @property
    def brief(self) -> dict[str, Any]:
        """The mission brief."""
        brief: dict[str, Any] = self.record["brief"]
        return brief

    @property
    def target(self) -> Ref:
        """The object that is to understand the selector."""
        target: Ref = self.record["target"]
        return target

    @property
    def data(self) -> dict[str, Any]:
        """What earlier states left: `research_plan`, `retrieved_context`, `generated_artifact`, `validation_error` and more."""
        data: dict[str, Any] = self.record["data"]
        return data


@dataclass(slots=True)
class Step:
    """What a state hands back; it is committed as one transaction.

    Args:
        to: The next state; None stays, and waits.
        changes: New values of the record's keys.
        data: New values of the record's `data`.
        events: Events for those who follow the cycle.
        log: Lines for the metacognition log: event type and fields.
        effect: Runs in the same transaction; its return is merged into the last word.
        last_word: The end of the cycle, None while it goes on.
    """

    to: str | None
    changes: Record = field(default_factory=dict)
    data: Record = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    log: list[LogLine] = field(default_factory=list)
    effect: Callable[[View], dict[str, Any]] | None = None
    last_word: dict[str, Any] | None = None
