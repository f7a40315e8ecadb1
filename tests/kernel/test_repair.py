"""The Keeper: one repair that waits for a person, or takes long, holds up no other."""

import asyncio
from types import SimpleNamespace

import pytest

from batos.codec import Ref
from batos.errors import Busy
from batos.image import cycles
from batos.kernel import heartbeat, repair
from batos.kernel.heartbeat import Heartbeat
from batos.kernel.repair import Keeper

REF = Ref(bytes(8))
ASKS = [{"event": "accepted", "seq": 0}, {"event": "token", "text": "def"}, {"event": "approval_needed", "seq": 1}]


class Kernel:
    """Stands for the kernel: every method has failed often, and no repair comes to its end by itself."""

    def __init__(self):
        self.settings = SimpleNamespace(record_every=1, failure_limit=2)
        self.orchestrator = self.image = self
        self.keeper = Keeper(self)
        self.accepted, self.ended, self.shut = [], set(), []
        self.heard, self.refused = ASKS, []

    async def accept(self, mandate):
        """Open a cycle, named as its selector; where there is no room, refuse."""
        if self.refused:
            raise self.refused.pop()
        self.accepted.append(mandate.brief["selector"])
        return mandate.brief["selector"]

    async def follow(self, cycle_id, from_seq, reply):
        """Tell what was heard so far, and wait."""
        for event in self.heard:
            await reply(event)
        await asyncio.Event().wait()

    async def study(self, fn, receiver, selector):
        """Say that the method has failed."""
        found = {"holder": receiver, "version": 1, "sha256": f"digest of {selector}", "count": 2}
        return SimpleNamespace(value=found)

    async def read(self, fn, cycle_id):
        """Give the record of a cycle."""
        assert fn is cycles.load
        return SimpleNamespace(value={"last_word": {"status": "FAILED"}} if cycle_id in self.ended else {})

    async def transact(self, fn, holder, selector, version, **more):
        """Shut a method off."""
        self.shut.append(selector)
        return SimpleNamespace(value=True)

    async def look_after(self, *selectors):
        """Have calls of methods fail, and let the Keeper do what there is to do."""
        for selector in selectors:
            self.keeper.went_wrong(REF, selector)
        task = asyncio.create_task(self.keeper.run())
        async with asyncio.timeout(60):
            while self.keeper._wake.is_set() or self.keeper._failed:
                await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def kernel(monkeypatch):
    """A kernel whose loops make no pause."""
    monkeypatch.setattr(repair, "_PAUSE_SECONDS", 0)
    monkeypatch.setattr(repair, "_FAULT_SECONDS", 0)
    return Kernel()


async def test_a_repair_that_waits_holds_up_no_other(kernel):
    """Two methods that fail are both under repair, though the first repair does not end; each is repaired once."""
    await kernel.look_after("first", "second")
    await kernel.look_after("first", "second")
    assert kernel.accepted == ["first", "second"]
    assert kernel.keeper.statistics()["repairs"] == 2


async def test_nothing_is_shut_off_before_its_repair_has_ended(kernel):
    """A method that fails and fails while its repair is on its way stays; after a repair in vain it is shut off."""
    for _ in range(6):
        await kernel.look_after("first")
    assert kernel.shut == []
    kernel.ended.add("first")
    await kernel.look_after("first")
    assert kernel.shut == ["first"]


async def test_a_repair_without_room_is_not_given_up(kernel):
    """A repair that was refused because too many missions wait is started after the next failure."""
    kernel.refused = [Busy("the queue is full")]
    await kernel.look_after("first")
    assert kernel.accepted == []
    await kernel.look_after("first")
    assert kernel.accepted == ["first"]


async def test_no_beat_waits_for_a_person(kernel):
    """A beat that started a repair goes on as soon as that waits for an approval."""
    async with asyncio.timeout(60):
        assert await Heartbeat(kernel)._repair({"target": REF, "selector": "first"}) is None
    assert kernel.accepted == ["first"]


async def test_no_beat_waits_behind_another_mission(kernel, monkeypatch):
    """A repair that does not begin, because a mission before it waits, costs a beat its time at most."""
    monkeypatch.setattr(heartbeat, "_MOST_SECONDS", 0)
    kernel.heard = ASKS[:1]
    async with asyncio.timeout(60):
        assert await Heartbeat(kernel)._repair({"target": REF, "selector": "first"}) is None
