"""Chunking: exact slices of the source, within sizes, broken where meaning turns."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batos.memory.chunking import MIN_CHARS, Chunk, in_place, split
from batos.memory.units import MAX_CHARS

if TYPE_CHECKING:
    from collections.abc import Sequence

_MARKDOWN = st.lists(
    st.sampled_from(
        [
            "# A heading\n",
            "## Another one\n",
            "\n",
            "```python\n",
            "```\n",
            "~~~\n",
            "    indented code\n",
            "Dr. Smith went to the shop, e.g. for milk. He came back. ",
            "A sentence that goes on for quite a while without saying anything of note at all. " * 3,
            "- an item\n",
            "word " * 300,
            "x" * 1500,
            "\t \n",
            "Ünï 数え。",
        ]
    ),
    max_size=25,
).map("".join)


def _blanks_dropped(text: str) -> str:
    return "".join(text.split())


@settings(max_examples=150, deadline=None)
@given(_MARKDOWN | st.text(max_size=3000))
def test_chunks_are_the_text(text: str) -> None:
    """Chunks are slices of the source in order, and together they are all of it but blanks."""
    chunks = split(text)
    assert all(chunk.text == text[chunk.start : chunk.end] for chunk in chunks)
    assert all(a.end <= b.start for a, b in pairwise(chunks))
    assert _blanks_dropped("".join(chunk.text for chunk in chunks)) == _blanks_dropped(text)


@settings(max_examples=150, deadline=None)
@given(_MARKDOWN)
def test_sizes_hold(text: str) -> None:
    """No chunk is too long, and one is too short only where no neighbour has room for it."""
    chunks = split(text)
    assert all(0 < len(chunk.text) <= MAX_CHARS for chunk in chunks)
    for a, b in pairwise(chunks):
        assert min(len(a.text), len(b.text)) >= MIN_CHARS or b.end - a.start > MAX_CHARS


def _sentences(count: int, seed: int = 0) -> str:
    rng = random.Random(seed)
    return " ".join(
        f"The {rng.choice('abcdefgh') * 9} number {n} met another one on its way home." for n in range(count)
    )


def test_short_texts_stay_whole() -> None:
    """A text that fits into a chunk is one chunk, without the blanks around it."""
    assert [(c.start, c.end) for c in split("  A question?\n\nAn answer. \n")] == [(2, 25)]
    assert split("") == split(" \n\t ") == []


def test_prose_breaks_between_sentences() -> None:
    """Long prose without paragraphs is cut at the ends of sentences only."""
    chunks = split(_sentences(80))
    assert len(chunks) > 3
    assert all(chunk.text.startswith("The ") and chunk.text.endswith("home.") for chunk in chunks)


def test_abbreviations_end_no_sentence() -> None:
    """A chunk never begins in the middle of a name such as Dr. Smith."""
    text = "It was said that Dr. Smith and Mrs. Jones saw it, e.g. on the hill. " * 60
    assert all(chunk.text.startswith("It was said") for chunk in split(text))


def test_headings_open_chunks() -> None:
    """A heading stands at the start of a chunk with what follows it, never at the end of one."""
    text = "\n\n".join(f"## Part {n}\n\n{_sentences(9, n)}" for n in range(6))
    chunks = split(text)
    assert sum(chunk.text.startswith("## Part") for chunk in chunks) == 6
    assert not any(chunk.text.splitlines()[-1].startswith("#") for chunk in chunks)


@pytest.mark.parametrize("title", ["Of bees", "# Of bees"])
def test_later_chunks_are_embedded_under_the_title(title: str) -> None:
    """What is embedded names the document it stands in, once; the chunks themselves stay slices of the source."""
    text = f"{title}\n\n{_sentences(40)}"
    chunks = split(text)
    embedded = in_place(chunks)
    assert len(chunks) > 2
    assert embedded[0] == chunks[0].text
    assert embedded[1:] == [f"{title}\n\n{chunk.text}" for chunk in chunks[1:]]


def test_without_a_title_chunks_are_embedded_as_they_are() -> None:
    """Prose that opens with a long line, or with its first sentence, has no title."""
    chunks = split(_sentences(40))
    assert in_place(chunks) == [chunk.text for chunk in chunks]
    assert in_place([Chunk(0, 9, "one\nlines")]) == ["one\nlines"]
    assert in_place([]) == []


def test_code_blocks_stay_whole() -> None:
    """A fenced block that fits into a chunk is not cut, whatever it looks like inside."""
    code = "```python\n# not a heading\n\ndef f():\n    return 'No. It. Is. Not.'\n```"
    text = "\n\n".join([_sentences(12), code, _sentences(12, 1), code, _sentences(12, 2)])
    assert sum(chunk.text.count(code) for chunk in split(text)) == 2


def test_long_code_is_cut_at_lines() -> None:
    """A fenced block that is longer than a chunk is cut between its lines."""
    lines = [f"    value_{n} = compute({n})  # step" for n in range(200)]
    chunks = split("```python\n" + "\n".join(lines) + "\n```")
    cut = [line for chunk in chunks for line in chunk.text.splitlines()]
    assert [line.strip() for line in cut[1:-1]] == [line.strip() for line in lines]


def test_an_open_fence_reaches_to_the_end() -> None:
    """A fence that nobody closes loses nothing."""
    text = f"{_sentences(20)}\n\n```\nleft open\n\n# still code"
    assert split(text)[-1].text.endswith("# still code")


def test_vectors_decide_where_meaning_turns() -> None:
    """With vectors a chunk ends where neighbouring sentences part company, and only there."""
    topics = [("bees fly and dance", [1.0, 0.0]), ("ships sail over seas", [0.0, 1.0])]
    text = " ".join(
        f"Here {topics[n // 10 % 2][0]} in sentence {n}." for n in range(60)
    )  # ten sentences on each topic in turn

    def vectors(sentences: list[str]) -> Sequence[Sequence[float]]:
        return [topics[0][1] if "bees" in sentence else topics[1][1] for sentence in sentences]

    chunks = split(text, vectors=vectors)
    assert [("bees" in c.text, "ships" in c.text) for c in chunks] == [(True, False), (False, True)] * 3


@pytest.mark.parametrize("vector", [[], [0.0, 0.0]])
def test_vectors_that_say_nothing_do_no_harm(vector: list[float]) -> None:
    """Vectors without length make every neighbour equally unlike; sizes still hold."""
    chunks = split(_sentences(80), vectors=lambda sentences: [vector for _ in sentences])
    assert all(len(chunk.text) <= MAX_CHARS for chunk in chunks)
