"""Conversations with workers that lie, stammer and shout: the kernel's side takes no harm.

`BATOS_FUZZ_CONVERSATIONS=100000 pytest --timeout 0 tests/sandbox/test_wire_fuzz.py` is the long run.
"""

from __future__ import annotations

import os
import random
import struct
from typing import Any

import ormsgpack
import pytest

from batos import codec
from batos.codec import Ref
from batos.errors import BatosError
from batos.sandbox.call import Call
from batos.sandbox.connection import Worker
from batos.sandbox.pool import frame_limit
from batos.sandbox.protocol import is_slot
from batos.sandbox.world import Limits
from tests.sandbox.memory_world import MemoryWorld

CONVERSATIONS = int(os.environ.get("BATOS_FUZZ_CONVERSATIONS", "2000"))
LIMITS = Limits(seconds=60, bytes=1 << 14, requests=40, slots=30, output=1 << 10)
WORDS = ["load", "slot", "send", "done", "broken", "fail", "ready", "", "audited"]
NAMES = [
    "n",
    "items",
    "spawn",
    "echo",
    "_slots",
    "__class__",
    "a b",
    "class",
    "x" * 300,
    "",
    "été",
    "parents",
    "\ud7ff",
]
# What breaks a careless reader: extension types with odd payloads, numbers at the edges, texts that are none.
ODD = [
    None, True, 0, -1, 1 << 63, (1 << 64) - 1, -(1 << 63), 1.5, float("nan"), float("inf"), "", "x" * 5000, b"", b"\xff" * 40,
    [], {}, [[]], {"a": {}}, {1: 2, None: 3}, ormsgpack.Ext(99, b""), ormsgpack.Ext(127, b"\0" * 12), ormsgpack.Ext(1, b"\xc1"),
    ormsgpack.Ext(2, b"\x92\x90\x90"), ormsgpack.Ext(3, b"\x80" * 70_000), ormsgpack.Ext(3, b""), ormsgpack.Ext(4, b"2024-13-01"),
    ormsgpack.Ext(4, b"2024-01-01T00:00:00+00:00[../x]"), ormsgpack.Ext(5, b"x"), ormsgpack.Ext(6, b"\0" * 8),
    ormsgpack.Ext(7, b"1e999999"), ormsgpack.Ext(7, b"sNaN"), ormsgpack.Ext(9, b"short"), ormsgpack.Ext(10, b"\x93\xce\xff\xff\xff\xff\0\0"),
    ormsgpack.Ext(11, b"25:00"), ormsgpack.Ext(12, b"\x91\x92\x90\x01"), ormsgpack.Ext(12, b"\x91\x01"), ormsgpack.Ext(8, b"\x91\x81\x01\x02"),
]  # fmt: skip


class Transport:
    """What asyncio would give: takes what the kernel writes, and lets nothing out."""

    def __init__(self) -> None:
        self.written = 0
        self.aborted = False

    def write(self, data: bytes) -> None:
        """Count what the kernel says."""
        self.written += len(data)

    def abort(self) -> None:
        """Note the kill."""
        self.aborted = True

    def pause_reading(self) -> None:
        """Nothing to do: all that will come is there."""

    resume_reading = pause_reading


class OneWorker:
    """A pool whose workers say what the test made up, and end."""

    def __init__(self, speeches: list[bytes], chance: random.Random) -> None:
        self.speeches = speeches
        self.chance = chance
        self.given: list[Worker] = []
        self.retired: list[Worker] = []

    async def take(self, limits: Limits) -> Worker:
        """Give a worker that has said everything already, in pieces."""
        worker = Worker(len(self.given) + 1, frame_limit(limits))
        worker.connection_made(Transport())
        data = self.speeches.pop(0) if self.speeches else b""
        while data:
            size = self.chance.choice([1, 3, 1000, len(data)])
            worker.data_received(data[:size])
            data = data[size:]
        worker.connection_lost(None)
        worker.finish(self.chance.choice([0, -9, -31, -24, 1]), self.chance.choice([0, 1 << 30]))
        self.given.append(worker)
        return worker

    def retire(self, worker: Worker) -> None:
        """Take a worker back whose last word was well-formed."""
        self.retired.append(worker)


def handle(chance: random.Random) -> Any:
    """A handle: mostly one that was given."""
    return ormsgpack.Ext(
        6, chance.choice([b"\0\0\0\0", b"\0\0\0\0", b"\0\0\0\1", b"\0\0\0\7", b"\xff" * 4, b"", b"\0" * 5])
    )


