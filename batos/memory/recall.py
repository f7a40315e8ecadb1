"""Finds chunks: words and meaning together, from a warm copy of the indexes in this process.

The image holds postings and vectors as it stores them best; ranking wants arrays. For each image the process keeps the
arrays of its newest state: lengths and documents of all chunks, what words that were asked for tell, and the
vectors as one matrix. A change of the catalog is noticed by the serials of its index objects, and only what changed is
read again. Searches of older moments, and within a unit of work that itself changes the catalog, read for themselves.

A chunk's score joins four kinds of evidence: BM25 of the chunk and of its whole document, and the likeness of its vector
to the query's and of the document's vectors to it.
"""

from __future__ import annotations

import math
import threading
import weakref
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from batos.memory.vectors import ROWS
from batos.memory.words import words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from batos.image.store import View
    from batos.memory.records import Slots
    from batos.memory.vectors import Floats, VectorIndex

    Ints = NDArray[np.int32]

K1, B = 1.2, 0.75
MEANING = 0.42
"""Share of meaning in a score; the rest is words. Measured on the training queries of SciFact, as the next ones."""
WHOLE = 0.75
"""Share of the whole document in the evidence of words."""
NEAREST = 0.75
"""Share of the document's nearest chunk in the evidence of meaning."""

_WORDS = 20_000


class Found(NamedTuple):
    """A chunk that a search found.

    Attributes:
        number: The chunk.
        score: In (0, 1], more is better.
        likeness: Of its meaning to the query's, 0 to 1; 0 where either has no vector.
    """

    number: int
    score: float
    likeness: float


