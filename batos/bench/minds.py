"""Bench `minds`: real weights through the mind host, beside the same libraries called directly.

Speeds are of whole requests of some hundred tokens, measured in turns with the peer on the same cores.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from batos.bench.figures import Figure
from batos.bench.minds_peer import BRIEF, MESSAGES
from batos.mind.device import SPIN_COUNT

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Callable

    from batos.bench.figures import Tell
    from batos.mind.protocol import ModelSpec
    from batos.mind.service import HostMind

BATCH = 8


def arguments(parser: argparse.ArgumentParser) -> None:
    """The bench's own options."""
    parser.add_argument("--model", default="qwen2.5-coder-0.5b", metavar="NAME", help="the model (qwen2.5-coder-0.5b)")
    parser.add_argument("--large", default="qwen2.5-coder-1.5b", metavar="NAME", help="the model that is swapped to")
    parser.add_argument("--pairs", type=int, default=5, metavar="N", help="pairs of each comparison (5)")
    parser.add_argument("--tokens", type=int, default=96, metavar="N", help="tokens of each text (96)")
    parser.add_argument(
        "--only", choices=("llama.cpp", "transformers", "swap", "kernel"), help="measure one part alone"
    )


def run(options: argparse.Namespace, tell: Tell) -> list[Figure]:
    """Measure everything; takes about ten minutes on two cores."""
    return asyncio.run(_measure(options, tell))


async def _measure(options: argparse.Namespace, tell: Tell) -> list[Figure]:
    from batos.bench import minds_kernel
    from batos.mind import select

    figures: list[Figure] = []
    spec = select.resolve(options.settings, options.model)
    parts: dict[str, Callable[[], Any]] = {
        "llama.cpp": lambda: _engine("llama.cpp", spec, options, tell),
        "transformers": lambda: _engine("transformers", _in_four_bits(spec, tell), options, tell),
        "swap": lambda: _swap(spec, select.resolve(options.settings, options.large), options, tell),
        "kernel": lambda: minds_kernel.measure(options, tell),
    }
    for name, part in parts.items():
        if options.only in (None, name):
            figures += await part()
    return figures


def _in_four_bits(spec: ModelSpec, tell: Tell) -> ModelSpec:
    from dataclasses import replace

    from batos.mind.transformers_engine import quantize

    folder = Path(tempfile.gettempdir()) / f"batos-bench-nf4-{spec.sha256[:16]}"
    if not folder.is_dir():
        tell("making 4-bit weights, once …")
        quantize(Path(spec.path), folder)
    return replace(spec, path=str(folder), kind="transformers")


async def _engine(engine: str, spec: ModelSpec, options: argparse.Namespace, tell: Tell) -> list[Figure]:
    """One engine: through the host beside the library, and a batch beside as many in a row."""
    tell(f"{engine}: through the host and directly …")
    async with _mind(engine, {"m": spec}) as mind:
        with Peer(engine, spec.path) as peer:
            await _written(mind, options.tokens)
            peer.ask(options.tokens)
            ratios, ours, theirs = [], [], []
            for _ in range(options.pairs):
                ours.append(await _written(mind, options.tokens))
                theirs.append(peer.ask(options.tokens))
                ratios.append(ours[-1] / theirs[-1])
        note = f"{statistics.median(ours):.1f} beside {statistics.median(theirs):.1f} tokens a second"
        first = Figure(
            f"{engine}: through the host / directly, tokens a second", statistics.median(ratios), 0.95, ">=", note=note
        )
        tell(f"{engine}: {BATCH} candidates at once and in a row …")
        return [first, await _batches(engine, mind, options)]


