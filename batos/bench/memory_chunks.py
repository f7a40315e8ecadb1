"""How well texts are cut: which share of the reference excerpts lies in the five nearest chunks, and how little else.

Ours against chunks of fixed length and chonkie's recursive ones, with the same embeddings and the same nearest-by-cosine
search. Measured in characters: recall, and intersection over union of what was retrieved and what was wanted.
"""

from __future__ import annotations

import asyncio
import json
import statistics
from typing import TYPE_CHECKING, Any, NamedTuple

from batos.bench.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from pathlib import Path

    from batos.bench.figures import Tell

    Tokens = Callable[[str], list[tuple[int, int]]]
    Embed = Callable[[Sequence[str]], Awaitable[list[list[float]]]]
    Rates = dict[str, tuple[float, float]]

_ALL = ""
_TOP = 5
_SIZES = (200, 400)
_AT_ONCE = 64


class Span(NamedTuple):
    """A stretch of a text."""

    text: str
    start: int
    end: int


async def measure(folder: Path, embed: Embed, model: Path, tell: Tell) -> list[Figure]:
    """Cut the texts in all ways and ask the questions."""
    texts = await asyncio.to_thread(_read, folder)
    questions = [
        json.loads(line)
        for line in (await asyncio.to_thread((folder / "questions.jsonl").read_text, "utf-8")).splitlines()
    ]
    asked = await _embedded(embed, [question["question"] for question in questions])
    peers: dict[str, Rates] = {}
    for name, spans in _peers(texts, _tokens_of(model)):
        vectors = await _embedded(embed, [texts[span.text][span.start : span.end] for span in spans])
        peers[name] = _rates(questions, spans, asked, vectors)
        tell(f"{name}: recall {peers[name][_ALL][0]:.3f}, IoU {peers[name][_ALL][1]:.4f}")
    spans, plain, vectors = await _ours(texts, embed)
    ours = _rates(questions, spans, asked, vectors)
    figures = _beside(ours, peers, _ALL, "", bound=1.0)
    figures += _beside(_rates(questions, spans, asked, plain), peers, _ALL, ", vectors of the chunks' own text alone")
    for name in (name for name in ours if name != _ALL):
        figures += _beside(ours, peers, name, f", {name} alone")
    return figures


def _beside(ours: Rates, peers: dict[str, Rates], name: str, how: str, bound: float | None = None) -> list[Figure]:
    """Give recall and IoU on one text, or on all, against the best of the peers in each."""
    figures = []
    for place, kind in enumerate(("recall", "IoU")):
        best = max(peers, key=lambda peer: peers[peer][name][place])
        mine, theirs = ours[name][place], peers[best][name][place]
        note = f"{mine:.4f} beside {theirs:.4f} of {best}"
        figures.append(Figure(f"chunks: {kind} of the top 5{how}", mine / theirs, bound, ">=", note=note))
    return figures


def _read(folder: Path) -> dict[str, str]:
    return {file.stem: file.read_bytes().decode() for file in sorted(folder.glob("*.md"))}


async def _ours(texts: dict[str, str], embed: Embed) -> tuple[list[Span], list[list[float]], list[list[float]]]:
    """Cut and embed as the weaving of Fractal Memory does; gives the vectors of the chunks' own texts too."""
    from batos.memory import chunking
    from batos.memory.meaning import in_context
    from batos.memory.units import units_of

    spans: list[Span] = []
    plain: list[list[float]] = []
    vectors: list[list[float]] = []
    for name, text in texts.items():
        units = units_of(text)
        sentences = await _embedded(embed, [text[unit.start : unit.end] for unit in units])
        chunks = chunking.joined(text, units, sentences)
        spans += [Span(name, chunk.start, chunk.end) for chunk in chunks]
        plain += await _embedded(embed, [chunk.text for chunk in chunks])
        vectors += in_context(await _embedded(embed, chunking.in_place(chunks)))
    return spans, plain, vectors


def _peers(texts: dict[str, str], tokens: Tokens) -> Iterator[tuple[str, list[Span]]]:
    """Give the peers' chunks; tokens are the embedding model's own."""
    from chonkie import RecursiveChunker

    for size in _SIZES:
        yield f"fixed {size}", [span for name, text in texts.items() for span in _fixed(name, text, size, tokens)]
    for size in _SIZES:
        chunker = RecursiveChunker(tokenizer=lambda text: len(tokens(text)), chunk_size=size)
        yield (
            f"recursive {size}",
            [Span(name, cut.start_index, cut.end_index) for name, text in texts.items() for cut in chunker.chunk(text)],
        )


def _fixed(name: str, text: str, size: int, tokens: Tokens) -> Iterator[Span]:
    places = tokens(text)
    for first in range(0, len(places), size):
        yield Span(name, places[first][0], places[min(first + size, len(places)) - 1][1])


def _tokens_of(model: Path) -> Tokens:
    """Give what cuts a text into the embedding model's own tokens: start and end of each."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: list(tokenizer.encode(text, add_special_tokens=False).offsets)


def _rates(
    questions: list[dict[str, Any]], spans: list[Span], asked: list[list[float]], vectors: list[list[float]]
) -> Rates:
    """Give mean recall and mean IoU of the nearest chunks: of all questions, and of those on each text."""
    rates = {_ALL: _rate(questions, spans, asked, vectors)}
    for name in dict.fromkeys(question["corpus_id"] for question in questions):
        of_it = [place for place, question in enumerate(questions) if question["corpus_id"] == name]
        rates[name] = _rate([questions[place] for place in of_it], spans, [asked[place] for place in of_it], vectors)
    return rates


def _rate(
    questions: list[dict[str, Any]], spans: list[Span], asked: list[list[float]], vectors: list[list[float]]
) -> tuple[float, float]:
    """Give mean recall and mean IoU of the nearest chunks."""
    import numpy as np

    scores = np.asarray(asked, np.float32) @ np.asarray(vectors, np.float32).T
    recalls, ious = [], []
    for question, row in zip(questions, scores, strict=True):
        chosen = [spans[index] for index in np.argsort(-row, kind="stable")[:_TOP]]
        wanted = [(part["start_index"], part["end_index"]) for part in question["references"]]
        met = sum(
            max(0, min(end, span.end) - max(start, span.start))
            for start, end in wanted
            for span in chosen
            if span.text == question["corpus_id"]
        )
        total = sum(end - start for start, end in wanted)
        recalls.append(met / total)
        ious.append(met / (sum(span.end - span.start for span in chosen) + total - met))
    return statistics.mean(recalls), statistics.mean(ious)


async def _embedded(embed: Embed, texts: list[str]) -> list[list[float]]:
    vectors: list[list[float]] = []
    for start in range(0, len(texts), _AT_ONCE):
        vectors += await embed(texts[start : start + _AT_ONCE])
    return vectors
