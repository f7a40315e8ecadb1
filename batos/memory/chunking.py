"""Cuts a document into chunks where its meaning turns, offline and in linear time.

A text becomes units (`units`), and of all ways to join neighbouring units to chunks the best is taken: chunks near
`TARGET_CHARS`, cut where the layout is loose and, with vectors, made of sentences that belong together. Every chunk is a
slice of the source, so its offsets are exact, and together the chunks hold all of it but the blanks between them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from batos.memory.units import HEADING, MAX_CHARS, SENTENCE, Unit, units_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

MIN_CHARS = 200
TARGET_CHARS = 800
TITLE_CHARS = 300
"""A longer first line is no title."""

_MOST_UNITS = 64
"""No chunk joins more units than that, so that a text of tiny ones takes no longer than it must."""
_SHORT = 4.0
_ORPHAN = 6.0
_AT_HEADING = 1.0
_MID_BLOCK = 0.25

Vectors = Callable[[list[str]], Sequence[Sequence[float]]]


class Chunk(NamedTuple):
    """A piece of a document: `text` is `source[start:end]`, in characters."""

    start: int
    end: int
    text: str


def split(text: str, *, vectors: Vectors | None = None, form: str = "markdown") -> list[Chunk]:
    """Cut a text into chunks of `MIN_CHARS` to `MAX_CHARS` characters.

    A chunk is shorter than that only where no neighbour has room for it. Headings stay with what follows them, and
    fenced code is cut, at its lines, only when it is longer than a chunk.

    Args:
        text: Any text; Markdown's headings and fences are respected.
        vectors: Embeds a list of sentences; where it is given, meaning decides beside the layout.
        form: `python` for source code.
    """
    units = units_of(text, form)
    embedded = vectors([text[u.start : u.end] for u in units]) if vectors is not None and needs_vectors(units) else None
    return joined(text, units, embedded)


def needs_vectors(units: Sequence[Unit]) -> bool:
    """Tell whether meaning has a say: a text of one or two chunks is cut well by its layout."""
    return len(units) > 1 and units[-1].end - units[0].start > 2 * MAX_CHARS


def joined(text: str, units: Sequence[Unit], vectors: Sequence[Sequence[float]] | None = None) -> list[Chunk]:
    """Join the units of a text to chunks; see `split`.

    Args:
        text: The text.
        units: Its units.
        vectors: One for each unit.
    """
    if not units:
        return []
    if units[-1].end - units[0].start <= MAX_CHARS:
        spans = [(units[0].start, units[-1].end)]
    else:
        spans = _merged(_best(units, _Meaning(vectors) if vectors is not None else None))
    return [Chunk(start, end, text[start:end]) for start, end in spans]


def heading(text: str, *, opens: bool) -> str:
    """Give a chunk's first line where it is a heading, or the title of the document that the chunk opens; else ""."""
    line, _, rest = text.partition("\n")
    titled = rest and len(line) <= TITLE_CHARS and (line.startswith("#") or (opens and not rest[0].strip()))
    return line if titled else ""


def in_place(chunks: Sequence[Chunk]) -> list[str]:
    """Give what each of a document's chunks is embedded as: itself, under the document's title where it has one."""
    title = heading(chunks[0].text, opens=chunks[0].start == 0) if chunks else ""
    return [f"{title}\n\n{chunk.text}" if title and place else chunk.text for place, chunk in enumerate(chunks)]


class _Meaning:
    """How well neighbouring units go together, by their vectors."""

    def __init__(self, vectors: Sequence[Sequence[float]]) -> None:
        import numpy as np

        given = np.asarray(vectors, dtype=np.float32).reshape(len(vectors), -1)
        norms = np.linalg.norm(given, axis=1, keepdims=True) if given.shape[1] else np.zeros((len(given), 1))
        unit = given / np.where(norms > 0, norms, 1)
        likeness = (unit[1:] * unit[:-1]).sum(axis=1)
        self.usual = float(likeness.mean())
        self._vectors = unit

    def cohesion(self, first: int, last: int) -> list[float]:
        """Give for the chunks units[k:last+1], k from `last` down to `first`, how much likelier they are than usual."""
        import numpy as np

        window = self._vectors[first : last + 1][::-1]
        sums = np.cumsum(window, axis=0)
        counts = np.arange(1, len(window) + 1)
        pairs = ((sums * sums).sum(axis=1) - np.cumsum((window * window).sum(axis=1))) / 2
        usual = np.maximum(counts * (counts - 1) / 2, 1)
        gains: list[float] = np.where(counts > 1, (pairs / usual - self.usual) * counts, 0.0).tolist()
        return gains


def _best(units: Sequence[Unit], meaning: _Meaning | None) -> list[tuple[int, int]]:
    """Choose the chunks whose gains are the most in sum; each looks back no further than a chunk reaches."""
    count = len(units)
    best, back = [0.0] + [-math.inf] * count, [0] * (count + 1)
    first = 0
    for last in range(count):
        while units[last].end - units[first].start > MAX_CHARS or last - first >= _MOST_UNITS:
            first += 1
        cohesion = meaning.cohesion(first, last) if meaning is not None else [0.0] * (last + 1 - first)
        orphan = _ORPHAN if units[last].link == HEADING and last + 1 < count else 0.0
        for start in range(last, first - 1, -1):
            gain = best[start] + cohesion[last - start] - orphan
            gain += _of_cut(units, start, meaning) - _of_size(units[last].end - units[start].start)
            if gain > best[last + 1]:
                best[last + 1], back[last + 1] = gain, start
    spans, end = [], count
    while end:
        spans.append((units[back[end]].start, units[end - 1].end))
        end = back[end]
    return spans[::-1]


def _of_size(size: int) -> float:
    away = math.log(size / TARGET_CHARS)
    return away * away * size / TARGET_CHARS + (_SHORT if size < MIN_CHARS else 0.0)


def _of_cut(units: Sequence[Unit], start: int, meaning: _Meaning | None) -> float:
    """What a cut before a unit is worth."""
    if not start:
        return 0.0
    if units[start].link == HEADING:
        # Of several headings in a row the first one opens the chunk.
        return 0.0 if units[start - 1].link == HEADING else _AT_HEADING
    return -_MID_BLOCK if meaning is None and units[start].link == SENTENCE else 0.0


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
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