def value(chance: random.Random, depth: int = 0) -> Any:
    """Any value."""
    kind = chance.randrange(8)
    if kind == 0 and depth < 4:
        return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    if kind == 1 and depth < 4:
        return {chance.choice(NAMES): value(chance, depth + 1) for _ in range(chance.randrange(4))}
    if kind == 2:
        return handle(chance)
    return chance.choice(ODD) if kind < 5 else chance.choice([1, "text", [1], {"a": 1}, None])


def delta(chance: random.Random) -> list[Any]:
    """What a worker says that it wrote."""
    return [[handle(chance), {chance.choice(NAMES): value(chance)}] for _ in range(chance.randrange(3))]


def message(chance: random.Random) -> Any:
    """A message: well-formed, or with something wrong in it."""
    target = handle(chance)
    failure = {"type": "E", "text": "t", "line": value(chance), "remote": chance.choice([0, -1, 1 << 40, None])}
    words: list[Any] = [
        ["load", target, delta(chance)],
        ["slot", target, chance.choice(NAMES)],
        [
            "send",
            target,
            chance.choice(NAMES),
            [value(chance)],
            {chance.choice(NAMES): value(chance)},
            delta(chance),
            "out",
        ],
        ["done", value(chance), delta(chance), "out" * chance.choice([1, 1000])],
        ["broken", [chance.choice(NAMES)], ""],
        ["fail", chance.choice([failure, value(chance), {"type": "E", "traceback": ["x"] * 30}]), "\0\x1b[2J%s{}"],
    ]
    word = chance.choice(words)
    if chance.random() < 0.3:
        word[chance.randrange(len(word))] = chance.choice([value(chance), chance.choice(WORDS)])
    if chance.random() < 0.1:
        word = chance.choice([word[:-1], [*word, value(chance)], value(chance)])
    return word


def speech(chance: random.Random) -> bytes:
    """All that one worker says: frames, some of them damaged."""
    out = b""
    for _ in range(chance.randrange(1, 6)):
        packed = bytearray(ormsgpack.packb(message(chance), option=ormsgpack.OPT_NON_STR_KEYS))
        for _ in range(chance.choice([0, 0, 0, 1, 3])):
            packed[chance.randrange(len(packed))] = chance.randrange(256)
        if chance.random() < 0.05:
            del packed[chance.randrange(len(packed)) :]
        size = len(packed) if chance.random() < 0.97 else chance.choice([0, 1, len(packed) + 1, 1 << 31, (1 << 32) - 1])
        out += struct.pack("!I", size) + packed
    return out


async def converse(seed: int) -> str:
    """Hold one conversation; gives what it came to."""
    chance = random.Random(seed)
    world = MemoryWorld()
    friend = world.add(n=2)
    ref = world.add(n=1, items=[1, 2], friend=friend)
    world.teach(ref, "def echo(self, x): pass\n", "def start(self): pass\n")
    before = world.savepoint()
    pool = OneWorker([speech(chance) for _ in range(6)], chance)
    call = Call(pool, world, LIMITS)  # type: ignore[arg-type]
    try:
        outcome = await call.run(ref, "start", [], {})
    except BatosError as error:
        left, said, came_to = world.savepoint(), error.message, type(error).__name__
    else:
        left, said = before, ""
        codec.pack(outcome.result)
        assert len(outcome.output) <= LIMITS.output + 100
        came_to = "done"
    assert left == before, "a failed call left something"
    assert len(codec.pack(said)) < 10_000
    for slots in world.slots.values():
        assert all(is_slot(name) for name in slots)
        codec.pack(slots)
    # Each worker has ended well, or was killed; nobody else was touched.
    for worker in pool.given:
        assert worker in pool.retired or worker._transport.aborted
    return came_to


@pytest.mark.parametrize("part", range(4))
async def test_no_word_of_a_worker_hurts_the_kernel(part):
    """Whatever a worker says, the call ends with a result or an error of ours, and a failed one leaves nothing."""
    seen = set()
    for seed in range(part, CONVERSATIONS, 4):
        try:
            seen.add(await converse(seed))
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
    assert {"done", "MethodError"} <= seen


async def test_references_stay_what_was_given():
    """A conversation cannot name an object that it was not given: the reference is refused, whatever the seed."""
    world = MemoryWorld()
    ref = world.add(n=1)
    secret = world.add(secret=1)
    said = struct.pack("!I", 0)
    for number in range(1, 5):
        packed = ormsgpack.packb(["done", ormsgpack.Ext(6, struct.pack("!I", number)), [], ""])
        said = struct.pack("!I", len(packed)) + packed
        pool = OneWorker([said], random.Random(0))
        world.teach(ref, "def start(self): pass\n")
        with pytest.raises(BatosError, match="never given"):
            await Call(pool, world, LIMITS).run(ref, "start", [], {})  # type: ignore[arg-type]
    assert Ref(secret.oid) == secret
