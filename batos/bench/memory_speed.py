"""How quickly Fractal Memory answers and learns, and how much memory that takes."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batos.bench.figures import Figure, paired

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batos.bench.figures import Tell
    from batos.image.store import Image

    Texts = list[tuple[str, str]]

_SMALL = 10
_DIMS = 384
_VOCABULARY = 20_000
_WORDS = 100
_ASKED = 300
_QUERY_WORDS = 6
_BATCH = 100
_RATED = 1000
_ROUNDS = 3
_FOLDER_BYTES = 10_000_000
_PEAK_MIB = 300


def queries(chunks: int, tell: Tell) -> list[Figure]:
    """Ask catalogs of N and N / 10 chunks, words and vectors together, the query's vector given."""
    times = {}
    for size in (chunks // _SMALL, chunks):
        tell(f"a catalog of {size} chunks")
        with tempfile.TemporaryDirectory(prefix="batos-bench-") as home:
            times[size], work = _asked(Path(home), size)
    small, large = times[chunks // _SMALL], times[chunks]
    p50, p99 = _percentile(large, 50), _percentile(large, 99)
    # On a machine that others use too the clock tells of them as well.
    note = f"processor time of all threads: {_percentile(work, 50) * 1e3:.1f} ms, p99 {_percentile(work, 99) * 1e3:.1f}"
    return [
        Figure(f"query p50 at {chunks} chunks", p50 * 1e3, 20, unit="ms", note=note),
        Figure(f"query p99 at {chunks} chunks", p99 * 1e3, 100, unit="ms"),
        Figure(f"query p50 at {chunks // _SMALL} chunks", _percentile(small, 50) * 1e3, unit="ms"),
        Figure(f"query p99 at {chunks // _SMALL} chunks", _percentile(small, 99) * 1e3, unit="ms"),
        Figure("ten times the chunks cost", p50 / _percentile(small, 50), 8, note="p50 to p50"),
    ]


def rate(texts: Texts, tell: Tell) -> list[Figure]:
    """Index the same documents in batches of 100, by Fractal Memory and by bare zope.index in a bare ZODB."""
    del tell
    some = texts[:_RATED]
    ratio, ours, bare = paired(lambda: _ours(some), lambda: _bare(some), _ROUNDS)
    note = f"{len(some) / ours:.0f} against {len(some) / bare:.0f} documents a second"
    return [Figure("indexing rate against bare zope.index", 1 / ratio, 0.8, ">=", note=note)]


def peak(texts: Texts, tell: Tell) -> list[Figure]:
    """Ingest a folder of 10 MB in a process of its own."""
    del tell
    with tempfile.TemporaryDirectory(prefix="batos-bench-") as home:
        folder = Path(home) / "folder"
        folder.mkdir()
        total = 0
        while total < _FOLDER_BYTES:
            for name, text in texts:
                (folder / f"{name}-{total}.md").write_text(text, encoding="utf-8")
                total += len(text.encode())
                if total >= _FOLDER_BYTES:
                    break
        done = subprocess.run(
            [sys.executable, "-m", "batos.bench.memory_peak", home], capture_output=True, text=True, check=True
        )
    told = json.loads(done.stdout.splitlines()[-1])
    note = f"idle {told['idle']:.0f} MiB, {told['documents']} documents in {told['seconds']:.0f} s"
    return [Figure("ingest of a 10 MB folder: memory above idle", told["peak"], _PEAK_MIB, unit="MiB", note=note)]


def _asked(home: Path, size: int) -> tuple[list[float], list[float]]:
    """Give the time of each query by the clock and by the processor, in seconds."""
    import numpy as np

    from batos.memory import catalog

    rng = np.random.default_rng(0)
    image = _image(home)
    try:
        words = _words(size)
        for start in range(0, size, _BATCH * _SMALL):
            image.transact_now(_fill, words, start, min(size, start + _BATCH * _SMALL), rng)
        chosen = random.Random(1)  # noqa: S311 - a sample, not a secret
        times, work = [], []
        for number in range(_ASKED + 1):
            query = " ".join(chosen.choice(words[chosen.randrange(size)]) for _ in range(_QUERY_WORDS))
            vector = rng.normal(size=_DIMS).astype("f4")
            vector /= np.linalg.norm(vector)
            start_time, start_work = time.perf_counter(), time.process_time()
            found = image.study_now(catalog.search, query, 5, None, vector.tolist()).value
            if number:  # the first one reads the index into memory
                times.append(time.perf_counter() - start_time)
                work.append(time.process_time() - start_work)
            assert found
    finally:
        image.close_now()
    return times, work


def _fill(view: Any, words: list[list[str]], start: int, stop: int, rng: Any) -> None:
    """Store documents of one chunk, each with a vector."""
    from batos.memory import catalog, records
    from batos.memory.chunking import Chunk

    drafts = []
    for number in range(start, stop):
        text = " ".join(words[number])
        drafts.append(catalog.draft(f"d{number}", text, {}, [Chunk(0, len(text), text)]))
    vectors = rng.normal(size=(len(drafts), _DIMS)).astype("f4")
    vectors /= (vectors**2).sum(axis=1, keepdims=True) ** 0.5
    catalog.index_many(view, drafts)
    for draft, vector in zip(drafts, vectors, strict=True):
        catalog.weave(view, draft, records.digest(draft.text, {}), [vector], "bench")


def _words(count: int) -> list[list[str]]:
    """Make texts of words whose frequencies fall as those of a language do."""
    import numpy as np

    rng = np.random.default_rng(2)
    weights = 1 / np.arange(1, _VOCABULARY + 1)
    drawn = rng.choice(_VOCABULARY, size=(count, _WORDS), p=weights / weights.sum())
    names = [f"w{_letters(number)}" for number in range(_VOCABULARY)]
    return [[names[word] for word in row] for row in drawn]


def _letters(number: int) -> str:
    return "".join("bcdfghjkmp"[int(digit)] for digit in str(number))


def _ours(texts: Texts) -> None:
    from batos.memory import catalog

    with tempfile.TemporaryDirectory(prefix="batos-bench-") as home:
        image = _image(Path(home))
        try:
            for batch in _batches(texts):
                image.transact_now(catalog.index_many, [catalog.draft(name, text, {}) for name, text in batch])
        finally:
            image.close_now()


def _bare(texts: Texts) -> None:
    import transaction
    import ZODB
    from zope.index.text.textindex import TextIndex

    with tempfile.TemporaryDirectory(prefix="batos-bench-") as home:
        db = ZODB.DB(str(Path(home) / "bare.fs"))
        manager = transaction.TransactionManager(explicit=True)
        conn = db.open(manager)
        try:
            manager.begin()
            conn.root()["index"] = index = TextIndex()
            manager.commit()
            for number, batch in enumerate(_batches(texts)):
                manager.begin()
                for place, (_, text) in enumerate(batch):
                    index.index_doc(number * _BATCH + place, text)
                manager.commit()
        finally:
            manager.begin()
            manager.abort()
            conn.close()
            db.close()


def _batches(texts: Texts) -> Iterator[Texts]:
    for start in range(0, len(texts), _BATCH):
        yield texts[start : start + _BATCH]


def _image(home: Path) -> Image:
    from batos.image.migrations import migrate
    from batos.image.store import Image

    image = Image(home / "image.fs", home / "blobs")
    migrate(image)
    return image


def _percentile(times: list[float], percent: int) -> float:
    return statistics.quantiles(times, n=100)[percent - 1]
