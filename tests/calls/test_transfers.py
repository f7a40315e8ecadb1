"""Money moves between two objects while calls are cut short and workers are killed: none is made, none is lost.

`BATOS_TRANSFER_ROUNDS=2000 pytest --timeout 0 tests/calls/test_transfers.py` is the long run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from batos.calls.caller import Caller
from batos.errors import BatosError, DeadlineExceeded, MethodError
from batos.image import mirrors
from batos.sandbox.runner import Limits, Sandbox
from tests.calls.conftest import make, no_primitive
from tests.sandbox.attacks.siege import children_of

if TYPE_CHECKING:
    from batos.image.store import Image

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUNDS = int(os.environ.get("BATOS_TRANSFER_ROUNDS", "96"))
CLIENTS = 8
MOVE = """def move(self, amount, mood):
    import time
    self.balance -= amount
    self.moved = self.moved + 1
    if mood == 'slow':
        time.sleep(60)
    self.other.receive(amount, mood)
    if mood == 'raise':
        raise ValueError('after both were written')
    if mood == 'forget':
        self.balance -= 0
        self.note = 'x'
        return self.balance
    self._p_changed = True
    return self.balance
"""
RECEIVE = """def receive(self, amount, mood):
    import time
    self.balance += amount
    self._p_changed = True
    if mood == 'slow inside':
        time.sleep(60)
    return self.balance
"""
MOODS = ["fine"] * 12 + ["raise", "forget", "slow", "slow inside", "cancel", "kill"]


class Bank:
    """Two accounts, and what is known of each transfer."""

    def __init__(self, image: Image, caller: Caller, sandbox: Sandbox) -> None:
        self.image = image
        self.caller = caller
        self.sandbox = sandbox
        one = image.transact_now(make, "one", {"balance": 1000, "moved": 0}, MOVE, RECEIVE).value
        two = image.transact_now(make, "two", {"balance": 1000, "moved": 0, "other": one}, MOVE, RECEIVE).value
        image.transact_now(lambda view: setattr(view.get(one), "other", view.get(two)))
        self.accounts = [one, two]
        self.done = [0, 0]
        self.paid = [0, 0]
        self.outcomes: Counter[str] = Counter()

    async def transfer(self, chance: random.Random) -> None:
        """Move some money one way, in some mood."""
        side, amount, mood = chance.randrange(2), chance.randrange(1, 50), chance.choice(MOODS)
        send = asyncio.create_task(self.caller.send(self.accounts[side], "move", [amount, mood], {}))
        if mood == "cancel":
            await asyncio.sleep(chance.random() * 0.02)
            send.cancel()
        if mood == "kill":
            await asyncio.sleep(chance.random() * 0.02)
            self.kill_one(chance)
        try:
            await send
        except asyncio.CancelledError:
            # It may have been applied all the same: nobody heard of it.
            self.outcomes["cancelled"] += 1
        except (BatosError, OSError) as error:
            self.outcomes[type(error).__name__] += 1
        else:
            self.outcomes["done"] += 1
            self.done[side] += 1
            self.paid[side] += amount

    def kill_one(self, chance: random.Random) -> None:
        """Kill some worker from outside."""
        zygote = self.sandbox.statistics()["zygote"]
        workers = [pid for pid in children_of(zygote) if children_of(pid) == []]
        if workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(workers), signal.SIGKILL)

    def state(self) -> list[dict]:
        """Both accounts, from the image."""
        return [self.image.read_now(mirrors.inspect, account).value["slots"] for account in self.accounts]


async def test_the_sum_never_changes(image):
    """After 8 clients with errors, time-outs, cancels and killed workers, the sum is what it was and no done move is lost."""
    sandbox = Sandbox(pool=4, limits=Limits(seconds=2))
    await sandbox.start()
    bank = Bank(image, Caller(image, sandbox, no_primitive, retries=30), sandbox)

    async def client(number: int) -> None:
        chance = random.Random(number)
        for _ in range(ROUNDS // CLIENTS):
            await bank.transfer(chance)
            one, two = bank.state()
            assert one["balance"] + two["balance"] == 2000

    try:
        await asyncio.gather(*map(client, range(CLIENTS)))
    finally:
        await sandbox.close()
    one, two = bank.state()
    lost = bank.outcomes["cancelled"]
    assert one["balance"] + two["balance"] == 2000
    assert sum(bank.done) <= one["moved"] + two["moved"] <= sum(bank.done) + lost
    if not lost:
        assert one["balance"] == 1000 - bank.paid[0] + bank.paid[1]
    assert bank.outcomes["done"] > ROUNDS // 4
    assert bank.outcomes["Conflict"] == 0


async def test_no_increment_is_lost(image, sandbox):
    """Eight clients that add to one slot at once add up."""
    source = "def add(self):\n    self.n += 1\n    self._p_changed = True\n    return self.n\n"
    ref = image.transact_now(make, None, {"n": 0}, source).value
    caller = Caller(image, sandbox, no_primitive, retries=30)
    answers = await asyncio.gather(*(caller.send(ref, "add", [], {}) for _ in range(24)))
    assert sorted(sent.result for sent in answers) == list(range(1, 25))


@pytest.mark.parametrize(
    ("mood", "error"), [("slow", DeadlineExceeded), ("slow inside", DeadlineExceeded), ("raise", MethodError)]
)
async def test_half_a_transfer_is_none(image, mood, error):
    """A call that ends in the middle leaves both accounts untouched."""
    sandbox = Sandbox(pool=2, limits=Limits(seconds=1.5))
    await sandbox.start()
    bank = Bank(image, Caller(image, sandbox, no_primitive, retries=1), sandbox)
    try:
        with pytest.raises(error):
            await bank.caller.send(bank.accounts[0], "move", [10, mood], {})
    finally:
        await sandbox.close()
    assert [(state["balance"], state["moved"]) for state in bank.state()] == [(1000, 0), (1000, 0)]
