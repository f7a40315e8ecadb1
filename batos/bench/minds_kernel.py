"""The part of bench `minds` that looks at a real kernel: its memory and its pings while models work."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batos.bench.figures import Figure

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator

    from batos.bench.bridge import Caller, Server
    from batos.bench.figures import Tell

PINGS = 1500
SETTLED_SECONDS = 5
ABSENT = "absent.gguf"


async def measure(options: argparse.Namespace, tell: Tell) -> list[Figure]:
    """Memory of the kernel and its hosts around a load, and pings beside a generation."""
    from batos.bench.bridge import Server

    models = json.dumps({"ALFRED": options.model, "BRICK": options.model, "ROBIN": options.model, "BABS": ABSENT})
    with tempfile.TemporaryDirectory(prefix="batos-bench-") as folder:
        env = {"BATOS_DEFAULT_PERSONA_MODEL": "BABS"}  # so that nothing is loaded before it is asked for
        with Server.kernel(Path(folder), models, options.settings, env) as kernel:
            async with kernel.client() as client:
                tell("memory of the kernel around a load …")
                figures = await _memory(kernel, client, options)
                tell("pings beside a generation …")
                return [*figures, await _pings(kernel, client)]


async def _memory(kernel: Server, client: Caller, options: argparse.Namespace) -> list[Figure]:
    await _settled(kernel, client)
    without, before = kernel.memory(), await _whole(kernel, client)
    await _models(client, "load", options.model)
    loaded = kernel.memory()
    await _models(client, "unload", options.model)
    await _settled(kernel, client)
    after = await _whole(kernel, client)
    return [
        Figure("memory of the kernel with a model loaded / without", loaded / without, 1.1, note=_mib(loaded, without)),
        Figure("memory after an unload / before the load, hosts included", after / before, 1.05, note=_mib(after, before)),
    ]  # fmt: skip


def _mib(one: int, other: int) -> str:
    return f"{one >> 20} MiB beside {other >> 20} MiB"


async def _settled(kernel: Server, client: Caller) -> None:
    """Wait until no memory has moved for some seconds; a new kernel first loads its embedding model and weaves its codex."""
    last, calm = -1, 0
    while calm < SETTLED_SECONDS:
        await asyncio.sleep(1)
        now = await _whole(kernel, client)
        calm = calm + 1 if now == last else 0
        last = now


async def _whole(kernel: Server, client: Caller) -> int:
    """Resident bytes of the kernel and its mind hosts."""
    status = await client.ask({"command": "status"})
    return int(kernel.memory() + sum(host["memory"] for host in status["mind"]["hosts"].values()))


async def _models(client: Caller, action: str, name: str) -> None:
    reply = await client.ask({"command": "models", "action": action, "name": name})
    if reply["status"] != "OK":
        raise RuntimeError(f"models {action} failed: {reply}")


async def _pings(kernel: Server, client: Caller) -> Figure:
    async with kernel.client() as pinger:
        await _p99(pinger)
        idle = await _p99(pinger)
        async with _generation(client):
            beside = await _p99(pinger)
    note = f"{beside * 1e3:.2f} ms beside {idle * 1e3:.2f} ms"
    return Figure("ping p99 during a generation / idle", beside / idle, 3, note=note)


async def _p99(client: Caller) -> float:
    times = []
    for _ in range(PINGS):
        start = time.perf_counter()
        await client.ask({"command": "ping"})
        times.append(time.perf_counter() - start)
        await asyncio.sleep(0.002)
    return sorted(times)[int(PINGS * 0.99)]


@contextlib.asynccontextmanager
async def _generation(client: Caller) -> AsyncIterator[None]:
    """While this is open a model writes: long missions, one after the other."""
    words = "a long report on every prime number below ten thousand, with a table"
    brief = {"type": "unhandled_message", "selector": "report_primes", "intent": words, "persona": "BRICK"}
    message: dict[str, Any] = {"command": "initiate_cognitive_cycle", "target_oid": "genesis_obj"}

    async def write() -> None:
        for number in range(1000):
            await client.ask({**message, "mission_brief": {**brief, "selector": f"report_primes_{number}"}})

    writing = asyncio.create_task(write())
    await asyncio.sleep(3)  # the host starts and the prompt is read
    try:
        yield
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
