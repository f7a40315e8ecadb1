"""A vote: candidates run on generated inputs, and the largest group that behaves alike is preferred. It proves nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from batos.calls.overlay import Overlay
from batos.cognition import approach, prompts
from batos.cognition.compare import same
from batos.errors import CodeError, DeadlineExceeded, MemoryExceeded

if TYPE_CHECKING:
    from batos.cognition.services import Context

Outcomes = list[tuple[bool, Any]]
"""For each input whether the call came back, and with what."""


async def vote(
    ctx: Context, sources: list[str], inputs: list[list[Any]], copies: list[int]
) -> tuple[int, dict[str, Any] | None]:
    """Choose among candidates.

    Args:
        ctx: The cycle.
        sources: Candidates that may be installed, the preferred one first.
        inputs: Positional arguments, a list for each call.
        copies: How often each was written; so many votes it has.

    Returns:
        The place of the chosen one, and the record for the evidence; None where there was nothing to vote on.
    """
    if len(sources) < 2 or not inputs:
        return 0, None
    outcomes = [await _outcomes(ctx, source, inputs) for source in sources]
    groups: list[list[int]] = []
    for place, outcome in enumerate(outcomes):
        for group in groups:
            if _alike(outcomes[group[0]], outcome):
                group.append(place)
                break
        else:
            groups.append([place])
    to_keep = approach.speaks_of_state(prompts.words(ctx.brief))
    votes = [sum(copies[place] for place in group) for group in groups]

    def merit(number: int) -> tuple[bool, bool, int, int]:
        first = groups[number][0]
        keeps = to_keep and _keeps_something(outcomes[first])
        return _does_something(outcomes[first]), keeps, votes[number], -first

    number = max(range(len(groups)), key=merit)
    best = groups[number]
    record = {
        "kind": "vote",
        "candidates": sum(copies),
        "alike": votes[number],
        "inputs": len(inputs),
        "note": "A vote among candidates on generated inputs, not a proof.",
        "passed": True,
    }
    return best[0], record


async def _outcomes(ctx: Context, source: str, inputs: list[list[Any]]) -> Outcomes:
    first = await _one(ctx, source, inputs[0])
    if first[1] == "stuck":
        return [first] * len(inputs)
    return [first, *await asyncio.gather(*(_one(ctx, source, args) for args in inputs[1:]))]


async def _one(ctx: Context, source: str, args: list[Any]) -> tuple[bool, Any]:
    overlay = Overlay(ctx.services.image, selector=ctx.brief["selector"], capabilities=ctx.services.capabilities)
    try:
        outcome = await ctx.services.sandbox.call(
            overlay, ctx.target, ctx.brief["selector"], args, {}, source=source, fixed=True
        )
    except (DeadlineExceeded, MemoryExceeded):
        return False, "stuck"
    except CodeError as error:
        return False, error.details.get("error_type")
    # Slots may have any name: what counts is the answer, and what is kept.
    kept = [value for slots in overlay.writes.values() for value in slots.values()]
    return True, [outcome.result, sorted(kept, key=repr)]


def _does_something(outcome: Outcomes) -> bool:
    """Whether a call gave an answer, or changed its object."""
    return any(came and (value[0] is not None or value[1]) for came, value in outcome)


def _keeps_something(outcome: Outcomes) -> bool:
    """Whether a call changed an object."""
    return any(came and value[1] for came, value in outcome)


def _alike(one: Outcomes, other: Outcomes) -> bool:
    return all(a[0] == b[0] and (not a[0] or same(a[1], b[1])) for a, b in zip(one, other, strict=True))
