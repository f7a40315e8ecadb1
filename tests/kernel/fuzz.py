"""Frames for the fuzz of the bridge: random bytes, and valid requests with something changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batos import codec

if TYPE_CHECKING:
    import random

TARGETS = ["genesis_obj", "traits_obj", "nobody", 5, "00000000000000ff", codec.Ref(bytes(8)), None, [], {}]
SELECTORS = ["greet_user", "nobody_knows", "for", "_hidden", "", "x" * 300, 7]
VALUES = [None, True, -1, 1 << 70, 0.5, float("nan"), "ä", b"\xff", [1, [2]], {"a": {"b": 1}}, (1,), {1, 2}, {(1,): 2}]
BRIEF = {"type": "unhandled_message", "selector": "nobody_writes", "intent": "x"}


def request(chance: random.Random) -> dict:
    """A request that is valid, or nearly; none of them stops the kernel."""
    value, target, selector = chance.choice(VALUES), chance.choice(TARGETS), chance.choice(SELECTORS)
    cycle = {"command": "initiate_cognitive_cycle", "target_oid": target, "mission_brief": {**BRIEF, "args": [value]}}
    usual = [
        {"command": "ping", "x": value},
        {"command": "status"},
        {"command": chance.choice(["inspect", "clone", "objects"]), "target_oid": target, "prototype": target},
        {"command": "send", "target_oid": target, "selector": selector, "args": [value], "learn": False},
        {"command": chance.choice(["history", "explain", "rollback"]), "target_oid": target, "selector": selector},
        {"command": chance.choice(["follow", "cancel", "cycle", "approve"]), "cycle_id": value, "verdict": value},
        {"command": "cycles", "state": value, "limit": chance.choice([1, 0, value])},
        {"command": "set", "target_oid": target, "slots": {"fuzzed": value, "other": selector}},
        {"command": chance.choice(["remember", "forget"]), "doc_id": selector, "text": str(value), "metadata": value},
        {"command": "forget", "doc_id": selector, "wait": value, "origin": value},
        {"command": "documents", "prefix": str(value), "origin": value, "after": selector, "limit": value},
        {"command": "search", "query": str(value), "top_k": chance.choice([1, value])},
        {"command": "install", "target_oid": target, "selector": selector, "source": str(value)},
        {"command": "subscribe", "topics": chance.choice([[], value, ["nothing"]])},
        {"command": value},
    ]
    made = cycle if chance.random() < 0.003 else chance.choice(usual)
    return {"id": chance.choice([1, "a", value]), **made}


def frame(chance: random.Random) -> bytes:
    """One frame: noise, a valid request, or one that was changed in a few places."""
    kind = chance.random()
    if kind < 0.2:
        return chance.randbytes(chance.randrange(80))
    data = bytearray(codec.pack(request(chance)))
    if kind < 0.5:
        return bytes(data)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(data) + 1)
        change = chance.randrange(5)
        if change == 0 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif change == 1:
            del data[at:]
        elif change == 2:
            data[at:at] = chance.randbytes(chance.randrange(1, 5))
        elif change == 3:
            data[at:at] = data[: chance.randrange(40)]
        else:
            data[at : at + 4] = chance.choice(
                [b"\xc7\xff\x06", b"\xdd\xff\xff\xff\xff", b"\xdf\x7f\xff\xff\xff", b"\xc1"]
            )
    return bytes(data)


def frames(chance: random.Random) -> list[bytes]:
    """One message: most have one frame, some have several, or an empty one first."""
    kind = chance.random()
    if kind < 0.9:
        return [frame(chance)]
    if kind < 0.95:
        return [b"", frame(chance)]
    return [frame(chance) for _ in range(chance.randrange(2, 5))]
