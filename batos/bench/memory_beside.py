"""How long a search takes while a folder is ingested: both through `FractalMemory`, as in a kernel, by words alone."""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from batos.bench.figures import Figure
from batos.errors import NoWeights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batos.bench.figures import Tell
    from batos.image.store import Image
    from batos.memory.service import FractalMemory

    Texts = list[tuple[str, str]]

_IDLE = 300
_LEAST = 2
"""Searches that percentiles are taken of."""
_QUERY_WORDS = 6


def beside(texts: Texts, tell: Tell) -> list[Figure]:
    """Learn half of the texts, ask while nothing happens, then ask while a folder with the other half is ingested."""
    tell(f"searches beside the ingest of {len(texts) - len(texts) // 2} documents")
    with tempfile.TemporaryDirectory(prefix="batos-bench-") as home:
        idle, busy, took = asyncio.run(_measured(Path(home), texts))
    note = f"{len(busy)} searches by words in {took:.0f} s; idle"
    return [
        Figure(
            f"search {name} while a folder is ingested",
            _percentile(busy, percent) * 1e3,
            unit="ms",
            note=f"{note} {_percentile(idle, percent) * 1e3:.1f} ms",
        )
        for name, percent in (("p50", 50), ("p99", 99))
    ]


async def _measured(home: Path, texts: Texts) -> tuple[list[float], list[float], float]:
    """Give the time of each search when idle and beside the ingest, and of the ingest, in seconds."""
    from batos.image.migrations import migrate
    from batos.image.store import Image
    from batos.memory.service import FractalMemory

    image = Image(home / "image.fs", home / "blobs")
    migrate(image)
    memory = FractalMemory(image, _no_vectors, "none")
    try:
        _learn(image, texts[: len(texts) // 2])
        await memory.start()
        asked = _Asker(memory, [text for _, text in texts])
        await asked.once()
        idle = [await asked.once() for _ in range(_IDLE)]
        folder = _folder(home, texts[len(texts) // 2 :])
        start = time.perf_counter()
        ingest = asyncio.create_task(_ingest(memory, folder))
        busy: list[float] = []
        while not ingest.done() or len(busy) < _LEAST:
            busy.append(await asked.once())
        await ingest
        return idle, busy, time.perf_counter() - start
    finally:
        await memory.close()
        await image.close()


class _Asker:
    """Searches for words of the texts, and says how long each search took."""

    def __init__(self, memory: FractalMemory, texts: Sequence[str]) -> None:
        self._memory = memory
        self._texts = texts
        self._chosen = random.Random(1)  # noqa: S311 - a sample, not a secret

    async def once(self) -> float:
        words = self._chosen.choice(self._texts).split()
        query = " ".join(self._chosen.choice(words) for _ in range(_QUERY_WORDS))
        start = time.perf_counter()
        await self._memory.search(query, 5)
        return time.perf_counter() - start


def _learn(image: Image, texts: Texts) -> None:
    from batos.memory import bulk
    from batos.memory.readers import Document

    bulk.learn(image, [Document(name, text, {}) for name, text in texts])


def _folder(home: Path, texts: Texts) -> Path:
    folder = home / "folder"
    folder.mkdir()
    for name, text in texts:
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return folder


async def _ingest(memory: FractalMemory, folder: Path) -> None:
    """Hand in what a folder holds, and wait for the last."""
    from batos.memory.sources import Source

    source = Source(folder)
    last = None
    for file, name in await asyncio.to_thread(source.files):
        for last in await asyncio.to_thread(list, source.read(file, name)):
            await memory.remember(last.doc_id, last.text, last.metadata, wait=False, origin=last.origin)
    assert last is not None
    await memory.remember(last.doc_id, last.text, last.metadata, origin=last.origin)


async def _no_vectors(texts: Sequence[str]) -> list[list[float]]:
    raise NoWeights(f"no vectors for {len(texts)} texts")


def _percentile(times: list[float], percent: int) -> float:
    return statistics.quantiles(times, n=100)[percent - 1]
