"""Cuts a text into units, the smallest pieces that a chunk is made of: headings, code blocks, sentences; in linear time.

Sentences are found by nltk's Punkt, which learns abbreviations from a long text itself; nothing is downloaded. Source code
gives its paragraphs, opened by definitions.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CHARS = 1200
"""No unit is longer."""

HEADING, BLOCK, SENTENCE = 0.0, 0.5, 1.0
"""How tightly a unit hangs on the one before it, by layout: a heading or definition, a new block, the next sentence."""

_LEARN_FROM = 20_000
_LEARN_AT_MOST = 60_000
_PROSE_AT_MOST = 4_000
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_FENCE = re.compile(r"[ ]{0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r"[ ]{0,3}#{1,6}(\s|$)")
_DEFINITION = re.compile(r"(?:@|(?:async\s+)?def\s|class\s)")
_ABBREVIATIONS = frozenset(
    ["approx", "cf", "dr", "e.g", "et al", "etc", "fig", "i.e", "jr", "mr", "mrs", "ms", "no", "prof", "sr", "st", "vs"]
)


class Unit(NamedTuple):
    """What is kept whole: `text[start:end]`, and how tightly it hangs on the unit before it (1 most)."""

    start: int
    end: int
    link: float


def units_of(text: str, form: str = "markdown") -> list[Unit]:
    """Cut a text into units of at most `MAX_CHARS` characters, in order; blanks between them are in none.

    Args:
        text: Any text.
        form: `python` for source code; anything else is read as Markdown, which plain text is too.
    """
    found = _code_units(text) if form == "python" else _prose_units(text)
    return [piece for unit in found for piece in _fitted(text, unit)]


def _code_units(text: str) -> Iterator[Unit]:
    """Give the paragraphs of source code; a definition opens one, and its decorators belong to it."""
    start, end, link, decorated = -1, 0, HEADING, False
    for match in _LINE.finditer(text):
        line = match.group()
        words = line.strip()
        opens = _DEFINITION.match(words) is not None and not decorated
        if start >= 0 and (opens or not words):
            yield Unit(start, _right(text, start, end), link)
            start = -1
        if not words:
            continue
        if start < 0:
            start = match.start()
            link = SENTENCE if not opens else HEADING if not line[0].isspace() else BLOCK
        end, decorated = match.end(), words.startswith("@")
    if start >= 0:
        yield Unit(start, _right(text, start, end), link)


def _prose_units(text: str) -> Iterator[Unit]:
    whole = len(text) <= MAX_CHARS
    learned = None
    for start, end, kind in _blocks(text):
        if kind != "prose" or whole:
            yield Unit(_left(text, start, end), end, HEADING if kind == "heading" else BLOCK)
            continue
        learned = learned or _tokenizer_for(text)
        link = BLOCK
        for first, last in _sentence_spans(text, start, end, learned):
            yield Unit(first, last, link)
            link = SENTENCE


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


def _tokenizer_for(text: str) -> Any:
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


def _fitted(text: str, unit: Unit) -> Iterator[Unit]:
    """Cut a unit that is longer than a chunk: at lines, else at blanks, else anywhere."""
    start, end, link = unit
    while end - start > MAX_CHARS:
        stop = _cut(text, start, start + MAX_CHARS)
        last = _right(text, start, stop)
        if last > start:
            yield Unit(start, last, link)
        start, link = _left(text, stop, end), SENTENCE
    if start < end:
        yield Unit(start, end, link)


def _cut(text: str, start: int, limit: int) -> int:
    """Find where to cut in the second half of text[start:limit]."""
    half = (start + limit) // 2
    for blank in ("\n", " ", "\t"):
        at = text.rfind(blank, half, limit)
        if at > start:
            return at + 1
    return limit
