"""How well Fractal Memory finds documents: nDCG@10 on a collection in BEIR's layout, and what a document costs on disk."""

from __future__ import annotations

import asyncio
import json
import math
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batos.bench.figures import Figure

if TYPE_CHECKING:
    from batos.bench.figures import Tell
    from batos.bench.memory import Kept
    from batos.memory.service import FractalMemory

_DEPTH = 100
_TEN = 10
_ENCODED = 20


def corpus(folder: Path) -> list[tuple[str, str]]:
    """Give name and text of each document: the title on a line of its own, as people write it."""
    return [
        (str(row["_id"]), "\n\n".join(part for part in (row.get("title"), row["text"]) if part))
        for row in _rows(folder / "corpus.jsonl")
    ]


async def measure(folder: Path, kept: Kept, model: str, tell: Tell) -> list[Figure]:
    """Learn the collection as a user does, ask its test questions, and rate the answers."""
    from batos.image.migrations import migrate
    from batos.image.store import Image
    from batos.memory.service import FractalMemory

    texts = corpus(folder)
    wanted = _wanted(folder / "qrels_test.jsonl")
    questions = {row["_id"]: row["text"] for row in _rows(folder / "queries.jsonl")}
    with tempfile.TemporaryDirectory(prefix="batos-bench-") as home:
        image = Image(Path(home) / "image.fs", Path(home) / "blobs")
        try:
            migrate(image)
            image.pack_now()
            empty = image.statistics()["bytes"]
            memory = FractalMemory(image, kept.embed, model)
            await memory.start()
            await _learn(memory, texts, tell)
            words = await _ndcg(memory, questions, wanted)
            memory.begin_weaving()
            while memory.statistics()["unwoven"]:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.1)
            both = await _ndcg(memory, questions, wanted)
            await memory.close()
            image.pack_now()
            size = image.statistics()["bytes"] - empty
        finally:
            image.close_now()
    encoding = await _encoding(kept, list(questions.values())[:_ENCODED])
    written = sum(len(text.encode()) for _, text in texts)
    name = folder.name
    return [
        Figure(f"{name} nDCG@10, words and meaning", both, 0.74, ">=", note=f"{len(wanted)} questions"),
        Figure(f"{name} nDCG@10, words alone", words, note="without the embedding model"),
        Figure("bytes per document after pack, against its text", size / written, 3.5, "<="),
        Figure("encoding of a query", encoding * 1e3, unit="ms", note="median, not part of the query times"),
    ]


async def _learn(memory: FractalMemory, texts: list[tuple[str, str]], tell: Tell) -> None:
    for done, (name, text) in enumerate(texts, 1):
        while memory.statistics()["queued"] > 1000:  # noqa: ASYNC110 - a figure of another task, no event
            await asyncio.sleep(0.01)
        await memory.remember(name, text, {}, wait=done == len(texts))
        if done % 1000 == 0:
            tell(f"{done} of {len(texts)} documents")


async def _ndcg(memory: FractalMemory, questions: dict[str, str], wanted: dict[str, set[str]]) -> float:
    scores = []
    for key, right in wanted.items():
        found = (await memory.search(questions[key], _DEPTH))["results"]
        ranked = list(dict.fromkeys(hit["doc_id"] for hit in found))[:_TEN]
        gain = sum(1 / math.log2(place + 2) for place, name in enumerate(ranked) if name in right)
        scores.append(gain / sum(1 / math.log2(place + 2) for place in range(min(_TEN, len(right)))))
    return statistics.mean(scores)


async def _encoding(kept: Kept, questions: list[str]) -> float:
    times = []
    for question in questions:
        start = time.perf_counter()
        await kept.mind.embed([question])
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _wanted(file: Path) -> dict[str, set[str]]:
    wanted: dict[str, set[str]] = {}
    for row in _rows(file):
        if row.get("relevance", 1) > 0:
            wanted.setdefault(str(row["query_id"]), set()).add(str(row["doc_id"]))
    return wanted


def _rows(file: Path) -> list[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]
