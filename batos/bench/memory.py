"""Fractal Memory: does it find what is needed, how quickly, and at what cost.

`--data` names a folder with `scifact` (any collection in BEIR's layout) and `chunking` (questions with excerpts). Vectors
are made by the product's own embedding host and kept in `--vectors`, so that a second run does not make them again.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from batos.bench import memory_beside, memory_chunks, memory_quality, memory_speed
from batos.errors import NoWeights

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from batos.bench.figures import Figure, Tell
    from batos.mind.service import HostMind

PARTS = ("quality", "chunks", "speed", "beside", "rate", "peak")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this bench."""
    parser.add_argument("--data", default="data", metavar="FOLDER", help="where scifact and chunking lie")
    parser.add_argument(
        "--collection", metavar="FOLDER", help="another collection in BEIR's layout, instead of scifact"
    )
    parser.add_argument(
        "--vectors", default="vectors.sqlite", metavar="FILE", help="where vectors are kept between runs"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--chunks", type=int, default=50_000, metavar="N", help="chunks of the large catalog")


def run(options: argparse.Namespace, tell: Tell) -> list[Figure]:
    """Measure the parts that were asked for."""
    data = Path(options.data)
    collection = Path(options.collection) if options.collection else data / "scifact"
    figures: list[Figure] = []
    if {"quality", "chunks"} & set(options.only):
        figures += asyncio.run(_with_vectors(options, collection, data, tell))
    if "speed" in options.only:
        figures += memory_speed.queries(options.chunks, tell)
    if "beside" in options.only:
        figures += memory_beside.beside(memory_quality.corpus(collection), tell)
    if "rate" in options.only:
        figures += memory_speed.rate(memory_quality.corpus(collection), tell)
    if "peak" in options.only:
        figures += memory_speed.peak(memory_quality.corpus(collection), tell)
    return figures


async def _with_vectors(options: argparse.Namespace, collection: Path, data: Path, tell: Tell) -> list[Figure]:
    from batos.mind import catalog, sources
    from batos.mind.protocol import ModelSpec
    from batos.mind.service import HostMind

    name = options.settings.sentence_transformer_model
    entry, cache = catalog.find(name), options.settings.weights_cache
    if not sources.is_whole(entry, cache):
        raise NoWeights(f"the weights of {name} are not in the cache", f"`python -m batos models fetch {name}`")
    path = sources.path_of(entry, cache)
    mind = HostMind({"embedding": ModelSpec(name=name, kind="embedding", path=str(path))}, embedding=name)
    kept = Kept(mind, Path(options.vectors), tell)
    figures: list[Figure] = []
    try:
        if "chunks" in options.only:
            figures += await memory_chunks.measure(data / "chunking", kept.embed, path, tell)
        if "quality" in options.only:
            figures += await memory_quality.measure(collection, kept, name, tell)
    finally:
        kept.close()
        await mind.close()
    return figures


class Kept:
    """Embeds through the mind host, and keeps what it got in a file.

    Args:
        mind: The mind.
        file: An SQLite file: digest of a text → its vector.
        tell: Hears of progress.
    """

    def __init__(self, mind: HostMind, file: Path, tell: Tell) -> None:
        self.mind = mind
        self._tell = tell
        self._db = sqlite3.connect(file)
        self._db.execute("create table if not exists vectors (text blob primary key, vector blob)")
        self._made = 0

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Give a vector for each text."""
        import numpy as np

        found = {text: self._look(text) for text in texts}
        missing = [text for text, vector in found.items() if vector is None]
        if missing:
            made = await self.mind.embed(missing)
            rows = [
                (_digest(text), np.asarray(vector, "<f4").tobytes()) for text, vector in zip(missing, made, strict=True)
            ]
            self._db.executemany("insert or ignore into vectors values (?, ?)", rows)
            self._db.commit()
            found.update(zip(missing, made, strict=True))
            if (self._made + len(missing)) // 1000 > self._made // 1000:
                self._tell(f"{self._made + len(missing)} texts embedded")
            self._made += len(missing)
        return [vector for text in texts if (vector := found[text]) is not None]

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _look(self, text: str) -> list[float] | None:
        import numpy as np

        row = self._db.execute("select vector from vectors where text = ?", (_digest(text),)).fetchone()
        return None if row is None else [float(x) for x in np.frombuffer(row[0], "<f4")]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
