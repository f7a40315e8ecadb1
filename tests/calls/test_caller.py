"""Calls that race for one object: who lost goes on in turn, and nobody overtakes it again and again."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from batos.calls.caller import Caller
from batos.calls.overlay import opening
from batos.errors import Conflict
from batos.image import mirrors
from tests.calls.conftest import make, no_primitive

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUNTS = "def count(self, who):\n    self.n = self.n + 1\n    self._p_changed = True\n    return self.n\n"
AGAIN = "def again(self, left):\n    return self.again(left - 1) + 1 if left else 0\n"


class Counting:
    """Stands for the sandbox: counts as COUNTS does, and stops between reading and writing where it is told to."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.between: dict[str, list] = {}

    async def call(self, overlay, ref, selector, args, kwargs):
        """Run the one method that there is."""
        self.runs.append(args[0])
        slots, _ = await overlay.snapshot(ref)
        if self.between.get(args[0]):
            await self.between[args[0]].pop(0)()
        overlay.write(ref, "n", slots["n"] + 1)
        return SimpleNamespace(result=slots["n"] + 1, output="")


def listening(image, monkeypatch):
    """An event that is set when a call has read its receiver, and is about to run or to wait."""
    opened, real = asyncio.Event(), image.read

    async def read(fn, *args, **more):
        found = await real(fn, *args, **more)
        if fn is opening:
            opened.set()
        return found

    monkeypatch.setattr(image, "read", read)
    return opened


@pytest.mark.parametrize("newcomers", [1, 5])
async def test_who_lost_a_race_is_not_overtaken_by_those_who_come_later(image, monkeypatch, newcomers):
    """The loser holds the turn of its object; whoever comes then waits, and reads what the loser wrote."""
    sandbox = Counting()
    caller = Caller(image, sandbox, no_primitive, retries=1)
    ref = image.transact_now(make, None, {"n": 0}, COUNTS).value
    opened, later = listening(image, monkeypatch), []

    async def lose():
        await caller.send(ref, "count", ["winner"], {})

    async def be_visited():
        for number in range(newcomers):
            opened.clear()
            later.append(asyncio.create_task(caller.send(ref, "count", [f"later {number}"], {})))
            await opened.wait()
        # Whoever did not wait has its way first, and the loser loses again.
        await asyncio.gather(*(task for number, task in enumerate(later) if f"later {number}" in sandbox.runs))

    sandbox.between["loser"] = [lose, be_visited]
    assert (await caller.send(ref, "count", ["loser"], {})).result == 2
    assert [sent.result for sent in await asyncio.gather(*later)] == list(range(3, 3 + newcomers))
    assert sandbox.runs == ["loser", "winner", "loser", *(f"later {number}" for number in range(newcomers))]
    assert caller.statistics()["conflicts"] == 1


async def test_a_turn_ends_with_those_who_wait_for_it(image, monkeypatch):
    """A turn that fails, or whose waiter is cancelled, leaves nothing behind: the next call runs at once."""
    sandbox = Counting()
    caller = Caller(image, sandbox, no_primitive, retries=1)
    ref = image.transact_now(make, None, {"n": 0}, COUNTS).value
    opened = listening(image, monkeypatch)

    async def lose():
        image.transact_now(lambda view: setattr(view.resolve(ref), "n", 10))

    async def lose_again():
        opened.clear()
        waiter = asyncio.create_task(caller.send(ref, "count", ["waiter"], {}))
        await opened.wait()
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
        await lose()

    sandbox.between["loser"] = [lose, lose_again]
    with pytest.raises(Conflict):
        await caller.send(ref, "count", ["loser"], {})
    assert not caller._turns
    assert (await caller.send(ref, "count", ["next"], {})).result == 11
    assert sandbox.runs == ["loser", "loser", "next"]


async def test_a_call_in_its_turn_may_send_to_its_own_object(image, sandbox, monkeypatch):
    """What a method sends runs within its call, so it does not wait for the turn that the call holds."""
    caller = Caller(image, sandbox, no_primitive, retries=2)
    ref = image.transact_now(make, None, {"n": 0}, AGAIN, COUNTS).value
    real, lost = sandbox.call, []

    async def call(overlay, *args):
        outcome = await real(overlay, *args)
        if not lost:
            lost.append(True)
            raise Conflict("Somebody else was quicker")
        return outcome

    monkeypatch.setattr(sandbox, "call", call)
    async with asyncio.timeout(60):
        first, second = await asyncio.gather(caller.send(ref, "again", [3], {}), caller.send(ref, "again", [3], {}))
    assert (first.result, second.result) == (3, 3)
    assert image.read_now(mirrors.inspect, ref).value["slots"]["n"] == 0
