"""Words as they are indexed: folded, stemmed, without stop words."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import snowballstemmer

MAX_WORD = 64
_STOP = (
    "a about all am an and any are as at be been but by can could did do does for from had has have he her his how i if "
    "in into is it its just may me my no nor not of on or our please shall she should so some such than that the their "
    "them then there these they this those to too up us very was we were what when where which while who whom will with "
    "would you your"
)
STOP_WORDS = frozenset(_STOP.split())

_RUN = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z](?!s$)[a-z])")
"""Where a name in camel case has a new part; the plural of an abbreviation (`URLs`) has none."""
_SHORTEST_PLURAL = 2


def words_of(text: str) -> list[str]:
    """Cut text into words as they are indexed; `snake_case` and `camelCase` give parts."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    stemmed = (_stemmed(part) for run in _RUN.findall(plain) for part in _parts(run))
    return [word for word in stemmed if word]


def distinct(text: str) -> list[str]:
    """Give each word of a text once, in the order of first use."""
    return list(dict.fromkeys(words_of(text)))


def _parts(run: str) -> list[str]:
    if run.islower() or not run.isascii():
        return [run]
    return _HUMP.split(run)


@lru_cache(maxsize=100_000)
def _stemmed(part: str) -> str:
    """Give the stem of one word as it is written, "" for a stop word."""
    if part.endswith("s") and len(part) > _SHORTEST_PLURAL and part[:-1].isupper():
        part = part[:-1]
    word = part[:MAX_WORD].casefold()
    # A stemmer works inside itself: threads that share one get each other's letters, or an IndexError.
    return "" if word in STOP_WORDS else snowballstemmer.stemmer("english").stemWord(word)
