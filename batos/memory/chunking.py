"""Cuts a document into chunks where its meaning turns, offline and in linear time.

A text becomes units (sentences, code blocks, headings), neighbouring units are linked more or less tightly, and each
chunk ends at the loosest link within reach. With vectors a link is the likeness of two neighbours; without them the
layout decides. Every chunk is a slice of the source, so its offsets are exact, and together the chunks hold
all of it but the blanks between them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

MIN_CHARS = 200
TARGET_CHARS = 700
MAX_CHARS = 1200
BREAK_PERCENTILE = 5

_LEARN_FROM = 20_000
_LEARN_AT_MOST = 60_000
_PROSE_AT_MOST = 4_000
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_FENCE = re.compile(r"[ ]{0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r"[ ]{0,3}#{1,6}(\s|$)")
_ABBREVIATIONS = frozenset(
    ["approx", "cf", "dr", "e.g", "et al", "etc", "fig", "i.e", "jr", "mr", "mrs", "ms", "no", "prof", "sr", "st", "vs"]
)

Vectors = Callable[[list[str]], Sequence[Sequence[float]]]


class Chunk(NamedTuple):
    """A piece of a document: `text` is `source[start:end]`, in characters."""

    start: int
    end: int
    text: str


class _Unit(NamedTuple):
    """What is kept whole where it can be; `link` says how tightly it hangs on the unit before it (1 most)."""

    start: int
    end: int
    link: float


_HEADS, _BLOCK, _SENTENCE = 0.0, 0.5, 1.0


def split(text: str, *, vectors: Vectors | None = None) -> list[Chunk]:
    """Cut a text into chunks of `MIN_CHARS` to `MAX_CHARS` characters.

    A chunk is shorter than that only where no neighbour has room for it. Headings stay with what follows them, and
    fenced code is cut, at its lines, only when it is longer than a chunk.

    Args:
        text: Any text; Markdown's headings and fences are respected.
        vectors: Embeds a list of sentences. Where it is given, chunks break at the 5th percentile of the likeness of
            neighbours first, and at the least likely neighbours where a chunk would grow too long.
    """
    units = [piece for unit in _units(text) for piece in _fitted(text, unit)]
    loose = -math.inf
    if vectors is not None and len(units) > 1:
        units, loose = _relinked(text, units, vectors)
    spans = _merged(_grouped(units, loose))
    return [Chunk(start, end, text[start:end]) for start, end in spans]


def _units(text: str) -> Iterator[_Unit]:
    whole = len(text) <= MAX_CHARS
    learned = None
    for start, end, kind in _blocks(text):
        if kind != "prose" or whole:
            yield _Unit(_left(text, start, end), end, _HEADS if kind == "heading" else _BLOCK)
            continue
        learned = learned or _sentences_of(text)
        link = _BLOCK
        for first, last in _sentence_spans(text, start, end, learned):
            yield _Unit(first, last, link)
            link = _SENTENCE


def _blocks(text: str) -> Iterator[tuple[int, int, str]]:
    """Give start, end and kind (heading, code, prose) of each block; blank lines and edges left out."""
    start, end, kind, fence = 0, 0, "", ""
    for match in _LINE.finditer(text):
        line = match.group()
        mark = _FENCE.match(line)
        if kind == "code":
            end = match.end()
            if mark and mark.group(1).startswith(fence) and not line[mark.end() :].strip():
                yield start, _right(text, start, end), kind
                kind = ""
            continue
        opens = mark is not None or _HEADING.match(line) is not None
        if kind and (opens or not line.strip()):
            yield start, _right(text, start, end), kind
            kind = ""
        if mark is not None:
            start, end, kind, fence = match.start(), match.end(), "code", mark.group(1)
        elif opens:
            yield match.start(), _right(text, match.start(), match.end()), "heading"
        elif line.strip():
            start, kind = (start, kind) if kind else (match.start(), "prose")
            end = match.end()
    if kind:
        yield start, _right(text, start, end), kind


def _right(text: str, start: int, end: int) -> int:
    """Move an end to the left over blanks."""
    while end > start and text[end - 1].isspace():
        end -= 1
    return end


def _left(text: str, start: int, end: int) -> int:
    while start < end and text[start].isspace():
        start += 1
    return start


def _sentences_of(text: str) -> Any:
    """Give a sentence tokenizer that has learned the text's own abbreviations where there is enough to learn from."""
    return _tokenizer(text[:_LEARN_AT_MOST] if len(text) >= _LEARN_FROM else None)


