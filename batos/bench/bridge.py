"""Bench `bridge`: a real kernel process over TCP and CURVE, beside a bare asyncio echo that does nothing else.

The echo is the least that pyzmq with asyncio, CURVE and these payloads can cost; what we cost more is ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from batos.bench.figures import Figure

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Callable

    from batos.bench.figures import Tell

SELECTOR = "bench_pure"
SLOW = "bench_slow"
_SOURCE = f"def {SELECTOR}(self, n):\n    return n + 1\n"
_START_SECONDS = 60
_SYNTHESIS_SECONDS = 600


def arguments(parser: argparse.ArgumentParser) -> None:
    """The bench's own options."""
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="rounds of each figure (7)")
    parser.add_argument("--messages", type=int, default=100_000, metavar="N", help="messages for the memory (100 000)")
    parser.add_argument("--clients", type=int, default=100, metavar="N", help="clients beside a synthesis (100)")
    parser.add_argument(
        "--model", metavar="NAME", help="the synthesis is a real model's, by its catalog name; else it is scripted"
    )


def run(options: argparse.Namespace, tell: Tell) -> list[Figure]:
    """Measure everything, in one kernel and one echo process."""
    from batos.client.sync import new_loop

    with tempfile.TemporaryDirectory(prefix="batos-bench-") as folder, asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(_measure(Path(folder), options, tell))


async def _measure(folder: Path, options: argparse.Namespace, tell: Tell) -> list[Figure]:
    with Server.echo(folder) as echo, Server.kernel(folder, options.model, options.settings) as kernel:
        tell("installing a pure method …")
        async with kernel.client() as client:
            install = {"command": "install", "target_oid": "genesis_obj", "selector": SELECTOR, "source": _SOURCE}
            reply = await client.ask(install)
            if reply.get("status") != "COMPLETE":
                raise RuntimeError(f"the method was not installed: {reply}")
        figures = await _round_trips(echo, kernel, options.rounds, tell)
        figures.append(await _pipelines(echo, kernel, options.rounds, tell))
        figures.append(await _beside_synthesis(kernel, options.clients, options.rounds, tell))
        figures.append(await _memory(kernel, options.messages, tell))
    return figures


async def _round_trips(echo: Server, kernel: Server, rounds: int, tell: Tell) -> list[Figure]:
    """One client, one request at a time, in turns."""
    tell("round trips …")
    ping: dict[str, Any] = {"command": "ping"}
    send: dict[str, Any] = {
        "command": "send",
        "target_oid": "genesis_obj",
        "selector": SELECTOR,
        "args": [1],
        "learn": False,
    }
    times: dict[str, list[float]] = {"echo": [], "ping": [], "echo of a send": [], "send": []}
    async with echo.client() as bare, kernel.client() as ours:
        works = {"echo": (bare, ping, 300), "ping": (ours, ping, 300)}
        paced = {"echo of a send": (bare, send, 30), "send": (ours, send, 30)}
        for _ in range(rounds):
            for name, (client, message, count) in works.items():
                times[name].append(statistics.median([await _timed(client, message) for _ in range(count)]))
            for name, (client, message, count) in paced.items():
                times[name].append(statistics.median([await _timed(client, message, pause=0.02) for _ in range(count)]))
    return [
        _ratio("ping round trip / bare echo", times["ping"], times["echo"], 2),
        _ratio("send of a pure method, paced, p50 / bare echo", times["send"], times["echo of a send"], 8),
    ]


async def _timed(client: Caller, message: dict[str, Any], pause: float = 0.0) -> float:
    if pause:
        await asyncio.sleep(pause)
    start = time.perf_counter()
    reply = await client.ask(message)
    took = time.perf_counter() - start
    if reply.get("status", "OK") != "OK":
        raise RuntimeError(f"a request was not answered well: {reply}")
    return took


def _ratio(figure: str, ours: list[float], bare: list[float], bound: float) -> Figure:
    value = statistics.median(mine / theirs for mine, theirs in zip(ours, bare, strict=True))
    note = f"{statistics.median(ours) * 1e6:.0f} µs beside {statistics.median(bare) * 1e6:.0f} µs"
    return Figure(figure, value, bound, note=note)


