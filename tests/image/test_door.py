"""The image's thread: when the answers of its units reach those who wait for them."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from batos.image.door import Door

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def door() -> Iterator[Door]:
    """A door, closed at the end."""
    made = Door("tested")
    yield made
    made.close(lambda: None)


class Gate:
    """A unit that stops in its middle until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.free = threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.free.wait(30)
        return "gate"


async def behind(door: Door, *units: tuple[object, bool]) -> list[asyncio.Task[object]]:
    """Tasks for units that all lie in the door's queue before the first of them begins."""
    first = Gate()
    held = asyncio.create_task(door.run(first))
    await asyncio.to_thread(first.begun.wait)
    tasks = [asyncio.create_task(door.run(unit, tells=tells)) for unit, tells in units]
    await asyncio.sleep(0)
    first.free.set()
    await held
    return tasks


async def test_a_unit_that_takes_long_holds_no_answer(door: Door) -> None:
    """Before a unit that does not tell begins, the answers that lie ready are handed over."""
    gate = Gate()
    quick, slow = await behind(door, (lambda: 1, True), (gate, False))
    assert await quick == 1
    assert not slow.done()
    gate.free.set()
    assert await slow == "gate"


async def test_a_unit_tells_when_it_waits_for_the_disk(door: Door) -> None:
    """The answers before a unit that tells are handed over in its middle, where it says so."""
    gate = Gate()

    def commit() -> str:
        door.tell()
        return gate()

    quick, slow = await behind(door, (lambda: 1, True), (commit, True))
    assert await quick == 1
    assert not slow.done()
    gate.free.set()
    assert await slow == "gate"


async def test_a_unit_that_forgets_to_tell_holds_answers_no_longer_than_itself(door: Door) -> None:
    """However many units wait, an answer comes at the latest when the unit after it has ended."""
    gate = Gate()
    first, second, last = await behind(door, (lambda: 1, True), (lambda: 2, True), (gate, True))
    assert await first == 1
    assert not last.done()
    gate.free.set()
    assert [await second, await last] == [2, "gate"]


async def test_every_loop_is_told(door: Door) -> None:
    """Answers for the tasks of several event loops reach all of them."""

    async def many() -> list[int]:
        return await asyncio.gather(*(door.run(lambda n=n: n, tells=bool(n % 2)) for n in range(50)))

    elsewhere = [asyncio.to_thread(asyncio.run, many()) for _ in range(3)]
    assert await asyncio.gather(many(), *elsewhere) == [list(range(50))] * 4
