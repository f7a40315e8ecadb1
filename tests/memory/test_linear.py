"""Chunking takes linear time: its work is counted, not timed, over texts that double, of every hostile shape."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any, SupportsIndex

import pytest
from nltk.tokenize import punkt

from batos.memory import units
from batos.memory.chunking import split

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SENTENCE = "The keeper of the lighthouse met Dr. Smith on the way home, e.g. with a lamp. "
_MAKES: dict[str, Callable[[int], str]] = {
    "prose": lambda n: _SENTENCE * (n // len(_SENTENCE)),
    "paragraphs": lambda n: (_SENTENCE * 4 + "\n\n") * (n // len(_SENTENCE) // 4),
    "one line": lambda n: "word " * (n // 5),
    "one word": lambda n: "x" * n,
    "blanks in a line": lambda n: f"a{' ' * n}b",
    "blank lines": lambda n: f"a{chr(10) * n}b",
    "short sentences": lambda n: "A b. " * (n // 5),
    "headings": lambda n: "# h\n" * (n // 4),
    "headings with text": lambda n: "## Of bees\n\nThey fly.\n\n" * (n // 24),
    "one code block": lambda n: "```\n" + "    x = y\n" * (n // 10) + "```\n",
    "a code block of one line": lambda n: f"```\n{'x' * n}\n```\n",
    "an open code block": lambda n: "```\n" + "x\n" * (n // 2),
    "many code blocks": lambda n: "```\nx\n```\n" * (n // 10),
    "fences in fences": lambda n: "~~~~\n```\n" * (n // 9),
    "python in one line": lambda n: "x" * n,
    "python without a blank line": lambda n: "x = y\n" * (n // 6),
    "python of definitions": lambda n: "@d\ndef f():\n    pass\n" * (n // 21),
}
_HUGE = ("one word", "blanks in a line", "a code block of one line", "python in one line")
_SHAPES = [(shape, 1_000_000 if shape in _HUGE else 24_000) for shape in _MAKES]
"""Each shape with the characters of its longest text; those of many units take long when each call is counted."""


class Counted(str):
    """A text that counts the characters that are copied from it or searched in it."""

    __slots__ = ("work",)

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        piece = super().__getitem__(key)
        self.work += len(piece)
        return piece

    def rfind(self, sub: str, start: Any = 0, end: Any = None) -> int:
        self.work += (len(self) if end is None else end) - start
        return super().rfind(sub, start, end)


def _work(text: str, form: str) -> int:
    """Chunk a text; gives how many calls it took, and characters that were touched or embedded."""
    counted = Counted(text)
    counted.work = calls = embedded = 0

    def count(_frame: Any, event: str, _arg: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    def embed(sentences: list[str]) -> Sequence[Sequence[float]]:
        nonlocal embedded
        embedded += sum(map(len, sentences))
        return [[1.0, float(len(sentence) % 3)] for sentence in sentences]

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        chunks = split(counted, vectors=embed, form=form)
    finally:
        sys.setprofile(before)
    assert "".join("".join(chunk.text for chunk in chunks).split()) == "".join(text.split())
    return calls + counted.work + embedded


@pytest.mark.parametrize(("shape", "most"), _SHAPES)
def test_the_work_grows_as_the_text(shape: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text of twice the length takes little more than twice the work, never the four times of a square."""
    # What a text's abbreviations are learned from is bounded, and tried below.
    monkeypatch.setattr(units, "_LEARN_FROM", 2 * most)
    make, form = _MAKES[shape], "python" if shape.startswith("python") else "markdown"
    _work(make(most // 8), form)  # what is imported once
    counted = [_work(make(most >> halved), form) for halved in (3, 2, 1, 0)]
    assert all(later <= 2.6 * earlier for earlier, later in pairwise(counted)), counted


def test_what_is_learned_from_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a text is, its abbreviations are learned once, from its beginning alone."""
    learned: list[int] = []

    class Trainer(punkt.PunktTrainer):  # type: ignore[misc]
        def train(self, text: str, **more: Any) -> None:
            learned.append(len(text))
            super().train(text, **more)

    monkeypatch.setattr(punkt, "PunktTrainer", Trainer)
    text = _MAKES["paragraphs"](150_000)
    assert len(text) > 2 * units._LEARN_AT_MOST
    split(text + "the end")
    assert learned == [units._LEARN_AT_MOST]
