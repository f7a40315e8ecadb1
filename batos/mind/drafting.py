"""A text that is being written, token by token: stop words, half characters, circles, streaming. No engine in particular."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batos.mind.protocol import GenerateRequest

SAMPLED_TEMPERATURE = 0.7

_NUMBER = re.compile(r"\d+")
_LETTER = re.compile(r"[^\W\d_]")
_CIRCLE_LINES, _ROUNDS, _LONGEST_CIRCLE = 24, 6, 8


class Draft:
    """One text of a batch.

    What may turn out to be the beginning of a stop word, and the bytes of a half character, are held back until more
    has come; so what was streamed is never taken back.

    Args:
        stop: Texts that end the draft; they are not part of it.
        on_text: Hears the pieces of the text as they become certain.
    """

    def __init__(self, stop: Sequence[str] = (), on_text: Callable[[str], None] | None = None) -> None:
        self._stop = tuple(word for word in stop if word)
        self._on_text = on_text
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._sent = 0
        self.tokens = 0
        self.finish = ""

    @property
    def text(self) -> str:
        """The text so far, held-back characters included."""
        return self._text

    @property
    def done(self) -> bool:
        """Whether the draft has ended."""
        return bool(self.finish)

    def add(self, piece: bytes) -> None:
        """Take the bytes of one more token; a stop word in them ends the draft, and so does a text that goes round in circles."""
        self.tokens += 1
        fresh = self._decoder.decode(piece)
        before = len(self._text)
        self._text += fresh
        found = self._first_stop(before)
        if found is not None:
            self._text = self._text[:found]
            self._close("stop")
        elif "\n" in fresh and goes_round(self._text):
            self._close("loop")
        else:
            self._send(len(self._text) - self._held_back())

    def end(self, reason: str) -> None:
        """End the draft: `stop` or `length`. What was held back goes out; ending it again changes nothing."""
        if not self.done:
            self._text += self._decoder.decode(b"", final=True)
            self._close(reason)

    def _close(self, reason: str) -> None:
        self.finish = reason
        self._send(len(self._text))

    def _first_stop(self, before: int) -> int | None:
        places = [self._text.find(word, max(0, before - len(word) + 1)) for word in self._stop]
        return min((place for place in places if place >= 0), default=None)

    def _held_back(self) -> int:
        """Length of the text's longest end that begins a stop word."""
        return max((_overlap(self._text, word) for word in self._stop), default=0)

    def _send(self, upto: int) -> None:
        if upto > self._sent and self._on_text is not None:
            self._on_text(self._text[self._sent : upto])
        self._sent = max(self._sent, upto)


def goes_round(text: str) -> bool:
    """Whether a text ends with the same few lines again and again, numbers aside; a small model never leaves that again.

    Lines without letters may be a table and are let be.
    """
    lines = [_NUMBER.sub("0", line.strip()) for line in text.rsplit("\n", _ROUNDS * _LONGEST_CIRCLE + 1)[1:-1]]
    for size in range(1, _LONGEST_CIRCLE + 1):
        tail = lines[-max(_CIRCLE_LINES // size, _ROUNDS) * size :]
        if len(tail) < max(_CIRCLE_LINES, _ROUNDS * size):
            return False
        if tail[size:] == tail[:-size] and _LETTER.search("".join(tail[:size])):
            return True
    return False


def _overlap(text: str, word: str) -> int:
    longest = min(len(text), len(word) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(word[:size])), 0)


def samplings(request: GenerateRequest) -> list[tuple[float, int]]:
    """Temperature and seed of each text of a request.

    Greedy twice gives the same text twice: of a greedy batch only the first text is greedy, the others are sampled.
    """
    rest = request.temperature if request.temperature > 0 else SAMPLED_TEMPERATURE
    return [(request.temperature if i == 0 else rest, request.seed + i) for i in range(request.n)]
