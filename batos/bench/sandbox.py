"""Bench `sandbox`: what the walls cost, beside a bare fork, and what attacks cost everybody else."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from batos.bench.figures import Figure
from batos.codec import CodecError
from batos.errors import BatosError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from batos.bench.figures import Tell
    from batos.client.sync import SyncClient
    from batos.sandbox.runner import Sandbox

ROOT = Path(__file__).parents[2]
_PACE = 0.03
_READS = 100_000
_SLOTS = {"n": 1, "name": "bench", "rate": 2.5, "items": [1, 2]}
_METHODS = {
    "call": "def call(self):\n    return self.n + len(self.items)\n",
    "read": f"""def read(self):
    import time
    me, start = self, time.perf_counter()
    for _ in range({_READS}):
        me.n
    return time.perf_counter() - start
""",
    "rest": "def rest(self):\n    import time\n    time.sleep(1)\n",
}
_PING_SECONDS = 0.02


def arguments(parser: argparse.ArgumentParser) -> None:
    """The bench's own options."""
    parser.add_argument("--rounds", type=int, default=60, metavar="N", help="paced calls and forks (60)")
    parser.add_argument("--no-attacks", action="store_true", help="leave the attacks out")


def run(options: argparse.Namespace, tell: Tell) -> list[Figure]:
    """Measure everything."""
    from batos.bench.guardian_rate import guardian_rate

    figures = asyncio.run(_calls(options.rounds, tell))
    tell("auditing …")
    figures.append(Figure("methods audited a second, 30 lines each", guardian_rate(), 500, ">=", "/s"))
    return figures if options.no_attacks else [*figures, *_beside_attacks(tell)]


async def _calls(rounds: int, tell: Tell) -> list[Figure]:
    from batos.sandbox.runner import Limits, Sandbox

    limits = Limits(seconds=10)
    fresh, reused = Sandbox(pool=4, limits=limits), Sandbox(pool=1, limits=limits, reuse=True)
    await fresh.start()
    await reused.start()
    try:
        if fresh.refusal is not None:
            raise fresh.refusal
        tell(f"{rounds} paced calls and forks …")
        paced = await _paced(fresh, rounds)
        tell("calls in a row …")
        return [paced, await _in_a_row(fresh, reused), await _slot_reads(fresh), await _memory(fresh)]
    finally:
        await fresh.close()
        await reused.close()


async def _call(sandbox: Sandbox, selector: str = "call") -> Any:
    from batos.bench.bench_world import ME, BenchWorld

    return (await sandbox.call(BenchWorld(dict(_SLOTS), _METHODS), ME, selector, [], {})).result


async def _timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    await work()
    return time.perf_counter() - start


async def _paced(sandbox: Sandbox, rounds: int) -> Figure:
    """A call of a ready worker and a fork of the peer, in turns, with a pause before each."""
    calls, forks = [], []
    with _fork_peer() as fork:
        for _ in range(rounds + 5):
            await asyncio.sleep(_PACE)
            calls.append(await _timed(lambda: _call(sandbox)))
            await asyncio.sleep(_PACE)
            forks.append(fork())
    # The first ones warm both up.
    ours, theirs = statistics.median(calls[5:]), statistics.median(forks[5:])
    note = f"{ours * 1e3:.2f} ms to {theirs * 1e3:.2f} ms"
    return Figure("paced call of a ready worker, to fork + round trip + wait", ours / theirs, 1.0, note=note)


@contextlib.contextmanager
def _fork_peer() -> Iterator[Callable[[], float]]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-s", "-S", "-m", "batos.bench.fork_peer"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    out, back = process.stdin, process.stdout
    back.readline()

    def fork() -> float:
        out.write("\n")
        out.flush()
        return float(back.readline())

    try:
        yield fork
    finally:
        out.close()
        process.wait()
        back.close()


async def _in_a_row(fresh: Sandbox, reused: Sandbox, count: int = 60, rounds: int = 5) -> Figure:
    rates: dict[Sandbox, list[float]] = {fresh: [], reused: []}
    for _ in range(rounds):
        for sandbox, times in rates.items():
            times.append(await _timed(lambda sandbox=sandbox: _row(sandbox, count)))  # type: ignore[misc]
            await asyncio.sleep(10 * _PACE)
    ratio = statistics.median(old / new for new, old in zip(rates[fresh], rates[reused], strict=True))
    new, old = (count / statistics.median(times) for times in rates.values())
    return Figure(
        "calls a second in a row, fresh workers to one reused", ratio, 0.1, ">=", note=f"{new:.0f} to {old:.0f}"
    )