async def _batches(engine: str, mind: HostMind, options: argparse.Namespace) -> Figure:
    ratios, rates = [], []
    for _ in range(max(3, options.pairs // 2)):
        together = await _written(mind, options.tokens // 2, n=BATCH, temperature=0.7)
        start, tokens = time.perf_counter(), 0
        for number in range(BATCH):
            reply = await mind.generate(_asked(options.tokens // 2, temperature=0.7, seed=number))
            tokens += reply.completion_tokens
        alone = tokens / (time.perf_counter() - start)
        ratios.append(together / alone)
        rates.append((together, alone))
    together, alone = (statistics.median(column) for column in zip(*rates, strict=True))
    note = f"{together:.1f} beside {alone:.1f} tokens a second"
    bound = 2.2 if engine == "transformers" else 1.5
    return Figure(
        f"{engine}: {BATCH} candidates at once / in a row, tokens a second", statistics.median(ratios), bound, ">=",
        note=note,
    )  # fmt: skip


async def _swap(small: ModelSpec, large: ModelSpec, options: argparse.Namespace, tell: Tell) -> list[Figure]:
    """To the first token of a model that is in the page cache, beside the original's copy, unpacking and loading.

    Both models are used in turns, and the budget has room for one. The first swap to each is a load, told in the note.
    The prompt is short, and the same for both sides: it is the swap that is measured.
    """
    from batos.mind.residency import weight_bytes

    tell("swapping models, and the original's way of doing it …")
    budget = weight_bytes(Path(large.path)) + (64 << 20)
    with tempfile.TemporaryDirectory(prefix="batos-bench-") as place:
        archive = Path(place) / "weights.tar"
        with tarfile.open(archive, "w") as opened:
            opened.add(large.path, arcname=Path(large.path).name)
        async with _mind("llama.cpp", {"small": small, "large": large}, budget=budget) as mind:
            with Peer("tar", str(archive)) as peer:
                load = await _swapped(mind)
                ratios, ours, theirs = [], [], []
                for _ in range(options.pairs):
                    ours.append(await _swapped(mind))
                    theirs.append(peer.seconds())
                    ratios.append(theirs[-1] / ours[-1])
    note = f"{statistics.median(ours):.2f} s, {load:.2f} s the first time, beside {statistics.median(theirs):.2f} s"
    return [Figure("swap to a cached model, to its first token: times quicker than by tar", statistics.median(ratios), 5, ">=", note=note)]  # fmt: skip


async def _swapped(mind: HostMind) -> float:
    """Seconds from the question to the first token of a model that is not the one used last."""
    await mind.generate(_asked(1, model="small", messages=tuple(BRIEF)))
    start = time.perf_counter()
    await mind.generate(_asked(1, model="large", messages=tuple(BRIEF)))
    return time.perf_counter() - start


@asynccontextmanager
async def _mind(engine: str, models: dict[str, ModelSpec], budget: int = 0) -> AsyncIterator[HostMind]:
    from batos.mind.service import HostMind

    mind = HostMind(models, engine=engine, budget=budget)
    try:
        yield mind
    finally:
        await mind.close()


def _asked(tokens: int, *, model: str = "m", **more: Any) -> Any:
    from batos.mind.protocol import GenerateRequest

    return GenerateRequest(state="X", model=model, max_tokens=tokens, **{"messages": tuple(MESSAGES), **more})


async def _written(mind: HostMind, tokens: int, **more: Any) -> float:
    """Tokens a second of one request."""
    start = time.perf_counter()
    reply = await mind.generate(_asked(tokens, **more))
    return reply.completion_tokens / (time.perf_counter() - start)


class Peer:
    """A library in a process of its own, without us.

    Args:
        kind: `llama.cpp`, `transformers` or `tar`.
        path: Its weights.
    """

    def __init__(self, kind: str, path: str) -> None:
        command = [sys.executable, "-m", "batos.bench.minds_peer", kind, path]
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={"GOMP_SPINCOUNT": SPIN_COUNT, **os.environ},  # as the mind host has it
        )
        self._answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._child.kill()
        self._child.wait()

    def ask(self, tokens: int) -> float:
        """Tokens a second of one text."""
        told = self._tell(tokens)
        return float(told["tokens"] / told["seconds"])

    def seconds(self) -> float:
        """How long its work takes."""
        return float(self._tell(1)["seconds"])

    def _tell(self, tokens: int) -> dict[str, Any]:
        assert self._child.stdin is not None
        self._child.stdin.write(f"{tokens}\n")
        self._child.stdin.flush()
        return dict(self._answer())

    def _answer(self) -> Any:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError("the peer ended; run `python -m batos.bench.minds_peer` to see why")
        return json.loads(line)
