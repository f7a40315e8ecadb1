"""A cycle that is on the disk is driven, whoever left meanwhile and whatever ended its driver."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from batos.cognition import acceptance, ledger, orchestrator
from batos.cognition.acceptance import Mandate
from batos.cognition.orchestrator import Orchestrator
from batos.cognition.services import Context, Services, Step
from batos.image import cycles
from batos.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NAMES = "psm.idle", "psm.failed"


def asking(selector: str, *args: Any) -> Mandate:
    """A mission that calls what it has written."""
    brief = {"type": "unhandled_message", "selector": selector, "args": list(args)}
    return Mandate(target="genesis_obj", brief=brief, brief_hash="hash")


async def ends(context: Context) -> Step:
    """Stand for the states: the mission is over."""
    return Step(None, last_word={"status": "FAILED" if context.record["state"] == "FAILED" else "COMPLETE"})


async def unheard(message: dict[str, Any]) -> None:
    """Stand for a requester."""


@pytest.fixture
async def driving(services: Services, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Orchestrator]:
    """An orchestrator whose missions end at once."""
    monkeypatch.setattr(orchestrator, "STATES", dict.fromkeys(NAMES, ends))
    parts = Services(services.image, services.mind, services.sandbox, services.memory, Settings(workers=1))
    made = Orchestrator(parts, after_commit=lambda: None, on_change=lambda record, step: None)
    yield made
    await made.close()


def failing(image: Any, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Have the disk refuse the next steps of cycles, in a way that nobody foresaw."""
    real, left = image.transact, [OSError(5, "Input/output error")] * times

    async def transact(fn: Any, *args: Any, **more: Any) -> Any:
        if fn is ledger.write_step and left:
            raise left.pop()
        return await real(fn, *args, **more)

    monkeypatch.setattr(image, "transact", transact)


async def test_who_leaves_too_early_leaves_a_cycle_that_is_driven(
    driving: Orchestrator, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A requester is gone while its mission waits to be written; the mission is written, and comes to its end."""
    inside, go_on, real = asyncio.Event(), threading.Event(), acceptance.accept
    loop = asyncio.get_running_loop()

    def accept(*args: Any) -> Any:
        loop.call_soon_threadsafe(inside.set)
        assert go_on.wait(60)
        return real(*args)

    monkeypatch.setattr(acceptance, "accept", accept)
    leaving = asyncio.create_task(driving.accept(asking("twice", 1)))
    async with asyncio.timeout(60):
        await inside.wait()
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert leaving.cancelled()
        go_on.set()
        while driving.statistics()["complete"] < 1:
            await asyncio.sleep(0)
    assert (await services.image.read(cycles.active)).value == []


async def test_who_follows_a_cycle_has_it_driven(
    driving: Orchestrator, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault that keeps even the failure from being written ends the driver; who joins the mission next has its end."""
    failing(services.image, monkeypatch, 2)
    async with asyncio.timeout(60):
        cycle_id = await driving.accept(asking("twice", 1))
        assert (await driving.follow(cycle_id, 0, unheard))["status"] == "ERROR"
        assert await driving.accept(asking("twice", 1)) == cycle_id
        assert (await driving.follow(cycle_id, 0, unheard))["status"] == "COMPLETE"


async def test_who_comes_after_a_cycle_has_it_driven(
    driving: Orchestrator, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another call of the same selector waits for the first mission, which goes on for that."""
    failing(services.image, monkeypatch, 2)
    async with asyncio.timeout(60):
        first = await driving.accept(asking("twice", 1))
        assert (await driving.follow(first, 0, unheard))["status"] == "ERROR"
        second = await driving.accept(asking("twice", 5))
        assert second != first
        assert (await driving.follow(second, 0, unheard))["status"] == "COMPLETE"
    assert driving.statistics()["complete"] == 2


async def test_what_waits_for_somebody_is_left_to_wait(driving: Orchestrator, services: Services) -> None:
    """Who follows a cycle that waits for an approval hears of it, and starts nothing."""
    image = services.image
    opened = await image.transact(acceptance.accept, asking("twice", 1), "one", "ALFRED", "now")
    cycle_id = opened.value["cycle_id"]
    await image.transact(cycles.save, cycle_id, {"awaiting": "approval"}, [{"event": "approval_needed"}])
    heard, asked = [], asyncio.Event()

    async def hear(message: dict[str, Any]) -> None:
        heard.append(message["event"])
        if message["event"] == "approval_needed":
            asked.set()

    following = asyncio.create_task(driving.follow(cycle_id, 0, hear))
    async with asyncio.timeout(60):
        await asked.wait()
    assert heard == ["accepted", "approval_needed"]
    assert driving.statistics()["in_progress"] == 0
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