class Matrix:
    """The vectors of an index as one matrix, one row a chunk number; brought up to date block by block."""

    def __init__(self, model: str, dims: int) -> None:
        self.model = model
        self.rows: Floats = np.zeros((0, dims), np.float32)
        self.has: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._stamps: dict[int, int] = {}

    def update(self, index: VectorIndex) -> None:
        """Read the blocks that are new or have changed."""
        stamps = dict(index.stamps)
        size = (max(stamps, default=-1) + 1) * ROWS
        if size > len(self.rows):
            room = np.zeros((max(size, len(self.rows) * 5 // 4), self.rows.shape[1]), np.float32)
            room[: len(self.rows)] = self.rows
            self.rows, self.has = room, np.concatenate([self.has, np.zeros(len(room) - len(self.has), np.bool_)])
        for block, stamp in stamps.items():
            if self._stamps.get(block) != stamp:
                scales, rows = index.read(block)
                part = slice(block * ROWS, (block + 1) * ROWS)
                self.rows[part], self.has[part] = rows, scales > 0
        self._stamps = stamps


class Snapshot:
    """The catalog's indexes at one moment, as arrays; safe to read from several threads.

    Args:
        slots: The indexes.
        matrix: The vectors, up to date; None where there are none.
    """

    def __init__(self, slots: Slots, matrix: Matrix | None) -> None:
        self.firsts: Ints
        self.counts: Ints
        self.firsts, self.counts = _columns(slots.spans)
        size = int(self.firsts[-1] + self.counts[-1]) if len(self.firsts) else 1
        self.lengths: Floats = np.zeros(size, np.float32)
        numbers, lengths = _columns(slots.text.index.lengths())
        self.lengths[numbers] = lengths
        self.document: Ints = np.full(size, -1, np.int32)
        self.inside = _ranges(self.firsts, self.counts)
        self.document[self.inside] = np.repeat(np.arange(len(self.firsts), dtype=np.int32), self.counts)
        self.document_lengths: Floats = np.bincount(
            self.document[self.inside], self.lengths[self.inside], minlength=len(self.firsts)
        ).astype(np.float32)
        self.starts: Ints = (np.cumsum(self.counts) - self.counts).astype(np.int32)
        self.matrix = matrix
        self._of_chunks = _Okapi(self.lengths, len(self.inside))
        self._of_documents = _Okapi(self.document_lengths, len(self.firsts))
        self._words: dict[str, Evidence] = {}

    def evidence(self, slots: Slots, word: str) -> Evidence:
        """Give what a word tells of the chunks and documents that have it; reckoned once for all searches."""
        found = self._words.get(word)
        if found is None:
            found = self._evidence(slots.text.index.postings(word))
            if len(self._words) < _WORDS:
                self._words[word] = found
        return found

    def _evidence(self, held: Mapping[int, int]) -> Evidence:
        numbers, given = _columns(held)
        counts = given.astype(np.float32)
        if not len(numbers):
            return Evidence(numbers, counts, numbers, counts, 0.0, 0.0)
        documents = self.document[numbers]
        first = np.flatnonzero(np.diff(documents, prepend=-1))
        documents, sums = documents[first], np.add.reduceat(counts, first)
        return Evidence(
            numbers,
            self._of_chunks.gain(numbers, counts),
            documents,
            self._of_documents.gain(documents, sums),
            self._of_chunks.most(len(numbers)),
            self._of_documents.most(len(documents)),
        )


class Evidence(NamedTuple):
    """What a word tells: the chunks that have it with their gain in BM25, the documents, and the most that it can give."""

    numbers: Ints
    gains: Floats
    documents: Ints
    document_gains: Floats
    most: float
    document_most: float


class _Okapi:
    """BM25 over texts of given lengths."""

    def __init__(self, lengths: Floats, count: int) -> None:
        self._count = count
        usual = float(lengths.sum()) / max(count, 1)
        self._norm: Floats = (K1 * (1 - B + B * lengths / max(usual, 1))).astype(np.float32)

    def most(self, having: int) -> float:
        """The most that a word of so many texts can add to a score: rare words tell more."""
        return math.log(1 + (self._count - having + 0.5) / (having + 0.5)) * (K1 + 1)

    def gain(self, numbers: Ints, counts: Floats) -> Floats:
        """What a word adds to the score of the texts that have it, each so often."""
        gains: Floats = (self.most(len(numbers)) * counts / (counts + self._norm[numbers])).astype(np.float32)
        return gains


class _Warm:
    """The newest snapshot of one image."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.serials: tuple[bytes, bytes] = b"", b""
        self.snapshot: Snapshot | None = None
        self.matrix: Matrix | None = None

    def at(self, slots: Slots, *, past: bool) -> Snapshot:
        """Give the snapshot of a unit of work."""
        serials = _serials(slots)
        if past or serials is None:
            return Snapshot(slots, _matrix(slots.vectors, None))
        with self.lock:
            if serials < self.serials:
                # It began just before the newest change: rows that it does not know are never asked for.
                return Snapshot(slots, self.matrix)
            if self.snapshot is None or serials > self.serials:
                self.matrix = _matrix(slots.vectors, self.matrix)
                self.snapshot, self.serials = Snapshot(slots, self.matrix), serials
            return self.snapshot


_WARM: weakref.WeakKeyDictionary[Any, _Warm] = weakref.WeakKeyDictionary()
_GUARD = threading.Lock()


def snapshot(view: View, slots: Slots) -> Snapshot:
    """Give the arrays of the catalog as a unit of work sees it."""
    with _GUARD:
        warm = _WARM.setdefault(view.conn.db(), _Warm())
    return warm.at(slots, past=view.conn.before is not None)


def search(
    view: View,
    slots: Slots,
    query: str,
    vector: Sequence[float] | None,
    top_k: int,
    within: Iterable[int] | None = None,
) -> list[Found]:
    """Find the chunks that say most about a query, best first; equal scores in the order of their numbers.

    Args:
        view: The unit of work.
        slots: The indexes.
        query: Any text; nothing in it has a special meaning.
        vector: The query's vector, of the model that made the catalog's; None searches by words alone.
        top_k: At most this many.
        within: The chunks that the answer is limited to.
    """
    now = snapshot(view, slots)
    if not len(now.firsts) or top_k < 1:
        return []
    scores, likeness = _scores(now, slots, query, vector)
    if within is not None:
        allowed = np.zeros(len(scores), np.bool_)
        allowed[[number for number in within if number < len(scores)]] = True
        scores[~allowed] = 0
    count = min(top_k, len(scores))
    best = np.argpartition(-scores, count - 1)[:count]
    best = best[np.lexsort((best, -scores[best]))]
    return [
        Found(number, min(float(scores[number]), 1.0), min(max(float(likeness[number]), 0.0), 1.0))
        for number in best.tolist()
        if scores[number] > 0 and number in slots.numbers
    ]


def _scores(now: Snapshot, slots: Slots, query: str, vector: Sequence[float] | None) -> tuple[Floats, Floats]:
    """The score of each chunk, and the likeness of its meaning alone."""
    by_words = _by_words(now, slots, query)
    if vector is None or now.matrix is None or len(vector) != now.matrix.rows.shape[1]:
        return by_words, np.zeros(len(by_words), np.float32)
    likeness = np.zeros(len(now.document), np.float32)
    known = min(len(likeness), len(now.matrix.rows))
    likeness[:known] = now.matrix.rows[:known] @ np.asarray(vector, np.float32)
    by_meaning = _with_document(now, likeness)
    # A chunk without a vector yet competes by its words alone.
    joined: Floats = ((1 - MEANING) * by_words + MEANING * np.maximum(by_meaning, 0)).astype(np.float32)
    return joined, likeness


def _by_words(now: Snapshot, slots: Slots, query: str) -> Floats:
    """BM25 of each chunk and of its document, as a share of the most that the query's words can give."""
    chunks, whole = np.zeros(len(now.document), np.float32), np.zeros(len(now.firsts), np.float32)
    most = most_whole = 0.0
    for word, times in Counter(words_of(query)).items():
        told = now.evidence(slots, word)
        chunks[told.numbers] += times * told.gains
        whole[told.documents] += times * told.document_gains
        most += times * told.most
        most_whole += times * told.document_most
    if not most:
        return chunks
    of_document = (whole / most_whole)[np.maximum(now.document, 0)]
    # A chunk with none of the words is not told for its neighbours' sake.
    return np.where(chunks > 0, (1 - WHOLE) * chunks / most + WHOLE * of_document, 0).astype(np.float32)


def _with_document(now: Snapshot, likeness: Floats) -> Floats:
    """Join the likeness of each chunk with that of its document, which is that of its nearest chunk."""
    inside = likeness[now.inside]
    whole = np.repeat(np.maximum.reduceat(inside, now.starts), now.counts)
    joined = np.zeros_like(likeness)
    joined[now.inside] = (1 - NEAREST) * inside + NEAREST * whole
    return joined


def _columns(held: Mapping[int, int]) -> tuple[Ints, Ints]:
    """Give keys and values of a mapping, in the order of the keys."""
    keys, values = np.fromiter(held.keys(), np.int32), np.fromiter(held.values(), np.int32)
    order = np.argsort(keys, kind="stable")
    return keys[order], values[order]


def _ranges(firsts: Ints, counts: Ints) -> Any:
    """Give all numbers of spans, in order."""
    if not len(firsts):
        return np.zeros(0, np.int64)
    ends = np.cumsum(counts)
    return np.arange(ends[-1]) + np.repeat(firsts - (ends - counts), counts)


def _serials(slots: Slots) -> tuple[bytes, bytes] | None:
    """Say which state of the indexes this is; None when it is not committed."""
    serials = []
    for index in (slots.text, slots.vectors):
        if index is None:
            serials.append(b"")
            continue
        index._p_activate()
        if index._p_changed or index._p_jar is None or not any(index._p_serial):
            return None
        serials.append(index._p_serial)
    return serials[0], serials[1]


def _matrix(index: VectorIndex | None, held: Matrix | None) -> Matrix | None:
    if index is None:
        return None
    if held is None or held.model != index.model or held.rows.shape[1] != index.dims:
        held = Matrix(index.model, index.dims)
    held.update(index)
    return held
