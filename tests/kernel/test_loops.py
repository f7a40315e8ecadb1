"""The kernel's loops in the background: none ends at the first fault, and the fault is in the log."""

import asyncio
import logging
from types import SimpleNamespace

import pytest

from batos.calls.caller import Sent
from batos.codec import Ref
from batos.errors import ImageReadOnly
from batos.journal import Journal
from batos.kernel import heartbeat, repair, scribe
from batos.kernel.heartbeat import Heartbeat
from batos.kernel.repair import Keeper
from batos.kernel.scribe import Scribe
from batos.kernel.uvm import BatOS_UVM

REF = Ref(bytes(8))
SENT = Sent(4, f"{9:016x}")
FAULTS = [ZeroDivisionError("nobody thought of it"), ImageReadOnly("No space left")]


class Faulty:
    """Stands for an image: a transaction meets the planned faults one after the other, then says that it was made."""

    def __init__(self, *faults):
        self.faults = list(faults)
        self.made = asyncio.Event()
        self.written = []

    async def read(self, fn, *args, **more):
        """Answer what `look` answers, or that there are two lines for the log."""
        if fn is scribe.outbox.pending:
            return SimpleNamespace(value=[{"seq": seq} for seq in (1, 2) if seq > args[0]])
        return SimpleNamespace(value=SimpleNamespace(sha256="digest"))

    async def study(self, fn, *args):
        """Say that there is nothing to look after; with a fault as long as there are some."""
        if self.faults:
            raise self.faults.pop()
        self.made.set()
        return SimpleNamespace(value=None)

    async def transact(self, fn, *args, **more):
        """Take note of what is written."""
        if self.faults:
            raise self.faults.pop()
        self.written.append(args)
        self.made.set()
        return SimpleNamespace(value=None)


def keeper_over(image):
    """A Keeper whose sandbox answers as the calls did that it hears of."""

    async def call(overlay, receiver, selector, args, kwargs, **more):
        return SimpleNamespace(result=answers[args[0]])

    answers = {}
    settings = SimpleNamespace(record_every=1, failure_limit=2)
    keeper = Keeper(SimpleNamespace(image=image, sandbox=SimpleNamespace(call=call), settings=settings))

    def hear(selector, n, result):
        answers[n] = result
        keeper.went_well(REF, selector, [n], {}, Sent(result, SENT.tid))

    return keeper, hear


async def run_until(loop, event):
    """Run a loop until something has happened; it must not have ended itself."""
    task = asyncio.create_task(loop)
    async with asyncio.timeout(60):
        await event.wait()
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(repair, "_PAUSE_SECONDS", 0)
    monkeypatch.setattr(repair, "_FAULT_SECONDS", 0)
    monkeypatch.setattr(scribe, "_RETRY_SECONDS", 0)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
async def test_self_repair_goes_on(fault, caplog):
    """A fault with one failed method, or a full disk, costs that one: the next is looked after without another call."""
    image = Faulty(fault)
    keeper, _ = keeper_over(image)
    keeper.went_wrong(REF, "first")
    keeper.went_wrong(REF, "second")
    await run_until(keeper.run(), image.made)
    assert keeper.statistics()["looked_after"] == 2
    assert str(fault.args[0]) in caplog.text


@pytest.mark.parametrize("depth", [64, 240, 250, 252, 255])
async def test_what_cannot_be_packed_is_not_kept(depth):
    """A good call nested so deep that only its reply could hold it is left out; the next one is kept."""
    image, deep = Faulty(), []
    for _ in range(depth):
        deep = [deep]
    keeper, hear = keeper_over(image)
    hear("deep", 1, deep)
    hear("twice", 2, 4)
    await run_until(keeper.run(), image.made)
    (kept,) = image.written[0]
    assert [note.selector for note, _ in kept] == (["deep", "twice"] if depth == 64 else ["twice"])


async def test_the_heart_beats_on(monkeypatch, caplog):
    """A beat that meets a fault is told of in the log, and another comes."""
    uvm = SimpleNamespace(
        settings=SimpleNamespace(heartbeat_seconds=0),
        orchestrator=SimpleNamespace(statistics=lambda: {"in_progress": 0}),
    )
    heart, again = Heartbeat(uvm), asyncio.Event()
    beats = [again.set, lambda: 1 / 0]

    async def beat():
        beats.pop()() if len(beats) > 1 else beats[0]()

    monkeypatch.setattr(heart, "beat", beat)
    monkeypatch.setattr(heartbeat, "_LOOK_SECONDS", 0)
    await run_until(heart.run(), again)
    assert "ZeroDivisionError" in caplog.text


async def test_the_log_goes_on(tmp_path, caplog):
    """Lines that could not be carried, whatever the reason, are carried by the next try; each is in the file once."""
    image = Faulty(ValueError("nobody thought of it"))
    journal = Journal(tmp_path / "log.jsonl")
    pen = Scribe(image, journal)
    await pen.start()
    async with asyncio.timeout(60):
        while pen.statistics()["lines"] < 2:
            await asyncio.sleep(0)
    await pen.close()
    assert (tmp_path / "log.jsonl").read_text() == '{"seq": 1}\n{"seq": 2}\n'
    assert "nobody thought of it" in caplog.text


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), ImageReadOnly("No space left")])
async def test_weaving_begins_without_the_default_model(fault, caplog):
    """A disk that is full while the weights are taken in does not keep Fractal Memory from weaving."""

    async def load(persona):
        raise fault

    begun = []
    uvm = object.__new__(BatOS_UVM)
    uvm.settings = SimpleNamespace(default_persona_model="ALFRED")
    uvm.mind = SimpleNamespace(load=load)
    uvm.memory = SimpleNamespace(begin_weaving=lambda: begun.append(True))
    with caplog.at_level(logging.WARNING):
        await uvm._load_default_model()
    assert begun == [True]
    assert "No space left" in caplog.text