async def _pipelines(echo: Server, kernel: Server, rounds: int, tell: Tell) -> Figure:
    """Eight clients in four processes, each with a window of requests on their way."""
    tell("pipelines …")
    ratios, rates = [], []
    for _ in range(max(3, rounds // 2)):
        bare, ours = await _rate(echo), await _rate(kernel)
        ratios.append(ours / bare)
        rates.append((ours, bare))
    ours, bare = (statistics.median(column) for column in zip(*rates, strict=True))
    note = f"{ours:.0f} beside {bare:.0f} a second"
    return Figure("pings a second, 8 clients pipelining / bare echo", statistics.median(ratios), 0.5, ">=", note=note)


async def _rate(server: Server, clients: int = 8, count: int = 1500, window: int = 50) -> float:
    async with contextlib.AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(server.client()) for _ in range(clients)]
        for client in opened:
            await client.ask({"command": "ping"})
        start = time.perf_counter()
        await asyncio.gather(*(client.pipeline({"command": "ping"}, count, window) for client in opened))
        return clients * count / (time.perf_counter() - start)


async def _beside_synthesis(kernel: Server, clients: int, rounds: int, tell: Tell) -> Figure:
    """Many clients at a steady pace, with and without a mission whose method is being written."""
    tell(f"{clients} clients beside a synthesis …")
    send = {"command": "send", "target_oid": "genesis_obj", "selector": SELECTOR, "args": [1], "learn": False}
    ratios, told = [], []
    async with contextlib.AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(kernel.client()) for _ in range(clients)]
        await _paced(opened, send)
        for number in range(max(3, rounds // 2)):
            alone = await _paced(opened, send)
            async with kernel.synthesis(number):
                beside = await _paced(opened, send)
            ratios.append(_p99(beside) / _p99(alone))
            told.append(f"{_p99(beside) * 1e3:.0f}/{_p99(alone) * 1e3:.0f} ms")
    figure = f"{clients} clients sending beside a synthesis, p99 / without"
    return Figure(figure, statistics.median(ratios), 2, note=", ".join(told))


async def _paced(clients: list[Caller], message: dict[str, Any], each: int = 4, period: float = 2.0) -> list[float]:
    """Each client sends once a period, all spread evenly over it."""

    async def one(index: int, client: Caller) -> list[float]:
        await asyncio.sleep(period * index / len(clients))
        times = []
        for _ in range(each):
            took = await _timed(client, message)
            times.append(took)
            await asyncio.sleep(max(0.0, period - took))
        return times

    return [t for times in await asyncio.gather(*(one(*item) for item in enumerate(clients))) for t in times]


def _p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


async def _memory(kernel: Server, messages: int, tell: Tell) -> Figure:
    """Resident memory of the kernel after many messages of all kinds, beside that after a few."""
    tell(f"memory over {messages} messages …")
    kinds: list[dict[str, Any]] = [
        {"command": "ping"},
        {"command": "inspect", "target_oid": "genesis_obj"},
        {"command": "send", "target_oid": "nobody", "selector": "x", "learn": False},
        {"command": "nothing"},
        {"command": "ping", "text": "x" * 2000},
    ]
    async with kernel.client() as client:

        async def some(count: int) -> int:
            for message in kinds:
                await client.pipeline(message, count // len(kinds), 50)
            return kernel.memory()

        first = await some(1000)
        last = await some(messages - 1000)
    note = f"{last >> 20} MiB beside {first >> 20} MiB"
    return Figure(f"memory after {messages} messages / after 1000", last / first, 1.05, note=note)


class Caller:
    """The least client: one DEALER, replies matched by their order or id."""

    def __init__(self, endpoint: str, keys: Path) -> None:
        import zmq
        import zmq.asyncio
        from zmq.auth import load_certificate

        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.sndhwm = self._socket.rcvhwm = 0
        self._socket.curve_serverkey, _ = load_certificate(keys / "server.key")
        public, secret = load_certificate(keys / "client.key_secret")
        self._socket.curve_publickey, self._socket.curve_secretkey = public, secret or b""
        self._socket.connect(endpoint)
        self._id = 0

    async def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a request and give its last word."""
        from batos import codec

        self._id += 1
        await self._socket.send(codec.pack({"id": self._id, **message}))
        while True:
            reply = codec.unpack(await self._socket.recv())
            if reply.get("id") == self._id and "event" not in reply:
                return dict(reply)

    async def pipeline(self, message: dict[str, Any], count: int, window: int) -> None:
        """Send a request many times, with `window` of them on their way at once."""
        from batos import codec

        frame = codec.pack({"id": 1, **message})
        room = asyncio.Semaphore(window)

        async def read() -> None:
            for _ in range(count):
                await self._socket.recv()
                room.release()

        reading = asyncio.create_task(read())
        for _ in range(count):
            await room.acquire()
            await self._socket.send(frame)
        await reading

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        self._context.term()


class Server:
    """A server process: the kernel with a scripted mind (or a real model), or the bare echo."""

    def __init__(
        self, keys: Path, endpoint: str, command: list[str], env: dict[str, str], *, real: bool = False
    ) -> None:
        self.keys, self.endpoint, self.real = keys, endpoint, real
        self._log = (keys.parent / "log").open("ab")
        self._process = subprocess.Popen(command, env={**os.environ, **env}, stdout=self._log, stderr=self._log)

    @classmethod
    def kernel(cls, folder: Path, model: str | None, settings: Any, env: dict[str, str] | None = None) -> Self:
        """A kernel in a home of its own."""
        home = folder / "home"
        home.mkdir()
        script = home / "script.json"
        slow = {"state": "SYNTHESIZING", "match": SLOW, "text": "", "delay_s": _SYNTHESIS_SECONDS}
        script.write_text(json.dumps([slow]), encoding="utf-8")
        endpoint = _free_endpoint()
        env = {
            **(env or {}),
            "BATOS_HOME": str(home),
            "BATOS_ZMQ_ENDPOINT": endpoint,
            "BATOS_ENGINE": "llama.cpp" if model else f"scripted:{script}",
            "BATOS_PERSONA_MODELS": model or "",
            "BATOS_WEIGHTS_CACHE": str(settings.weights_cache),
        }
        code = "import sys; from batos.kernel.main import main; sys.exit(main([]))"
        return cls(home / "keys", endpoint, [sys.executable, "-c", code], env, real=bool(model))

    @classmethod
    def echo(cls, folder: Path) -> Self:
        """The bare echo, with keys of its own."""
        from batos.kernel.keys import ensure_keys

        keys = folder / "echo" / "keys"
        ensure_keys(keys)
        endpoint = _free_endpoint()
        return cls(keys, endpoint, [sys.executable, "-m", "batos.bench.echo", endpoint, str(keys)], {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Caller]:
        """A client, once the server answers it."""
        deadline = time.monotonic() + _START_SECONDS
        while not (self.keys / "server.key").exists():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"the server did not start; see {self._log.name}")
            await asyncio.sleep(0.05)
        client = Caller(self.endpoint, self.keys)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await client.ask({"command": "ping"})
            yield client
        finally:
            client.close()

    @contextlib.asynccontextmanager
    async def synthesis(self, number: int) -> AsyncIterator[None]:
        """While this is open a mission is in SYNTHESIZING."""
        started = asyncio.Event()
        cycle: list[str] = []
        words = f"{SLOW}_{number}: a long and thorough report on every prime number below ten thousand"
        brief = {"type": "unhandled_message", "selector": f"{SLOW}_{number}", "intent": words}
        message = {"command": "initiate_cognitive_cycle", "target_oid": "genesis_obj", "mission_brief": brief}
        async with self.client() as client:
            watching = asyncio.create_task(_until_synthesis(client, message, cycle, started.set))
            await started.wait()
            yield
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        async with self.client() as client:
            await client.ask({"command": "cancel", "cycle_id": cycle[0]})

    def memory(self) -> int:
        """Bytes of resident memory of the process; 0 where the system does not tell."""
        try:
            pages = Path(f"/proc/{self._process.pid}/statm").read_text(encoding="ascii").split()[1]
        except (OSError, IndexError):
            return 1
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def _until_synthesis(
    client: Caller, message: dict[str, Any], cycle: list[str], started: Callable[[], None]
) -> None:
    from batos import codec

    await client._socket.send(codec.pack({"id": 0, **message}))  # noqa: SLF001 - it is this module's own
    while True:
        event = codec.unpack(await client._socket.recv())  # noqa: SLF001
        if "status" in event:
            raise RuntimeError(f"the mission ended: {event}")
        if event.get("event") == "accepted":
            cycle.append(event["cycle_id"])
        if event.get("to") == "SYNTHESIZING":
            started()


def _free_endpoint() -> str:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"