@lru_cache(maxsize=1)
def _tokenizer(sample: str | None) -> Any:
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer, PunktTrainer  # slow to import

    params = PunktParameters()
    if sample is not None:
        trainer = PunktTrainer()
        trainer.train(sample, finalize=True)
        params = trainer.get_params()
    params.abbrev_types.update(_ABBREVIATIONS)
    return PunktSentenceTokenizer(params)


def _sentence_spans(text: str, start: int, end: int, learned: Any) -> Iterator[tuple[int, int]]:
    """Give the sentences of a stretch of prose; a very long one is looked at window by window."""
    while start < end:
        stop = end if end - start <= _PROSE_AT_MOST else _cut(text, start, start + _PROSE_AT_MOST)
        for first, last in learned.span_tokenize(text[start:stop]):
            left, right = _left(text, start + first, start + last), _right(text, start + first, start + last)
            if left < right:
                yield left, right
        start = stop


def _fitted(text: str, unit: _Unit) -> Iterator[_Unit]:
    """Cut a unit that is longer than a chunk: at lines, else at blanks, else anywhere."""
    start, end, link = unit
    while end - start > MAX_CHARS:
        stop = _cut(text, start, start + MAX_CHARS)
        last = _right(text, start, stop)
        if last > start:
            yield _Unit(start, last, link)
        start, link = _left(text, stop, end), _SENTENCE
    if start < end:
        yield _Unit(start, end, link)


def _cut(text: str, start: int, limit: int) -> int:
    """Find where to cut in the second half of text[start:limit]."""
    half = (start + limit) // 2
    for blank in ("\n", " ", "\t"):
        at = text.rfind(blank, half, limit)
        if at > start:
            return at + 1
    return limit


def _relinked(text: str, units: list[_Unit], vectors: Vectors) -> tuple[list[_Unit], float]:
    """Link the units by the likeness of their vectors; gives them and the link at which a chunk ends by itself."""
    embedded = vectors([text[u.start : u.end] for u in units])
    links = [1.0, *(_likeness(a, b) for a, b in pairwise(embedded))]
    ranked = sorted(links[1:])
    loose = ranked[(len(ranked) - 1) * BREAK_PERCENTILE // 100]
    # A heading opens a chunk whatever the vectors say.
    kept = [
        unit._replace(link=-math.inf if unit.link == _HEADS else link) for unit, link in zip(units, links, strict=True)
    ]
    return kept, loose


def _likeness(a: Sequence[float], b: Sequence[float]) -> float:
    norm = math.sqrt(math.fsum(x * x for x in a) * math.fsum(x * x for x in b))
    return math.fsum(x * y for x, y in zip(a, b, strict=True)) / norm if norm else 0.0


def _grouped(units: list[_Unit], loose: float) -> Iterator[tuple[int, int]]:
    """Join units to chunks: up to the loosest link within reach, or to a link that ends a chunk by itself."""
    at = 0
    while at < len(units):
        stop = _stop(units, at, loose)
        yield units[at].start, units[stop - 1].end
        at = stop


def _stop(units: list[_Unit], at: int, loose: float) -> int:
    """Find the index after the last unit of the chunk that begins with unit `at`."""
    start = units[at].start
    best, chosen = (math.inf, math.inf), at + 1
    for index in range(at + 1, len(units)):
        size, link = units[index - 1].end - start, units[index].link
        if size > MAX_CHARS:
            return chosen
        if size < MIN_CHARS:
            chosen = index
            continue
        if link <= max(loose, _HEADS):
            return index
        rank = (link, abs(size - TARGET_CHARS))
        if rank < best:
            best, chosen = rank, index
    return len(units) if units[-1].end - start <= MAX_CHARS else chosen


def _merged(spans: Iterator[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join a chunk that is too short with the one before it where both fit into one."""
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged:
            first, last = merged[-1]
            if min(end - start, last - first) < MIN_CHARS and end - first <= MAX_CHARS:
                merged[-1] = first, end
                continue
        merged.append((start, end))
    return merged