async def _row(sandbox: Sandbox, count: int) -> None:
    for _ in range(count):
        await _call(sandbox)


async def _slot_reads(sandbox: Sandbox, rounds: int = 7) -> Figure:
    from persistent import Persistent

    class Plain(Persistent):  # type: ignore[misc]
        """An object with an attribute."""

    me = Plain()
    me.n = 1
    pairs = [(await _call(sandbox, "read"), _plain_reads(me)) for _ in range(rounds)]
    ratio = statistics.median(inside / plain for inside, plain in pairs)
    inside, plain = (statistics.median(times) / _READS * 1e9 for times in zip(*pairs, strict=True))
    return Figure(
        "slot read inside a method, to a Persistent attribute", ratio, 25, note=f"{inside:.0f} ns to {plain:.0f} ns"
    )


def _plain_reads(me: Any) -> float:
    start = time.perf_counter()
    for _ in range(_READS):
        me.n  # noqa: B018 - the read is what is measured
    return time.perf_counter() - start


async def _memory(sandbox: Sandbox) -> Figure:
    """Private memory of a worker that is in the middle of a call."""
    busy = asyncio.create_task(_call(sandbox, "rest"))
    await asyncio.sleep(0.5)
    zygote = sandbox.statistics()["zygote"]
    sizes = [_private(pid) for pid in _descendants(zygote) if not _descendants(pid)]
    await busy
    known = [size for size in sizes if size is not None]
    name = "private memory of a worker"
    if not known:
        return Figure(name, float("nan"), None, unit="MB", note="only root can read it here")
    return Figure(name, max(known) / 1e6, 2.0, unit="MB", note=f"the largest of {len(known)}")


def _descendants(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                found += [int(folder.name), *_descendants(int(folder.name))]
    return found


def _private(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Private_"))


def _beside_attacks(tell: Tell) -> list[Figure]:
    """The kernel's ping while every attack of our suite is sent to it."""
    from batos.bench.kernel_process import KernelProcess

    if not (ROOT / "tests" / "sandbox" / "attacks").is_dir():
        tell("the attacks lie in the source tree, which is not here: left out")
        return []
    sys.path[:0] = [] if str(ROOT) in sys.path else [str(ROOT)]
    attacks = importlib.import_module("tests.sandbox.attacks")
    with TemporaryDirectory() as folder:
        script = Path(folder, "script.json")
        script.write_text("[]")
        modules = ",".join(attacks.MODULES)
        with KernelProcess(
            engine=f"scripted:{script}", guardian_policy="warn", allowed_modules=modules, call_seconds="0.5"
        ) as vessel:
            time.sleep(2)
            idle = _pings(vessel.client, lambda: time.sleep(5))
            tell(f"{len(attacks.ATTACKS)} attacks on a kernel …")
            under = _pings(vessel.client, lambda: _attack(vessel.client, attacks.ATTACKS))
    note = f"idle {max(idle) * 1e3:.1f} ms, medians {statistics.median(under) * 1e3:.1f} and {statistics.median(idle) * 1e3:.1f} ms"
    return [
        Figure("worst ping during the attacks, to the worst idle", max(under) / max(idle), note=note),
        Figure("worst ping during the attacks", max(under) * 1e3, 250, unit="ms"),
    ]


def _pings(client: SyncClient, work: Callable[[], object]) -> list[float]:
    """Ping while some work goes on; gives the times in seconds."""
    times: list[float] = []
    done = threading.Event()

    def ping() -> None:
        while not done.is_set():
            start = time.perf_counter()
            client.call("ping", timeout=30)
            times.append(time.perf_counter() - start)
            time.sleep(_PING_SECONDS)

    thread = threading.Thread(target=ping)
    thread.start()
    try:
        work()
    finally:
        done.set()
        thread.join()
    return times[1:]


def _attack(client: SyncClient, attacks: list[Any]) -> None:
    """Install and send each; what the parser or the Covenant refuses ends there."""
    for attack in attacks:
        with contextlib.suppress(BatosError, CodecError):
            client.call("install", target_oid="genesis_obj", selector="attack", source=attack.method, timeout=60)
            client.call("send", target_oid="genesis_obj", selector="attack", learn=False, timeout=60)
